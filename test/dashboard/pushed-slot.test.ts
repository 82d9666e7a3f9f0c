import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Cluster } from "../../src/dashboard/cluster.ts";
import { pushedSlot } from "../../src/dashboard/pushed-slot.ts";
import { decodeRecord, encodeJson } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { FORWARD_SEMI_ASYNC, MAPPING, SLOT } from "../../src/model/slot.ts";
import { goldenPath } from "../golden/load.ts";
import { clusterOf, groupOf, moving } from "./clusters.ts";

const ipOf = (addr: string): string => addr.slice(0, addr.lastIndexOf(":"));

function readTree(folder: string): string[] {
  const path = join(goldenPath("storage/fs-demo/data/codis3/demo"), folder);
  return readdirSync(path).map((name) => readFileSync(join(path, name), "utf8"));
}

function demoCluster(): Cluster {
  return clusterOf(
    readTree("group").map((text) => decodeRecord(GROUP, text, "group")),
    readTree("slots").map((text) => decodeRecord(MAPPING, text, "slot")),
  );
}

/** What of a slot is set, without its id. */
function shown(cluster: Cluster, id: number): unknown {
  const slot = pushedSlot(cluster, cluster.slots[id]!, { forwardMethod: 0, ipOf });
  const { id: _, ...rest } = SLOT.write(slot) as Record<string, unknown>;
  return rest;
}

test("The slots of a stored tree are those the original serves, byte for byte", () => {
  const cluster = demoCluster();
  const slots = cluster.slots.map((mapping) =>
    SLOT.write(pushedSlot(cluster, mapping, { forwardMethod: FORWARD_SEMI_ASYNC, ipOf })),
  );
  const recorded = readFileSync(goldenPath("storage/fs-demo.topom-slots.json"), "utf8");
  expect(encodeJson(slots)).toBe(recorded);
});

test("Each state of an action shows proxies its own slot", () => {
  const groups = [groupOf(1, 1), groupOf(2, 1)];
  const at = (state: Parameters<typeof moving>[3]): unknown =>
    shown(clusterOf(groups, [moving(5, 1, 2, state)]), 5);
  const old = { backend_addr: "1a:1", backend_addr_group_id: 1 };
  const fresh = { backend_addr: "2a:1", backend_addr_group_id: 2 };
  const from = { migrate_from: "1a:1", migrate_from_group_id: 1 };
  expect(at("")).toEqual(old);
  expect(at("pending")).toEqual(old);
  expect(at("preparing")).toEqual(old);
  expect(at("prepared")).toEqual({ locked: true, ...fresh, ...from });
  expect(at("migrating")).toEqual({ ...fresh, ...from });
  expect(at("finished")).toEqual(fresh);
});

test("A slot is locked while its owner or target is being promoted", () => {
  const held = { ...groupOf(1, 2), promoting: { index: 1, state: "prepared" as const } };
  const locked = (mapping: ReturnType<typeof moving>): unknown =>
    (shown(clusterOf([held, groupOf(2, 1)], [mapping]), mapping.id) as { locked?: boolean }).locked;
  expect(locked(moving(1, 1, 0, ""))).toBe(true);
  expect(locked(moving(1, 2, 1, "preparing"))).toBeUndefined();
  expect(locked(moving(1, 2, 1, "migrating"))).toBe(true);
  expect(locked(moving(1, 1, 2, "migrating"))).toBe(true);
  expect(locked(moving(1, 1, 2, "finished"))).toBeUndefined();
  expect(locked(moving(1, 2, 1, "finished"))).toBe(true);
});

test("A group without servers leaves its id and no address", () => {
  const cluster = clusterOf([groupOf(1, 0)], [{ id: 2, group_id: 1 }]);
  expect(shown(cluster, 2)).toEqual({ backend_addr_group_id: 1 });
});

test("Read replicas are ranked by datacenter and machine, as seen from the proxy", () => {
  const group = groupOf(1, 4);
  const [a, b, c, d] = group.servers;
  group.servers = [
    { ...a!, server: "10.0.0.1:1", datacenter: "x", replica_group: true },
    { ...b!, server: "10.0.0.2:1", datacenter: "x", replica_group: true },
    { ...c!, server: "10.0.0.2:2", datacenter: "y", replica_group: true },
    { ...d!, server: "10.0.0.2:3", datacenter: "x", replica_group: false },
  ];
  const cluster = clusterOf([group], [{ id: 0, group_id: 1 }]);
  const seenFrom = (viewer?: { datacenter: string; ip: string }): string[][] =>
    pushedSlot(cluster, cluster.slots[0]!, {
      forwardMethod: 0,
      ipOf,
      ...(viewer === undefined ? {} : { viewer }),
    }).replica_groups;
  expect(seenFrom({ datacenter: "x", ip: "10.0.0.2" })).toEqual([
    ["10.0.0.2:1"],
    ["10.0.0.1:1"],
    ["10.0.0.2:2"],
  ]);
  expect(seenFrom({ datacenter: "x", ip: "" })).toEqual([
    ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:2"],
  ]);
  expect(seenFrom()).toEqual([["10.0.0.1:1", "10.0.0.2:1", "10.0.0.2:2"]]);
});
