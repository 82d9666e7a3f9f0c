/** What `codis admin status` says above its tables and in them. */

import { expect, test } from "bun:test";
import { slotTables } from "../../cmd/admin/slot.ts";
import { statusText } from "../../cmd/admin/status.ts";
import type { RedisStats, TopomStats } from "../../src/api/topom-stats.ts";
import { GROUP } from "../../src/model/group.ts";
import { PROXY } from "../../src/model/proxy.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";
import { offlineMapping } from "../../src/model/slot.ts";

/** A product with nothing in it but one slot with an owner. */
function statsOf(
  disabled: boolean,
  interval: number,
  failing: Readonly<Record<string, string>> = {},
): TopomStats {
  return {
    closed: false,
    slots: [{ ...offlineMapping(0), group_id: 1 }, offlineMapping(1)],
    group: { models: [], stats: {} },
    proxy: { models: [], stats: {} },
    slot_action: { disabled, interval, progress: { status: "", failing }, executor: 0 },
    sentinels: { model: SENTINEL.zero(), stats: {}, masters: {} },
  };
}

function headOf(...given: Parameters<typeof statsOf>): string[] {
  const text = statusText("demo", "h:1", statsOf(...given));
  return text.slice(0, text.indexOf("\n\n")).split("\n");
}

test("The pace of slot actions is shown when it is not the default", () => {
  const head = ["product demo, dashboard h:1", "1 slots served, 1 offline, 0 moving"];
  const disabled = "slot actions are disabled; `codis admin slot resume` enables them";
  const paced =
    "1,500 microseconds between two migration calls; `codis admin slot interval 0` ends that";
  expect(headOf(false, 0)).toEqual(head);
  expect(headOf(false, 1_500)).toEqual([...head, paced]);
  expect(headOf(true, 1_500)).toEqual([...head, disabled, paced]);
});

test("Slots that do not get on are named with the reason, three reasons at most", () => {
  const failing = { 3: "key gone wrong", 4: "key gone wrong", 9: "EOF", 10: "a", 11: "b" };
  expect(headOf(false, 0, failing).slice(2)).toEqual([
    "slot 3-4 waits, and is tried again: key gone wrong",
    "slot 9 waits, and is tried again: EOF",
    "slot 10 waits, and is tried again: a",
    "and 1 more such reasons",
  ]);
});

/** Group 1 of `m:1` and `r:2`, which owns slots 0-2, and one proxy, with what was answered. */
function withMembers(master: RedisStats, replica: RedisStats, proxyCause: string): TopomStats {
  const servers = [{ server: "m:1" }, { server: "r:2" }];
  const proxy = { ...PROXY.zero(), id: 1, token: "t", proxy_addr: "p:3", admin_addr: "p:4" };
  return {
    ...statsOf(false, 0),
    slots: [0, 1, 2, 3].map((id) => ({ ...offlineMapping(id), group_id: id < 3 ? 1 : 0 })),
    group: {
      models: [GROUP.read({ id: 1, servers }, "group")],
      stats: { "m:1": master, "r:2": replica },
    },
    proxy: {
      models: [proxy],
      stats: { t: { error: { Cause: proxyCause, Stack: null }, unixtime: 1 } },
    },
  };
}

test("Who does not answer has one word in the table and the reason below it; its slots are told", () => {
  const refused = "dial failed: connection refused";
  const own = { stats: { used_memory_human: "1M" }, unixtime: 1 };
  const dead = withMembers({ timeout: true, unixtime: 1 }, own, refused);
  expect(statusText("demo", "h:1", dead)).toBe(`product demo, dashboard h:1
0 slots served, 3 at servers that do not answer, 1 offline, 0 moving

GROUP  SERVER  STATE              SLOTS  KEYS  MEMORY
1      m:1     no answer              3     -  -
1      r:2     replica: own data            0  1M
m:1 does not answer within a second

ID  CLIENTS AT  ADMIN AT  STATE  SESSIONS  QPS  REQUESTS
1   p:3         p:4       down   -         -    -
p:3 is down: ${refused}
`);
  const replicating = { stats: { master_addr: "m:1" }, unixtime: 1 };
  const alive = statusText("demo", "h:1", withMembers(own, replicating, refused));
  expect(alive).toContain("3 slots served, 1 offline, 0 moving");
  expect(alive).toMatch(/^1 +r:2 +replica +0/m);
});

test("A new cluster is told what comes next in place of empty tables", () => {
  const text = statusText("demo", "h:1", statsOf(false, 0));
  expect(text).toContain("no groups yet: `codis admin group create 1`");
  expect(text).toContain("no proxies yet: start one with `codis proxy --dashboard ADDR`");
  expect(text).not.toContain("GROUP");
});

test("Numbers that are names have no thousands comma", () => {
  const action = { index: 1, state: "pending", target_id: 9999 } as const;
  const text = slotTables([{ id: 1023, group_id: 1234, action }]);
  expect(text).toMatch(/^1023 +1234 +9999 +pending$/m);
});
