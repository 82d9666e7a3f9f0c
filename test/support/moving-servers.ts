/** Servers of ours that move keys, clients of theirs and scripted targets, stopped together. */

import type { ServerConfig } from "../../src/server/config.ts";
import { type OwnServerProcess, startOwnServer } from "./own-server.ts";
import { RawConnection } from "./raw-connection.ts";
import { ScriptedTarget } from "./scripted-target.ts";

/** What a test file starts; `stopAll` belongs into its `afterEach`. */
export function movingServers() {
  const closers: (() => unknown)[] = [];
  return {
    /** What else is to be stopped; the last one first. */
    closers,
    async stopAll(): Promise<void> {
      for (const close of closers.splice(0).reverse()) await close();
    },
    async startServer(config: Partial<ServerConfig> = {}): Promise<OwnServerProcess> {
      const server = await startOwnServer(config);
      closers.push(() => server.close());
      return server;
    },
    async connect(server: { readonly port: number }): Promise<RawConnection> {
      const connection = await RawConnection.open(server.port);
      closers.push(() => connection.close());
      return connection;
    },
    startTarget(): ScriptedTarget {
      const target = new ScriptedTarget();
      closers.push(() => target.stop());
      return target;
    },
  };
}

/** The reply to a request, as latin1 text. */
export async function ask(
  connection: RawConnection,
  ...words: (string | number)[]
): Promise<string> {
  return (await connection.ask(words)).toString("latin1");
}

/** The next reply, as latin1 text. */
export async function replyText(connection: RawConnection): Promise<string> {
  return (await connection.reply()).toString("latin1");
}
