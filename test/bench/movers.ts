/**
 * Two servers and a way to move keys between them: ours as an operator has it, by a dashboard with
 * a proxy, and MIGRATE between two stock servers. A mover moves the same slots there, and back.
 */

import { DashboardClient } from "../../src/api/dashboard-client.ts";
import { type Program, Programs } from "../support/programs.ts";
import { RespClient } from "../support/resp-client.ts";
import { MEASURED_CORE, OTHER_CORE } from "./load.ts";

/** How often a dashboard is asked whether slots still move. */
const POLL_MS = 100;
/** Of MIGRATE. */
const STOCK_TIMEOUT_MS = 30_000;

export interface Mover extends AsyncDisposable {
  readonly name: string;
  /** Where all keys are written, and clients read. */
  readonly port: number;
  /** Moves all keys to be moved to the server that does not have them. */
  move(): Promise<void>;
  /** Its processes; keys are on the first server before the first move. */
  readonly pids: { readonly servers: readonly number[]; readonly others: readonly number[] };
  /** Keys on the second server. */
  movedKeys(): Promise<number>;
}

/** A product of ours: all slots belong to the first of two groups. */
export class ProductMover implements Mover {
  readonly name: string;
  readonly #programs = new Programs();
  readonly #slots: number;
  readonly #servers: Program[] = [];
  readonly #others: Program[] = [];
  #dashboard: DashboardClient | undefined;
  #proxy: Program | undefined;
  #target = 2;

  private constructor(method: string, slots: number) {
    this.name = method;
    this.#slots = slots;
  }

  /** @param slots moved, the first ones */
  static async start(method: "sync" | "semi-async", slots: number): Promise<ProductMover> {
    const mover = new ProductMover(method, slots);
    const programs = mover.#programs;
    for (const core of [MEASURED_CORE, OTHER_CORE]) {
      mover.#servers.push(await programs.server({ core }));
    }
    const lines = [`migration_method = "${method}"`];
    const control = await programs.dashboard({ core: OTHER_CORE }, lines);
    const config = 'product_name = "test"\n';
    mover.#proxy = await programs.proxy({ backends: [], config, core: OTHER_CORE });
    mover.#others.push(control, mover.#proxy);
    const dashboard = new DashboardClient(`127.0.0.1:${control.adminPort}`, "test");
    for (const [i, { port }] of mover.#servers.entries()) {
      await dashboard.createGroup(i + 1);
      await dashboard.addServer(i + 1, `127.0.0.1:${port}`);
    }
    const offline = (await dashboard.stats()).slots;
    await dashboard.assignSlots(offline.map((mapping) => ({ ...mapping, group_id: 1 })));
    await dashboard.createProxy(`127.0.0.1:${mover.#proxy.adminPort}`);
    mover.#dashboard = dashboard;
    return mover;
  }

  get port(): number {
    return this.#proxy!.port;
  }

  get pids(): Mover["pids"] {
    return { servers: this.#servers.map(pidOf), others: this.#others.map(pidOf) };
  }

  async move(): Promise<void> {
    const dashboard = this.#dashboard!;
    await dashboard.createSlotActionRange(0, this.#slots - 1, this.#target);
    this.#target = 3 - this.#target;
    for (;;) {
      const { progress } = (await dashboard.stats()).slot_action;
      if (progress.slots_left === 0) return;
      const failing = Object.values(progress.failing ?? {});
      if (failing.length > 0) throw new Error(`slots fail to move: ${failing[0]}`);
      await new Promise((again) => setTimeout(again, POLL_MS));
    }
  }

  movedKeys(): Promise<number> {
    return sizeOf(this.#servers[1]!.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#programs.stop();
  }
}

/** MIGRATE with KEYS, one call after the other: no keys have to be found. */
export class StockMover implements Mover {
  readonly name: string;
  readonly #programs = new Programs();
  readonly #calls: readonly (readonly string[])[];
  readonly #servers: Program[] = [];
  #isBack = false;

  private constructor(keys: readonly string[], batchKeys: number) {
    this.name = `MIGRATE, ${batchKeys} keys`;
    const count = Math.ceil(keys.length / batchKeys);
    this.#calls = Array.from({ length: count }, (_, i) =>
      keys.slice(i * batchKeys, (i + 1) * batchKeys),
    );
  }

  static async start(keys: readonly string[], batchKeys: number): Promise<StockMover> {
    const mover = new StockMover(keys, batchKeys);
    for (const core of [MEASURED_CORE, OTHER_CORE]) {
      mover.#servers.push(await mover.#programs.redis({ core }));
    }
    return mover;
  }

  get port(): number {
    return this.#servers[0]!.port;
  }

  get pids(): Mover["pids"] {
    return { servers: this.#servers.map(pidOf), others: [] };
  }

  async move(): Promise<void> {
    const ports = this.#servers.map(({ port }) => port);
    const [from, to] = this.#isBack ? ports.reverse() : ports;
    this.#isBack = !this.#isBack;
    const client = await RespClient.connect(from!);
    const words = ["MIGRATE", "127.0.0.1", String(to), "", "0", String(STOCK_TIMEOUT_MS), "KEYS"];
    for (const keys of this.#calls) {
      const reply = await client.call(...words, ...keys);
      if (reply !== "OK") throw new Error(`MIGRATE answered ${String(reply)}`);
    }
    client.close();
  }

  movedKeys(): Promise<number> {
    return sizeOf(this.#servers[1]!.port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#programs.stop();
  }
}

function pidOf({ pid }: Program): number {
  return pid;
}

async function sizeOf(port: number): Promise<number> {
  const client = await RespClient.connect(port);
  const size = Number(await client.call("DBSIZE"));
  client.close();
  return size;
}
