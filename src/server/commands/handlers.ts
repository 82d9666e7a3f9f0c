/**
 * Which function serves a command. One object per family; a served row without a handler does not
 * compile.
 */

import type { ServedCommand } from "../../commands/table.ts";
import type { Handler } from "../call.ts";
import { ADMIN_HANDLERS } from "./admin.ts";
import { BITFIELD_HANDLERS } from "./bitfield.ts";
import { BIT_HANDLERS } from "./bits.ts";
import { CLIENT_HANDLERS } from "./clients.ts";
import { COMMAND_HANDLERS } from "./command-command.ts";
import { CONFIG_HANDLERS } from "./config-command.ts";
import { CONNECTION_HANDLERS } from "./connection.ts";
import { COUNTER_HANDLERS } from "./counters.ts";
import { DUMP_HANDLERS } from "./dump.ts";
import { EXEC_WRAPPER_HANDLERS } from "./exec-wrapper.ts";
import { EXPIRY_HANDLERS } from "./expiry.ts";
import { GEO_HANDLERS } from "./geo.ts";
import { GEO_SEARCH_HANDLERS } from "./geo-search.ts";
import { HASH_HANDLERS } from "./hashes.ts";
import { HYPERLOGLOG_HANDLERS } from "./hyperloglog.ts";
import { INFO_HANDLERS } from "./info-command.ts";
import { KEY_HANDLERS } from "./keys.ts";
import { LIST_HANDLERS } from "./lists.ts";
import { MEMORY_HANDLERS } from "./memory.ts";
import { MIGRATION_HANDLERS } from "./migrate.ts";
import { OBJECT_HANDLERS } from "./object.ts";
import { PERSISTENCE_HANDLERS } from "./persistence.ts";
import { SET_ALGEBRA_HANDLERS } from "./set-algebra.ts";
import { SET_HANDLERS } from "./sets.ts";
import { SLOT_HANDLERS } from "./slots.ts";
import { MIGRATE_ASYNC_HANDLERS } from "./slots-async.ts";
import { RESTORE_ASYNC_HANDLERS } from "./slots-restore-async.ts";
import { SORT_HANDLERS } from "./sort.ts";
import { STRING_HANDLERS } from "./strings.ts";
import { ZSET_ALGEBRA_HANDLERS } from "./zset-algebra.ts";
import { ZSET_RANGE_HANDLERS } from "./zset-ranges.ts";
import { ZSET_HANDLERS } from "./zsets.ts";

export const HANDLERS = {
  ...ADMIN_HANDLERS,
  ...BITFIELD_HANDLERS,
  ...BIT_HANDLERS,
  ...CLIENT_HANDLERS,
  ...COMMAND_HANDLERS,
  ...CONFIG_HANDLERS,
  ...CONNECTION_HANDLERS,
  ...COUNTER_HANDLERS,
  ...DUMP_HANDLERS,
  ...EXEC_WRAPPER_HANDLERS,
  ...EXPIRY_HANDLERS,
  ...GEO_HANDLERS,
  ...GEO_SEARCH_HANDLERS,
  ...HASH_HANDLERS,
  ...HYPERLOGLOG_HANDLERS,
  ...INFO_HANDLERS,
  ...KEY_HANDLERS,
  ...LIST_HANDLERS,
  ...MEMORY_HANDLERS,
  ...MIGRATE_ASYNC_HANDLERS,
  ...MIGRATION_HANDLERS,
  ...OBJECT_HANDLERS,
  ...PERSISTENCE_HANDLERS,
  ...RESTORE_ASYNC_HANDLERS,
  ...SET_ALGEBRA_HANDLERS,
  ...SET_HANDLERS,
  ...SLOT_HANDLERS,
  ...SORT_HANDLERS,
  ...STRING_HANDLERS,
  ...ZSET_ALGEBRA_HANDLERS,
  ...ZSET_HANDLERS,
  ...ZSET_RANGE_HANDLERS,
} as const satisfies Record<ServedCommand, Handler>;
