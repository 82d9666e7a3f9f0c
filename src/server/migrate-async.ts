/**
 * The asynchronous moves of all databases: a lane (migration-lane.ts) for each that has had one.
 * What commands ask: begin a batch, wait for it, end it, say how it stands.
 */

import { type Batch, MigrationLane } from "./migration-lane.ts";
import type { ServerState } from "./state.ts";

export class AsyncMigrations {
  readonly #state: ServerState;
  readonly #random: () => number;
  /** By index of the database. */
  readonly #lanes = new Map<number, MigrationLane>();

  /** @param random gives [0, 1) */
  constructor(state: ServerState, random: () => number = Math.random) {
    this.#state = state;
    this.#random = random;
  }

  lane(dbIndex: number): MigrationLane {
    let lane = this.#lanes.get(dbIndex);
    if (lane === undefined) {
      lane = new MigrationLane(this.#state, this.#state.databases.all[dbIndex]!, this.#random);
      this.#lanes.set(dbIndex, lane);
    }
    return lane;
  }

  /** The batch that is under way in a database. */
  batchOf(dbIndex: number): Batch | undefined {
    return this.#lanes.get(dbIndex)?.batch;
  }

  /** A value is leaving in chunks. */
  get isSendingChunks(): boolean {
    for (const { batch } of this.#lanes.values()) {
      if (batch?.messages !== undefined && batch.messages.chunkedKeys > 0) return true;
    }
    return false;
  }

  /** Called about once a second. */
  tick(): void {
    for (const lane of this.#lanes.values()) lane.tick();
  }

  /** Ends all links; batches under way fail. */
  close(): void {
    for (const lane of this.#lanes.values()) lane.cancel();
  }
}
