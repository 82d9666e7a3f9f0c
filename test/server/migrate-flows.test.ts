/** Moving keys to another server: what the original and its target said to each other, recorded. */

import { afterEach, expect, test } from "bun:test";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { readPayload } from "../../src/server/rdb/read.ts";
import { assertRow, rowsOf, unescapeBytes, waitsFor } from "../golden/load.ts";
import { startOwnServer } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";
import { ScriptedTarget } from "../support/scripted-target.ts";
import { CollectingSink } from "./rdb/collect.ts";

interface FlowRecord {
  readonly name: string;
  readonly source_config?: readonly string[];
  readonly setup: readonly (readonly string[])[];
  readonly command: readonly string[];
  readonly command_reply: string;
  readonly source_to_target: readonly (readonly string[])[];
  /** A request each, in asynchronous flows. */
  readonly target_to_source: readonly (string | readonly string[])[];
  readonly mode: string;
  readonly order?: string;
}

function replyOf(recorded: string | readonly string[]): string {
  if (typeof recorded === "string") return unescapeBytes(recorded).toString("latin1");
  return encodeRequest(recorded.map(unescapeBytes)).toString("latin1");
}

/** A ttl that runs may have run for some milliseconds. */
function shownTtl(word: Buffer): number {
  return Math.round(Number(word.toString()) / 10_000);
}

function shownPayload(word: Buffer): unknown {
  const sink = new CollectingSink();
  expect(readPayload(word, 0, word.length, sink)).toBe("ok");
  const entries = [...sink.entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { kind: sink.kind, text: sink.text, items: sink.items, entries };
}

/** A request with its payloads as values. */
function shownRequest(words: readonly Buffer[]): readonly unknown[] {
  const texts = words.map((word) => word.toString("latin1"));
  if (texts[0] === "SLOTSRESTORE") {
    return words.map((word, i) => {
      if (i > 0 && i % 3 === 2) return shownTtl(word);
      return i === 0 || i % 3 !== 0 ? texts[i] : shownPayload(word);
    });
  }
  if (texts[0] !== "SLOTSRESTORE-ASYNC" || texts[1] === "delete") return texts;
  const [, kind, key] = texts;
  if (kind === "object") return [kind, key, shownTtl(words[3]!), shownPayload(words[4]!)];
  if (kind === "string" || kind === "expire") return [kind, key, shownTtl(words[3]!), texts[4]];
  return texts.slice(1);
}

/** Chunks of one hash or set, whose order and borders are not defined, as one. */
function joinChunks(requests: readonly (readonly unknown[])[]): (readonly unknown[])[] {
  const joined: (readonly unknown[])[] = [];
  for (const request of requests) {
    const [kind, key, ttl, hint, ...elements] = request;
    const before = joined.at(-1);
    const isOpen = kind === "hash" || kind === "dict";
    if (!isOpen) {
      joined.push(request);
      continue;
    }
    const pairs = kind === "dict" ? elements : pairsOf(elements);
    const isNext = before?.[0] === kind && before[1] === key;
    const all = [...(isNext ? (joined.pop()![4] as unknown[]) : []), ...pairs];
    const order = (a: unknown, b: unknown): number => (String(a) < String(b) ? -1 : 1);
    joined.push([kind, key, ttl, hint, all.toSorted(order)]);
  }
  return joined;
}

function pairsOf(elements: readonly unknown[]): unknown[] {
  return Array.from({ length: elements.length / 2 }, (_, i) => elements.slice(2 * i, 2 * i + 2));
}

/** Which key of a group goes first is not defined: SELECT, then the messages by key. */
function inKeyOrder(requests: readonly (readonly unknown[])[]): (readonly unknown[])[] {
  const keyOf = (request: readonly unknown[]): string =>
    String(request[0] === "SLOTSRESTORE-ASYNC" ? request[2] : request[1]);
  const [select, ...messages] = requests;
  return [select!, ...messages.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))];
}

const ACK_OK = "*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n$1\r\n0\r\n$2\r\nOK\r\n";

/** Answers as recorded; where chunks may be cut otherwise, each message with an ACK. */
async function serve(
  target: ScriptedTarget,
  replies: readonly string[],
  isAsync: boolean,
  seen: (readonly unknown[])[],
): Promise<void> {
  for (let i = 0; isAsync || i < replies.length; i++) {
    const words = await target.next();
    seen.push(shownRequest(words));
    const isAuth = words[0]!.toString().endsWith("AUTH");
    const reply = isAsync && !isAuth ? ACK_OK : replies[i]!;
    target.reply(reply);
    // A refused AUTH ends the link: nothing more comes.
    if (isAuth && (reply.startsWith("-") || reply.includes("$2\r\n-1"))) return;
  }
}

const file = "server/flows/migration-flows.json";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

for (const row of rowsOf(file)) {
  if (waitsFor(row) !== undefined) continue;
  const flow = row.record as unknown as FlowRecord;
  test(`${row.id}: ${flow.name}`, async () => {
    const target = new ScriptedTarget();
    const changes = (flow.source_config ?? []).map((line) => line.split(" ") as [string, string]);
    const source = await startOwnServer(Object.fromEntries(changes));
    const client = await RawConnection.open(source.port);
    closers.push(
      () => target.stop(),
      () => source.close(),
      () => client.close(),
    );
    const seen: (readonly unknown[])[] = [];
    const isAsync = flow.mode.includes("ASYNC");
    const replies = flow.target_to_source.map((reply) => replyOf(reply));
    const served = serve(target, replies, isAsync, seen);
    const placed = (word: string): Buffer =>
      unescapeBytes(
        word
          .replace("{{TARGET_HOST}}", "127.0.0.1")
          .replace("{{TARGET_PORT}}", String(target.port)),
      );
    for (const words of flow.setup) await client.ask(words.map(placed));
    const reply = await client.ask(flow.command.map(placed));
    if (!isAsync) await served;
    const command_reply = unescapeBytes(flow.command_reply).toString("latin1");
    const requests = flow.source_to_target.map((words) => words.map(unescapeBytes));
    const inOrder = flow.order?.startsWith("which key") === true ? inKeyOrder : joinChunks;
    const recorded = { reply: command_reply, requests: inOrder(requests.map(shownRequest)) };
    const ours = { reply: reply.toString("latin1"), requests: inOrder(seen) };
    expect(() => assertRow({ file, id: row.id, recorded }, ours)).not.toThrow();
  });
}
