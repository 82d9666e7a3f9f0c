/**
 * The model of one product on a coordinator: typed reads and writes, and the lock. Error texts are
 * upstream's (`store: load group failed`), what went wrong below is their cause.
 *
 * The lock is two nodes. `topom` is the original's: whoever creates it owns the product, and a
 * crash leaves it. `lease` is ours: it falls with its owner. We hold both; a `topom` node that is
 * word for word what the last owner of the lease wrote there is what a crash of ours left, and is
 * taken over.
 *
 *   lease taken -> topom left by us? remove it -> lease says who we are -> create topom
 *
 * A crash between any two steps leaves no topom node, or one equal to the lease's text.
 * Once locked, every write is conditioned on the lease. Source: Codis pkg/models/store.go;
 * the lease is ours.
 */

import { CodisError, errorText } from "../base/errors.ts";
import { decodeRecord, encodeRecord } from "../model/encode.ts";
import type { Group } from "../model/group.ts";
import { GROUP } from "../model/group.ts";
import {
  groupDir,
  groupPath,
  leasePath,
  proxyDir,
  proxyPath,
  sentinelPath,
  slotPath,
  topomPath,
} from "../model/paths.ts";
import type { ProxyModel } from "../model/proxy.ts";
import { PROXY } from "../model/proxy.ts";
import type { Codec } from "../model/record.ts";
import type { Sentinel } from "../model/sentinel.ts";
import { SENTINEL } from "../model/sentinel.ts";
import type { Mapping } from "../model/slot.ts";
import { MAPPING, offlineMapping } from "../model/slot.ts";
import type { Topom } from "../model/topom.ts";
import { TOPOM } from "../model/topom.ts";
import type { Coordinator, Lease } from "./coordinator.ts";

export class Store {
  readonly #coordinator: Coordinator;
  readonly #product: string;
  #lease: Lease | undefined;
  /** Nothing is written after the lock was given back: it may be another's by now. */
  #isUnlocked = false;

  constructor(coordinator: Coordinator, product: string) {
    this.#coordinator = coordinator;
    this.#product = product;
  }

  /**
   * Takes the product's lock.
   * @throws CodisError "conflict" while another dashboard holds it, or an original one left it
   */
  async lock(topom: Topom): Promise<void> {
    try {
      const lease = await this.#coordinator.acquireLease(leasePath(this.#product));
      if (lease === undefined) {
        throw new CodisError("conflict", `another dashboard runs: ${await this.#describeLock()}`);
      }
      try {
        await this.#takeTopom(lease, encodeRecord(TOPOM, topom));
        this.#lease = lease;
      } catch (error) {
        await lease.release();
        throw error;
      }
    } catch (error) {
      const code = error instanceof CodisError ? error.code : "unavailable";
      throw new CodisError(code, `store: acquire lock of ${this.#product} failed`, error);
    }
  }

  /** Gives the lock back; nothing happens when it was never taken. */
  async unlock(): Promise<void> {
    const lease = this.#lease;
    this.#lease = undefined;
    this.#isUnlocked = true;
    if (lease === undefined) return;
    try {
      await this.#coordinator.remove(topomPath(this.#product), lease);
      await lease.release();
    } catch (error) {
      throw failed(`release lock of ${this.#product}`, error);
    }
  }

  /**
   * Removes the original's lock node, whoever owns it. The lease of a dashboard that runs stays.
   */
  async removeLock(): Promise<void> {
    await this.#coordinator.remove(topomPath(this.#product));
  }

  /** The dashboard that holds the lock, or held it when it died; undefined when there is none. */
  loadTopom(): Promise<Topom | undefined> {
    return this.#load("topom", topomPath(this.#product), TOPOM);
  }

  /** A slot nobody stored is offline. */
  async loadSlot(id: number): Promise<Mapping> {
    return (await this.#load("slots", slotPath(this.#product, id), MAPPING)) ?? offlineMapping(id);
  }

  updateSlot(mapping: Mapping): Promise<void> {
    const path = slotPath(this.#product, mapping.id);
    return this.#put("update", `slot-[${mapping.id}]`, path, encodeRecord(MAPPING, mapping));
  }

  loadGroups(): Promise<Group[]> {
    return this.#loadAll("group", groupDir(this.#product), GROUP);
  }

  loadGroup(id: number): Promise<Group | undefined> {
    return this.#load("group", groupPath(this.#product, id), GROUP);
  }

  createGroup(group: Group): Promise<void> {
    const path = groupPath(this.#product, group.id);
    return this.#put("create", `group-[${group.id}]`, path, encodeRecord(GROUP, group));
  }

  updateGroup(group: Group): Promise<void> {
    const path = groupPath(this.#product, group.id);
    return this.#put("update", `group-[${group.id}]`, path, encodeRecord(GROUP, group));
  }

  removeGroup(id: number): Promise<void> {
    return this.#remove(`group-[${id}]`, groupPath(this.#product, id));
  }

  loadProxies(): Promise<ProxyModel[]> {
    return this.#loadAll("proxy", proxyDir(this.#product), PROXY);
  }

  loadProxy(token: string): Promise<ProxyModel | undefined> {
    return this.#load("proxy", proxyPath(this.#product, token), PROXY);
  }

  createProxy(proxy: ProxyModel): Promise<void> {
    const path = proxyPath(this.#product, proxy.token);
    return this.#put("create", `proxy-[${proxy.token}]`, path, encodeRecord(PROXY, proxy));
  }

  updateProxy(proxy: ProxyModel): Promise<void> {
    const path = proxyPath(this.#product, proxy.token);
    return this.#put("update", `proxy-[${proxy.token}]`, path, encodeRecord(PROXY, proxy));
  }

  removeProxy(token: string): Promise<void> {
    return this.#remove(`proxy-[${token}]`, proxyPath(this.#product, token));
  }

  async loadSentinel(): Promise<Sentinel> {
    const path = sentinelPath(this.#product);
    return (await this.#load("sentinel", path, SENTINEL)) ?? SENTINEL.zero();
  }

  updateSentinel(sentinel: Sentinel): Promise<void> {
    const path = sentinelPath(this.#product);
    return this.#put("update", "sentinel", path, encodeRecord(SENTINEL, sentinel));
  }

  async #takeTopom(lease: Lease, text: string): Promise<void> {
    const path = topomPath(this.#product);
    const found = await this.#coordinator.read(path);
    if (found !== undefined) {
      if (found !== lease.previous) {
        throw new CodisError(
          "conflict",
          `${await this.#describeLock()}; if that dashboard is dead, start once with --remove-lock`,
        );
      }
      await this.#coordinator.remove(path, lease);
    }
    await lease.write(text);
    await this.#coordinator.create(path, text, lease);
  }

  async #describeLock(): Promise<string> {
    try {
      const owner = await this.loadTopom();
      if (owner === undefined) return "it is starting or stopping";
      return `the lock names the dashboard at ${owner.admin_addr}, pid ${owner.pid}`;
    } catch (error) {
      return `the lock node is there, but ${errorText(error)}`;
    }
  }

  async #load<T>(what: string, path: string, codec: Codec<T>): Promise<T | undefined> {
    try {
      const text = await this.#coordinator.read(path);
      return text === undefined ? undefined : decodeRecord(codec, text, path);
    } catch (error) {
      throw failed(`load ${what}`, error);
    }
  }

  async #loadAll<T>(what: string, folder: string, codec: Codec<T>): Promise<T[]> {
    try {
      const records: T[] = [];
      for (const path of (await this.#coordinator.list(folder)) ?? []) {
        const text = await this.#coordinator.read(path);
        if (text !== undefined) records.push(decodeRecord(codec, text, path));
      }
      return records;
    } catch (error) {
      throw failed(`load ${what}`, error);
    }
  }

  async #put(verb: "create" | "update", what: string, path: string, text: string): Promise<void> {
    try {
      this.#requireWritable();
      await this.#coordinator[verb](path, text, this.#lease);
    } catch (error) {
      throw failed(`${verb} ${what}`, error);
    }
  }

  async #remove(what: string, path: string): Promise<void> {
    try {
      this.#requireWritable();
      await this.#coordinator.remove(path, this.#lease);
    } catch (error) {
      throw failed(`remove ${what}`, error);
    }
  }

  #requireWritable(): void {
    if (this.#isUnlocked) throw new CodisError("closed", "the lock was given back");
  }
}

function failed(what: string, error: unknown): CodisError {
  const code = error instanceof CodisError ? error.code : "unavailable";
  return new CodisError(code, `store: ${what} failed`, error);
}
