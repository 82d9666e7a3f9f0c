/** Pure: the options of the original's `codis-admin`. Source: Codis 3.2 cmd/admin/main.go. */

import type { OptionNames } from "./original-options.ts";

export const ORIGINAL_NAMES: OptionNames = {
  values: [
    "dashboard proxy auth addr token pid gid gid-from gid-to num-slots sid beg end datacenter",
    "log-level fillslots interval disabled config-convert config-restore product filesystem",
    "zookeeper zookeeper-auth etcd etcd-auth",
  ].flatMap((names) => names.split(" ")),
  switches: [
    "start shutdown reset-stats forcegc locked list-group list-proxy slots-status slots-assign",
    "offline confirm create-proxy online-proxy remove-proxy reinit-proxy proxy-status create-group",
    "remove-group resync-group all group-add group-del replica-groups enable disable promote-server",
    "group-status sync-action create remove slot-action create-some create-range rebalance force",
    "sentinel-add sentinel-del sentinel-resync reload verbose remove-lock config-dump 1",
    "dashboard-list",
  ].flatMap((names) => names.split(" ")),
  shorts: { a: "auth", x: "addr", t: "token", g: "gid", v: "verbose", "1": "1" },
  verbs: ["status", "group", "slot", "help", "version"],
};
