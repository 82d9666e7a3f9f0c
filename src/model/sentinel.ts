/**
 * Pure: the sentinels of a product as stored and sent to proxies. Source: Codis
 * pkg/models/sentinel.go.
 */

import type { ValueOf } from "./record.ts";
import { flag, list, optional, record, text } from "./record.ts";

export const SENTINEL = record({
  /** host:port of each. */
  servers: optional(list(text)),
  /** The sentinels may monitor something else than the groups. */
  out_of_sync: flag,
});
export type Sentinel = ValueOf<typeof SENTINEL>;
