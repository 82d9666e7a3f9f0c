/**
 * Pure: COMMAND, answered from the command table: what this proxy takes, in the form of Redis
 * before 7.0 (six fields per command), which every client reads. DOCS is an empty list: redis-cli
 * then goes without help texts.
 */

import {
  ALL_COMMANDS,
  type Command,
  findKeys,
  flagNames,
  lookupCommand,
} from "../commands/lookup.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { ReplyWriter } from "../resp/encoder.ts";
import {
  BAD_KEY_ARGUMENTS,
  NO_KEY_ARGUMENTS,
  NO_SUCH_COMMAND,
  unknownSubcommand,
} from "./replies.ts";
import { argText } from "./router.ts";
import type { Session } from "./session.ts";

/** Answers COMMAND [COUNT | INFO name... | LIST | DOCS | GETKEYS command...]. */
export function answerCommand(session: Session, decoder: RequestDecoder, command: Command): true {
  const out = new ReplyWriter();
  const subcommand = decoder.argc < 2 ? "" : argText(decoder, 1).toUpperCase();
  switch (subcommand) {
    case "":
      writeAll(out);
      break;
    case "COUNT":
      out.integer(served().length);
      break;
    case "LIST":
      out.array(served().length);
      for (const { lower } of served()) out.bulkText(lower);
      break;
    case "INFO":
      writeInfo(out, decoder);
      break;
    case "DOCS":
      out.emptyArray();
      break;
    case "GETKEYS":
      writeKeys(out, decoder);
      break;
    default:
      out.error(unknownSubcommand(command.name, argText(decoder, 1)));
  }
  session.answer(command.id, out.take());
  return true;
}

function served(): readonly Command[] {
  return ALL_COMMANDS.filter(({ proxy }) => proxy !== "refuse" && proxy !== "later");
}

function writeAll(out: ReplyWriter): void {
  const commands = served();
  out.array(commands.length);
  for (const command of commands) writeCommand(out, command);
}

function writeInfo(out: ReplyWriter, decoder: RequestDecoder): void {
  const { buf, args, argc } = decoder;
  if (argc === 2) {
    writeAll(out);
    return;
  }
  out.array(argc - 2);
  for (let i = 2; i < argc; i++) {
    const command = lookupCommand(buf, args[2 * i]!, args[2 * i + 1]!);
    if (command === undefined) out.nilArray();
    else writeCommand(out, command);
  }
}

function writeCommand(out: ReplyWriter, { lower, arity, flags, shown }: Command): void {
  const names = flagNames(flags);
  out.array(6);
  out.bulkText(lower);
  out.integer(arity);
  out.array(names.length);
  for (const name of names) out.simple(name);
  for (const place of shown) out.integer(place);
}

function writeKeys(out: ReplyWriter, decoder: RequestDecoder): void {
  const { buf, args } = decoder;
  const argc = decoder.argc - 2;
  const command = argc < 1 ? undefined : lookupCommand(buf, args[4]!, args[5]!);
  if (command === undefined) {
    out.error(NO_SUCH_COMMAND);
    return;
  }
  const keys = new Int32Array(argc);
  const request = { buf, args: args.subarray(4), argc };
  const count = findKeys(command, request, keys);
  if (count <= 0) {
    out.error(count === 0 ? NO_KEY_ARGUMENTS : BAD_KEY_ARGUMENTS);
    return;
  }
  out.array(count);
  for (let i = 0; i < count; i++) {
    const index = keys[i]!;
    out.bulk(buf, request.args[2 * index]!, request.args[2 * index + 1]!);
  }
}
