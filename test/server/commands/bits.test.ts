/** What a search through a long string costs: it holds up everybody else. */

import { expect, test } from "bun:test";
import { OwnServer } from "../../support/compare.ts";

const STRING_BYTES = 64 * 1024 * 1024;
const LAST_BIT = STRING_BYTES * 8 - 1;
/** By single bytes it took 220 to 320 ms, by pieces it takes 10 to 25. */
const CPU_MS_MAX = 100;

const own = new OwnServer();
own.show("SETBIT", "long", String(LAST_BIT), "1");
own.show("BITOP", "NOT", "inverse", "long");

test.each([
  ["BITPOS long 1", `:${LAST_BIT}`],
  ["BITPOS inverse 0", `:${LAST_BIT}`],
])("%s at the end of 64 MiB takes little CPU time", (command, reply) => {
  const before = process.cpuUsage();
  expect(own.show(...command.split(" "))).toBe(reply);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1000).toBeLessThan(CPU_MS_MAX);
});
