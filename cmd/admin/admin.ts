/**
 * `codis admin`: look at a cluster and change it. Readable verbs with `--json`; when the first word
 * is an option (`--dashboard=ADDR --rebalance`), the original's flags and output (original.ts).
 */

import { type Command, CommanderError } from "commander";
import { CodisError, errorText } from "../../src/base/errors.ts";
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, newCommand } from "../flags.ts";
import { addGroupVerbs } from "./group.ts";
import { nextStepFor } from "./next-steps.ts";
import { runOriginal } from "./original.ts";
import { addProxyVerbs } from "./proxy.ts";
import { addRebalanceVerb } from "./rebalance.ts";
import { addSlotVerbs } from "./slot.ts";
import { addStatusVerb } from "./status.ts";
import { addVerb, doing } from "./verbs.ts";

/** @returns the exit code */
export async function runAdmin(argv: readonly string[]): Promise<number> {
  const words = verbFirst(argv);
  const first = words[0] ?? "--help";
  const isReadable = !first.startsWith("-") || ["--help", "-h", "--version"].includes(first);
  if (!isReadable) return runOriginal(argv);
  const admin = adminCommand();
  try {
    await admin.parseAsync(words, { from: "user" });
    return EXIT_DONE;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_USAGE;
    if (!(error instanceof CodisError)) throw error;
    const text = errorText(error);
    const step = nextStepFor(text);
    process.stderr.write(`codis admin: ${text}\n${step === "" ? "" : `${step}\n`}`);
    return error.code === "usage" ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** Verbs that are no words of the original; `group`, `proxy` and `slots` after an option are its own. */
const OWN_VERBS = ["status", "slot", "rebalance", "reload", "shutdown"];

/** Options may stand before a verb of ours, too: `-d ADDR status` is `status -d ADDR`. */
function verbFirst(argv: readonly string[]): string[] {
  const at = argv.findIndex((word) => OWN_VERBS.includes(word));
  return at <= 0 || !argv[0]!.startsWith("-")
    ? [...argv]
    : [...argv.slice(at), ...argv.slice(0, at)];
}

function adminCommand(): Command {
  const admin = newCommand(
    "codis admin",
    "Look at a cluster and change it.",
    "codis admin rebalance --confirm --dashboard 127.0.0.1:18080\n" +
      "  codis admin --dashboard=127.0.0.1:18080 --rebalance --confirm     (the original's flags)",
  );
  admin.addHelpText(
    "after",
    "\nEnvironment:\n" +
      "  CODIS_DASHBOARD     the dashboard when --dashboard is not given\n" +
      "  CODIS_PRODUCT_AUTH  product_auth of the dashboard: changes from other hosts need it",
  );
  addStatusVerb(admin);
  addGroupVerbs(admin);
  addProxyVerbs(admin);
  addSlotVerbs(admin);
  addRebalanceVerb(admin);
  addVerb(admin, "reload", "make the dashboard read its store again", () =>
    doing((dashboard) => dashboard.reload()),
  );
  addVerb(admin, "shutdown", "stop the dashboard; proxies serve on", () =>
    doing((dashboard) => dashboard.shutdown()),
  );
  return admin;
}
