/**
 * Commands about the server and whole databases. CONFIG, INFO, MEMORY, COMMAND and what keeps data
 * (persistence.ts) have files of their own. Source of texts: Redis 7.0 src/db.c, src/debug.c,
 * src/server.c, src/slowlog.c.
 */

import { isLoopback, parseAddress } from "../../base/address.ts";
import { UNKNOWN_ADDRESS } from "../../net/connection.ts";
import { argDouble, argInteger, argIs, type Call, failSyntax, type Handler } from "../call.ts";
import { NOT_POSITIVE, ReplyError } from "../replies.ts";
import { readDbIndex } from "./connection.ts";
import { helpReply, runSubcommand, type Subcommands } from "./container.ts";

// -- whole databases ------------------------------------------------------------------------------

/** SYNC and ASYNC are the same here: the keys are gone at once, their memory follows in parts. */
function checkFlushMode(call: Call): void {
  if (call.argc === 1) return;
  if (call.argc > 2 || !(argIs(call, 1, "async") || argIs(call, 1, "sync"))) failSyntax();
}

function flushDb(call: Call): void {
  checkFlushMode(call);
  call.db.flush();
  call.dirty++;
  call.out.ok();
}

function flushAll(call: Call): void {
  checkFlushMode(call);
  call.server.databases.flushAll();
  call.server.saves?.emptied();
  call.dirty++;
  call.out.ok();
}

function swapDb(call: Call): void {
  const rules = ["first", "second"].map((n) => new ReplyError(`ERR invalid ${n} DB index`));
  const { all } = call.server.databases;
  const first = all[readDbIndex(call, 1, rules[0]!)]!;
  const second = all[readDbIndex(call, 2, rules[1]!)]!;
  if (first !== second) first.swap(second);
  call.dirty++;
  call.out.ok();
}

// -- the server -----------------------------------------------------------------------------------

function time(call: Call): void {
  const now = call.server.clock.now();
  const seconds = Math.floor(now / 1000);
  call.out.array(2);
  call.out.bulkText(String(seconds));
  call.out.bulkText(String(Math.floor((now - seconds * 1000) * 1000)));
}

function role(call: Call): void {
  call.out.array(3);
  call.out.bulkText("master");
  call.out.integer(0);
  call.out.emptyArray();
}

// -- DEBUG ----------------------------------------------------------------------------------------

const DEBUG_HELP = [
  "SET-ACTIVE-EXPIRE <0|1>",
  "    Setting it to 0 disables expiring keys (in slave mode the keys are always",
  "    expired by lookups).",
  "SLEEP <seconds>",
  "    Stop the server for <seconds>. Decimals allowed.",
];
/** Longest DEBUG SLEEP: it stops everything. */
const SLEEP_SECONDS_MAX = 60;

const DEBUG_NOT_ALLOWED =
  'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run ' +
  "it from a local connection, otherwise you need to set this option in the configuration file, and " +
  "then restart the server.";

function debug(call: Call): void {
  const allowed = call.server.config["enable-debug-command"];
  const { address } = call.client;
  const isLocal = address !== UNKNOWN_ADDRESS && isLoopback(parseAddress(address).host);
  if (allowed === "no" || (allowed === "local" && !isLocal))
    throw new ReplyError(DEBUG_NOT_ALLOWED);
  runSubcommand(call, DEBUG_SUBCOMMANDS);
}

const DEBUG_SUBCOMMANDS: Subcommands = new Map([
  ["help", { arity: 2, run: (call) => helpReply(call, DEBUG_HELP) }],
  [
    "set-active-expire",
    {
      arity: 3,
      run: (call) => {
        call.server.activeExpire = argInteger(call, 2) !== 0;
        call.out.ok();
      },
    },
  ],
  [
    "sleep",
    {
      arity: 3,
      run: (call) => {
        const seconds = argDouble(call, 2);
        if (seconds < 0 || seconds > SLEEP_SECONDS_MAX) throw new ReplyError(NOT_POSITIVE);
        Bun.sleepSync(seconds * 1000);
        call.out.ok();
      },
    },
  ],
]);

// -- SLOWLOG --------------------------------------------------------------------------------------

const SLOWLOG_HELP = [
  "GET [<count>]",
  "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
  "    Entries are made of:",
  "    id, timestamp, time in microseconds, arguments array, client IP and port,",
  "    client name",
  "LEN",
  "    Return the length of the slowlog.",
  "RESET",
  "    Reset the slowlog.",
];
const SLOWLOG_SHOWN_DEFAULT = 10;

function slowlogGet(call: Call): void {
  const { out } = call;
  let count = SLOWLOG_SHOWN_DEFAULT;
  if (call.argc > 3) failSyntax();
  if (call.argc === 3) {
    const rule = new ReplyError("ERR count should be greater than or equal to -1");
    count = argInteger(call, 2, rule);
    if (count < -1) throw rule;
    if (count === -1) count = call.server.slowlog.length;
  }
  const entries = call.server.slowlog.newest(count);
  out.array(entries.length);
  for (const entry of entries) {
    out.array(6);
    out.integer(entry.id);
    out.integer(entry.at);
    out.integer(entry.microseconds);
    out.array(entry.words.length);
    for (const word of entry.words) out.bulk(word, 0, word.length);
    out.bulkText(entry.clientAddress);
    out.bulkText(entry.clientName);
  }
}

const SLOWLOG_SUBCOMMANDS: Subcommands = new Map([
  ["get", { arity: -2, run: slowlogGet }],
  ["help", { arity: 2, run: (call) => helpReply(call, SLOWLOG_HELP) }],
  ["len", { arity: 2, run: (call) => call.out.integer(call.server.slowlog.length) }],
  [
    "reset",
    {
      arity: 2,
      run: (call) => {
        call.server.slowlog.reset();
        call.out.ok();
      },
    },
  ],
]);

export const ADMIN_HANDLERS = {
  DBSIZE: (call) => call.out.integer(call.db.size),
  DEBUG: debug,
  FLUSHALL: flushAll,
  FLUSHDB: flushDb,
  ROLE: role,
  SLOWLOG: (call) => runSubcommand(call, SLOWLOG_SUBCOMMANDS),
  SWAPDB: swapDb,
  TIME: time,
} as const satisfies Record<string, Handler>;
