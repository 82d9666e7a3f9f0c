/**
 * COMMAND: what the table says about commands. Only served ones are listed.
 * Source of the layout: Redis 7.0 src/server.c `addReplyCommandInfo`.
 */

import {
  ALL_COMMANDS,
  arityFits,
  type Command,
  findKeys,
  flagNames,
  lookupCommand,
} from "../../commands/lookup.ts";
import { argEnd, argIs, argStart, type Call, failSyntax, type Handler } from "../call.ts";
import { matchGlob } from "../glob.ts";
import { ReplyError } from "../replies.ts";
import { helpReply, runSubcommand, type Subcommands } from "./container.ts";

const SERVED = ALL_COMMANDS.filter((command) => command.server);

const COMMAND_HELP = [
  "(no subcommand)",
  "    Return details about all commands.",
  "COUNT",
  "    Return the total number of commands in this server.",
  "LIST",
  "    Return a list of all commands in this server.",
  "INFO [<command-name> ...]",
  "    Return details about multiple commands.",
  "    If no command names are given, documentation details for all",
  "    commands are returned.",
  "DOCS [<command-name> ...]",
  "    Return documentation details about multiple commands.",
  "GETKEYS <full-command>",
  "    Return the keys from a full command.",
];

function served(call: Call, i: number): Command | undefined {
  const command = lookupCommand(call.buf, argStart(call, i), argEnd(call, i));
  return command?.server ? command : undefined;
}

function replyInfo(call: Call, command: Command | undefined): void {
  const { out } = call;
  if (command === undefined) {
    out.nil();
    return;
  }
  const flags = flagNames(command.flags);
  const [first, last, step] = command.shown;
  out.array(10);
  out.bulkText(command.lower);
  out.integer(command.arity);
  out.array(flags.length);
  for (const flag of flags) out.simple(flag);
  out.integer(first);
  out.integer(last);
  out.integer(step);
  // Categories, tips, key specifications and subcommands: nobody asks us for them yet.
  for (let i = 0; i < 4; i++) out.emptyArray();
}

function info(call: Call): void {
  if (call.argc === 2) {
    all(call);
    return;
  }
  call.out.array(call.argc - 2);
  for (let i = 2; i < call.argc; i++) replyInfo(call, served(call, i));
}

function all(call: Call): void {
  call.out.array(SERVED.length);
  for (const command of SERVED) replyInfo(call, command);
}

/** Names alone: the texts are in the documentation of Redis. */
function docs(call: Call): void {
  const commands =
    call.argc === 2
      ? SERVED
      : Array.from({ length: call.argc - 2 }, (_, i) => served(call, i + 2) ?? []).flat();
  call.out.array(commands.length * 2);
  for (const command of commands) {
    call.out.bulkText(command.lower);
    call.out.emptyArray();
  }
}

function list(call: Call): void {
  if (call.argc > 2 && !argIs(call, 2, "filterby")) failSyntax();
  const names = call.argc > 2 ? SERVED.filter((command) => isWanted(call, command)) : SERVED;
  call.out.array(names.length);
  for (const { lower } of names) call.out.bulkText(lower);
}

function isWanted(call: Call, { lower }: Command): boolean {
  if (call.argc !== 5 || !argIs(call, 3, "pattern")) failSyntax();
  const name = Buffer.from(lower);
  return matchGlob(call.buf, argStart(call, 4), argEnd(call, 4), name, 0, name.length);
}

function getKeys(call: Call): void {
  const command = lookupCommand(call.buf, argStart(call, 2), argEnd(call, 2));
  if (command === undefined) throw new ReplyError("ERR Invalid command specified");
  const argc = call.argc - 2;
  if (!arityFits(command, argc)) {
    throw new ReplyError("ERR Invalid number of arguments specified for command");
  }
  const args = call.args.subarray(4);
  const keys = new Int32Array(argc);
  const count = findKeys(command, { buf: call.buf, args, argc }, keys);
  if (count < 0) throw new ReplyError("ERR Invalid arguments specified for command");
  if (count === 0) throw new ReplyError("ERR The command has no key arguments");
  call.out.array(count);
  for (let i = 0; i < count; i++) {
    call.out.bulk(call.buf, args[2 * keys[i]!]!, args[2 * keys[i]! + 1]!);
  }
}

const SUBCOMMANDS: Subcommands = new Map([
  ["count", { arity: 2, run: (call) => call.out.integer(SERVED.length) }],
  ["docs", { arity: -2, run: docs }],
  ["getkeys", { arity: -4, run: getKeys }],
  ["help", { arity: 2, run: (call) => helpReply(call, COMMAND_HELP) }],
  ["info", { arity: -2, run: info }],
  ["list", { arity: -2, run: list }],
]);

export const COMMAND_HANDLERS = {
  COMMAND: (call) => (call.argc === 1 ? all(call) : runSubcommand(call, SUBCOMMANDS)),
} as const satisfies Record<string, Handler>;
