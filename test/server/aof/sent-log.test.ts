/** What a source knows of unfinished moves after it was killed. */

import { afterEach, expect, test } from "bun:test";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SENT_LOG_BYTES_MAX, SENT_LOG_NAME } from "../../../src/server/aof/sent-log.ts";
import { slotOf } from "../../../src/slots/hash.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { startOwnServer } from "../../support/own-server.ts";
import { RawConnection } from "../../support/raw-connection.ts";
import { ScriptedTarget } from "../../support/scripted-target.ts";
import { type LoggedServer, startLogged } from "./world.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const [A, B, C] = [Buffer.from("{t}a"), Buffer.from("{t}b"), Buffer.from("c")];

function isNoted({ own }: LoggedServer, key: Buffer): boolean {
  return own.state.sentKeys.has(0, key, 0, key.length);
}

function exists({ own }: LoggedServer, key: Buffer): boolean {
  return own.ask(["EXISTS", key.toString()]).toString() === ":1\r\n";
}

test("A kill at any change of the disk leaves a note of each copy, and of no key that has moved", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  const { own, journal } = server;
  const db = own.state.databases.all[0]!;
  const sent = own.state.sentKeys;
  /** Copies that may be at the target, and keys that live there. */
  const copies = new Set<Buffer>();
  const moved = new Set<Buffer>();
  const kills: (() => Promise<void>)[] = [];
  files.beforeChange = () => {
    const disk = files.afterKill();
    const [copied, gone] = [[...copies], [...moved]];
    kills.push(async () => {
      const restarted = await startLogged(disk);
      for (const key of copied) expect(isNoted(restarted, key)).toBe(true);
      for (const key of gone) expect(isNoted(restarted, key)).toBe(false);
      for (const key of gone) expect(exists(restarted, key)).toBe(false);
    });
  };
  for (const key of [A, B, C]) own.show("SET", key.toString(), "1");
  journal.commit();
  expect(sent.note(db, [A, B])).toBeUndefined();
  for (const key of [A, B]) copies.add(key);
  // The batch fails; one goes here, by itself.
  own.show("DEL", A.toString());
  journal.commit();
  // The next one deletes its copy, and a third moves the others.
  expect(sent.end(db, [], [A])).toBeUndefined();
  copies.delete(A);
  expect(sent.note(db, [B, C])).toBeUndefined();
  copies.add(C);
  copies.delete(B);
  copies.delete(C);
  expect(sent.end(db, [B, C], [])).toBeUndefined();
  own.show("DEL", B.toString());
  own.show("DEL", C.toString());
  journal.commit();
  for (const key of [A, B, C]) moved.add(key);
  expect(sent.note(db, [Buffer.from("other")])).toBeUndefined();
  files.beforeChange("the end");
  expect(kills.length).toBeGreaterThan(8);
  for (const kill of kills) await kill();
});

test("A key whose removal did not reach the disk is noted again", async () => {
  const files = new MemoryFiles();
  const server = await startLogged(files);
  server.own.show("SET", "{t}a", "1");
  server.own.show("SET", "{t}b", "1");
  const db = server.own.state.databases.all[0]!;
  server.own.state.sentKeys.note(db, [A, B]);
  server.own.state.sentKeys.end(db, [A, B], []);
  server.own.show("DEL", "{t}b");
  server.journal.commit();
  const restarted = await startLogged(files.afterKill());
  expect([isNoted(restarted, A), isNoted(restarted, B)]).toEqual([true, false]);
  expect([exists(restarted, A), exists(restarted, B)]).toEqual([true, false]);
});

test("A clean stop leaves no note of a move that ended, and keeps one of a move that did not", async () => {
  const files = new MemoryFiles();
  const { own, journal } = await startLogged(files);
  const { sentKeys, databases } = own.state;
  for (const key of ["{t}a", "{t}b"]) own.show("SET", key, "1");
  sentKeys.note(databases.all[0]!, [A, B]);
  sentKeys.end(databases.all[0]!, [A], []);
  own.show("DEL", "{t}a");
  // It comes back, as a slot does that is moved to and fro.
  own.show("SET", "{t}a", "2");
  journal.commit();
  const killed = await startLogged(files.afterKill());
  expect([isNoted(killed, A), isNoted(killed, B)]).toEqual([true, true]);
  await journal.close();
  sentKeys.close();
  const restarted = await startLogged(files);
  expect([isNoted(restarted, A), isNoted(restarted, B)]).toEqual([false, true]);
});

test("Notes that cannot be written anew at the end stay", async () => {
  const files = new MemoryFiles();
  const { own, journal } = await startLogged(files);
  own.show("SET", "{t}a", "1");
  own.state.sentKeys.note(own.state.databases.all[0]!, [A]);
  await journal.close();
  files.beforeChange = () => {
    throw new Error("no space left on device");
  };
  own.state.sentKeys.close();
  files.beforeChange = () => {};
  expect(isNoted(await startLogged(files.afterKill()), A)).toBe(true);
});

test("A note taken up at a start lasts over the next, though its key has gone meanwhile", async () => {
  const files = new MemoryFiles();
  const { own, journal } = await startLogged(files);
  own.show("SET", "{t}a", "1");
  const db = own.state.databases.all[0]!;
  own.state.sentKeys.note(db, [A]);
  own.state.sentKeys.end(db, [A], []);
  journal.commit();
  const disk = files.afterKill();
  const second = await startLogged(disk);
  second.own.show("DEL", "{t}a");
  second.journal.commit();
  const third = await startLogged(disk.afterKill());
  expect([isNoted(third, A), exists(third, A)]).toEqual([true, false]);
});

test("A last line cut anywhere had not happened; any other damage stops the start", async () => {
  const whole = "+ 0 7b747d61 7b747d62\n";
  const last = "- 0 7b747d61\n";
  for (let cut = 0; cut < last.length; cut++) {
    const files = new MemoryFiles();
    files.set(SENT_LOG_NAME, whole + last.slice(0, cut));
    const server = await startLogged(files);
    expect([isNoted(server, A), isNoted(server, B)]).toEqual([true, true]);
  }
  for (const line of ["* 0 7b", "+ 16 7b", "+ 0 7", "+ 0", "+ x 7b", ""]) {
    const files = new MemoryFiles();
    files.set(SENT_LOG_NAME, `${whole}${line}\n`);
    await expect(startLogged(files)).rejects.toThrow(
      `Cannot read disk/${SENT_LOG_NAME}: line 2 is none`,
    );
  }
});

test("The file is written anew when it has become large, with what is noted still", async () => {
  const files = new MemoryFiles();
  const { own } = await startLogged(files);
  const db = own.state.databases.all[0]!;
  const sent = own.state.sentKeys;
  expect(sent.note(db, [A])).toBeUndefined();
  const large = Buffer.alloc(100_000, "k");
  let largest = 0;
  for (let i = 0; i < 30; i++) {
    expect(sent.note(db, [large])).toBeUndefined();
    expect(sent.end(db, [], [large])).toBeUndefined();
    largest = Math.max(largest, files.get(SENT_LOG_NAME).length);
  }
  expect(largest).toBeGreaterThan(SENT_LOG_BYTES_MAX);
  expect(largest).toBeLessThan(2 * SENT_LOG_BYTES_MAX);
  const restarted = await startLogged(files.afterKill());
  expect([isNoted(restarted, A), isNoted(restarted, large)]).toEqual([true, false]);
});

test("While notes cannot be kept no key is sent, and none is taken for moved", async () => {
  const files = new MemoryFiles();
  const { own } = await startLogged(files);
  const db = own.state.databases.all[0]!;
  const sent = own.state.sentKeys;
  expect(sent.note(db, [A])).toBeUndefined();
  files.room = 5;
  const refusal = `ERR Cannot write disk/${SENT_LOG_NAME}: `;
  expect(sent.end(db, [A], [])).toStartWith(refusal);
  expect(sent.note(db, [B])).toStartWith(refusal);
  expect(sent.size).toBe(1);
  files.room = Number.POSITIVE_INFINITY;
  expect(sent.note(db, [C])).toBeUndefined();
  const restarted = await startLogged(files.afterKill());
  const noted = [A, B, C].map((key) => isNoted(restarted, key));
  expect(noted).toEqual([true, false, true]);
});

test("With appendfsync always a note is on the disk before a key is sent", async () => {
  const files = new MemoryFiles();
  const { own } = await startLogged(files, ({ config }) => {
    config.appendfsync = "always";
  });
  const db = own.state.databases.all[0]!;
  own.state.sentKeys.note(db, [A]);
  own.state.sentKeys.note(db, [B]);
  const restarted = await startLogged(files.afterPowerLoss(() => 0));
  expect([isNoted(restarted, A), isNoted(restarted, B)]).toEqual([true, true]);
});

test("A source killed in the middle of a batch: a key deleted after its start does not come back", async () => {
  const dirs = ["codis-sent-", "codis-sent-"].map((name) => mkdtempSync(join(tmpdir(), name)));
  closers.push(() => dirs.map((dir) => rmSync(dir, { recursive: true })));
  const target = new ScriptedTarget();
  closers.push(() => target.stop());
  const open = async (dir: string): Promise<RawConnection> => {
    const server = await startOwnServer({ appendonly: true, dir });
    const connection = await RawConnection.open(server.port);
    closers.push(
      () => server.close(),
      () => connection.close(),
    );
    return connection;
  };
  const call = ["SLOTSMGRTTAGSLOT-ASYNC", "127.0.0.1", target.port, 20_000, 0, 0];
  const words = [...call, slotOf(A), 100];
  const source = await open(dirs[0]!);
  await source.ask(["SET", "{t}a", "1"]);
  source.send(words);
  for (let i = 0; i < 3; i++) await target.next();
  // What a kill leaves, at an instant when the target has all and has said nothing.
  cpSync(dirs[0]!, dirs[1]!, { recursive: true });
  const restarted = await open(dirs[1]!);
  const get = ["SLOTSMGRT-EXEC-WRAPPER", "{t}a", "GET", "{t}a"];
  expect((await restarted.ask(get)).toString()).toBe("*2\r\n:2\r\n$1\r\n1\r\n");
  await restarted.ask(["SLOTSMGRT-EXEC-WRAPPER", "{t}a", "DEL", "{t}a"]);
  expect((await restarted.ask(get)).toString()).toStartWith("*2\r\n:1\r\n");
  restarted.send(words);
  expect(await target.nextText()).toBe("SLOTSRESTORE-ASYNC-SELECT 0");
  expect(await target.nextText()).toBe("SLOTSRESTORE-ASYNC delete {t}a");
  target.reply("*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n$1\r\n0\r\n$1\r\n1\r\n".repeat(2));
  expect((await restarted.reply()).toString()).toBe("*2\r\n:0\r\n:0\r\n");
  expect((await restarted.ask(get)).toString()).toStartWith("*2\r\n:0\r\n");
});
