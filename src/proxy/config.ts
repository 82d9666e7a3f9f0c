/**
 * The keys of proxy.toml: the original's, in the order of its JSON, then ours.
 * Source: Codis pkg/proxy/config.go.
 */

import {
  addressWithPort,
  type ConfigOf,
  type ConfigTable,
  checkConfig,
  userAndPassword,
} from "../base/config.ts";
import { CodisError } from "../base/errors.ts";
import { PRODUCT_NAME_ROW } from "../model/product-name.ts";

const PROTO_TYPES = ["tcp", "tcp4", "tcp6"];

export const PROXY_CONFIG = {
  proto_type: {
    kind: "string",
    default: "tcp4",
    comment: 'Family of the clients\' port: "tcp" (both), "tcp4" or "tcp6".',
    check: (value) =>
      PROTO_TYPES.includes(value) ? undefined : `must be one of ${PROTO_TYPES.join(", ")}`,
  },
  proxy_addr: {
    kind: "string",
    default: "0.0.0.0:19000",
    comment: "Where clients connect; port 0 takes a free one.",
    check: addressWithPort,
  },
  admin_addr: {
    kind: "string",
    default: "0.0.0.0:11080",
    comment: "Where the HTTP API listens; port 0 takes a free one.",
    check: addressWithPort,
  },
  jodis_name: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet: the kind of coordinator that jodis clients ask.",
  },
  jodis_addr: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet: its endpoints, separated by commas.",
    check: (value, config) =>
      value === "" && config.jodis_name !== ""
        ? "must not be empty while jodis_name is set"
        : undefined,
  },
  jodis_auth: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet: user:password at that coordinator.",
    secret: "blank",
    check: userAndPassword,
    complaint: () => "invalid auth",
  },
  jodis_timeout: {
    kind: "duration",
    default: "20s",
    comment: "Read, and not acted on yet: how long the registration outlives the proxy.",
  },
  jodis_compatible: {
    kind: "bool",
    default: false,
    comment: "Read, and not acted on yet: register at the path of Codis 2.",
  },
  product_name: PRODUCT_NAME_ROW,
  product_auth: {
    kind: "string",
    default: "",
    comment:
      "Password of the cluster's servers, and part of what callers of the admin API must know. " +
      "Empty: changes through the admin API are taken from this machine only, and from no web page.",
    secret: "omit",
  },
  session_auth: {
    kind: "string",
    default: "",
    comment: "Password that clients must give with AUTH; empty for none.",
    secret: "omit",
  },
  proxy_datacenter: {
    kind: "string",
    default: "",
    comment: "Where the proxy stands; reads prefer replicas of the same name.",
  },
  proxy_max_clients: {
    kind: "int",
    default: 1000,
    comment: "Sessions at once; 0 refuses everybody.",
  },
  proxy_max_offheap_size: {
    kind: "size",
    default: "1024mb",
    comment:
      "Replies that wait for slow clients, and requests that have come in part or wait, of all " +
      "clients together; above this whoever holds most is disconnected. Each thread has its equal " +
      "share, at least 16mb, and beside it room for one value of any size (512mb); 0 is no bound.",
  },
  proxy_heap_placeholder: {
    kind: "size",
    default: "256mb",
    comment: "Read and shown for the original's sake; means nothing here.",
  },
  backend_ping_period: {
    kind: "duration",
    default: "5s",
    comment: "How often an idle connection to a server is probed, at least 1s; 0 never.",
  },
  backend_recv_bufsize: {
    kind: "size",
    default: "128kb",
    comment: "Read and shown for the original's sake: receive buffers are sized by the platform.",
  },
  backend_recv_timeout: {
    kind: "duration",
    default: "30s",
    comment: "A server that owes a reply and sends nothing for this long is given up; 0 never.",
  },
  backend_send_bufsize: {
    kind: "size",
    default: "128kb",
    comment: "Read and shown for the original's sake: send buffers grow as needed.",
  },
  backend_send_timeout: {
    kind: "duration",
    default: "30s",
    comment: "A server that takes none of what waits for it this long is given up; 0 never.",
  },
  backend_max_pipeline: {
    kind: "int",
    default: 20480,
    comment: "Requests without reply on one connection to a server.",
  },
  backend_primary_only: {
    kind: "bool",
    default: false,
    comment: "Send reads to primaries too, whatever replicas there are.",
  },
  backend_primary_parallel: {
    kind: "int",
    default: 1,
    max: 1024,
    comment: "Connections per primary, database and thread.",
  },
  backend_replica_parallel: {
    kind: "int",
    default: 1,
    max: 1024,
    comment: "Connections per replica, database and thread.",
  },
  backend_keepalive_period: {
    kind: "duration",
    default: "75s",
    comment: "TCP keepalive of connections to servers; 0 turns it off.",
  },
  backend_number_databases: {
    kind: "int",
    default: 16,
    min: 1,
    max: 65536,
    comment: "Databases a client may SELECT.",
  },
  session_recv_bufsize: {
    kind: "size",
    default: "128kb",
    comment: "Bounds the length of an inline request and of a RESP header line.",
  },
  session_recv_timeout: {
    kind: "duration",
    default: "30m",
    comment: "A client that sends nothing for this long is disconnected; 0 never.",
  },
  session_send_bufsize: {
    kind: "size",
    default: "64kb",
    comment: "Read and shown for the original's sake: send buffers grow as needed.",
  },
  session_send_timeout: {
    kind: "duration",
    default: "30s",
    comment: "A client that takes none of its replies for this long is disconnected; 0 never.",
  },
  session_max_pipeline: {
    kind: "int",
    default: 10000,
    comment: "Requests of one client without reply.",
  },
  session_keepalive_period: {
    kind: "duration",
    default: "75s",
    comment: "TCP keepalive of clients' connections; 0 turns it off.",
  },
  session_break_on_failure: {
    kind: "bool",
    default: false,
    comment: "Disconnect a client when one of its requests failed in the proxy.",
  },
  metrics_report_server: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet: URL that statistics are posted to. /metrics serves them.",
  },
  metrics_report_period: {
    kind: "duration",
    default: "1s",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_influxdb_server: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_influxdb_period: {
    kind: "duration",
    default: "1s",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_influxdb_username: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_influxdb_password: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet.",
    secret: "omit",
  },
  metrics_report_influxdb_database: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_statsd_server: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_statsd_period: {
    kind: "duration",
    default: "1s",
    comment: "Read, and not acted on yet.",
  },
  metrics_report_statsd_prefix: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet.",
  },
  compat: {
    kind: "choice",
    choices: ["", "codis"],
    default: "",
    comment:
      'Not in the original. "codis" forwards commands that are in no table, and those with several ' +
      "keys by their first key, as the original does: one client can then break others.",
  },
  allow_remote_unauthenticated: {
    kind: "bool",
    default: false,
    comment:
      "Not in the original. Take changes through the admin API from other machines, and from any " +
      "web page, although product_auth is empty.",
  },
  session_output_max: {
    kind: "size",
    default: "256mb",
    min: 1024 * 1024,
    comment:
      "Not in the original. Replies that may wait for one client; it is disconnected above this.",
  },
} as const satisfies ConfigTable;

export type ProxyConfig = ConfigOf<typeof PROXY_CONFIG>;

/** Options of the command line that replace a key of the file. */
export interface ProxyConfigFlags {
  readonly product_name?: string;
  readonly product_auth?: string;
  readonly session_auth?: string;
}

/**
 * The config with the flags put in.
 * @throws CodisError "usage" when a flag is empty or breaks its key's rule
 */
export function applyConfigFlags(config: ProxyConfig, flags: ProxyConfigFlags): ProxyConfig {
  const changed: Record<string, string> = {};
  for (const key of ["product_name", "product_auth", "session_auth"] as const) {
    const value = flags[key];
    if (value === undefined) continue;
    if (value === "") throw new CodisError("usage", `option --${key} requires an argument`);
    changed[key] = value;
  }
  const merged = { ...config, ...changed };
  checkConfig(PROXY_CONFIG, merged);
  return merged;
}

/** What the file asks for and this version does not do, one sentence each, for the log at start. */
export function unservedWishes(config: ProxyConfig): string[] {
  const wishes: string[] = [];
  if (config.jodis_addr !== "") {
    wishes.push("jodis_addr is set: the proxy does not register for jodis clients yet");
  }
  const reports = [
    "metrics_report_server",
    "metrics_report_influxdb_server",
    "metrics_report_statsd_server",
  ] as const;
  for (const key of reports) {
    if (config[key] !== "") wishes.push(`${key} is set: nothing is reported yet, see /metrics`);
  }
  return wishes;
}
