/**
 * Recorded rows that ours does not answer yet, and what each waits for. The list can only shrink:
 * `LATER_ROWS` is checked against it, and a row that begins to match must be struck.
 *
 * `ids` are single ids or ranges of numbers, as `rowsOf` and the transcripts name them; "all" is
 * for files of which nothing is run yet.
 */

export interface Later {
  readonly file: string;
  readonly ids: readonly string[] | "all";
  readonly waitsFor: string;
}

const REPLICATION = "replication";
const SENTINELS = "sentinels";
const PROMOTION = "promotion";
const READ_REPLICAS = "reading from replicas";
const SYNC_ACTIONS = "sync actions";
const SCRIPTS = "scripts";
const PUBSUB = "publish and subscribe";
const TRANSACTIONS = "transactions";

export const LATER: readonly Later[] = [
  // proxy
  { file: "proxy/transcript.json", ids: ["94-99"], waitsFor: SCRIPTS },
  { file: "proxy/transcript.json", ids: ["102"], waitsFor: PUBSUB },
  { file: "proxy/transcript-redis7.json", ids: ["94-99"], waitsFor: SCRIPTS },
  { file: "proxy/transcript-redis7.json", ids: ["102"], waitsFor: PUBSUB },

  // server
  { file: "server/transcripts/async-migrate.json", ids: ["92-94"], waitsFor: TRANSACTIONS },
  { file: "server/transcripts/async-migrate.json", ids: ["95"], waitsFor: SCRIPTS },
  { file: "server/transcripts/async-control.json", ids: ["22"], waitsFor: SCRIPTS },
  { file: "server/transcripts/exec-wrapper.json", ids: ["24", "34"], waitsFor: SCRIPTS },
  { file: "server/transcripts/exec-wrapper.json", ids: ["30-33"], waitsFor: TRANSACTIONS },
  { file: "server/transcripts/replica.json", ids: "all", waitsFor: REPLICATION },
  { file: "server/transcripts/dashboard.json", ids: ["14-19"], waitsFor: TRANSACTIONS },
  { file: "server/transcripts/dashboard.json", ids: ["21-27", "34-36"], waitsFor: REPLICATION },
  { file: "server/transcripts/dashboard.json", ids: ["31"], waitsFor: PUBSUB },
  { file: "server/captures/replication.json", ids: "all", waitsFor: REPLICATION },
  { file: "server/captures/sentinel.json", ids: "all", waitsFor: SENTINELS },

  // dashboard
  { file: "dashboard/ha.json", ids: "all", waitsFor: "codis ha" },
  { file: "dashboard/get/sentinel-info.json", ids: "all", waitsFor: SENTINELS },
  { file: "dashboard/get/sentinel-monitored.json", ids: "all", waitsFor: SENTINELS },
  {
    file: "dashboard/errors.json",
    ids: ["cases/17", "cases/18"],
    waitsFor: PROMOTION,
  },
  { file: "dashboard/errors.json", ids: ["cases/19"], waitsFor: READ_REPLICAS },
  { file: "dashboard/errors.json", ids: ["cases/20", "cases/21"], waitsFor: SYNC_ACTIONS },
  {
    file: "dashboard/errors.json",
    ids: ["cases/44", "cases/45", "cases/46"],
    waitsFor: SENTINELS,
  },
  { file: "dashboard/errors-by-state.json", ids: ["6"], waitsFor: READ_REPLICAS },
  { file: "dashboard/errors-by-state.json", ids: ["7-8", "11"], waitsFor: PROMOTION },
  { file: "dashboard/errors-by-state.json", ids: ["10"], waitsFor: SYNC_ACTIONS },
  { file: "dashboard/errors-by-state.json", ids: ["18-21"], waitsFor: SENTINELS },
  { file: "dashboard/traces.json", ids: ["9", "12-14"], waitsFor: PROMOTION },
  { file: "dashboard/traces.json", ids: ["10-11"], waitsFor: SYNC_ACTIONS },
  { file: "dashboard/traces.json", ids: ["15-19"], waitsFor: SENTINELS },

  // storage
  { file: "storage/etcd-requests.json", ids: "all", waitsFor: "etcd as coordinator" },
];

/** How many rows the list above names; lower it whenever one is struck, never raise it. */
export const LATER_ROWS = 146;
