/** A server in a process of its own, to be killed: `bun child.ts key=value ...`; prints its port. */

import { defaultConfig } from "../../../src/base/config.ts";
import type { Log } from "../../../src/base/log.ts";
import { SERVER_CONFIG } from "../../../src/server/config.ts";
import { startServer } from "../../../src/server/server.ts";
import { RecordingLog } from "../../support/own-server.ts";

const changes = process.argv.slice(2).map((word) => {
  const [key, value] = word.split("=") as [string, string];
  if (value === "true" || value === "false") return [key, value === "true"];
  return [key, /^\d+$/.test(value) ? Number(value) : value];
});
const config = {
  ...defaultConfig(SERVER_CONFIG),
  port: 0,
  save: "",
  appendonly: true,
  ...Object.fromEntries(changes),
};
const log = new RecordingLog();
const server = await startServer(config, log as unknown as Log);
process.stdout.write(`${JSON.stringify({ port: server.port, lines: log.lines })}\n`);
await server.done;
