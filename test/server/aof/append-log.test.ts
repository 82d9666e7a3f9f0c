import { expect, test } from "bun:test";
import { encodeRequest } from "../../../src/resp/encoder.ts";
import {
  AppendLog,
  EARLY_WRITE_BYTES,
  type FsyncPolicy,
} from "../../../src/server/aof/append-log.ts";
import { MemoryFiles } from "../../support/memory-files.ts";

const SET = encodeRequest(["SET", "k", "v"]);
const SELECT_0 = encodeRequest(["SELECT", "0"]);
const NAME = "log";

function start(policy: FsyncPolicy): { files: MemoryFiles; log: AppendLog } {
  const files = new MemoryFiles();
  const log = new AppendLog(files, files.open(NAME, "a"), 0, policy);
  return { files, log };
}

function append(log: AppendLog, dbIndex = 0): void {
  log.append(dbIndex, SET, 0, SET.length);
}

/** What a power loss leaves when nothing that was not synced survives. */
function surviving(files: MemoryFiles): Buffer {
  files.syncDirectory();
  return files.afterPowerLoss(() => 0).get(NAME);
}

test("A SELECT stands before the first record and wherever the database changes", () => {
  const { files, log } = start("no");
  for (const dbIndex of [0, 0, 12, 0]) append(log, dbIndex);
  expect(log.commit(0)).toBe(true);
  const select12 = encodeRequest(["SELECT", "12"]);
  const parts = [SELECT_0, SET, SET, select12, SET, SELECT_0, SET];
  expect(files.get(NAME)).toEqual(Buffer.concat(parts));
  expect(log.bytes).toBe(files.get(NAME).length);
});

test("Under always a commit that succeeds has everything on the disk", () => {
  const { files, log } = start("always");
  append(log);
  expect(log.commit(0)).toBe(true);
  expect(surviving(files)).toEqual(Buffer.concat([SELECT_0, SET]));
  const { syncs } = files;
  expect(log.commit(1)).toBe(true);
  expect(files.syncs).toBe(syncs);
});

test("Under everysec a commit writes, and a sync follows once a second", async () => {
  const { files, log } = start("everysec");
  append(log);
  expect(log.commit(5000)).toBe(true);
  expect(files.afterKill().get(NAME)).toEqual(Buffer.concat([SELECT_0, SET]));
  expect(surviving(files).length).toBe(0);
  log.tick(5000);
  await log.settled();
  expect(surviving(files)).toEqual(Buffer.concat([SELECT_0, SET]));
  append(log);
  log.commit(5100);
  log.tick(5900);
  expect(log.isSyncing).toBe(false);
  log.tick(6000);
  expect(log.isSyncing).toBe(true);
  await log.settled();
  expect(files.syncs).toBe(2);
});

test("Under everysec a commit waits for the disk when a sync takes longer than two seconds", async () => {
  const { files, log } = start("everysec");
  const gate = Promise.withResolvers<void>();
  files.syncGate = gate.promise;
  append(log);
  log.commit(5000);
  log.tick(5000);
  append(log);
  log.commit(6999);
  expect(log.delayedSyncs).toBe(0);
  expect(surviving(files).length).toBe(0);
  append(log);
  log.commit(7000);
  expect(log.delayedSyncs).toBe(1);
  expect(surviving(files)).toEqual(Buffer.concat([SELECT_0, SET, SET, SET]));
  gate.resolve();
  await log.settled();
});

test("Under no nothing is synced", () => {
  const { files, log } = start("no");
  append(log);
  log.commit(0);
  log.tick(10_000);
  expect(files.syncs).toBe(0);
});

for (const policy of ["always", "everysec"] as const) {
  test(`A full disk under ${policy} keeps all in order, and writing goes on when there is room`, () => {
    const { files, log } = start(policy);
    files.room = SELECT_0.length + 10;
    append(log);
    expect(log.commit(1000)).toBe(policy !== "always");
    expect(log.error?.step).toBe("write");
    expect(log.error?.text).toBe("No space left on device");
    append(log);
    // Not tried again at every turn.
    files.room = 1000;
    expect(log.commit(1500)).toBe(policy !== "always");
    expect(files.get(NAME).length).toBe(SELECT_0.length + 10);
    log.tick(2000);
    expect(log.error).toBeUndefined();
    expect(log.commit(2001)).toBe(true);
    expect(files.get(NAME)).toEqual(Buffer.concat([SELECT_0, SET, SET]));
    if (policy === "always") expect(surviving(files)).toEqual(files.get(NAME));
  });
}

test("After a failed sync only a new file is trusted again", async () => {
  const { files, log } = start("always");
  append(log);
  files.syncError = new Error("EIO: i/o error, fdatasync");
  expect(log.commit(0)).toBe(false);
  expect(log.error?.step).toBe("fsync");
  files.syncError = undefined;
  expect(log.commit(1)).toBe(false);
  expect(log.needsRewrite).toBe(true);
  log.switchTo(() => files.open("next", "w"));
  expect(log.error?.step).toBe("fsync");
  log.trustAgain();
  expect(log.error).toBeUndefined();
  append(log);
  expect(log.commit(2)).toBe(true);
});

test("A sync that fails in the new file is not forgiven by the new base", () => {
  const { files, log } = start("always");
  log.switchTo(() => files.open("next", "w"));
  append(log);
  files.syncError = new Error("EIO");
  expect(log.commit(0)).toBe(false);
  log.trustAgain();
  expect(log.needsRewrite).toBe(true);
});

test("A failed sync off the loop refuses changes from then on", async () => {
  const { files, log } = start("everysec");
  files.syncError = new Error("EIO");
  append(log);
  log.commit(5000);
  log.tick(5000);
  await log.settled();
  expect(log.error?.step).toBe("fsync");
});

test("The next file begins when all before it is on the disk", () => {
  const { files, log } = start("everysec");
  append(log);
  log.switchTo(() => {
    expect(surviving(files)).toEqual(Buffer.concat([SELECT_0, SET]));
    return files.open("next", "w");
  });
  append(log);
  log.commit(0);
  expect(files.get("next")).toEqual(Buffer.concat([SELECT_0, SET]));
  expect(files.get(NAME).length).toBe(SELECT_0.length + SET.length);
});

test("A file that cannot be opened leaves the log where it is", () => {
  const { files, log } = start("everysec");
  const failing = (): number => {
    throw new Error("no");
  };
  expect(() => log.switchTo(failing)).toThrow("no");
  append(log);
  log.commit(0);
  expect(files.get(NAME)).toEqual(Buffer.concat([SELECT_0, SET]));
});

const LONG = encodeRequest(["SET", "k", Buffer.alloc(EARLY_WRITE_BYTES / 2, "x")]);

function appendLong(log: AppendLog): void {
  log.append(0, LONG, 0, LONG.length);
}

test("Long commands of one turn are written before its end", () => {
  const { files, log } = start("everysec");
  for (let i = 0; i < 5; i++) {
    appendLong(log);
    expect(log.pendingBytes).toBeLessThanOrEqual(EARLY_WRITE_BYTES);
  }
  log.commit(1000);
  expect(files.get(NAME).length).toBe(SELECT_0.length + 5 * LONG.length);
});

test("A long command that cannot be written has the next ones of the turn refused", () => {
  const { files, log } = start("everysec");
  files.room = 10;
  appendLong(log);
  expect(log.error).toBeUndefined();
  appendLong(log);
  expect(log.error).toEqual({ step: "write", text: "No space left on device" });
  expect(log.isBehind).toBe(true);
  expect(log.pendingBytes).toBe(SELECT_0.length + 2 * LONG.length - 10);
});

test("After a change that was left out only a new file is trusted, with room or without", () => {
  const { files, log } = start("no");
  append(log);
  files.room = 10;
  log.commit(1000);
  log.leaveOut();
  log.commit(3000);
  files.room = Number.POSITIVE_INFINITY;
  log.tick(5000);
  log.commit(6000);
  expect(log.pendingBytes).toBe(0);
  expect(log.error?.text).toBe("No space left on device");
  log.switchTo(() => files.open("next", "w"));
  expect(log.error).toBeDefined();
  log.trustAgain();
  expect(log.error).toBeUndefined();
});

test("A file that may lack a change is not closed in silence", () => {
  const { files, log } = start("everysec");
  append(log);
  log.leaveOut();
  expect(() => log.close()).toThrow("earlier failure");
  expect(files.get(NAME)).toEqual(Buffer.concat([SELECT_0, SET]));
});
