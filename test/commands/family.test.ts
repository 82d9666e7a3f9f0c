/** What moving keys between families of servers is made of. */

import { expect, test } from "bun:test";
import {
  isBusyKey,
  isUnknownCommand,
  migrateRequest,
  withoutArguments,
} from "../../src/commands/family.ts";

test("Servers of every age say alike that they do not know a command", () => {
  expect(isUnknownCommand("ERR unknown command 'SLOTSINFO'")).toBe(true);
  expect(isUnknownCommand("ERR unknown command `SLOTSINFO`, with args beginning with: ")).toBe(
    true,
  );
  expect(isUnknownCommand("ERR Unknown command 'slotsinfo'")).toBe(true);
  expect(isUnknownCommand("ERR unknown subcommand 'x'")).toBe(false);
  expect(isUnknownCommand("NOAUTH Authentication required.")).toBe(false);
});

test("The request that a server repeats when it does not know the command is left out", () => {
  const quoted = "'h' '1' '' '0' '3' 'AUTH' 'pw' ";
  const text = `ERR unknown command 'MIGRATE', with args beginning with: ${quoted}`;
  expect(withoutArguments(text)).toBe("ERR unknown command 'MIGRATE'");
  expect(withoutArguments(text.replaceAll("'", "`"))).toBe("ERR unknown command `MIGRATE`");
  expect(withoutArguments("IOERR error or timeout")).toBe("IOERR error or timeout");
});

test("MIGRATE names its keys last, and REPLACE and AUTH only when there is need", () => {
  const options = { host: "h", port: 1, database: 2, timeoutMs: 3, auth: "", replace: false };
  const keys = [Buffer.from("a"), Buffer.from("b")];
  const words = (changes: object) => migrateRequest({ ...options, ...changes }, keys).join(" ");
  expect(words({})).toBe("MIGRATE h 1  2 3 KEYS a b");
  expect(words({ auth: "pw", replace: true })).toBe("MIGRATE h 1  2 3 REPLACE AUTH pw KEYS a b");
});

test("A key that the target has is told from other errors of the target", () => {
  const prefix = "ERR Target instance replied with error: ";
  expect(isBusyKey(`${prefix}BUSYKEY Target key name already exists.`)).toBe(true);
  expect(isBusyKey(`${prefix}OOM command not allowed`)).toBe(false);
});
