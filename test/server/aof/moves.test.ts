/** What a rewrite of the append-only file does while long values move to other servers. */

import { expect, test } from "bun:test";
import { MemoryFiles } from "../../support/memory-files.ts";
import { digest, onlyBase, startLogged } from "./world.ts";

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("A rewrite does not begin by itself while chunks of a value come in, for ten minutes", async () => {
  const files = new MemoryFiles();
  const { journal, own } = await startLogged(files, (state) => {
    state.config["auto-aof-rewrite-min-size"] = 10_000;
  });
  const chunk = (): void => {
    own.state.databases.nowMs = own.clock.now();
    const element = "x".repeat(20_000);
    own.ask(["SLOTSRESTORE-ASYNC", "list", "k", 60_000, 9, element]);
    journal.commit();
    journal.tick();
  };
  const progress = (): string => journal.infoLines().find((line) => line.includes("in_progress"))!;
  chunk();
  own.clock.advance(999);
  journal.tick();
  expect(progress()).toBe("aof_rewrite_in_progress:0");
  own.clock.advance(1);
  journal.tick();
  expect(progress()).toBe("aof_rewrite_in_progress:1");
  await journal.settled();
  for (let s = 0; s < 600; s += 10) {
    own.clock.advance(10_000);
    chunk();
    expect(progress()).toBe("aof_rewrite_in_progress:0");
  }
  own.clock.advance(10_000);
  chunk();
  expect(progress()).toBe("aof_rewrite_in_progress:1");
  await journal.settled();
});

test("A long value that is to be removed is visited first, in steps, as it was", async () => {
  const files = new MemoryFiles();
  const { own, journal } = await startLogged(files);
  for (let i = 0; i < 500; i++) own.ask(["SET", `k${i}`, `value ${i}`]);
  const elements = Array.from({ length: 50_000 }, (_, i) => `element ${i}`);
  own.ask(["RPUSH", "list", ...elements]);
  const before = digest(own.state);
  const key = Buffer.from("list");
  const db = own.state.databases.all[0]!;
  const entry = db.peek(key, 0, key.length);
  const { snapshot } = own.state;
  expect(snapshot.isReleased(db, entry)).toBe(true);
  journal.rewrite();
  while (snapshot.state !== "visiting") await nextTurn();
  let turns = 0;
  for (; !snapshot.isReleased(db, entry); turns++) await nextTurn();
  expect(turns).toBeGreaterThan(1);
  own.ask(["DEL", "list"]);
  await journal.settled();
  journal.commit();
  expect(digest((await startLogged(files.afterKill())).own.state)).toBe(digest(own.state));
  expect(digest((await startLogged(onlyBase(files))).own.state)).toBe(before);
});
