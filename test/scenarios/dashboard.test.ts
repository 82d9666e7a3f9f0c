/**
 * The dashboard in text: each file of `dashboard/` is a list of commands and what came of them,
 * with prose between. After a command stands `----`, then every store and push it caused, in order,
 * then its answer; a blank line ends it. UPDATE_SCENARIOS=1 writes what happened into the files.
 *
 *   proxy NAME             a proxy that answers everything     kill NAME   revive NAME   (proxies,
 * servers)
 *   server ADDR            a server without keys               keys ADDR db=D slot=S count=N
 *   refuse NAME STATE N    the proxy refuses the next N pushes that bring a slot in that state
 *   silence NAME           its pushes time out                 restart NAME: it is back, not
 * started
 *   put PATH [BODY]        PUT /api/topom/PATH, X standing for the key
 *   pass MS                time passes                         poll        the proxies are polled
 *   crash                  the dashboard is killed             start       another opens the
 * product
 *   status                 the progress of slot actions        count ADDR slot=S
 */

import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Group } from "../../src/model/group.ts";
import type { Mapping, Slot } from "../../src/model/slot.ts";
import { DashboardWorld, type FakeProxy, type WorldEvent } from "../support/dashboard-world.ts";

const FOLDER = join(import.meta.dir, "dashboard");

for (const file of readdirSync(FOLDER).sort((a, b) => (a < b ? -1 : 1))) {
  test(`Scenario ${file.replace(".txt", "").replaceAll("-", " ")}`, async () => {
    const path = join(FOLDER, file);
    const written = readFileSync(path, "utf8");
    const happened = await play(written);
    if (process.env.UPDATE_SCENARIOS === "1") writeFileSync(path, happened);
    else expect(happened).toBe(written);
  });
}

/** The text with the answers that came. */
async function play(script: string): Promise<string> {
  const stage = new Stage();
  const lines: string[] = [];
  let skipping = false;
  let commands: string[] = [];
  for (const line of script.split("\n")) {
    if (line === "----") {
      lines.push(line);
      for (const command of commands) lines.push(...(await stage.run(command)));
      commands = [];
      skipping = true;
      continue;
    }
    if (skipping && line !== "") continue;
    skipping = false;
    lines.push(line);
    commands = line === "" || line.startsWith("#") ? [] : [...commands, line];
  }
  return lines.join("\n");
}

class Stage {
  readonly #world = new DashboardWorld();
  readonly #byName = new Map<string, FakeProxy>();
  #ports = 0;

  /** Runs one command; what it caused, as lines. */
  async run(line: string): Promise<string[]> {
    const [verb = "", ...words] = line.split(" ");
    const answer = await this.#do(verb, words);
    if (verb !== "crash") await this.#settle(verb);
    const events = this.#world.takeEvents().map(showEvent);
    return [...events, ...answer];
  }

  async #settle(verb: string): Promise<void> {
    const untouched = ["proxy", "server", "keys", "refuse", "silence", "kill", "revive"];
    if (!untouched.includes(verb)) await this.#world.settle();
  }

  async #do(verb: string, words: readonly string[]): Promise<string[]> {
    const world = this.#world;
    const [name = "", ...rest] = words;
    switch (verb) {
      case "proxy":
        this.#addProxy(name);
        return [];
      case "server":
        world.addServer(name);
        return [];
      case "keys": {
        const { db, slot, count } = numbers(rest);
        world.servers.get(name)!.put(db!, slot!, count!);
        return [];
      }
      case "count":
        return [`${world.servers.get(name)!.count(numbers(rest).slot!)} keys`];
      case "refuse":
        refuse(this.#byName.get(name)!, rest[0]!, Number(rest[1]));
        return [];
      case "silence":
        this.#byName.get(name)!.answer = (call) => (call === "PUT fillslots" ? 0 : 200);
        return [];
      case "kill":
      case "revive":
      case "restart":
        this.#setDown(name, verb);
        return [];
      case "put":
        return await this.#put(words);
      case "pass":
        await world.advance(Number(name));
        return [];
      case "poll":
        await world.topom.statistics.pollProxies();
        return [];
      case "crash":
        world.crash();
        return [];
      case "start":
        await world.start();
        return [];
      case "status":
        return showStatus(world);
      default:
        throw new Error(`unknown command: ${verb}`);
    }
  }

  #addProxy(name: string): void {
    const port = 11000 + this.#ports++;
    const token = `token-of-${name}`;
    const proxy = this.#world.addProxy(name, { token, admin_addr: `${name}:${port}` });
    this.#byName.set(name, proxy);
  }

  #setDown(name: string, verb: string): void {
    const server = this.#world.servers.get(name);
    if (server !== undefined) {
      server.isDown = verb === "kill";
      return;
    }
    const proxy = this.#byName.get(name)!;
    proxy.answer = verb === "kill" ? () => -1 : () => 200;
    if (verb === "restart") proxy.online = false;
  }

  async #put([path = "", body = ""]: readonly string[]): Promise<string[]> {
    const named = path.replace(/^proxy\/(create|online)\/X\/(\w+)$/, (_, verb, name) => {
      return `proxy/${verb}/X/${this.#byName.get(name)!.model.admin_addr}`;
    });
    const target = `/api/topom/${named.replace("/X", "/{xauth}")}`;
    const { status, body: answer } = await this.#world.request("PUT", target, body);
    const value = JSON.parse(String(answer));
    // What an operation causes later belongs to its lines too: the answer comes first in time.
    return [status === 200 ? `answer ${JSON.stringify(value)}` : `error ${value.Cause}`];
  }
}

function numbers(words: readonly string[]): Record<string, number> {
  return Object.fromEntries(words.map((word) => word.split("=")).map(([k, v]) => [k, Number(v)]));
}

function refuse(proxy: FakeProxy, state: string, times: number): void {
  let left = times;
  proxy.answer = (call, body) => {
    if (call !== "PUT fillslots") return 200;
    if (stateOf((body as Slot[])[0]!) !== state || left === 0) return 200;
    left--;
    return 800;
  };
}

/** Which state of an action a pushed slot looks like. */
function stateOf(slot: Slot): string {
  if (slot.migrate_from !== undefined) return slot.locked ? "prepared" : "migrating";
  return slot.locked ? "held" : "settled";
}

function showEvent(event: WorldEvent): string {
  if ("push" in event) {
    const [first] = event.push;
    const answers = event.push.map(({ proxy, answered }) => {
      if (answered === 200) return proxy;
      return `${proxy} ${answered === 0 ? "silent" : answered === -1 ? "gone" : "refuses"}`;
    });
    const what = first!.call === "PUT fillslots" ? showSlots(first!.body as Slot[]) : first!.call;
    return `push ${answers.join(", ")}: ${what}`;
  }
  const { store, op, value } = event;
  if (value === undefined) return `store ${op} ${store}`;
  if (store.startsWith("slot")) return `store ${store}: ${showMapping(value as Mapping)}`;
  if (store.startsWith("group")) return `store ${op} ${store}: ${showGroup(value as Group)}`;
  return `store ${op} ${store}`;
}

function showSlots(slots: readonly Slot[]): string {
  if (slots.length === 1024) return "all slots";
  return slots
    .map((slot) => {
      const from = slot.migrate_from === undefined ? "" : ` pulling from ${slot.migrate_from}`;
      const held = slot.locked ? " held" : "";
      return `${slot.id} at ${slot.backend_addr ?? "nobody"}${from}${held}`;
    })
    .join("; ");
}

function showMapping({ group_id, action }: Mapping): string {
  if (action.state === undefined) return `of group ${group_id}`;
  return `of group ${group_id}, ${action.state} to ${action.target_id}, index ${action.index}`;
}

function showGroup({ servers, out_of_sync }: Group): string {
  const names = servers.map((server) => server.server).join(" ") || "no servers";
  return `${names}${out_of_sync ? ", out of sync" : ""}`;
}

function showStatus(world: DashboardWorld): string[] {
  const { progress, executor, disabled } = world.topom.engine.stats;
  return [
    `status ${JSON.stringify(progress.status)}${disabled ? ", disabled" : ""}, executor ${executor}`,
    `keys moved ${progress.keys_moved}, slots moved ${progress.slots_moved}, left ${progress.slots_left}`,
    ...Object.entries(progress.failing!).map(([slot, reason]) => `slot ${slot} rests: ${reason}`),
  ];
}
