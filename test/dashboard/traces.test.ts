/**
 * What the dashboard stores and pushes, in order, held against the recorded traces of the original.
 * Commands sent to servers are held elsewhere: the recorded ones are of the asynchronous migration.
 */

import { expect, test } from "bun:test";
import { FORWARD_SEMI_ASYNC } from "../../src/model/slot.ts";
import { assertRow, readGolden, waitsFor } from "../golden/load.ts";
import { DashboardWorld, type FakeProxy, type WorldEvent } from "../support/dashboard-world.ts";

const FILE = "dashboard/traces.json";

interface Trace {
  readonly name: string;
  readonly requests?: readonly { request: string; status: number }[];
  readonly events: readonly unknown[];
}

const MODEL = {
  start_time: "x",
  proto_type: "tcp4",
  pid: 1,
  pwd: "/",
  sys: "s",
  hostname: "h",
};

/** Pushes of the whole table are recorded by their ends. */
function asRecorded(events: readonly WorldEvent[]): unknown[] {
  return events.map((event) => {
    if (!("push" in event)) return event;
    return {
      push: event.push.map((call) => {
        if (!Array.isArray(call.body) || call.body.length !== 1024) return call;
        return { ...call, body: { n: 1024, first: call.body[0], last: call.body[1023] } };
      }),
    };
  });
}

/** Refuses the push that brings slots in the given state, the first two times. */
function refuseTwice(proxy: FakeProxy, shows: (slot: Record<string, unknown>) => boolean): void {
  let refusals = 0;
  proxy.answer = (call, body) => {
    if (call !== "PUT fillslots" || !shows((body as Record<string, unknown>[])[0]!)) return 200;
    refusals++;
    return refusals <= 2 ? 800 : 200;
  };
}

test("Stores and pushes come in the original's order", async () => {
  const { traces } = readGolden<{ traces: Trace[] }>(FILE);
  const world = new DashboardWorld(FORWARD_SEMI_ASYNC);
  world.addProxy("proxy-1", {
    ...MODEL,
    token: "a".repeat(32),
    admin_addr: "127.0.0.1:22401",
    proxy_addr: "127.0.0.1:22402",
    datacenter: "dc1",
  });
  const second = world.addProxy("proxy-2", {
    ...MODEL,
    token: "b".repeat(32),
    admin_addr: "127.0.0.1:22403",
    proxy_addr: "127.0.0.1:22404",
    datacenter: "dc2",
  });
  const [one, two] = ["127.0.0.1:22431", "127.0.0.1:22432"].map((addr) => world.addServer(addr));
  world.addServer("127.0.0.1:22433");
  one!.put(0, 0, 7);
  one!.put(2, 0, 4);
  one!.put(5, 9, 1);
  await world.start();

  for (const [i, trace] of traces.entries()) {
    if (waitsFor({ file: FILE, id: String(i) }) !== undefined) continue;
    if (trace.name.includes("rejects the locked"))
      refuseTwice(second, (slot) => slot.locked === true);
    if (trace.name.includes("rejects the migrating")) {
      refuseTwice(second, (slot) => slot.migrate_from !== undefined && slot.locked !== true);
    }
    if (trace.name.includes("rejects the finished")) {
      refuseTwice(second, (slot) => slot.migrate_from === undefined);
    }
    if (trace.requests === undefined) {
      const groupOf = (id: number): number => (id < 3 ? 1 : 2);
      const mappings = [0, 1, 2, 3, 4, 5].map((id) => ({ id, group_id: groupOf(id) }));
      await world.request("PUT", "/api/topom/slots/assign/{xauth}", JSON.stringify(mappings));
    }
    for (const { request, status } of trace.requests ?? []) {
      const [method, path] = request.split(" ");
      expect((await world.request(method!, path!)).status).toBe(status);
    }
    await world.settle();
    // Long enough for two rests after failures.
    await world.advance(1_000);
    await world.advance(1_000);
    second.answer = () => 200;
    const actual = asRecorded(world.takeEvents());
    assertRow({ file: FILE, id: String(i), recorded: trace.events }, actual);
  }
  expect(one!.count(0)).toBe(0);
  expect(two!.count(0)).toBe(11);
  expect(one!.count(9)).toBe(1);
});
