/** Watching moves as a process: what a signal is answered with. */

import { expect, test } from "bun:test";
import { jsonAnswer } from "../../src/api/http.ts";
import { serveAdmin } from "../../src/api/serve-admin.ts";
import { RoleProcess } from "./role-process.ts";

/**
 * A dashboard with one slot that never arrives; `onLook` is called when it is asked for it, and
 * says whether slot actions are disabled.
 */
function slowDashboard(onLook: () => unknown): ReturnType<typeof serveAdmin> {
  const slot = { id: 7, group_id: 1, action: { index: 1, state: "pending", target_id: 2 } };
  const stats = {
    slots: [slot],
    group: { models: [], stats: {} },
    proxy: { models: [], stats: {} },
    slot_action: { interval: 0, disabled: false, progress: { status: "" }, executor: 0 },
  };
  return serveAdmin("127.0.0.1:0", async ({ target }) => {
    if (target.includes("/stats/")) stats.slot_action.disabled = onLook() === true;
    if (target.includes("/rebalance/")) return jsonAnswer(200, { 7: 2 });
    return jsonAnswer(200, target.includes("/stats/") ? stats : { product_name: "demo" });
  });
}

for (const words of ["slot wait", "slot migrate 7 2", "rebalance --confirm --json"]) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`${signal} at codis admin ${words} tells where the move goes on`, async () => {
      const looked = Promise.withResolvers<void>();
      const dashboard = await slowDashboard(looked.resolve);
      await using admin = new RoleProcess();
      admin.start("admin", ...words.split(" "), "--dashboard", dashboard.address);
      await looked.promise;
      admin.signal(signal);
      expect(await admin.ended()).toBe(1);
      expect(admin.log).toContain("the slots move on in the dashboard");
      for (const verb of ["slot wait", "slot pause", "slot list"]) {
        expect(admin.log).toContain(`codis admin ${verb} --dashboard ${dashboard.address}`);
      }
      await dashboard.close();
    });
  }
}

test("Who watches is told at once when slot actions are disabled", async () => {
  let looks = 0;
  const dashboard = await slowDashboard(() => ++looks > 1);
  await using admin = new RoleProcess();
  admin.start("admin", "slot", "wait", "--dashboard", dashboard.address);
  expect(await admin.ended()).toBe(1);
  expect(admin.log).toContain("1 slots wait, but slot actions are disabled");
  expect(looks).toBe(2);
  await dashboard.close();
});

test("Who watches is told what fails now, and nothing of a failure that is over", async () => {
  const slot = { id: 7, group_id: 1, action: { index: 1, state: "migrating", target_id: 2 } };
  const over = { status: "[ERROR] Slot[0007]: EOF", failing: {} };
  const looks = [
    { slots: [slot], progress: over },
    { slots: [slot], progress: over },
    { slots: [slot], progress: { ...over, failing: { 7: "dial failed" } } },
    { slots: [], progress: { status: "", failing: {} } },
  ];
  const dashboard = await serveAdmin("127.0.0.1:0", async ({ target }) => {
    if (!target.includes("/stats/")) return jsonAnswer(200, { product_name: "demo" });
    const { slots, progress } = looks.shift()!;
    const empty = { models: [], stats: {} };
    const slot_action = { interval: 0, disabled: false, progress, executor: 0 };
    return jsonAnswer(200, { slots, group: empty, proxy: empty, slot_action });
  });
  await using admin = new RoleProcess();
  admin.start("admin", "slot", "wait", "--dashboard", dashboard.address);
  expect(await admin.ended()).toBe(0);
  expect(admin.log).toBe("slot 7 waits, and is tried again: dial failed\n");
  await dashboard.close();
});
