/**
 * Calls of the asynchronous family that move keys to another server: beginning a batch, waiting for
 * it, ending it, looking at it. How: server/migration-lane.ts.
 * Source: Codis extern/redis-3.2.11/src/slots_async.c; texts and their order to the letter.
 */

import { parseSafeInteger } from "../../base/bytes.ts";
import { ReplyWriter } from "../../resp/encoder.ts";
import { SLOT_COUNT } from "../../slots/hash.ts";
import { BatchMessages, messagesIn } from "../async-messages.ts";
import { type BatchSubject, KeyChooser } from "../batch-keys.ts";
import { argBytes, argEnd, argStart, argText, type Call, type Handler } from "../call.ts";
import { KeyLocks } from "../key-locks.ts";
import type { Batch, MigrationLane } from "../migration-lane.ts";
import { ReplyError } from "../replies.ts";
import { SentKeys } from "../sent-keys.ts";

const INT32_MAX = 0x7fffffff;
const PORT_MAX = 65535;
/** Values of arguments that are 0, and the most that is taken of them. */
const TIMEOUT_MS_DEFAULT = 30_000;
const MAX_BULKS_DEFAULT = 200;
const MAX_BULKS_DUMP = 1000;
const MAX_BULKS_MAX = 512 * 1024;
const MAX_BYTES_DEFAULT = 512 * 1024;
const MAX_BYTES_MAX = 1024 * 1024 * 1024 - 1;
const NUM_KEYS_DEFAULT = 100;

/** Pairs of STATUS. */
const LINK_PAIRS = 9;
const BATCH_PAIRS = 8;
const MESSAGES_PAIRS = 8;

/** Argument `i` within [least, most]. @throws ReplyError that names it */
function argWithin(call: Call, i: number, name: string, least: number, most: number): number {
  const value = parseSafeInteger(call.buf, argStart(call, i), argEnd(call, i));
  if (value >= least && value <= most) return value;
  throw new ReplyError(`ERR invalid value of ${name} (${argText(call, i)})`);
}

function argTimeout(call: Call, i: number): number {
  return argWithin(call, i, "timeout", 0, INT32_MAX) || TIMEOUT_MS_DEFAULT;
}

function argMaxBulks(call: Call, i: number, standard: number): number {
  return Math.min(argWithin(call, i, "maxbulks", 0, INT32_MAX) || standard, MAX_BULKS_MAX);
}

/** `host port timeout maxbulks maxbytes`, then what to move. */
function begin(call: Call, readSubject: (call: Call) => BatchSubject): void {
  const host = argText(call, 1);
  const port = String(argWithin(call, 2, "port", 1, PORT_MAX));
  const timeoutMs = argTimeout(call, 3);
  const maxBulks = argMaxBulks(call, 4, MAX_BULKS_DEFAULT);
  const asked = argWithin(call, 5, "maxbytes", 0, INT32_MAX) || MAX_BYTES_DEFAULT;
  const maxBytes = Math.min(asked, MAX_BYTES_MAX);
  const request = { host, port, timeoutMs, maxBulks, maxBytes, subject: readSubject(call) };
  call.server.asyncMigrations.lane(call.db.index).begin(call.client, request, call.out);
}

function readKeys(call: Call, first: number, withTag: boolean): BatchSubject {
  const count = call.argc - first;
  const keys = Array.from({ length: count }, (_, i) => argBytes(call, first + i));
  return { kind: "keys", keys, withTag };
}

function moveKeys(call: Call, withTag: boolean): void {
  begin(call, () => readKeys(call, 6, withTag));
}

function moveSlot(call: Call, withTag: boolean): void {
  begin(call, () => {
    const slot = argWithin(call, 6, "slot", 0, SLOT_COUNT - 1);
    const numKeys = argWithin(call, 7, "numkeys", 0, INT32_MAX) || NUM_KEYS_DEFAULT;
    return { kind: "slot", slot, numKeys, withTag };
  });
}

/** The messages of a batch as one reply: `timeout maxbulks key ...`. */
function dumpMessages(call: Call, withTag: boolean): void {
  const limits = {
    timeoutMs: argTimeout(call, 1),
    maxBulks: argMaxBulks(call, 2, MAX_BULKS_DUMP),
  };
  // Nothing is locked or sent, so keys on their way can be shown too.
  const chooser = new KeyChooser(call.db, new KeyLocks(), new SentKeys(), limits);
  const chosen = chooser.choose(readKeys(call, 3, withTag), Math.random);
  const messages = new BatchMessages(call.db, chosen === "locked" ? [] : chosen.keys, limits);
  const out = new ReplyWriter();
  let count = 0;
  for (;;) {
    const written = messages.write(out, Number.POSITIVE_INFINITY);
    if (written === "end" || out.isOverfull) break;
    count += messagesIn(written);
  }
  call.out.array(count);
  call.out.append(out.buf, out.head, out.length);
  out.clear();
}

/** A batch under way answers this client too. */
function fence(call: Call): void {
  if (!call.server.asyncMigrations.lane(call.db.index).join(call.client)) call.out.ok();
}

function cancel(call: Call): void {
  call.out.integer(call.server.asyncMigrations.lane(call.db.index).cancel() ? 1 : 0);
}

function status(call: Call): void {
  const lane = call.server.asyncMigrations.lane(call.db.index);
  if (lane.link === undefined) call.out.nilArray();
  else replyLink(call, lane);
}

function pair(out: ReplyWriter, name: string, value: string | number): void {
  out.bulkText(name);
  out.bulkText(String(value));
}

function replyLink({ out, nowMs }: Call, lane: MigrationLane): void {
  const link = lane.link!;
  out.array(2 * LINK_PAIRS);
  pair(out, "host", link.host);
  pair(out, "port", link.port);
  pair(out, "used", link.isSelected ? 1 : 0);
  pair(out, "timeout", lane.timeoutMs);
  pair(out, "lastuse", lane.usedAtMs);
  pair(out, "since_lastuse", Math.max(0, nowMs - lane.usedAtMs));
  pair(out, "sending_msgs", link.outstanding);
  pair(out, "blocked_clients", lane.waiters);
  out.bulkText("batched_iterator");
  if (lane.batch?.messages === undefined) out.nilArray();
  else replyBatch(out, lane.batch, lane.batch.messages);
}

function replyBatch(out: ReplyWriter, batch: Batch, messages: BatchMessages): void {
  const { keys } = messages;
  out.array(2 * BATCH_PAIRS);
  out.bulkText("keys");
  out.array(2);
  out.bulkText(String(keys.length));
  out.array(keys.length);
  for (const key of keys) out.bulk(key, 0, key.length);
  pair(out, "timeout", batch.request.timeoutMs);
  pair(out, "maxbulks", batch.request.maxBulks);
  pair(out, "maxbytes", batch.request.maxBytes);
  pair(out, "estimate_msgs", batch.estimate);
  pair(out, "removed_keys", batch.removed);
  pair(out, "chunked_vals", messages.chunkedKeys);
  out.bulkText("iterators");
  out.array(2);
  out.bulkText(String(keys.length - messages.index));
  if (messages.key === undefined) out.nilArray();
  else replyMessages(out, messages.key, messages);
}

function replyMessages(out: ReplyWriter, key: Buffer, messages: BatchMessages): void {
  const { expiryMs, elementsSent } = messages;
  out.array(2 * MESSAGES_PAIRS);
  out.bulkText("key");
  out.bulk(key, 0, key.length);
  pair(out, "val.type", messages.type);
  pair(out, "stage", messages.stage);
  pair(out, "expire", Number.isNaN(expiryMs) ? -1 : expiryMs);
  // The original has a place of its own for each kind of walk.
  pair(out, "cursor", elementsSent);
  pair(out, "lindex", elementsSent);
  pair(out, "zindex", elementsSent);
  pair(out, "chunked_msgs", messages.chunksSent);
}

export const MIGRATE_ASYNC_HANDLERS = {
  "SLOTSMGRT-ASYNC-CANCEL": cancel,
  "SLOTSMGRT-ASYNC-FENCE": fence,
  "SLOTSMGRT-ASYNC-STATUS": status,
  "SLOTSMGRTONE-ASYNC": (call) => moveKeys(call, false),
  "SLOTSMGRTONE-ASYNC-DUMP": (call) => dumpMessages(call, false),
  "SLOTSMGRTSLOT-ASYNC": (call) => moveSlot(call, false),
  "SLOTSMGRTTAGONE-ASYNC": (call) => moveKeys(call, true),
  "SLOTSMGRTTAGONE-ASYNC-DUMP": (call) => dumpMessages(call, true),
  "SLOTSMGRTTAGSLOT-ASYNC": (call) => moveSlot(call, true),
} as const satisfies Record<string, Handler>;
