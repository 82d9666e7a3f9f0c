/** What a command does to the server when its handler hits a limit of the language or the machine. */

import { expect, test } from "bun:test";
import { ReplyWriter } from "../../src/resp/encoder.ts";
import { HANDLERS } from "../../src/server/commands/handlers.ts";
import { createCall } from "../../src/server/execute.ts";
import { OwnServer } from "../support/compare.ts";

const NO_MEMORY = new RangeError("Out of memory");
const FAILED = (name: string): string =>
  `-ERR '${name}' needs more than the server can give (Out of memory)`;

/** A server whose arena gives `blocks` more blocks, then throws. */
function withBlocks(blocks: number): OwnServer {
  const own = new OwnServer();
  own.show("SET", "a", "1");
  own.show("RPUSH", "l", "1");
  const { arena } = own.state.databases;
  const alloc = arena.alloc.bind(arena);
  let left = blocks;
  arena.alloc = (bytes) => {
    if (left-- <= 0) throw NO_MEMORY;
    return alloc(bytes);
  };
  return own;
}

test("A handler that runs out of memory while it reads answers an error", () => {
  const own = new OwnServer();
  own.show("SET", "a", "1");
  const db = own.state.databases.all[0]!;
  const lookup = db.lookupRead.bind(db);
  db.lookupRead = () => {
    throw NO_MEMORY;
  };
  expect(own.show("MGET", "a")).toBe(FAILED("mget"));
  db.lookupRead = lookup;
  expect(own.show("GET", "a")).toBe("$1");
  expect(own.show("INFO", "errorstats")).toContain("errorstat_ERR:count=1");
});

test("A change that runs out of memory before it began answers an error, and is not logged", () => {
  const own = withBlocks(0);
  const logged = own.journal.length;
  expect(own.show("SET", "b", "1")).toBe(FAILED("set"));
  expect(own.show("EXISTS", "b")).toBe(":0");
  expect(own.journal.length).toBe(logged);
});

test("So does one that has found an expired key before, which is gone", () => {
  const own = withBlocks(0);
  own.show("PEXPIRE", "a", "10");
  own.clock.advance(20);
  expect(own.show("SETNX", "a", "2")).toBe(FAILED("setnx"));
  expect(own.show("EXISTS", "a")).toBe(":0");
  expect(own.show("INFO", "stats")).toContain("expired_keys:1");
});

test("A change that runs out of memory half made ends the server", () => {
  const own = withBlocks(2);
  expect(() => own.show("MSET", "b", "1", "c", "2", "d", "3")).toThrow(NO_MEMORY);
});

test("So does any error that is a mistake of ours", () => {
  const own = new OwnServer();
  own.state.databases.all[0]!.lookupRead = () => {
    throw new TypeError("a mistake");
  };
  expect(() => own.show("GET", "a")).toThrow("a mistake");
});

test("A full arena refuses what grows, whatever maxmemory is, and still reads and deletes", () => {
  const own = new OwnServer();
  own.show("SET", "a", "1");
  own.state.databases.arena.isFull = true;
  expect(own.show("SET", "b", "1")).toStartWith("-OOM ");
  expect(own.show("GET", "a")).toBe("$1");
  expect(own.show("DEL", "a")).toBe(":1");
});

test("What SETEX is to a journal is made only for one, from the bytes where they lie", () => {
  const { state } = new OwnServer();
  const call = createCall(state);
  call.buf = Buffer.from("SETEXk10value");
  call.args = Int32Array.of(0, 5, 5, 6, 6, 8, 8, 13);
  call.argc = 4;
  call.out = new ReplyWriter();
  HANDLERS.SETEX(call);
  const [words] = call.propagateAs!;
  expect(words!.slice(0, 3).map(String)).toEqual(["SET", "k", "value"]);
  expect((words![2] as Buffer).buffer).toBe(call.buf.buffer);
  call.propagateAs = undefined;
  state.journal = undefined;
  HANDLERS.SETEX(call);
  expect(call.propagateAs).toBeUndefined();
});
