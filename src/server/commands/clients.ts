/**
 * CLIENT: who is connected, and what a connection says about itself.
 * Source of texts and fields: Redis 7.0 (7.2 for SETINFO and NO-TOUCH) src/networking.c.
 */

import { argInteger, argIs, argText, type Call, failSyntax, type Handler } from "../call.ts";
import type { Client } from "../client.ts";
import { ReplyError } from "../replies.ts";
import { readClientName } from "./connection.ts";
import { helpReply, runSubcommand, type Subcommands } from "./container.ts";

const CLIENT_HELP = [
  "GETNAME",
  "    Return the name of the current connection.",
  "ID",
  "    Return the ID of the current connection.",
  "INFO",
  "    Return information about the current client connection.",
  "KILL <ip:port>",
  "    Kill connection made from <ip:port>.",
  "KILL <option> <value> [<option> <value> [...]]",
  "    Kill connections. Options are:",
  "    * ADDR (<ip:port>|<unixsocket>:0)",
  "      Kill connections made from the specified address",
  "    * LADDR (<ip:port>|<unixsocket>:0)",
  "      Kill connections made to specified local address",
  "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
  "      Kill connections by type.",
  "    * USER <username>",
  "      Kill connections authenticated by <username>.",
  "    * SKIPME (YES|NO)",
  "      Skip killing current connection (default: yes).",
  "LIST [options ...]",
  "    Return information about client connections. Options:",
  "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
  "      Return clients of specified type.",
  "    * ID <id> [<id> ...]",
  "      Return clients of specified IDs only.",
  "NO-EVICT (ON|OFF)",
  "    Protect current client connection from eviction.",
  "NO-TOUCH (ON|OFF)",
  "    Will not touch LRU/LFU stats when this mode is on.",
  "REPLY (ON|OFF|SKIP)",
  "    Control the replies sent to the current connection.",
  "SETINFO <option> <value>",
  "    Set client meta attr. Options are:",
  "    * LIB-NAME: the client lib name.",
  "    * LIB-VER: the client lib version.",
  "SETNAME <name>",
  "    Assign the name <name> to the current connection.",
];

/** A client's line in CLIENT LIST. */
function describe(call: Call, client: Client): string {
  const second = (ms: number): number => Math.max(0, Math.floor((call.nowMs - ms) / 1000));
  const backlog = client.port.backlogBytes();
  const pending = client.port.pendingBytes();
  return [
    `id=${client.id}`,
    `addr=${client.address}`,
    `laddr=${client.localAddress}`,
    `fd=-1 name=${client.name}`,
    `age=${second(client.createdMs)}`,
    `idle=${second(client.lastActiveMs)}`,
    "flags=N",
    `db=${client.dbIndex}`,
    "sub=0 psub=0 ssub=0 multi=-1",
    `qbuf=${pending} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0`,
    `obl=${backlog} oll=0 omem=${backlog} tot-mem=${pending + backlog}`,
    `events=${backlog > 0 ? "rw" : "r"}`,
    `cmd=${client.lastCommand}`,
    "user=default redir=-1 resp=2",
    `lib-name=${client.libraryName}`,
    `lib-ver=${client.libraryVersion}`,
  ].join(" ");
}

/** There are only normal clients. @throws ReplyError for a word that is no type at all */
function isNormalType(call: Call, i: number): boolean {
  const word = argText(call, i).toLowerCase();
  if (!["normal", "master", "slave", "replica", "pubsub"].includes(word)) {
    throw new ReplyError(`ERR Unknown client type '${argText(call, i)}'`);
  }
  return word === "normal";
}

function list(call: Call): void {
  let chosen = [...call.server.clients.values()];
  if (call.argc === 4 && argIs(call, 2, "type")) {
    if (!isNormalType(call, 3)) chosen = [];
  } else if (call.argc > 3 && argIs(call, 2, "id")) {
    const rule = new ReplyError("ERR Invalid client ID");
    const ids = Array.from({ length: call.argc - 3 }, (_, i) => argInteger(call, i + 3, rule));
    if (ids.some((id) => id < 1)) throw rule;
    chosen = ids.flatMap((id) => call.server.clients.get(id) ?? []);
  } else if (call.argc > 2) {
    failSyntax();
  }
  call.out.bulkText(chosen.map((client) => `${describe(call, client)}\n`).join(""));
}

interface Filter {
  id: number | undefined;
  address: string | undefined;
  localAddress: string | undefined;
  /** Nobody can match: another type or user. */
  isNobody: boolean;
  skipsMe: boolean;
}

function readFilter(call: Call): Filter {
  const filter: Filter = {
    id: undefined,
    address: undefined,
    localAddress: undefined,
    isNobody: false,
    skipsMe: true,
  };
  for (let i = 2; i < call.argc; i += 2) {
    if (i + 1 >= call.argc) failSyntax();
    if (argIs(call, i, "id")) {
      const rule = new ReplyError("ERR client-id should be greater than 0");
      filter.id = argInteger(call, i + 1, rule);
      if (filter.id < 1) throw rule;
    } else if (argIs(call, i, "addr")) filter.address = argText(call, i + 1);
    else if (argIs(call, i, "laddr")) filter.localAddress = argText(call, i + 1);
    else if (argIs(call, i, "type")) filter.isNobody ||= !isNormalType(call, i + 1);
    else if (argIs(call, i, "user")) {
      const user = argText(call, i + 1);
      if (user !== "default") throw new ReplyError(`ERR No such user '${user}'`);
    } else if (argIs(call, i, "skipme")) {
      if (!argIs(call, i + 1, "yes") && !argIs(call, i + 1, "no")) failSyntax();
      filter.skipsMe = argIs(call, i + 1, "yes");
    } else failSyntax();
  }
  return filter;
}

function passes(filter: Filter, client: Client, me: Client): boolean {
  if (filter.isNobody || (filter.skipsMe && client === me)) return false;
  if (filter.id !== undefined && filter.id !== client.id) return false;
  if (filter.address !== undefined && filter.address !== client.address) return false;
  return filter.localAddress === undefined || filter.localAddress === client.localAddress;
}

function closeClient(client: Client, me: Client): void {
  if (client === me) me.closeAfterReply();
  else client.port.close();
}

function kill(call: Call): void {
  const me = call.client;
  const clients = [...call.server.clients.values()];
  if (call.argc === 3) {
    const client = clients.find((one) => one.address === argText(call, 2));
    if (client === undefined) throw new ReplyError("ERR No such client");
    closeClient(client, me);
    call.out.ok();
    return;
  }
  const filter = readFilter(call);
  const chosen = clients.filter((client) => passes(filter, client, me));
  for (const client of chosen) closeClient(client, me);
  call.out.integer(chosen.length);
}

function setName(call: Call): void {
  call.client.name = readClientName(call, 2);
  call.out.ok();
}

function setInfo(call: Call): void {
  const option = argText(call, 2).toLowerCase();
  if (option !== "lib-name" && option !== "lib-ver") {
    throw new ReplyError(`ERR Unrecognized option '${argText(call, 2)}'`);
  }
  const rule = `ERR ${option} cannot contain spaces, newlines or special characters.`;
  const value = readClientName(call, 3, rule);
  if (option === "lib-name") call.client.libraryName = value;
  else call.client.libraryVersion = value;
  call.out.ok();
}

/** NO-EVICT and NO-TOUCH: clients are not evicted here, and keys know no time of use. */
function acceptSwitch(call: Call): void {
  if (!argIs(call, 2, "on") && !argIs(call, 2, "off")) failSyntax();
  call.out.ok();
}

function reply(call: Call): void {
  const { client } = call;
  if (argIs(call, 2, "on")) {
    client.replyMode = "on";
    call.out.ok();
  } else if (argIs(call, 2, "off")) {
    client.replyMode = "off";
  } else if (argIs(call, 2, "skip")) {
    if (client.replyMode === "on") client.replyMode = "skip-next";
  } else failSyntax();
}

const SUBCOMMANDS: Subcommands = new Map([
  [
    "getname",
    {
      arity: 2,
      run: (call) => {
        if (call.client.name === "") call.out.nil();
        else call.out.bulkText(call.client.name);
      },
    },
  ],
  ["help", { arity: 2, run: (call) => helpReply(call, CLIENT_HELP) }],
  ["id", { arity: 2, run: (call) => call.out.integer(call.client.id) }],
  ["info", { arity: 2, run: (call) => call.out.bulkText(`${describe(call, call.client)}\n`) }],
  ["kill", { arity: -3, run: kill }],
  ["list", { arity: -2, run: list }],
  ["no-evict", { arity: 3, run: acceptSwitch }],
  ["no-touch", { arity: 3, run: acceptSwitch }],
  ["reply", { arity: 3, run: reply }],
  ["setinfo", { arity: 4, run: setInfo }],
  ["setname", { arity: 3, run: setName }],
]);

export const CLIENT_HANDLERS = {
  CLIENT: (call) => runSubcommand(call, SUBCOMMANDS),
} as const satisfies Record<string, Handler>;
