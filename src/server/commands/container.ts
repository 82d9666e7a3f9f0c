/** What commands with subcommands share: CLIENT, CONFIG, OBJECT and their like. */

import { argText, type Call } from "../call.ts";
import { ReplyError, unknownSubcommand, wrongArity } from "../replies.ts";

export interface Subcommand {
  /** Number of arguments with both names; negative: at least so many. */
  readonly arity: number;
  run(call: Call): void;
}

/** Lower-case word -> subcommand. */
export type Subcommands = ReadonlyMap<string, Subcommand>;

/** Runs the subcommand that argument 1 names. @throws ReplyError */
export function runSubcommand(call: Call, subcommands: Subcommands): void {
  const word = argText(call, 1);
  const subcommand = subcommands.get(word.toLowerCase());
  if (subcommand === undefined) throw new ReplyError(unknownSubcommand(call.command.name, word));
  checkSubcommandArity(call, subcommand.arity);
  subcommand.run(call);
}

/** @param arity as in Subcommand @throws ReplyError naming command and subcommand */
export function checkSubcommandArity(call: Call, arity: number): void {
  const name = `${call.command.lower}|${argText(call, 1).toLowerCase()}`;
  call.client.lastCommand = name;
  if (arity >= 0 ? call.argc !== arity : call.argc < -arity) throw new ReplyError(wrongArity(name));
}

/** The reply of `<command> HELP`. @param lines of the subcommands; how to ask for help is added */
export function helpReply(call: Call, lines: readonly string[]): void {
  const { name } = call.command;
  call.out.array(lines.length + 3);
  call.out.simple(`${name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:`);
  for (const line of lines) call.out.simple(line);
  call.out.simple("HELP");
  call.out.simple("    Prints this help.");
}
