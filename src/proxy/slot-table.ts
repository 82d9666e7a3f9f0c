/**
 * Pure: the 1024 slots of a proxy as its admin API reports them: what was filled last, less what has
 * no effect. Source: Codis pkg/proxy/slots.go `snapshot`, router.go `fillSlot`; spec/proxy.md 5.1.
 */

import { SLOT, type Slot } from "../model/slot.ts";
import { SLOT_COUNT } from "../slots/hash.ts";

/** The definition that comes into force when `slot` is filled. */
export function effectiveSlot(slot: Slot, isPrimaryOnly: boolean): Slot {
  const groups = isPrimaryOnly ? [] : slot.replica_groups.filter((group) => group.length > 0);
  return {
    ...slot,
    backend_addr_group_id: slot.backend_addr === "" ? 0 : slot.backend_addr_group_id,
    migrate_from_group_id: slot.migrate_from === "" ? 0 : slot.migrate_from_group_id,
    replica_groups: groups,
  };
}

/** 1024 slots nobody filled yet. */
export function emptySlots(): Slot[] {
  return Array.from({ length: SLOT_COUNT }, (_, id) => ({ ...SLOT.zero(), id }));
}
