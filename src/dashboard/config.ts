/**
 * The keys of dashboard.toml, in upstream's order. Source: Codis pkg/topom/config.go.
 */

import {
  addressWithPort,
  type ConfigOf,
  type ConfigTable,
  notEmpty,
  userAndPassword,
} from "../base/config.ts";
import { PRODUCT_NAME_ROW } from "../model/product-name.ts";

const positive = (value: number): string | undefined =>
  value > 0 ? undefined : "must be more than 0";

const COORDINATORS = ["filesystem", "fs", "zookeeper", "zk", "etcd"];
const METHODS = ["sync", "semi-async"];

/** As in the original. Many systems empty it at a boot. */
export const COORDINATOR_ADDR_DEFAULT = "/tmp/codis";

export const DASHBOARD_CONFIG = {
  coordinator_name: {
    kind: "string",
    default: "filesystem",
    comment: 'Where the model of the product is stored: "filesystem" (or "fs").',
    check: (value) =>
      COORDINATORS.includes(value) ? undefined : `must be one of ${COORDINATORS.join(", ")}`,
    complaint: (value) =>
      value === "" ? "invalid coordinator_name" : `invalid coordinator name = ${value}`,
  },
  coordinator_addr: {
    kind: "string",
    default: COORDINATOR_ADDR_DEFAULT,
    comment:
      "The folder of the filesystem coordinator. The default, the original's, may be emptied at a " +
      "boot, and the model of the product with it: name another for what is to last.",
    check: notEmpty,
  },
  coordinator_auth: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet: user:password at a coordinator that knows users.",
    secret: "blank",
    check: userAndPassword,
    complaint: () => "invalid auth",
  },
  admin_addr: {
    kind: "string",
    default: "0.0.0.0:18080",
    comment: "Where the HTTP API listens; port 0 takes a free one.",
    check: addressWithPort,
  },
  product_name: PRODUCT_NAME_ROW,
  product_auth: {
    kind: "string",
    default: "",
    comment: "Password of all servers of the product, and part of the keys of the HTTP APIs.",
    secret: "omit",
  },
  migration_method: {
    kind: "string",
    default: "semi-async",
    comment:
      "How keys of a moving slot travel. semi-async: in batches, large values in pieces, while both " +
      "servers serve; sync: a key with its hash tag at a time, as a whole, and with it some small " +
      "ones. Servers that know only sync, or neither, are treated as they need.",
    check: (value) =>
      METHODS.includes(value.toLowerCase()) ? undefined : `must be one of ${METHODS.join(", ")}`,
  },
  migration_parallel_slots: {
    kind: "int",
    default: 100,
    comment: "Most slots that move at the same time.",
    min: 1,
  },
  migration_async_maxbulks: {
    kind: "int",
    default: 200,
    comment: "Most elements of a value that semi-async sends in one piece.",
    min: 1,
  },
  migration_async_maxbytes: {
    kind: "size",
    default: "32mb",
    comment: "Most bytes that semi-async sends ahead of its target; at most 1gb.",
    min: 1,
  },
  migration_async_numkeys: {
    kind: "int",
    default: 500,
    comment: "Most keys of a slot in one batch of semi-async; keys of one hash tag stay together.",
    min: 1,
  },
  migration_timeout: {
    kind: "duration",
    default: "30s",
    comment: "How long a server may take to answer a migration command.",
    check: positive,
  },
  sentinel_client_timeout: {
    kind: "duration",
    default: "10s",
    comment: "Read, and not acted on yet: how long the sentinels may take to answer.",
    check: positive,
  },
  sentinel_quorum: {
    kind: "int",
    default: 2,
    comment: "Read, and not acted on yet: quorum of SENTINEL monitor.",
    min: 1,
  },
  sentinel_parallel_syncs: {
    kind: "int",
    default: 1,
    comment: "Read, and not acted on yet: the sentinels' parallel-syncs.",
    min: 1,
  },
  sentinel_down_after: {
    kind: "duration",
    default: "30s",
    comment: "Read, and not acted on yet: the sentinels' down-after-milliseconds.",
    check: positive,
  },
  sentinel_failover_timeout: {
    kind: "duration",
    default: "5m",
    comment: "Read, and not acted on yet: the sentinels' failover-timeout.",
    check: positive,
  },
  sentinel_notification_script: {
    kind: "string",
    default: "",
    comment: "Read, and not acted on yet: the sentinels' notification-script, sent when not empty.",
  },
  sentinel_client_reconfig_script: {
    kind: "string",
    default: "",
    comment:
      "Read, and not acted on yet: the sentinels' client-reconfig-script, sent when not empty.",
  },
  allow_remote_unauthenticated: {
    kind: "bool",
    default: false,
    comment:
      "Accept changes through the HTTP API from other machines, and from any web page, without " +
      "product_auth, as the original does always: its codis-admin, codis-fe, codis-ha and " +
      "codis-proxy need it there, and its codis-fe here when it is opened by a name of its own.",
  },
} as const satisfies ConfigTable;

export type DashboardConfig = ConfigOf<typeof DASHBOARD_CONFIG>;
