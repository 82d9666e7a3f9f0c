/** What `codis admin group promote` says instead of doing it. */

import { expect, test } from "bun:test";
import { promotionText } from "../../cmd/admin/group.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { GROUP } from "../../src/model/group.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";

/** Group 1 of master m:1 and r:2. */
function statsOf(masterAnswers: boolean): TopomStats {
  const servers = [{ server: "m:1" }, { server: "r:2" }];
  const master = masterAnswers ? { stats: {}, unixtime: 1 } : { timeout: true, unixtime: 1 };
  return {
    closed: false,
    slots: [],
    group: {
      models: [GROUP.read({ id: 1, servers }, "group")],
      stats: { "m:1": master, "r:2": { stats: {}, unixtime: 1 } },
    },
    proxy: { models: [], stats: {} },
    slot_action: { disabled: false, interval: 0, progress: { status: "" }, executor: 0 },
    sentinels: { model: SENTINEL.zero(), stats: {}, masters: {} },
  };
}

for (const [what, text, step] of [
  ["a server of no group", promotionText(statsOf(true), 1, "x:1"), "see `codis admin group list`"],
  ["a group that is not there", promotionText(statsOf(true), 2, "r:2"), "`codis admin group list`"],
  ["the master", promotionText(statsOf(true), 1, "m:1"), "it is that already"],
  [
    "a server of a dead master",
    promotionText(statsOf(false), 1, "r:2"),
    "start the present master m:1",
  ],
  ["another server", promotionText(statsOf(true), 1, "r:2"), "`group del 1 r:2`"],
] as const) {
  test(`Promoting ${what} is refused with the step that fits`, () => {
    expect(text).toStartWith("Cannot make ");
    expect(text).toContain(step);
  });
}
