import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AdminRequest, AdminResponse } from "../../src/api/http.ts";
import { jsonAnswer } from "../../src/api/http.ts";
import { type AdminServer, serveAdmin } from "../../src/api/serve-admin.ts";
import { topomSecretXauth, topomXauth } from "../../src/api/xauth.ts";
import { encodeRecord } from "../../src/model/encode.ts";
import { topomPath } from "../../src/model/paths.ts";
import { TOPOM } from "../../src/model/topom.ts";
import { type RegisterPort, register } from "../../src/proxy/register.ts";
import { openCoordinator } from "../../src/store/open.ts";

const X = topomXauth("demo");

let dashboard: AdminServer | undefined;
afterEach(async () => {
  await dashboard?.close();
  dashboard = undefined;
});

/**
 * A dashboard that answers `online` with the given causes in turn, then with OK.
 * @param known the keys it accepts
 */
async function startDashboard(
  productName: string,
  causes: string[],
  known: readonly string[] = [X],
): Promise<string[]> {
  const seen: string[] = [];
  const answer = ({ method, target }: AdminRequest): AdminResponse => {
    seen.push(`${method} ${target}`);
    const key = /\/([0-9a-f]{32})(\/|$)/.exec(target)?.[1];
    if (key !== undefined && !known.includes(key)) {
      return jsonAnswer(800, { Cause: "invalid xauth, please check product name & auth" });
    }
    if (method === "GET") return jsonAnswer(200, { ...TOPOM.zero(), product_name: productName });
    const Cause = causes.shift();
    return Cause === undefined ? jsonAnswer(200, "OK") : jsonAnswer(800, { Cause, Stack: null });
  };
  dashboard = await serveAdmin("127.0.0.1:0", (request) => Promise.resolve(answer(request)));
  return seen;
}

class Recorder implements RegisterPort {
  readonly productName = "demo";
  productAuth = "";
  readonly adminAddr = "10.0.0.5:11080";
  readonly retries: [string, number][] = [];
  pauses = 0;
  settleAfter = Number.POSITIVE_INFINITY;

  isSettled(): boolean {
    return this.pauses >= this.settleAfter;
  }
  async pause(): Promise<void> {
    this.pauses++;
  }
  onRetry(reason: string, attemptsLeft: number): void {
    this.retries.push([reason, attemptsLeft]);
  }
}

describe("register", () => {
  test("asks the dashboard for its product, then to be put online, until it is", async () => {
    const seen = await startDashboard("demo", ["proxy@10.0.0.5:11080 check xauth failed"]);
    const port = new Recorder();
    await register({ kind: "dashboard", addr: dashboard!.address }, port);
    expect(port.retries).toEqual([["[Remote Error] proxy@10.0.0.5:11080 check xauth failed", 9]]);
    const online = `PUT /api/topom/proxy/online/${X}/10.0.0.5%3A11080`;
    const model = "GET /api/topom/model";
    expect(seen).toEqual([model, online, model, online]);
  });

  test("shows a dashboard that it knows the password, and does without at an original", async () => {
    const secret = topomSecretXauth("demo", "pw");
    const online = (key: string): string => `PUT /api/topom/proxy/online/${key}/10.0.0.5%3A11080`;
    const [model, xping] = ["GET /api/topom/model", `GET /api/topom/xping/${secret}`];
    for (const [known, wanted] of [
      [[secret, X], secret],
      [[X], X],
    ] as const) {
      const seen = await startDashboard("demo", [], known);
      const port = new Recorder();
      port.productAuth = "pw";
      await register({ kind: "dashboard", addr: dashboard!.address }, port);
      expect([seen, port.retries]).toEqual([[model, xping, online(wanted)], []]);
      await dashboard!.close();
    }
  });

  test("gives up at once when the dashboard is another product's", async () => {
    const seen = await startDashboard("other", []);
    const port = new Recorder();
    const registered = register({ kind: "dashboard", addr: dashboard!.address }, port);
    await expect(registered).rejects.toThrow("unexpected product name: this proxy is of");
    expect([seen.length, port.retries]).toEqual([1, []]);
  });

  test("gives up after ten attempts, and earlier when the proxy is settled", async () => {
    await startDashboard("demo", []);
    const gone = dashboard!.address;
    await dashboard!.close();
    const port = new Recorder();
    const registered = register({ kind: "dashboard", addr: gone }, port);
    await expect(registered).rejects.toThrow("online proxy failed");
    expect([port.retries.length, port.pauses]).toEqual([10, 9]);
    const settled = new Recorder();
    settled.settleAfter = 2;
    await register({ kind: "dashboard", addr: gone }, settled);
    expect(settled.retries.length).toBe(2);
  });

  test("finds the dashboard in a filesystem coordinator, waiting until it is there", async () => {
    const seen = await startDashboard("demo", []);
    const root = mkdtempSync(join(tmpdir(), "codis-register-"));
    try {
      const port = new Recorder();
      const topom = { ...TOPOM.zero(), admin_addr: dashboard!.address, product_name: "demo" };
      port.pause = async () => {
        const coordinator = openCoordinator("filesystem", root);
        await coordinator.update(topomPath("demo"), encodeRecord(TOPOM, topom));
        await coordinator.close();
      };
      await register({ kind: "coordinator", name: "filesystem", addr: root }, port);
      expect(port.retries).toEqual([[expect.stringContaining("no dashboard of product demo"), 29]]);
      expect(seen.length).toBe(2);
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
