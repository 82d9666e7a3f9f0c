/** Moving keys to another server: what the original and its target said to each other, recorded. */

import { afterEach, expect, test } from "bun:test";
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
  readonly target_to_source: readonly string[];
}

/** A request with its payloads as values; a ttl may have run for some milliseconds. */
function shownRequest(words: readonly Buffer[]): unknown {
  if (words[0]!.toString() !== "SLOTSRESTORE") return words.map(String);
  return words.map((word, i) => {
    if (i > 0 && i % 3 === 2) return Math.round(Number(word.toString()) / 10_000);
    if (i === 0 || i % 3 !== 0) return word.toString("latin1");
    const sink = new CollectingSink();
    expect(readPayload(word, 0, word.length, sink)).toBe("ok");
    const entries = [...sink.entries].toSorted(([a], [b]) => (a < b ? -1 : 1));
    return { kind: sink.kind, text: sink.text, items: sink.items, entries };
  });
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
    const seen: unknown[] = [];
    const replies = flow.target_to_source.map((reply) => unescapeBytes(reply).toString("latin1"));
    const serve = async (): Promise<void> => {
      for (const reply of replies) {
        const words = await target.next();
        seen.push(shownRequest(words));
        target.reply(reply);
        // A refused AUTH ends the link: nothing more comes.
        if (words[0]!.toString() === "AUTH" && reply.startsWith("-")) return;
      }
    };
    const served = serve();
    const placed = (word: string): Buffer =>
      unescapeBytes(
        word
          .replace("{{TARGET_HOST}}", "127.0.0.1")
          .replace("{{TARGET_PORT}}", String(target.port)),
      );
    for (const words of flow.setup) await client.ask(words.map(placed));
    const reply = await client.ask(flow.command.map(placed));
    await served;
    const command_reply = unescapeBytes(flow.command_reply).toString("latin1");
    const requests = flow.source_to_target.map((words) => words.map(unescapeBytes));
    const recorded = { reply: command_reply, requests: requests.map(shownRequest) };
    const ours = { reply: reply.toString("latin1"), requests: seen };
    expect(() => assertRow({ file, id: row.id, recorded }, ours)).not.toThrow();
  });
}
