/**
 * Pure: what a dashboard tells about its product through its API, with upstream's names, in the
 * order sent. Source: Codis pkg/topom/topom_api.go, topom_stats.go.
 */

import type { Group } from "../model/group.ts";
import type { ProxyModel } from "../model/proxy.ts";
import type { Sentinel } from "../model/sentinel.ts";
import type { Mapping } from "../model/slot.ts";
import type { Topom } from "../model/topom.ts";
import type { ProxyStats } from "./proxy-stats.ts";

/** An error as it stands in JSON. */
export interface RemoteError {
  readonly Cause: string;
  readonly Stack: readonly unknown[] | null;
}

/** What one server or sentinel answered last. */
export interface RedisStats {
  /** INFO, flat, with `maxmemory` and, of a replica, `master_addr`. */
  readonly stats?: Readonly<Record<string, string>>;
  readonly error?: RemoteError;
  readonly sentinel?: Readonly<Record<string, unknown>>;
  /** Seconds. */
  readonly unixtime: number;
  readonly timeout?: boolean;
}

/** What one proxy answered last. */
export interface ProxyPoll {
  readonly stats?: ProxyStats;
  readonly error?: RemoteError;
  /** Seconds. */
  readonly unixtime: number;
  readonly timeout?: boolean;
}

export interface TopomStats {
  readonly closed: boolean;
  readonly slots: readonly Mapping[];
  readonly group: {
    readonly models: readonly Group[];
    /** By server address. */
    readonly stats: Readonly<Record<string, RedisStats>>;
  };
  readonly proxy: {
    readonly models: readonly ProxyModel[];
    /** By token. */
    readonly stats: Readonly<Record<string, ProxyPoll>>;
  };
  readonly slot_action: {
    /** Microseconds between two migration calls. */
    readonly interval: number;
    readonly disabled: boolean;
    readonly progress: {
      /** The last event: `[OK] Slot[0003]@DB[0]=303`, `[ERROR] Slot[0003]: text`, or "". */
      readonly status: string;
      // What follows is ours; an original dashboard leaves it out.
      /** Since the dashboard started. */
      readonly keys_moved?: number;
      readonly slots_moved?: number;
      /** Slots with an action now. */
      readonly slots_left?: number;
      /** Keys left in the slots that move now, each in the database it has come to. */
      readonly keys_left?: number;
      /** Slot id -> why it failed last; it is tried again. */
      readonly failing?: Readonly<Record<string, string>>;
    };
    /** Slots with migration calls in flight. */
    readonly executor: number;
  };
  readonly sentinels: {
    readonly model: Sentinel;
    readonly stats: Readonly<Record<string, RedisStats>>;
    /** Group id -> address, as voted. */
    readonly masters: Readonly<Record<string, string>>;
  };
}

export interface TopomOverview {
  readonly version: string;
  readonly compile: string;
  readonly config: Readonly<Record<string, string | number | boolean>>;
  readonly model: Topom;
  readonly stats: TopomStats;
}
