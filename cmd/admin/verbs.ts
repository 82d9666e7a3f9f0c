/**
 * What the readable verbs share: reading arguments, running against a dashboard, printing.
 *
 *   arguments ──prepare──> Work, or a usage error ──> dashboard found and asked ──> Work ──> Answer
 */

import type { Command } from "commander";
import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import { parseAddress } from "../../src/base/address.ts";
import { CodisError } from "../../src/base/errors.ts";
import { GROUP_ID_MAX, GROUP_ID_MIN } from "../../src/model/group.ts";
import { SLOT_COUNT } from "../../src/slots/hash.ts";
import { shownValue } from "../flags.ts";
import { openDashboard, type VerbFlags, withVerbFlags } from "./dashboard.ts";

/** What a verb has to say, to people and to machines. */
export interface Answer {
  /** Ends in a line feed. */
  readonly text: string;
  readonly json: unknown;
}

export const DONE: Answer = { text: "ok\n", json: { ok: true } };

/** What a verb does at its dashboard. */
export type Work = (dashboard: DashboardClient) => Promise<Answer>;

/** Throws CodisError "usage" for a wrong argument: nothing was sent by then. */
type Prepare<Flags> = (args: readonly string[], flags: Flags) => Work;

/** The work of a verb that has nothing to tell but that it is done. */
export function doing(act: (dashboard: DashboardClient) => Promise<void>): Work {
  return async (dashboard) => {
    await act(dashboard);
    return DONE;
  };
}

/** Adds a word that has verbs below it; `example` is a whole command line, shown under --help. */
export function addVerbGroup(
  admin: Command,
  name: string,
  summary: string,
  example: string,
): Command {
  return admin.command(name).description(summary).addHelpText("after", `\nExample:\n  ${example}`);
}

/**
 * Adds a verb to `parent`.
 * @param usage name and arguments as commander writes them: `add <gid> <addr>`
 */
export function addVerb<Flags extends VerbFlags>(
  parent: Command,
  usage: string,
  summary: string,
  prepare: Prepare<Flags>,
  options?: (command: Command) => void,
): void {
  const command = withVerbFlags(parent.command(usage).description(summary));
  options?.(command);
  command.action(async () => {
    const flags = command.opts<Flags>();
    const work = prepare(command.args, flags);
    const answer = await work(await openDashboard(flags));
    process.stdout.write(flags.json ? `${JSON.stringify(answer.json)}\n` : answer.text);
  });
}

/** A decimal integer in [min, max] that must be given; `name` is for the error text. */
export function integerArgument(
  name: string,
  text: string | undefined,
  min: number,
  max: number,
): number {
  if (text === undefined) throw new CodisError("usage", `Cannot go on without ${name}: name it`);
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new CodisError(
    "usage",
    `Cannot use ${name} ${shownValue(text)}: it must be ${min}..${max}`,
  );
}

export function groupArgument(text: string | undefined, name = "group"): number {
  return integerArgument(name, text, GROUP_ID_MIN, GROUP_ID_MAX);
}

/** `host:port`, as servers and proxies are known by. */
export function addressArgument(text: string | undefined): string {
  try {
    parseAddress(text ?? "");
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    throw new CodisError("usage", `Cannot use address '${text}': it must be host:port`);
  }
  return text!;
}

/** `7` or `0-511`, both ends included. */
export function slotRangeArgument(text: string): { begin: number; end: number } {
  const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text);
  const begin = Number(match?.[1] ?? NaN);
  const end = Number(match?.[2] ?? match?.[1] ?? NaN);
  if (begin <= end && end < SLOT_COUNT) return { begin, end };
  throw new CodisError(
    "usage",
    `Cannot use slots ${shownValue(text)}: write one slot (7) or a range (0-511) within 0-${SLOT_COUNT - 1}`,
  );
}
