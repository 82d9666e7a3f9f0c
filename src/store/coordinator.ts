/**
 * What the control plane asks of a coordinator: a small tree of named nodes holding texts, and
 * leases. The same paths and the same bytes in every implementation (src/model/paths.ts).
 * Source: Codis pkg/models/client.go.
 *
 * Node paths start with a slash (`/codis3/demo/topom`). Every call may throw CodisError
 * "unavailable" when the coordinator cannot be reached, "usage" when the configured place
 * cannot be used, "closed" after close().
 */

export interface Coordinator {
  /**
   * Makes a node that must not exist, and its parents. Throws CodisError "conflict" if it exists.
   */
  create(path: string, data: string, lease?: Lease): Promise<void>;

  /** Makes or overwrites a node. */
  update(path: string, data: string, lease?: Lease): Promise<void>;

  /** Removes a node and what is below it; a missing one is no error. */
  remove(path: string, lease?: Lease): Promise<void>;

  /** The node's text; undefined when there is none. */
  read(path: string): Promise<string | undefined>;

  /** Full paths of the direct children, sorted bytewise; undefined when there is no such folder. */
  list(path: string): Promise<string[] | undefined>;

  /** Takes the lease node at `path`; undefined while another holds it. */
  acquireLease(path: string): Promise<Lease | undefined>;

  /** Gives up connections and files. Leases still held are lost. */
  close(): Promise<void>;
}

/**
 * Ownership that ends by itself when its owner dies. A write that names a lease fails with
 * CodisError "closed" when the lease is no longer held, and then has changed nothing.
 */
export interface Lease {
  /** The node's path. */
  readonly path: string;
  /** What the owner before wrote; "" when nothing. Tells what a crashed owner left behind. */
  readonly previous: string;
  /** Writes the lease node. */
  write(data: string): Promise<void>;
  /** Gives the lease up; what was written last is `previous` to the next owner. */
  release(): Promise<void>;
}
