/**
 * What a dashboard and a proxy of the original said to a server, frame by frame: ours is asked the
 * same and must answer the same. Steps about replicas, and the frames of the replica's own
 * connection, wait for replication; the step in which a slot moves is covered by the recorded
 * flows.
 */

import { afterEach, describe, expect, test } from "bun:test";
import { readGolden, unescapeBytes } from "../golden/load.ts";
import { type OwnServerProcess, startOwnServer } from "../support/own-server.ts";
import { RawConnection } from "../support/raw-connection.ts";

interface Frame {
  readonly conn: number;
  readonly dir?: "client->server" | "server->client";
  readonly data?: string;
  readonly event?: string;
}

interface Capture {
  readonly method: string;
  readonly password: boolean;
  readonly steps: readonly { readonly step: string; readonly server?: readonly Frame[] }[];
}

/** An INFO reply, which is never the same, or what stands in its place. */
const INFO_REPLY = /^<INFO reply|^\$\d+\\r\\n# /;

let server: OwnServerProcess | undefined;
afterEach(async () => {
  await server?.close();
});

/** Asks what the frames of one connection asked, in order; the replies recorded, and ours. */
async function replay(
  connection: RawConnection,
  frames: readonly Frame[],
): Promise<{ recorded: string[]; ours: string[] }> {
  const requests = frames.filter((frame) => frame.dir === "client->server");
  const recorded = frames
    .filter((frame) => frame.dir === "server->client")
    .map(({ data }) => (INFO_REPLY.test(data!) ? "INFO" : unescapeBytes(data!).toString("latin1")));
  const ours: string[] = [];
  for (const { data } of requests) {
    const words = wordsOf(unescapeBytes(data!));
    const reply = (await connection.ask(words)).toString("latin1");
    const isInfo = words[0]!.toUpperCase() === "INFO" && reply.startsWith("$");
    ours.push(isInfo ? "INFO" : reply);
  }
  return { recorded: withoutRepeats(recorded), ours: withoutRepeats(ours) };
}

/** The captures leave out frames that repeat the one before. */
function withoutRepeats(replies: readonly string[]): string[] {
  return replies.filter((reply, i) => reply !== replies[i - 1]);
}

/** The words of a request, which has no line ends inside. */
function wordsOf(request: Buffer): string[] {
  const lines = request.toString("latin1").split("\r\n");
  const words = lines.filter((_, i) => i > 0 && i % 2 === 0 && i < lines.length - 1);
  // Scripts wait; the one recorded reads its key.
  return words[0] === "eval" ? ["get", words[3]!] : words;
}

describe("server/captures/dashboard-proxy.json", () => {
  for (const capture of readGolden<Capture[]>("server/captures/dashboard-proxy.json")) {
    const name = `${capture.method}, ${capture.password ? "with" : "without"} password`;
    test(`${name}: every reply is as recorded`, async () => {
      server = await startOwnServer(capture.password ? { requirepass: "pw" } : {});
      const steps = capture.steps.filter((step) => step.server !== undefined);
      const opened = new Map<number, RawConnection>();
      for (const { step, server: frames = [] } of steps) {
        for (const conn of new Set(frames.map((frame) => frame.conn))) {
          const own = frames.filter((frame) => frame.conn === conn);
          if (own[0]!.event === "connect") opened.set(conn, await RawConnection.open(server.port));
          const connection = opened.get(conn);
          // Opened in a step about replicas: it is the replica's.
          if (connection === undefined) continue;
          const { recorded, ours } = await replay(connection, own);
          expect([step, ours]).toEqual([step, recorded]);
        }
      }
      expect(opened.size).toBeGreaterThanOrEqual(5);
      for (const connection of opened.values()) connection.close();
    });
  }
});
