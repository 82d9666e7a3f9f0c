/**
 * Which dashboard a readable verb talks to: `--dashboard`, else $CODIS_DASHBOARD, else that of a
 * `codis up` whose data lies in ./codis-data. And the product's password, which the environment
 * alone gives: everybody on a machine sees the arguments of its processes.
 */

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { DashboardClient } from "../../src/api/dashboard-client.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { addressOfDashboard } from "../dashboard-address.ts";

const UP_FILE = "codis-data/up.json";
/** What only reads is answered from memory: a dashboard that takes longer is stopped or hangs. */
const READ_TIMEOUT_MS = 10_000;

/** Options that every verb has. */
export interface VerbFlags {
  dashboard?: string;
  json?: boolean;
}

/** Adds the options that every verb has. */
export function withVerbFlags(command: Command): Command {
  return command
    .option("-d, --dashboard <addr>", `dashboard; else $CODIS_DASHBOARD, else ./${UP_FILE}`)
    .option("--json", "print JSON for machines");
}

/**
 * @param readTimeoutMs for each call that only reads
 * @throws CodisError "usage" when none is named, "unavailable" or "timeout" when it does not answer
 */
export async function openDashboard(
  flags: VerbFlags,
  readTimeoutMs = READ_TIMEOUT_MS,
): Promise<DashboardClient> {
  const given = flags.dashboard ?? process.env.CODIS_DASHBOARD ?? upDashboard();
  if (given === undefined) {
    throw new CodisError(
      "usage",
      `No dashboard: there is no ./${UP_FILE}; name one with --dashboard ADDR or in $CODIS_DASHBOARD`,
    );
  }
  const address = addressOfDashboard(given);
  try {
    const options = { productAuth: productAuthOfEnvironment(), readTimeoutMs };
    return (await DashboardClient.open(address, options)).client;
  } catch (error) {
    const step = error instanceof CodisError ? nextStep(error, address) : undefined;
    if (step === undefined) throw error;
    throw new CodisError((error as CodisError).code, `${errorText(error)}\n${step}`);
  }
}

/** What can be done about a dashboard that gives no answer. */
function nextStep({ code }: CodisError, address: string): string | undefined {
  if (code === "unavailable") {
    const step = "start it (codis up, codis dashboard) or name another with --dashboard ADDR";
    return `No dashboard at ${address}: ${step}`;
  }
  if (code !== "timeout") return undefined;
  const step = "its process is stopped or hangs, or the way to it; look at it and at its log";
  return `The dashboard at ${address} does not answer: ${step}`;
}

/** The product's password; "" when none is given. */
export function productAuthOfEnvironment(): string {
  return process.env.CODIS_PRODUCT_AUTH ?? "";
}

function upDashboard(): string | undefined {
  try {
    const { dashboardAddress } = JSON.parse(readFileSync(UP_FILE, "utf8")) as {
      dashboardAddress?: string;
    };
    return dashboardAddress;
  } catch {
    // Absent or of another kind: then it is as if no cluster was started here.
    return undefined;
  }
}
