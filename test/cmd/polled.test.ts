/** Waiting for the figures of members that have just joined. */

import { expect, test } from "bun:test";
import { polledStats } from "../../cmd/admin/polled.ts";
import type { TopomStats } from "../../src/api/topom-stats.ts";
import { GROUP } from "../../src/model/group.ts";
import { PROXY } from "../../src/model/proxy.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";

/** One server and one proxy, of which `polled` were asked. */
function statsOf(polled: readonly string[]): TopomStats {
  const answers = Object.fromEntries(polled.map((name) => [name, { unixtime: 1, timeout: true }]));
  const group = GROUP.read({ id: 1, servers: [{ server: "h:1" }] }, "group");
  return {
    closed: false,
    slots: [],
    group: { models: [group], stats: answers },
    proxy: { models: [{ ...PROXY.zero(), token: "t" }], stats: answers },
    slot_action: { disabled: false, interval: 0, progress: { status: "" }, executor: 0 },
    sentinels: { model: SENTINEL.zero(), stats: {}, masters: {} },
  };
}

/** How often it waited, and what it had in the end, when it is given these one after the other. */
async function look(answers: readonly TopomStats[]): Promise<{ waits: number; end: TopomStats }> {
  let asked = 0;
  let waits = 0;
  const source = { stats: async () => answers[Math.min(asked++, answers.length - 1)]! };
  const end = await polledStats(source, async () => void waits++);
  return { waits, end };
}

test("Figures are waited for until every member was asked, even one that did not answer", async () => {
  const all = statsOf(["h:1", "t"]);
  expect(await look([statsOf([]), statsOf(["h:1"]), statsOf(["t"]), all])).toEqual({
    waits: 3,
    end: all,
  });
  expect(await look([all])).toEqual({ waits: 0, end: all });
});

test("A dashboard that asks nobody is not waited for without end", async () => {
  expect((await look([statsOf([])])).waits).toBe(29);
});
