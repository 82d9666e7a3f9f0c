/**
 * Where every command runs: one place for the checks before it, its call, and what follows from it.
 *
 *   request ──> command ──> gates: arity, password, loading, memory, journal
 *           ──> handler(call) ──> reply; statistics, slow log; changes to the journal
 *
 * The gates stand in the order of Redis 7.0 (src/server.c `processCommand`).
 */

import { assert } from "../base/assert.ts";
import { EMPTY_BYTES } from "../base/bytes.ts";
import { HTTP_DETECTED, isHttp } from "../commands/http.ts";
import { ALL_COMMANDS, arityFits, type Command, lookupCommand } from "../commands/lookup.ts";
import { DENYOOM, FAST, GROW, LOADING, NO_AUTH, SKIP_SLOWLOG, WRITE } from "../commands/spec.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { encodeRequest, type ReplyWriter } from "../resp/encoder.ts";
import { ACK_FAILED, isAcknowledged, writeAck } from "./ack.ts";
import { argView, type Call, type Handler } from "./call.ts";
import type { Client } from "./client.ts";
import { INNER } from "./commands/exec-wrapper.ts";
import { HANDLERS } from "./commands/handlers.ts";
import {
  ARENA_FULL,
  LOADING_DATA,
  NOT_AUTHENTICATED,
  OUT_OF_MEMORY,
  ReplyError,
  unknownCommand,
  wrongArity,
} from "./replies.ts";
import { slowlogWords } from "./slowlog.ts";
import type { ServerState } from "./state.ts";

/** By command id. */
const HANDLER_OF: readonly (Handler | undefined)[] = ALL_COMMANDS.map(
  (command) => (HANDLERS as Readonly<Record<string, Handler>>)[command.name],
);

/** Quick ones beside those that the table calls FAST. */
const QUICK_NAMES: ReadonlySet<string> = new Set(["SET", "SETEX", "PSETEX", "SLOTSRESTORE-ASYNC"]);
/**
 * By command id: 1 for commands whose time depends on little but the bytes of the request. Their
 * duration is measured once in QUICK_SAMPLE calls, since two clock readings cost a tenth of a SET.
 */
const IS_QUICK = Uint8Array.from(ALL_COMMANDS, ({ flags, name }) =>
  (flags & FAST) !== 0 || QUICK_NAMES.has(name) ? 1 : 0,
);
const QUICK_SAMPLE = 64;
/** A request this long is timed whatever its command. */
const LONG_REQUEST_BYTES = 64 * 1024;
/** When the slow log wants durations below this, every call is timed. */
const TIME_ALL_BELOW_US = 1000;

const WRAPPER = ALL_COMMANDS.find(({ name }) => name === "SLOTSMGRT-EXEC-WRAPPER");

const MULTI = encodeRequest(["MULTI"]);
const EXEC = encodeRequest(["EXEC"]);

/** The Call of a server: one for all its requests. */
export function createCall(server: ServerState): Call {
  return {
    server,
    arena: server.databases.arena,
    command: ALL_COMMANDS[0]!,
    // Set by each execute before any handler sees it.
    client: undefined as unknown as Client,
    db: server.databases.all[0]!,
    buf: EMPTY_BYTES,
    args: new Int32Array(0),
    argc: 0,
    out: undefined as unknown as ReplyWriter,
    nowMs: server.startedMs,
    dirty: 0,
    propagateAs: undefined,
    inner: undefined,
  };
}

/** A request as execute sees it, valid during the call: bytes, arguments, and where all of it lies. */
export type Request = Pick<RequestDecoder, "buf" | "args" | "argc" | "start" | "end">;

/**
 * Runs one request for `client`; exactly one reply goes to `out`, at once or, when the client is
 * waiting afterwards, through its port. Only a client that speaks HTTP is cut off without one.
 * @returns false when the request was held back: nothing happened, it is to be executed again later
 */
export function execute(call: Call, client: Client, request: Request, out: ReplyWriter): boolean {
  const { server } = call;
  const { buf, args, argc } = request;
  server.stats.commandsProcessed++;
  const command = lookupCommand(buf, args[0]!, args[1]!);
  const handler = command === undefined ? undefined : HANDLER_OF[command.id];
  const mark = out.length;
  if (command === undefined || handler === undefined) {
    if (command !== undefined && isHttp(command) && !client.skipsGates) {
      client.port.abort(HTTP_DETECTED);
      return true;
    }
    refuse(server, undefined, unknownCommand(buf, args, argc), out);
    endReply(client, out, mark);
    return true;
  }
  const refusal = gate(server, client, command, gatedFlags(command, request), argc);
  if (refusal !== undefined) {
    refuse(server, command, refusal, out);
    if (isAcknowledged(command) && arityFits(command, argc)) failAck(client, refusal, out, mark);
    endReply(client, out, mark);
    return true;
  }
  if (server.locks.isBusy && (command.flags & WRITE) !== 0) {
    if (server.locks.holdsKeyOf(command, request)) {
      server.stats.commandsProcessed--;
      server.locks.holdBack(client, command);
      return false;
    }
  }
  call.command = command;
  call.client = client;
  call.db = server.databases.all[client.dbIndex]!;
  call.buf = buf;
  call.args = args;
  call.argc = argc;
  call.out = out;
  call.nowMs = server.databases.nowMs;
  call.dirty = 0;
  call.propagateAs = undefined;
  client.lastCommand = command.lower;
  if (isTimed(server, command, request)) runTimed(call, handler, mark);
  else run(call, handler, mark);
  if (call.inner !== undefined) runInner(call, request);
  if (call.dirty > 0) {
    server.changes += call.dirty;
    if (server.journal !== undefined) propagate(call, request);
  }
  if (client.replyMode !== "on" && !client.isWaiting) endReply(client, out, mark);
  return true;
}

/** What the gates ask of a command; of a wrapped one, what they ask of the command in it. */
function gatedFlags(command: Command, { buf, args, argc }: Request): number {
  if (command !== WRAPPER || argc <= INNER) return command.flags;
  const inner = lookupCommand(buf, args[2 * INNER]!, args[2 * INNER + 1]!);
  return (command.flags & ~GROW) | ((inner?.flags ?? 0) & GROW);
}

/** Why the command may not run, or undefined. */
function gate(
  server: ServerState,
  client: Client,
  command: Command,
  flags: number,
  argc: number,
): string | undefined {
  if (!arityFits(command, argc)) return wrongArity(command.name);
  if (client.skipsGates) return undefined;
  if (!client.isAuthenticated && (flags & NO_AUTH) === 0) return NOT_AUTHENTICATED;
  // Any request has keys give way, also one that needs no memory itself.
  const isOut = server.isOverMemory && server.evictor.run() === "nothing";
  if ((flags & (WRITE | DENYOOM)) !== 0) {
    const isFull = server.databases.arena.isFull;
    if ((flags & DENYOOM) !== 0 && (isOut || isFull)) {
      server.stats.oomRefusals++;
      return isFull ? ARENA_FULL : OUT_OF_MEMORY;
    }
    if (server.saves?.refusal !== undefined) return server.saves.refusal;
    if (server.journal?.refusal !== undefined) return server.journal.refusal;
  }
  if (server.isLoading && (flags & LOADING) === 0) return LOADING_DATA;
  return undefined;
}

function refuse(
  server: ServerState,
  command: Command | undefined,
  text: string,
  out: ReplyWriter,
): void {
  if (command !== undefined) server.stats.rejectedCalls[command.id]!++;
  server.stats.countError(text);
  out.error(text);
}

/** On a migration link an error is an ACK, and the last one: a source reads nothing else there. */
function failAck(client: Client, text: string, out: ReplyWriter, mark: number): void {
  out.truncate(mark);
  writeAck(out, ACK_FAILED, text);
  client.closeAfterReply();
}

function run(call: Call, handler: Handler, mark: number): void {
  const { stats } = call.server;
  stats.calls[call.command.id]!++;
  const usedBytes = usedByCommands(call);
  try {
    handler(call);
  } catch (error) {
    const text = error instanceof ReplyError ? error.text : survive(call, error, usedBytes);
    assert(call.dirty === 0, "a handler throws before its first change");
    call.out.truncate(mark);
    call.out.error(text);
    if (isAcknowledged(call.command)) failAck(call.client, text, call.out, mark);
    stats.failedCalls[call.command.id]!++;
    stats.countError(text);
  }
}

/**
 * What to answer when a handler hit a limit of the language or the machine (an array too long, no
 * memory for a buffer, too deep a call: all RangeError), which one client's request may do. That
 * costs this client an error, not all of them the server, as long as nothing was changed: the
 * command only reads, or no block of the arena was taken or freed, but for keys found expired, and
 * no change was counted. (A snapshot that was told of the value has it as it still is.) Else the
 * process must end: a change half made would go on to be read, and the append-only file, to which
 * it was not added, has the state before it. So it must for any other error, which is a mistake of
 * ours, and while loading, where no one reads the answer.
 */
function survive(call: Call, error: unknown, usedBytes: number): string {
  const { server, command } = call;
  const isUnchanged = (command.flags & WRITE) === 0 || usedByCommands(call) === usedBytes;
  const isHarmless = call.dirty === 0 && isUnchanged;
  if (!(error instanceof RangeError) || !isHarmless || server.isLoading) throw error;
  server.log.error("A command could not be executed; nothing was changed", {
    command: command.name,
    error: error.stack ?? error.message,
  });
  return `ERR '${command.lower}' needs more than the server can give (${error.message})`;
}

/** Bytes of the arena, as if no key had expired or been evicted: commands alone change it. */
function usedByCommands({ arena, server }: Call): number {
  return arena.usedBytes + server.databases.goneBytes;
}

function isTimed(server: ServerState, command: Command, request: Request): boolean {
  if (IS_QUICK[command.id] === 0) return true;
  if (server.stats.commandsProcessed % QUICK_SAMPLE === 0) return true;
  if (request.end - request.start > LONG_REQUEST_BYTES) return true;
  const threshold = server.config["slowlog-log-slower-than"];
  return threshold >= 0 && threshold < TIME_ALL_BELOW_US;
}

/** Runs the command in a wrapper, whose reply goes on behind what the wrapper has answered. */
function runInner(call: Call, request: Request): void {
  const command = call.inner!;
  call.inner = undefined;
  call.command = command;
  // Nobody looks at the arguments of the wrapper any more.
  call.args.copyWithin(0, 2 * INNER, 2 * call.argc);
  call.argc -= INNER;
  const handler = HANDLER_OF[command.id]!;
  const mark = call.out.length;
  if (isTimed(call.server, command, request)) runTimed(call, handler, mark);
  else run(call, handler, mark);
  if (call.server.journal === undefined || call.propagateAs !== undefined) return;
  call.propagateAs = [Array.from({ length: call.argc }, (_, i) => argView(call, i))];
}

function runTimed(call: Call, handler: Handler, mark: number): void {
  const { server, command } = call;
  const { buf, args, argc } = call;
  const startedMs = server.clock.monotonic();
  run(call, handler, mark);
  const microseconds = (server.clock.monotonic() - startedMs) * 1000;
  server.timedMicros += microseconds;
  const weight = IS_QUICK[command.id] === 0 ? 1 : QUICK_SAMPLE;
  server.stats.microseconds[command.id]! += microseconds * weight;
  const threshold = server.config["slowlog-log-slower-than"];
  if (threshold < 0 || microseconds < threshold || (command.flags & SKIP_SLOWLOG) !== 0) return;
  server.slowlog.add(
    {
      at: Math.floor(call.nowMs / 1000),
      microseconds: Math.floor(microseconds),
      words: slowlogWords(command.name, buf, args, argc),
      clientAddress: call.client.address,
      clientName: call.client.name,
    },
    server.config["slowlog-max-len"],
  );
}

function propagate(call: Call, request: Request): void {
  const journal = call.server.journal!;
  call.client.hasUnsafeChanges = true;
  const { propagateAs } = call;
  if (propagateAs === undefined) {
    journal.append(call.db.index, request.buf, request.start, request.end);
    return;
  }
  // All or none of several, also for who replays a log that ends here.
  const isTransaction = propagateAs.length > 1;
  if (isTransaction) journal.append(call.db.index, MULTI, 0, MULTI.length);
  for (const words of propagateAs) journal.appendWords(call.db.index, words);
  if (isTransaction) journal.append(call.db.index, EXEC, 0, EXEC.length);
}

/** CLIENT REPLY: drops the reply of a client that wants none. */
export function endReply(client: Client, out: ReplyWriter, mark: number): void {
  if (client.replyMode === "on") return;
  if (client.replyMode === "skip-next") {
    client.replyMode = "skip";
    return;
  }
  out.truncate(mark);
  if (client.replyMode === "skip") client.replyMode = "on";
}
