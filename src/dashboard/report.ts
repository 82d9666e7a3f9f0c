/** Pure: the statistics of a product as its API shows them, with upstream's names and order. */

import type { TopomStats } from "../api/topom-stats.ts";
import { GROUP } from "../model/group.ts";
import { PROXY } from "../model/proxy.ts";
import type { Codec } from "../model/record.ts";
import { SENTINEL } from "../model/sentinel.ts";
import { MAPPING } from "../model/slot.ts";
import type { Cluster } from "./cluster.ts";
import { sortedGroups, sortedProxies } from "./cluster.ts";

export interface Measured {
  readonly closed: boolean;
  readonly servers: TopomStats["group"]["stats"];
  readonly proxies: TopomStats["proxy"]["stats"];
  readonly slotAction: TopomStats["slot_action"];
}

export function topomStats(cluster: Cluster, measured: Measured): TopomStats {
  return {
    closed: measured.closed,
    slots: cluster.slots.map((mapping) => asSent(MAPPING, mapping)),
    group: {
      models: sortedGroups(cluster).map((group) => asSent(GROUP, group)),
      stats: measured.servers,
    },
    proxy: {
      models: sortedProxies(cluster).map((proxy) => asSent(PROXY, proxy)),
      stats: measured.proxies,
    },
    slot_action: measured.slotAction,
    sentinels: { model: asSent(SENTINEL, cluster.sentinel), stats: {}, masters: {} },
  };
}

/** The record without the fields that are left out when zero; its reader fills them in again. */
function asSent<T>(codec: Codec<T>, value: T): T {
  return codec.write(value) as unknown as T;
}
