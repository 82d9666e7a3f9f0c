/**
 * Pure: a proxy as it describes itself and as stored. Only the dashboard sets `id`.
 * Source: Codis pkg/models/proxy.go.
 */

import type { ValueOf } from "./record.ts";
import { integer, optional, record, text } from "./record.ts";

export const PROXY = record({
  /** Order in lists, from 1; 0 in what a proxy says about itself. */
  id: optional(integer),
  /** 32 hex digits, stable over restarts; the name of the proxy. */
  token: text,
  /** Free text. */
  start_time: text,
  /** host:port of its admin API. */
  admin_addr: text,
  /** Family of the client port: tcp, tcp4, tcp6, unix... */
  proto_type: text,
  /** host:port, or the path of a unix socket, that clients connect to. */
  proxy_addr: text,
  jodis_path: optional(text),
  product_name: text,
  pid: integer,
  pwd: text,
  /** Text of `uname -a`. */
  sys: text,
  hostname: text,
  datacenter: text,
});
export type ProxyModel = ValueOf<typeof PROXY>;
