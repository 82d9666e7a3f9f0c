import { expect, test } from "bun:test";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { encodeRecord } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { PROXY } from "../../src/model/proxy.ts";
import { TOPOM } from "../../src/model/topom.ts";
import { Store } from "../../src/store/store.ts";
import { failureOf } from "../support/failure.ts";
import { MemoryCoordinator } from "../support/memory-coordinator.ts";

const topom = (pid: number) => ({ ...TOPOM.zero(), admin_addr: "h:18080", product_name: "p", pid });
const TOPOM_NODE = "/codis3/p/topom";

test("The lock is the topom node, and a second dashboard does not get it", async () => {
  const coordinator = new MemoryCoordinator();
  const [first, second] = [new Store(coordinator, "p"), new Store(coordinator, "p")];
  await first.lock(topom(1));
  expect((await first.loadTopom())?.pid).toBe(1);
  const error = await failureOf(second.lock(topom(2)));
  expect(error.message).toBe("store: acquire lock of p failed");
  expect(errorText(error)).toContain("the lock names the dashboard at h:18080, pid 1");
  await first.unlock();
  expect(coordinator.nodes.has(TOPOM_NODE)).toBe(false);
  await second.lock(topom(2));
});

test("A lock left by a crash of ours is taken over, and the crashed one can write no more", async () => {
  const coordinator = new MemoryCoordinator();
  const [first, second] = [new Store(coordinator, "p"), new Store(coordinator, "p")];
  await first.lock(topom(1));
  coordinator.crash("/codis3/p/lease");
  await second.lock(topom(2));
  expect((await second.loadTopom())?.pid).toBe(2);
  const error = await failureOf(first.createGroup({ ...GROUP.zero(), id: 1 }));
  expect([error.code, error.message]).toEqual(["closed", "store: create group-[1] failed"]);
  await second.createGroup({ ...GROUP.zero(), id: 1 });
});

test("A lock left by an original falls only to removeLock", async () => {
  const coordinator = new MemoryCoordinator();
  const store = new Store(coordinator, "p");
  await store.lock(topom(1));
  await store.unlock();
  coordinator.nodes.set(TOPOM_NODE, encodeRecord(TOPOM, topom(7)));
  expect(errorText(await failureOf(store.lock(topom(2))))).toContain("--remove-lock");
  await store.removeLock();
  await store.lock(topom(2));
});

test("A crash at any step of taking over leaves a lock that the next start takes", async () => {
  for (let steps = 0; steps < 3; steps++) {
    const coordinator = new MemoryCoordinator();
    await new Store(coordinator, "p").lock(topom(1));
    coordinator.crash("/codis3/p/lease");
    let left = steps;
    coordinator.onWrite = () => {
      if (left-- === 0) throw new CodisError("unavailable", "crash");
    };
    await failureOf(new Store(coordinator, "p").lock(topom(2))).catch(() => undefined);
    coordinator.crash("/codis3/p/lease");
    coordinator.onWrite = () => undefined;
    const next = new Store(coordinator, "p");
    await next.lock(topom(3));
    expect((await next.loadTopom())?.pid).toBe(3);
  }
});

test("Records are written where and as upstream writes them", async () => {
  const coordinator = new MemoryCoordinator();
  const store = new Store(coordinator, "p");
  await store.createGroup({ ...GROUP.zero(), id: 12 });
  await store.createProxy({ ...PROXY.zero(), id: 1, token: "t" });
  await store.updateSlot({ id: 3, group_id: 1, action: { index: 0, state: "", target_id: 0 } });
  expect([...coordinator.nodes.keys()]).toEqual([
    "/codis3/p/group/group-0012",
    "/codis3/p/proxy/proxy-t",
    "/codis3/p/slots/slot-0003",
  ]);
  expect(coordinator.nodes.get("/codis3/p/slots/slot-0003")).toBe(
    '{\n    "id": 3,\n    "group_id": 1,\n    "action": {}\n}',
  );
  expect((await store.loadGroups()).map((group) => group.id)).toEqual([12]);
  expect((await store.loadSlot(4)).group_id).toBe(0);
  expect(await store.loadSentinel()).toEqual({ servers: [], out_of_sync: false });
});

test("A stored record that is not JSON fails with upstream's words and the node as cause", async () => {
  const coordinator = new MemoryCoordinator();
  coordinator.nodes.set("/codis3/p/group/group-0001", "{");
  const error = await failureOf(new Store(coordinator, "p").loadGroups());
  expect(error.message).toBe("store: load group failed");
  expect(errorText(error)).toContain("Cannot read /codis3/p/group/group-0001: not JSON");
});
