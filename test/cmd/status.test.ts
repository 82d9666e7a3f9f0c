/** What `codis admin status` says above its tables. */

import { expect, test } from "bun:test";
import { statusText } from "../../cmd/admin/status.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
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
