/**
 * A coordinator in memory for scenarios: same contract as the real ones, a journal of what was
 * written, and failures on demand. A lease falls when `crash` is called for it, as when its owner
 * is killed.
 */

import { CodisError } from "../../src/base/errors.ts";
import type { Coordinator, Lease } from "../../src/store/coordinator.ts";

export interface Written {
  readonly op: "create" | "update" | "remove";
  readonly path: string;
  /** "" for remove. */
  readonly data: string;
}

export class MemoryCoordinator implements Coordinator {
  readonly nodes = new Map<string, string>();
  /** Called for every write before it happens; may throw to make it fail. */
  onWrite: (written: Written) => void = () => undefined;
  /** Called for every read; may throw. */
  onRead: (path: string) => void = () => undefined;
  readonly #leases = new Map<string, Lease>();
  readonly #leaseTexts = new Map<string, string>();
  #closed = false;

  async create(path: string, data: string, lease?: Lease): Promise<void> {
    this.#check(lease);
    if (this.nodes.has(path)) throw new CodisError("conflict", `${path} already exists`);
    this.onWrite({ op: "create", path, data });
    this.nodes.set(path, data);
  }

  async update(path: string, data: string, lease?: Lease): Promise<void> {
    this.#check(lease);
    this.onWrite({ op: "update", path, data });
    this.nodes.set(path, data);
  }

  async remove(path: string, lease?: Lease): Promise<void> {
    this.#check(lease);
    this.onWrite({ op: "remove", path, data: "" });
    for (const node of this.nodes.keys()) {
      if (node === path || node.startsWith(`${path}/`)) this.nodes.delete(node);
    }
  }

  async read(path: string): Promise<string | undefined> {
    this.#check();
    this.onRead(path);
    return this.nodes.get(path);
  }

  async list(path: string): Promise<string[] | undefined> {
    this.#check();
    this.onRead(path);
    const depth = path.split("/").length + 1;
    const below = [...this.nodes.keys()].filter((node) => node.startsWith(`${path}/`));
    const children = new Set(below.map((node) => node.split("/").slice(0, depth).join("/")));
    return children.size === 0 ? undefined : [...children].sort((a, b) => (a < b ? -1 : 1));
  }

  async acquireLease(path: string): Promise<Lease | undefined> {
    this.#check();
    if (this.#leases.has(path)) return undefined;
    const lease: Lease = {
      path,
      previous: this.#leaseTexts.get(path) ?? "",
      write: async (data) => {
        this.#check(lease);
        this.#leaseTexts.set(path, data);
      },
      release: async () => {
        if (this.#leases.get(path) === lease) this.#leases.delete(path);
      },
    };
    this.#leases.set(path, lease);
    return lease;
  }

  /** The lease falls although nobody gave it up. */
  crash(leasePath: string): void {
    this.#leases.delete(leasePath);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #check(lease?: Lease): void {
    if (this.#closed) throw new CodisError("closed", "use of closed memory client");
    if (lease !== undefined && this.#leases.get(lease.path) !== lease) {
      throw new CodisError("closed", `the lease ${lease.path} is lost`);
    }
  }
}
