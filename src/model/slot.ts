/**
 * Pure: a slot in its two forms. `Mapping` is what the coordinator stores: the owner and what is
 * being done to the slot. `Slot` is what the dashboard pushes to a proxy: where requests go.
 * src/dashboard/pushed-slot.ts makes the second from the first. Source: Codis pkg/models/slots.go.
 */

import type { ValueOf } from "./record.ts";
import { flag, integer, list, oneOf, optional, record, text } from "./record.ts";

/** The states of a slot action in their order; "" means none. */
const SLOT_ACTION_STATES = [
  "",
  "pending",
  "preparing",
  "prepared",
  "migrating",
  "finished",
] as const;

export type SlotActionState = (typeof SLOT_ACTION_STATES)[number];

/** `forward_method` of a pushed slot: how a proxy pulls a key out of `migrate_from`. */
export const FORWARD_SYNC = 0;
export const FORWARD_SEMI_ASYNC = 1;

/** One slot of the table of a proxy. No `backend_addr` means offline. */
export const SLOT = record({
  /** 0..1023 */
  id: integer,
  /** Hold every request of the slot. */
  locked: optional(flag),
  /** host:port of the server that serves the slot. */
  backend_addr: optional(text),
  backend_addr_group_id: optional(integer),
  /** host:port of the server that keys are still pulled from; set while the slot moves. */
  migrate_from: optional(text),
  migrate_from_group_id: optional(integer),
  /** FORWARD_SYNC or FORWARD_SEMI_ASYNC */
  forward_method: optional(integer),
  /** host:port of servers that may answer reads, best bucket first. */
  replica_groups: optional(list(list(text))),
});
export type Slot = ValueOf<typeof SLOT>;

/** A list of pushed slots, the body of fillslots. */
export const SLOTS = list(SLOT);

const SLOT_ACTION = record({
  /** Order among the actions of the product, from 1. */
  index: optional(integer),
  state: optional(oneOf(SLOT_ACTION_STATES)),
  /** The group that shall own the slot. */
  target_id: optional(integer),
});

/** One slot as stored. `group_id` 0 means offline. */
export const MAPPING = record({
  /** 0..1023 */
  id: integer,
  group_id: integer,
  action: SLOT_ACTION,
});
export type Mapping = ValueOf<typeof MAPPING>;

/** A list of mappings, the body of assign. */
export const MAPPINGS = list(MAPPING);

/** The slot as it is when nothing is stored about it. */
export function offlineMapping(id: number): Mapping {
  return { ...MAPPING.zero(), id };
}
