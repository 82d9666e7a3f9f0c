/**
 * Pure: a group of servers as stored. The first server is the master, the others its replicas; an
 * empty list is a group without servers. Source: Codis pkg/models/group.go.
 */

import type { ValueOf } from "./record.ts";
import { flag, integer, list, oneOf, optional, record, text } from "./record.ts";

/** Ids of groups; 0 means "no group". */
export const GROUP_ID_MIN = 1;
export const GROUP_ID_MAX = 9999;

/** What became of telling a server to follow its master; "" means nothing was asked. */
const SYNC_ACTION_STATES = ["", "pending", "syncing", "synced", "synced_failed"] as const;

/** How far a promotion has come; "" means none. */
const PROMOTING_STATES = ["", "preparing", "prepared", "finished"] as const;

const GROUP_SERVER = record({
  /** host:port */
  server: text,
  datacenter: text,
  action: record({
    /** Order among the pending sync actions of the product, from 1. */
    index: optional(integer),
    state: optional(oneOf(SYNC_ACTION_STATES)),
  }),
  /** Proxies may read from it. */
  replica_group: flag,
});
export type GroupServer = ValueOf<typeof GROUP_SERVER>;

export const GROUP = record({
  /** GROUP_ID_MIN..GROUP_ID_MAX */
  id: integer,
  servers: list(GROUP_SERVER),
  promoting: record({
    /** Position in `servers` of the server being promoted. */
    index: optional(integer),
    state: optional(oneOf(PROMOTING_STATES)),
  }),
  /** Proxies may have an old table of this group's slots. */
  out_of_sync: flag,
});
export type Group = ValueOf<typeof GROUP>;

/** host:port of the group's master; "" when it has no servers. */
export function masterOf(group: Group | undefined): string {
  return group?.servers[0]?.server ?? "";
}
