/** Our server in this process, on a free port, with a clock that can be set forward. */

import { type Clock, systemClock } from "../../src/base/clock.ts";
import { defaultConfig } from "../../src/base/config.ts";
import type { Log } from "../../src/base/log.ts";
import { SERVER_CONFIG, type ServerConfig } from "../../src/server/config.ts";
import { type RunningServer, startServer } from "../../src/server/server.ts";

/** The system's time, and what was added to it. */
class AdvancingClock implements Clock {
  #offsetMs = 0;
  now = (): number => systemClock.now() + this.#offsetMs;
  monotonic = (): number => systemClock.monotonic() + this.#offsetMs;

  advance(ms: number): void {
    this.#offsetMs += ms;
  }
}

/** Keeps what it is told. */
export class RecordingLog {
  readonly lines: string[] = [];
  error = (message: string, fields?: object): void => this.#add("error", message, fields);
  warn = (message: string, fields?: object): void => this.#add("warn", message, fields);
  info = (message: string, fields?: object): void => this.#add("info", message, fields);
  debug = (): void => {};

  #add(level: string, message: string, fields: object = {}): void {
    this.lines.push(`${level}: ${message} ${JSON.stringify(fields)}`);
  }
}

export interface OwnServerProcess extends RunningServer {
  readonly clock: AdvancingClock;
  readonly log: RecordingLog;
}

/** @param changes of the default configuration; the port is a free one, and nothing is saved */
export async function startOwnServer(
  changes: Partial<ServerConfig> = {},
): Promise<OwnServerProcess> {
  const clock = new AdvancingClock();
  const log = new RecordingLog();
  const config = { ...defaultConfig(SERVER_CONFIG), port: 0, save: "", ...changes };
  const server = await startServer(config, log as unknown as Log, clock);
  return Object.assign(server, { clock, log });
}
