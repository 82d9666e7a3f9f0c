/**
 * Routes of the original's dashboard that ours does not serve yet. Each answers what is missing and
 * what can be done instead, where a 404 would look as if the address were wrong. Paths are
 * upstream's, pkg/topom/topom_api.go; a row goes when its route comes.
 */

import type { Route } from "../api/http.ts";
import { CodisError } from "../base/errors.ts";

const PROMOTION =
  "promoting a server is not served yet: start the group's master again if it is down; if it runs, " +
  "put its successor into a new group and move the slots there";
const READ_REPLICAS =
  "reading from replicas is not served yet, masters answer all reads: move slots to more groups to " +
  "spread them";
const SYNC_ACTIONS =
  "sync actions are not served yet: send REPLICAOF with the master's address to a stock server that " +
  "is to be its replica";
const SENTINELS =
  "sentinels are not served yet, nobody takes over for a master that is down: start it again";

/** Method, path below `/api/topom/`, what to say. */
const ROWS: readonly (readonly [Route["method"], string, string])[] = [
  ["PUT", "group/promote/:xauth/:gid/:addr", PROMOTION],
  ["PUT", "group/replica-groups/:xauth/:gid/:addr/:value", READ_REPLICAS],
  ["PUT", "group/replica-groups-all/:xauth/:value", READ_REPLICAS],
  ["PUT", "group/action/create/:xauth/:addr", SYNC_ACTIONS],
  ["PUT", "group/action/remove/:xauth/:addr", SYNC_ACTIONS],
  ["PUT", "sentinels/add/:xauth/:addr", SENTINELS],
  ["PUT", "sentinels/del/:xauth/:addr/:force", SENTINELS],
  ["PUT", "sentinels/resync-all/:xauth", SENTINELS],
  ["GET", "sentinels/info/:addr", SENTINELS],
  ["GET", "sentinels/info/:addr/monitored", SENTINELS],
];

/** Routes that answer why not, and what to do. */
export function unservedRoutes(): Route[] {
  return ROWS.map(([method, path, text]) => ({
    method,
    path: `/api/topom/${path}`,
    reply: () => {
      throw new CodisError("conflict", text);
    },
  }));
}
