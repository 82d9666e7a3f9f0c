/**
 * Entry point of a Worker: a data plane that is told by messages what to do. The other end, and the
 * messages, are in `plane.ts`. Whatever is thrown here ends the Worker, which the other end
 * notices.
 */

import { assert } from "../base/assert.ts";
import { systemClock } from "../base/clock.ts";
import { CodisError } from "../base/errors.ts";
import { DataPlane } from "./data-plane.ts";
import type { WorkerAnswer, WorkerRequest } from "./plane.ts";

declare const self: Worker;

let plane: DataPlane | undefined;

function answer(message: WorkerAnswer): void {
  self.postMessage(message);
}

function open(request: Extract<WorkerRequest, { ask: "open" }>): void {
  const shared = {
    sessionsAlive: new Int32Array(request.sessionsAlive),
    threads: request.threads,
  };
  plane = new DataPlane(request.config, shared, systemClock, (closed, reason) => {
    answer({ closed, reason });
  });
  plane.listen(request.fd);
}

/** @throws CodisError when the data plane refuses */
async function handle(request: WorkerRequest): Promise<unknown> {
  if (request.ask === "open") return open(request);
  assert(plane !== undefined, "a worker is opened before it is asked anything else");
  switch (request.ask) {
    case "fill":
      return plane.fill(request.slots);
    case "start":
      return plane.start();
    case "stats":
      return plane.snapshot();
    case "resetStats":
      return plane.stats.reset();
    case "slots":
      return plane.slots();
    case "close":
      return plane.close();
  }
}

self.onmessage = async ({ data }: MessageEvent<WorkerRequest>) => {
  try {
    answer({ id: data.id, value: await handle(data) });
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
    answer({ id: data.id, error: { code: error.code, text: error.message } });
  }
};
