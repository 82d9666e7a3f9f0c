import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import {
  checkXauth,
  newToken,
  proxyXauth,
  topomSecretXauth,
  topomXauth,
} from "../../src/api/xauth.ts";

interface TokenVector {
  readonly product_name: string;
  readonly product_auth: string;
  readonly bound_proxy_addr: string;
  readonly bound_admin_addr: string;
  readonly mac_addresses: string[];
  readonly token: string;
  readonly xauth: string;
}

describe("xauth and token", () => {
  test("are those the original computed", () => {
    const vectors = JSON.parse(
      readFileSync(new URL("../golden/proxy/tokens.json", import.meta.url), "utf8"),
    ) as TokenVector[];
    expect(vectors.length).toBeGreaterThan(0);
    for (const vector of vectors) {
      const token = newToken(
        vector.mac_addresses,
        vector.product_name,
        vector.bound_proxy_addr,
        vector.bound_admin_addr,
      );
      expect(token).toBe(vector.token);
      expect(proxyXauth(vector.product_name, vector.product_auth, token)).toBe(vector.xauth);
    }
  });

  test("of a dashboard are made of fewer segments", () => {
    expect(topomXauth("codis-demo")).toBe("95b62887719520f17e312eaa76d28f2b");
    // Two hosts of different versions must agree on ours too: it does not change any more.
    expect(topomSecretXauth("codis-demo", "pw")).toBe("e33c0551f932cea82bd8d3d97b332cb9");
    expect(newToken(["02:00:00:00:00:01"], "codis-demo", "[::]:18080")).toBe(
      "db3f56c1361a99bf4f36cb619c68cc6e",
    );
    expect(proxyXauth("t1", "pw", "a".repeat(32))).toBe("371126bcec454d797d0e7d1778ee9021");
  });

  test("hardware addresses are sorted and in lower case", () => {
    const one = newToken(["02:00:00:00:00:0B", "02:00:00:00:00:01"], "p");
    expect(newToken(["02:00:00:00:00:01", "02:00:00:00:00:0b"], "p")).toBe(one);
  });

  test("a wrong xauth of any length is refused", () => {
    const xauth = topomXauth("p");
    expect(() => checkXauth(xauth, xauth)).not.toThrow();
    for (const wrong of ["", "0123", `${xauth}0`, topomXauth("q"), "é".repeat(32)]) {
      expect(() => checkXauth(xauth, wrong)).toThrow(
        "invalid xauth, please check product name & auth",
      );
    }
  });
});
