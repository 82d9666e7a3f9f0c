/**
 * A cluster put together as an operator would: dashboard, proxy and servers as processes of their
 * own, groups and slots by `codis admin`. Servers of any kind join one after the other.
 */

import { expect } from "bun:test";
import { slotOf } from "../../src/slots/hash.ts";
import { CheckedLoad, VALUE_BYTES_MIN } from "./checked-load.ts";
import type { DataClient } from "./dataset.ts";
import { createPrng } from "./prng.ts";
import { type Program, Programs } from "./programs.ts";
import { RespClient } from "./resp-client.ts";
import { runCodis } from "./up-cluster.ts";

export class OperatedCluster implements AsyncDisposable {
  readonly programs = new Programs();
  /** The server of group i + 1. */
  readonly servers: Program[] = [];
  readonly #password: string;
  #dashboard: Program | undefined;
  #proxy: Program | undefined;

  private constructor(password: string) {
    this.#password = password;
  }

  /** @param password of the product and of all its servers, "" for none */
  static async start(password = ""): Promise<OperatedCluster> {
    const cluster = new OperatedCluster(password);
    const { programs } = cluster;
    const auth = `product_auth = "${password}"`;
    cluster.#dashboard = await programs.dashboard({}, [auth]);
    const config = `product_name = "test"\n${auth}\n`;
    cluster.#proxy = await programs.proxy({ backends: [], config, threads: 2 });
    return cluster;
  }

  get proxy(): Program {
    return this.#proxy!;
  }

  /** Runs a verb of `codis admin`; the test fails when it does. @returns its output */
  async admin(...words: string[]): Promise<string> {
    const address = `127.0.0.1:${this.#dashboard!.adminPort}`;
    const { exitCode, stdout, stderr } = await runCodis("admin", ...words, "--dashboard", address);
    const ended = { words, exitCode, stderr: exitCode === 0 ? "" : stderr };
    expect(ended).toEqual({ words, exitCode: 0, stderr: "" });
    return stdout;
  }

  /** The server becomes the one of a new group. */
  async join(server: Program): Promise<void> {
    this.servers.push(server);
    const gid = String(this.servers.length);
    await this.admin("group", "create", gid);
    await this.admin("group", "add", gid, `127.0.0.1:${server.port}`);
  }

  /** Shares the slots evenly between the servers that joined, and lets clients in. */
  async open(): Promise<void> {
    const share = 1024 / this.servers.length;
    for (const i of this.servers.keys()) {
      const range = `${Math.ceil(i * share)}-${Math.ceil((i + 1) * share) - 1}`;
      await this.admin("slot", "assign", range, String(i + 1));
    }
    await this.admin("proxy", "create", `127.0.0.1:${this.proxy.adminPort}`);
  }

  /** Works through the proxy on one database. */
  async usingDatabase(
    database: number,
    work: (client: DataClient) => Promise<void>,
  ): Promise<void> {
    const client = await RespClient.connect(this.proxy.port);
    await client.call("SELECT", database);
    await work({ batch: (commands) => client.pipeline(commands) });
    client.close();
  }

  /** Runs `work` under a checked load, and demands that no client saw anything of it. */
  async underLoad(prefix: string, seed: number, work: () => Promise<void>): Promise<void> {
    const load = new CheckedLoad(
      this.proxy.port,
      {
        connections: 50,
        sharedKeys: 400,
        pipelineMax: 8,
        valueBytes: [VALUE_BYTES_MIN, 100, 1_000, 20_000],
        toleratesErrors: false,
        prefix,
      },
      createPrng(seed),
    );
    const running = load.run();
    await work();
    load.stop();
    await running;
    expect(load.counts.lost, `seed ${seed}`).toBe(0);
    expect(load.counts.acked).toBeGreaterThan(1_000);
    expect(await load.problems(), `seed ${seed}`).toEqual([]);
  }

  /** The group of every slot; no slot may have an action. */
  async owners(): Promise<number[]> {
    const mappings = JSON.parse(await this.admin("slot", "list", "--json")) as {
      id: number;
      group_id: number;
      action: object;
    }[];
    expect(mappings.filter(({ action }) => Object.keys(action).length > 0)).toEqual([]);
    const groups: number[] = [];
    for (const { id, group_id } of mappings) groups[id] = group_id;
    return groups;
  }

  /** Demands that every server holds keys of its group's slots only. */
  async expectKeysAtTheirOwners(databases: readonly number[]): Promise<void> {
    const groups = await this.owners();
    for (const [i, { port }] of this.servers.entries()) {
      const client = await RespClient.connect(port);
      if (this.#password !== "") await client.call("AUTH", this.#password);
      for (const database of databases) {
        await client.call("SELECT", database);
        const keys = (await client.call("KEYS", "*")) as Buffer[];
        const foreign = keys.filter((key) => groups[slotOf(key)] !== i + 1);
        expect(foreign.map(String), `group ${i + 1} database ${database}`).toEqual([]);
      }
      client.close();
    }
  }

  async stop(): Promise<void> {
    await this.programs.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
