/**
 * Which dashboard a readable verb talks to: `--dashboard`, else $CODIS_DASHBOARD, else that of a
 * `codis up` whose data lies in ./codis-data. And the product's password, which the environment
 * alone gives: everybody on a machine sees the arguments of its processes.
 */

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { DashboardClient } from "../../src/api/dashboard-client.ts";
import { CodisError, errorText } from "../../src/base/errors.ts";

const UP_FILE = "codis-data/up.json";

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

/** Throws CodisError "usage" when none is named, "unavailable" when it does not answer. */
export async function openDashboard(flags: VerbFlags): Promise<DashboardClient> {
  const address = flags.dashboard ?? process.env.CODIS_DASHBOARD ?? upDashboard();
  if (address === undefined) {
    throw new CodisError(
      "usage",
      `No dashboard: there is no ./${UP_FILE}; name one with --dashboard ADDR or in $CODIS_DASHBOARD`,
    );
  }
  try {
    const options = { productAuth: productAuthOfEnvironment() };
    return (await DashboardClient.open(address, options)).client;
  } catch (error) {
    if (!(error instanceof CodisError) || error.code !== "unavailable") throw error;
    const step = "start it (codis up, codis dashboard) or name another with --dashboard ADDR";
    throw new CodisError("unavailable", `${errorText(error)}\nNo dashboard at ${address}: ${step}`);
  }
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
