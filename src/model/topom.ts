/**
 * Pure: a dashboard as it describes itself; stored in the `topom` node while it runs, where proxies
 * and the page find its address. Source: Codis pkg/models/topom.go.
 */

import type { ValueOf } from "./record.ts";
import { integer, record, text } from "./record.ts";

export const TOPOM = record({
  /** 32 hex digits; informative only. */
  token: text,
  /** Free text. */
  start_time: text,
  /** host:port of its API. */
  admin_addr: text,
  product_name: text,
  pid: integer,
  pwd: text,
  /** Text of `uname -a`. */
  sys: text,
});
export type Topom = ValueOf<typeof TOPOM>;
