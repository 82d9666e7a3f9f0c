/**
 * Commands about what is kept on disk: SAVE, BGSAVE, LASTSAVE, BGREWRITEAOF, SHUTDOWN.
 * Source of texts: Redis 7.0 src/rdb.c, src/aof.c, src/db.c (`shutdownCommand`).
 */

import { errorText } from "../../base/errors.ts";
import { argIs, type Call, failSyntax, type Handler } from "../call.ts";
import type { RdbSaves } from "../rdb/saves.ts";
import { ReplyError } from "../replies.ts";

function savesOf(call: Call): RdbSaves {
  const { saves } = call.server;
  if (saves === undefined) throw new ReplyError("ERR this server keeps no files");
  return saves;
}

function save(call: Call): void {
  savesOf(call).save();
  call.out.ok();
}

function backgroundSave(call: Call): void {
  const isScheduled = call.argc === 2 && argIs(call, 1, "schedule");
  if (call.argc > 1 && !isScheduled) failSyntax();
  call.out.simple(savesOf(call).backgroundSave(isScheduled));
}

function rewriteLog(call: Call): void {
  const { journal } = call.server;
  if (journal === undefined) {
    throw new ReplyError(
      "ERR the append-only file is off: start the server with appendonly = true",
    );
  }
  call.out.simple(journal.rewrite());
}

interface ShutdownOptions {
  nosave: boolean;
  save: boolean;
  force: boolean;
  abort: boolean;
}

/** NOW is what happens anyway: there are no replicas to wait for. */
function shutdownOptions(call: Call): ShutdownOptions {
  const options: ShutdownOptions = { nosave: false, save: false, force: false, abort: false };
  for (let i = 1; i < call.argc; i++) {
    if (argIs(call, i, "nosave")) options.nosave = true;
    else if (argIs(call, i, "save")) options.save = true;
    else if (argIs(call, i, "force")) options.force = true;
    else if (argIs(call, i, "abort")) options.abort = true;
    else if (!argIs(call, i, "now")) failSyntax();
  }
  if ((options.abort && call.argc > 2) || (options.nosave && options.save)) failSyntax();
  return options;
}

function shutdown(call: Call): void {
  const { save: mustSave, nosave, force, abort } = shutdownOptions(call);
  if (abort) throw new ReplyError("ERR No shutdown in progress.");
  const { saves, log } = call.server;
  if (saves !== undefined && (mustSave || (!nosave && saves.savePoints.length > 0))) {
    try {
      saves.saveNow();
    } catch (error) {
      log.error("SHUTDOWN cannot save", { error: errorText(error), ends: force });
      if (!force) throw new ReplyError("ERR Errors trying to SHUTDOWN. Check logs.");
    }
  }
  // No reply: the client sees its connection close.
  call.client.closeAfterReply();
  log.info("stopping", { reason: "SHUTDOWN" });
  call.server.shutdown();
}

export const PERSISTENCE_HANDLERS = {
  BGREWRITEAOF: rewriteLog,
  BGSAVE: backgroundSave,
  LASTSAVE: (call) => call.out.integer(savesOf(call).lastSave),
  SAVE: save,
  SHUTDOWN: shutdown,
} as const satisfies Record<string, Handler>;
