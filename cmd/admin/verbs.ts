/**
 * What the readable verbs share: reading arguments, running against a dashboard, printing.
 *
 *   arguments ──prepare──> Work, or a usage error ──> dashboard found and asked ──> Work ──> Answer
 */

import type { Command } from "commander";
import type { DashboardClient } from "../../src/api/dashboard-client.ts";
import { parseAddress } from "../../src/base/address.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
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

export const DONE = { text: "ok\n", json: { ok: true } } as const satisfies Answer;

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

/**
 * Does `work`; its error gets the next step behind it, where there is one.
 * @param stepFor given the error's text; "" for none
 */
export async function withStep(
  work: () => Promise<void>,
  stepFor: (text: string) => string | Promise<string>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    const text = errorText(error);
    const step = await stepFor(text);
    if (step === "") throw error;
    throw new CodisError(error.code, `${text}\n${step}`);
  }
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

/** Slots in a row, both ends included. */
export interface SlotRange {
  readonly begin: number;
  readonly end: number;
}

/** `7`, `0-511` or several of these behind commas, as given; no slot twice. */
export function slotRangesArgument(text: string): SlotRange[] {
  const ranges = text.split(",").map((part): SlotRange => {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    const begin = Number(match?.[1] ?? NaN);
    const end = Number(match?.[2] ?? match?.[1] ?? NaN);
    if (begin <= end && end < SLOT_COUNT) return { begin, end };
    throw new CodisError(
      "usage",
      `Cannot use slots ${shownValue(text)}: write slots (7), ranges (0-511) or both (1,5,8-9) within ` +
        `0-${SLOT_COUNT - 1}`,
    );
  });
  const ids = slotsOf(ranges);
  const twice = ids.find((id, i) => ids.indexOf(id) < i);
  if (twice === undefined) return ranges;
  throw new CodisError(
    "usage",
    `Cannot use slots ${shownValue(text)}: slot ${twice} stands there twice`,
  );
}

/** The ids in ranges, in their order. */
export function slotsOf(ranges: readonly SlotRange[]): number[] {
  return ranges.flatMap(({ begin, end }) =>
    Array.from({ length: end - begin + 1 }, (_, i) => begin + i),
  );
}
