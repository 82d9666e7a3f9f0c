/**
 * For test files that hold our server's replies against redis-server's: one redis-server runs while
 * the tests of the file do; both servers are empty at the start of each comparison.
 *
 *   const { compare } = besideRedis();
 *   test("SET and GET", () => compare(`SET a 1 ...`));
 */

import { afterAll, beforeAll } from "bun:test";
import {
  compareSteps,
  OwnServer,
  parseScript,
  type Step,
  StockRedis,
  type Word,
} from "./compare.ts";

export interface BesideRedis {
  /** Runs a script (see `parseScript`) on both; throws at the first reply that differs. */
  compare(script: string): Promise<void>;
  /**
   * The same for steps; `note` is said with a difference: the seed that made them. `own` is for
   * what a test must set up first on ours alone.
   */
  compareSteps(steps: readonly Step[], note?: string, own?: OwnServer): Promise<void>;
  /** Replies of the redis-server alone, which keeps what the last test left. */
  askStock(...commands: readonly (readonly Word[])[]): Promise<Buffer[]>;
}

/** Call it once, at the top of a test file. */
export function besideRedis(): BesideRedis {
  let stock: StockRedis;
  beforeAll(async () => {
    stock = await StockRedis.start();
  });
  afterAll(() => stock.stop());
  const compareFromEmpty = async (
    steps: readonly Step[],
    note = "",
    own = new OwnServer(),
  ): Promise<void> => {
    await stock.askAll([["FLUSHALL"], ["SELECT", "0"]]);
    await compareSteps(own, stock, steps, note);
  };
  return {
    compare: (script) => compareFromEmpty(parseScript(script)),
    compareSteps: compareFromEmpty,
    askStock: (...commands) => stock.askAll(commands),
  };
}
