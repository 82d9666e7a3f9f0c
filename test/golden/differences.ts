/**
 * Recorded rows that ours answers otherwise on purpose. Both sides are asserted: ours must be what
 * stands here, and must not be what the original said. `why` is the decision behind it.
 */

import type { ExpectedAnswer } from "./load.ts";

export interface Difference {
  readonly file: string;
  readonly id: string;
  /** What ours answers, in the form the row's matcher takes. */
  readonly ours: unknown;
  readonly why: string;
  /**
   * Rows of a server only. `apart`: it is asked on a connection of its own, because ours would end
   * the recorded one, or leave it waiting. `heldUntil`: ours answers only once that row is done.
   */
  readonly apart?: true;
  readonly heldUntil?: string;
  /** Under which rules of the proxy; without it the default ones. */
  readonly mode?: "default" | "codis";
}

const AS_REDIS_AT_PROXY = "PING x and INFO section at the proxy are answered as by Redis";
const NAMED_REFUSAL = "what is not supported yet is refused by name";
const NEXT_STEP_SAID = "an error of ours says what to do next";
const COLOCATED = "keys in different slots are answered with CROSSSLOT";
const ONE_KEY = "a command with one key goes to the backend of its slot";
const COMMAND_IS_LOCAL = "one command table says what the proxy takes";
const PROTOCOL_ERROR = "a null bulk as an argument is a protocol error";
const BODY_REFUSED = "a body that cannot be read is answered with a cause";
const HTTP_CUT_OFF = "POST and Host: are HTTP from a web page: cut off at once, as by Redis";
const OWN_FORMS = "a chunk is taken whatever form the value has inside";
const PORTABLE_PAYLOADS = "payloads are in version 6, which every server reads";
const SIZE_LEFT = "the size of a slot is what is left in it, so that no call is needed to see 0";
const HELD_BACK = "a write to a key that is on its way is held back, not lost";
const IN_ORDER = "replies of a connection come in the order of its requests";
const WRAPPED = "no command about the connection is executed in the wrapper";
const LINK_ERRORS = "an error on a migration link is an ACK, and ends it: no echo storm";
const REDIS_7 = "stock commands answer as Redis 7.0";

/** What ours says behind the original's refusal of a command that is about all keys. */
const NEXT_STEP =
  ": each server has only its own keys; " +
  "send it to the master of each group, see 'codis admin group list'\r\n";

function forEachServer(name: string): string {
  return `-ERR handle request, command '${name}' is not allowed${NEXT_STEP}`;
}

function notSupportedYet(name: string): ExpectedAnswer {
  return { reply: `-ERR handle request, command '${name}' is not supported yet\r\n` };
}

/** A row of transcript.json; the newer record of the same exchange has the text ours has. */
function unknownRow(id: string, command: string, shown: string, behind = ""): Difference {
  const text = `-ERR unknown command '${command}', with args beginning with: ${shown}\r\n`;
  return { file: "proxy/transcript.json", id, ours: { reply: text + behind }, why: REDIS_7 };
}

/** A row of both transcripts of the proxy, which number their rows apart from the 130th on. */
function transcriptRow(ids: readonly [string, string], ours: ExpectedAnswer, why: string) {
  return [
    { file: "proxy/transcript.json", id: ids[0], ours, why },
    { file: "proxy/transcript-redis7.json", id: ids[1], ours, why },
  ];
}

function forEachServerRow(ids: readonly [string, string], reply: string, closed?: true) {
  const ours = closed === undefined ? { reply } : { reply, closed };
  return transcriptRow(ids, ours, NEXT_STEP_SAID);
}

/** Also under compat: what a page put behind it was executed. */
function httpRows(id: string): Difference[] {
  const ours = { reply: "", closed: true };
  const codis = { file: "proxy/transcript-redis7.json", mode: "codis" } as const;
  return [
    ...transcriptRow([id, id], ours, HTTP_CUT_OFF),
    { ...codis, id, ours, why: HTTP_CUT_OFF },
  ];
}

function serverRow(file: string, id: string, reply: string, why: string): Difference {
  return { file: `server/transcripts/${file}`, id, ours: { reply }, why };
}

/** As recorded, and the four empty lists that COMMAND INFO has since Redis 7. */
function commandInfoRow(
  id: string,
  name: string,
  arity: number,
  flags: readonly string[],
  keys = ":0\r\n:0\r\n:0\r\n",
): Difference {
  const shown = flags.map((flag) => `+${flag}\r\n`).join("");
  const row = `$${name.length}\r\n${name}\r\n:${arity}\r\n*${flags.length}\r\n${shown}${keys}`;
  const reply = `*1\r\n*10\r\n${row}${"*0\r\n".repeat(4)}`;
  return serverRow("command-info.json", id, reply, REDIS_7);
}

const NO_KEY = "the specified key doesn't exist";

function notWrapped(name: string): string {
  const text = "ERR command not allowed in SLOTSMGRT-EXEC-WRAPPER, send it by itself";
  return `*2\r\n:-1\r\n-${text} (${name})\r\n`;
}

/** Payloads in version 6: a list a b c d e, a set of a, and one of 1 2 3. */
const OBJECT_ABCDE = "0105016101620163016401650600ecaef7b6003f4429";
const OBJECT_SET_A = "020101610600f47b81feb18726fe";
const OBJECT_SET_123 = "0203c001c002c0030600bb341253e7512fcf";
/** What a payload of the set 2 3 5 a b is read as. */
const SET_OF_FIVE = {
  kind: "set",
  text: "",
  items: [],
  entries: ["2", "3", "5", "a", "b"].map((member) => [member, ""]),
};

const SELECT_0 = ["SLOTSRESTORE-ASYNC-SELECT", "0"];

function deleted(key: string): string[] {
  return ["SLOTSRESTORE-ASYNC", "delete", key];
}

const ZERO = "\0".repeat(8);
/** Four members with a score of 0, two in a chunk, the last of them first. */
const ZEROS_IN_CHUNKS: unknown[] = [
  SELECT_0,
  deleted("z"),
  ["zset", "z", "3000", "4", "m".repeat(65), ZERO, "d", ZERO],
  ["zset", "z", "3000", "4", "c", ZERO, "b", ZERO],
  ["zset", "z", "3000", "4"],
  ["expire", "z", 0, undefined],
];

function flowRow(id: string, reply: string, requests: unknown[], why: string): Difference {
  return { file: "server/flows/migration-flows.json", id, ours: { reply, requests }, why };
}

function heldRow(id: string, heldUntil: string, reply: string, why: string): Difference {
  const ours = { reply, held: true };
  return { file: "server/transcripts/async-control.json", id, ours, why, heldUntil };
}

/** The messages that bring a key as one object. */
function objectOf(key: string, payloadHex: string): string {
  const payload = Buffer.from(payloadHex, "hex").toString("latin1");
  const name = `$${key.length}\r\n${key}\r\n`;
  const command = "$18\r\nSLOTSRESTORE-ASYNC\r\n";
  const object = `$6\r\nobject\r\n${name}$1\r\n0\r\n$${payload.length}\r\n${payload}\r\n`;
  return `*2\r\n*3\r\n${command}$6\r\ndelete\r\n${name}*5\r\n${command}${object}`;
}

/** A link whose target has accepted it and said nothing, with three keys waiting. */
const STATUS_UNANSWERED =
  /^\*18\r\n\$4\r\nhost\r\n\$9\r\n127.0.0.1\r\n\$4\r\nport\r\n\$\d\r\n\d+\r\n\$4\r\nused\r\n\$1\r\n0\r\n\$7\r\ntimeout\r\n\$5\r\n30000\r\n\$7\r\nlastuse\r\n\$13\r\n\d+\r\n\$13\r\nsince_lastuse\r\n\$\d\r\n\d+\r\n\$12\r\nsending_msgs\r\n\$1\r\n[01]\r\n\$15\r\nblocked_clients\r\n\$1\r\n[13]\r\n\$16\r\nbatched_iterator\r\n\*16\r\n\$4\r\nkeys\r\n\*2\r\n\$1\r\n3\r\n\*3\r\n\$1\r\nk\r\n\$4\r\n\{t\}1\r\n\$4\r\n\{t\}2\r\n\$7\r\ntimeout\r\n\$5\r\n30000\r\n\$8\r\nmaxbulks\r\n\$1\r\n2\r\n\$8\r\nmaxbytes\r\n\$6\r\n524288\r\n\$13\r\nestimate_msgs\r\n\$1\r\n3\r\n\$12\r\nremoved_keys\r\n\$1\r\n0\r\n\$12\r\nchunked_vals\r\n\$1\r\n0\r\n\$9\r\niterators\r\n\*2\r\n\$1\r\n3\r\n\*16\r\n\$3\r\nkey\r\n\$1\r\nk\r\n\$8\r\nval.type\r\n\$2\r\n-1\r\n\$5\r\nstage\r\n\$1\r\n0\r\n/;

/** What a target answers on a migration link. */
function ack(code: number, text: string): string {
  const head = "*3\r\n$22\r\nSLOTSRESTORE-ASYNC-ACK\r\n";
  return `${head}$${String(code).length}\r\n${code}\r\n$${text.length}\r\n${text}\r\n`;
}

/** Chunks for values in a compact form, where the original wants its large one. */
function otherFormRow(id: string): Difference {
  const text = {
    "58": "$8\r\nlistpack\r\n",
    "60": ack(0, "2"),
    "65": "$8\r\nlistpack\r\n",
    "68": ack(0, "2"),
    "76": "$8\r\nlistpack\r\n",
    "78": ack(0, "1"),
  }[id]!;
  return serverRow("slotsrestore-async.json", id, text, OWN_FORMS);
}

/** A body the original ignores; ours answers status 800 with a cause. */
function refusedBody(id: string, cause: string): Difference {
  const headers = { "Content-Type": "application/json; charset=utf-8" };
  const body = `{\n    "Cause": ${JSON.stringify(cause)},\n    "Stack": null\n}`;
  return { file: "proxy/http.json", id, ours: { status: 800, headers, body }, why: BODY_REFUSED };
}

/** The dump that row restores, shown because it was not confirmed: an offline slot beside a group. */
const RESTORED_OFFLINE_SLOT = `${JSON.stringify(
  {
    slots: [{ id: 1023, group_id: 0, action: {} }],
    group: [
      {
        id: 1,
        servers: [{ server: "10.0.0.1:6379", datacenter: "", action: {}, replica_group: false }],
        promoting: {},
        out_of_sync: false,
      },
    ],
  },
  null,
  4,
)}\n`;

/** A row of codis-admin whose arguments are wrong: ours looks at all of them before it calls. */
function adminUsageRow(id: string, args: readonly string[]): Difference {
  const ours = { args, exit: 1, requests: [], stdout: "" };
  return {
    file: "dashboard/admin.json",
    id,
    ours,
    why: "a mistake in the arguments sends nothing",
  };
}

const MODEL_BODY_REFUSED = "a body that cannot be read is refused whole";

function refusedModelBody(id: string, cause: string): Difference {
  const ours = { status: 800, answer: cause, type: "application/json; charset=utf-8" };
  return {
    file: "dashboard/errors.json",
    id: `accepted_oddities/${id}`,
    ours,
    why: MODEL_BODY_REFUSED,
  };
}

export const DIFFERENCES: readonly Difference[] = [
  {
    file: "storage/admin-offline.json",
    id: "1",
    ours: { exit: 0, stdout: RESTORED_OFFLINE_SLOT },
    why: "group 0, which offline slots have, can be restored",
  },
  adminUsageRow("32", ["--resync-group"]),
  adminUsageRow("56", ["--log-level=LOUD"]),
  adminUsageRow("57", ["--create-group", "--gid=x"]),
  {
    file: "dashboard/errors.json",
    id: "cases/12",
    ours: { status: 200, answer: '"OK"', type: "application/json; charset=utf-8" },
    why: "a stock server can be a member",
  },
  {
    file: "dashboard/errors-by-state.json",
    id: "22",
    ours: {
      status: 800,
      answer:
        "ERR Client sent AUTH, but no password is set: product_auth of the dashboard is set, " +
        "requirepass of server-[127.0.0.1:22147] is not; set it to the same password",
    },
    why: NEXT_STEP_SAID,
  },
  refusedBody("fill-garbage", 'Cannot read slots: not JSON, Unexpected identifier "garbage"'),
  refusedBody("fill-empty", "Cannot read slots: not JSON, Unexpected EOF"),
  ...transcriptRow(["3", "3"], { reply: "$5\r\nhello\r\n" }, AS_REDIS_AT_PROXY),
  ...transcriptRow(["6", "6"], { reply: "$11\r\n127.0.0.1:1\r\n" }, AS_REDIS_AT_PROXY),
  ...["104", "105", "106"].flatMap((id) => forEachServerRow([id, id], forEachServer("KEYS"))),
  ...forEachServerRow(["107", "107"], forEachServer("FLUSHALL")),
  ...forEachServerRow(["108", "108"], forEachServer("DBSIZE")),
  ...forEachServerRow(["113", "113"], forEachServer("SCAN")),
  ...forEachServerRow(["175", "172"], `+PONG\r\n$2\r\nhi\r\n${forEachServer("KEYS")}+OK\r\n`, true),
  ...forEachServerRow(["181", "178"], forEachServer("KEYS")),
  ...forEachServerRow(["200", "197"], forEachServer("KEYS"), true),
  ...forEachServerRow(["201", "198"], `+PONG\r\n${forEachServer("KEYS")}`, true),
  ...transcriptRow(["111", "111"], notSupportedYet("MULTI"), NAMED_REFUSAL),
  ...transcriptRow(["112", "112"], notSupportedYet("SUBSCRIBE"), NAMED_REFUSAL),
  ...transcriptRow(
    ["114", "114"],
    { reply: "-CROSSSLOT Keys in request don't hash to the same slot\r\n" },
    COLOCATED,
  ),
  ...transcriptRow(["116", "116"], { reply: "$-1\r\n" }, ONE_KEY),
  ...httpRows("117"),
  ...httpRows("118"),
  ...transcriptRow(["120", "120"], notSupportedYet("BLPOP"), NAMED_REFUSAL),
  ...transcriptRow(["121", "121"], notSupportedYet("SCRIPT"), NAMED_REFUSAL),
  ...transcriptRow(["151", "148"], { reply: "$0\r\n\r\n" }, AS_REDIS_AT_PROXY),
  ...transcriptRow(["152", "149"], { reply: /^\$\d+\r\n# Server\r\n/ }, AS_REDIS_AT_PROXY),
  ...transcriptRow(["166", "163"], { reply: "", closed: true }, PROTOCOL_ERROR),
  ...transcriptRow(["215", "212"], { reply: "$15\r\n127.0.0.1:21001\r\n" }, AS_REDIS_AT_PROXY),
  ...transcriptRow(["212", "209"], { reply: /^\*\d+\r\n\*6\r\n/ }, COMMAND_IS_LOCAL),
  {
    file: "proxy/transcript-redis7.json",
    id: "163",
    ours: { reply: "", closed: true },
    why: PROTOCOL_ERROR,
    mode: "codis",
  },
  unknownRow("123", "FOO", ""),
  unknownRow("124", "FOO", "'bar' "),
  unknownRow("125", "foo-bar", "'x' "),
  unknownRow("126", "A".repeat(64), "'x' "),
  unknownRow("129", "get", "'a' "),
  unknownRow("160", "foo", "'bar' ", "+OK\r\n"),
  unknownRow("173", "$4", "", "-ERR wrong number of arguments for 'echo' command\r\n"),
  unknownRow("197", "FOO", ""),
  serverRow(
    "auth.json",
    "10",
    "-ERR unknown command 'NOSUCH', with args beginning with: \r\n",
    REDIS_7,
  ),
  serverRow(
    "auth.json",
    "16",
    "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
    REDIS_7,
  ),
  serverRow("slotscheck.json", "7", "+OK\r\n", "a key whose time is over is no error"),
  {
    file: "server/transcripts/dashboard.json",
    id: "13",
    ours: { reply: /^\$\d+\r\n# Replication\r\nrole:master\r\n(\w+:\S*\r\n)+\r\n$/ },
    why: REDIS_7,
  },
  // COMMAND INFO of the commands served, in the order recorded.
  commandInfoRow("0", "slotsinfo", -1, ["readonly", "fast"]),
  commandInfoRow("1", "slotsscan", -3, ["readonly", "random"]),
  commandInfoRow("2", "slotsdel", -2, ["write"], ":1\r\n:-1\r\n:1\r\n"),
  commandInfoRow("3", "slotsmgrtslot", -5, ["write"]),
  commandInfoRow("4", "slotsmgrttagslot", -5, ["write"]),
  commandInfoRow("5", "slotsmgrtone", 5, ["write"]),
  commandInfoRow("6", "slotsmgrttagone", 5, ["write"]),
  commandInfoRow("7", "slotshashkey", -1, ["readonly", "fast"]),
  commandInfoRow("8", "slotscheck", 0, ["readonly"]),
  commandInfoRow("9", "slotsrestore", -4, ["write", "denyoom"]),
  commandInfoRow("10", "slotsmgrtslot-async", 8, ["write", "noscript"]),
  commandInfoRow("11", "slotsmgrttagslot-async", 8, ["write", "noscript"]),
  commandInfoRow("12", "slotsmgrtone-async", -7, ["write", "noscript"]),
  commandInfoRow("13", "slotsmgrttagone-async", -7, ["write", "noscript"]),
  commandInfoRow("14", "slotsmgrtone-async-dump", -4, ["readonly", "denyoom"]),
  commandInfoRow("15", "slotsmgrttagone-async-dump", -4, ["readonly", "denyoom"]),
  commandInfoRow("16", "slotsmgrt-async-fence", 0, ["readonly", "noscript"]),
  commandInfoRow("17", "slotsmgrt-async-cancel", 0, ["fast"]),
  commandInfoRow("18", "slotsmgrt-async-status", 0, ["fast"]),
  commandInfoRow("19", "slotsmgrt-exec-wrapper", -3, ["write", "denyoom"]),
  commandInfoRow("20", "slotsrestore-async", -2, ["write", "denyoom"]),
  commandInfoRow("21", "slotsrestore-async-auth", 2, [
    "noscript",
    "loading",
    "stale",
    "fast",
    "no_auth",
  ]),
  commandInfoRow("22", "slotsrestore-async-select", 2, ["loading", "fast"]),
  commandInfoRow("23", "slotsrestore-async-ack", 3, ["write"]),
  ...["58", "60", "65", "68", "76", "78"].map((id) => otherFormRow(id)),
  ...["5", "6"].map((id) => ({
    ...serverRow("auth.json", id, ack(-1, "NOAUTH Authentication required."), LINK_ERRORS),
    apart: true as const,
  })),
  ...["15", "16"].map((id) =>
    serverRow("async-dump.json", id, objectOf("l", OBJECT_ABCDE), PORTABLE_PAYLOADS),
  ),
  serverRow("async-dump.json", "34", objectOf("ss", OBJECT_SET_A), PORTABLE_PAYLOADS),
  serverRow("async-dump.json", "32", objectOf("si", OBJECT_SET_123), PORTABLE_PAYLOADS),
  flowRow(
    "38",
    ":1\r\n",
    [SELECT_0, deleted("s"), ["object", "s", 0, SET_OF_FIVE]],
    "a small set of strings is one block here, and one message",
  ),
  serverRow("async-migrate.json", "47", "*2\r\n:5\r\n:0\r\n", SIZE_LEFT),
  serverRow("async-migrate.json", "56", "*2\r\n:2\r\n:3\r\n", SIZE_LEFT),
  serverRow("async-migrate.json", "57", "*2\r\n:2\r\n:1\r\n", SIZE_LEFT),
  serverRow("async-migrate.json", "58", "*2\r\n:1\r\n:0\r\n", SIZE_LEFT),
  ...["11", "51"].map((id) => ({
    file: "server/transcripts/async-control.json",
    id,
    ours: { reply: STATUS_UNANSWERED },
    why: "no key leaves before the target has said as whom it knows the link",
  })),
  ...["27", "43"].map((id) => ({
    ...heldRow(id, "52", "+OK\r\n", HELD_BACK),
    apart: true as const,
  })),
  // Row 27 has not made the key yet.
  serverRow("async-control.json", "28", `*2\r\n:0\r\n-ERR ${NO_KEY}\r\n`, HELD_BACK),
  ...(
    [
      ["44", "+PONG\r\n"],
      ["45", "+OK\r\n"],
      ["46", "+OK\r\n"],
      ["47", ":0\r\n"],
      ["48", "+OK\r\n"],
    ] as const
  ).map(([id, reply]) => heldRow(id, "53", reply, IN_ORDER)),
  serverRow("exec-wrapper.json", "25", notWrapped("SLOTSMGRT-EXEC-WRAPPER"), WRAPPED),
  serverRow("exec-wrapper.json", "35", notWrapped("SELECT"), WRAPPED),
  serverRow("exec-wrapper.json", "36", "$1\r\n1\r\n", WRAPPED),
  serverRow("exec-wrapper.json", "39", "*2\r\n:2\r\n$1\r\nv\r\n", "a full server lets reads pass"),
  // Row 19 restored the key that row 23 asks for.
  serverRow("slotsrestore.json", "23", ":1\r\n", "payloads up to version 12 are read"),
  serverRow("slotsrestore.json", "19", "+OK\r\n", "payloads up to version 12 are read"),
  serverRow("dashboard.json", "2", "-ERR DB index is out of range\r\n", REDIS_7),
  serverRow(
    "dashboard.json",
    "28",
    "-ERR AUTH <password> called without any password configured for the default user. " +
      "Are you sure your configuration is correct?\r\n",
    REDIS_7,
  ),
  {
    file: "server/flows/migration-flows.json",
    id: "56",
    ours: { reply: "-ERR error on slotsrestore, auth failed\r\n", requests: [["AUTH", "other"]] },
    why: "no key leaves before the target has taken the password",
  },
  flowRow("41", ":1\r\n", ZEROS_IN_CHUNKS, "a score of -0 is 0, as in the small form of Redis"),
  flowRow("50", "*2\r\n:1\r\n:0\r\n", [SELECT_0, deleted("a"), ["string", "a", 0, "1"]], SIZE_LEFT),
  flowRow(
    "51",
    "*2\r\n:2\r\n:0\r\n",
    [
      SELECT_0,
      ...[deleted("{a}1"), ["string", "{a}1", 0, "1"]],
      ...[deleted("{a}2"), ["string", "{a}2", 0, "2"]],
    ],
    SIZE_LEFT,
  ),
  flowRow(
    "57",
    "-ERR interrupted: target answered: invalid password\r\n",
    [["SLOTSRESTORE-ASYNC-AUTH", "other"]],
    "no key leaves before the target has taken the password, and the error says what it answered",
  ),
  refusedModelBody("0", "Cannot read slots: not JSON, Property name must be a string literal"),
  refusedModelBody("1", "Cannot read slots: not JSON, Unexpected EOF"),
  refusedModelBody("2", "Cannot read slots[0]: null must be an element"),
  refusedModelBody("3", 'Cannot read slots: {"id":1} must be an array'),
  refusedModelBody("4", 'Cannot read slots[1].id: "x" must be an integer'),
];
