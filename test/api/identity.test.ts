import { describe, expect, test } from "bun:test";
import {
  advertisedAddress,
  ownNames,
  processIdentity,
  type Resolver,
  systemResolver,
  timeText,
} from "../../src/api/identity.ts";

function resolver(names: Record<string, string[]>, interfaces: string[] = []): Resolver {
  return {
    hostname: "host-1",
    resolve: async (name) => names[name] ?? [],
    interfaceIps: () => interfaces,
  };
}

describe("advertisedAddress", () => {
  test("is the bound address when that is a concrete IP", async () => {
    expect(await advertisedAddress("127.0.0.1:80", "", resolver({}))).toBe("127.0.0.1:80");
    expect(await advertisedAddress("[::1]:80", "", resolver({}))).toBe("[::1]:80");
  });

  test("of a wildcard is the host name, else the first address of an interface", async () => {
    const interfaces = ["127.0.0.1", "fe80::1", "10.0.0.5"];
    const named = resolver({ "host-1": ["127.0.1.1", "10.0.0.5"] }, interfaces);
    expect(await advertisedAddress("[::]:80", "", named)).toBe("host-1:80");
    const local = resolver({ "host-1": ["127.0.1.1"] }, interfaces);
    expect(await advertisedAddress("0.0.0.0:80", "", local)).toBe("10.0.0.5:80");
    const alone = advertisedAddress("0.0.0.0:80", "", resolver({}, ["127.0.0.1"]));
    await expect(alone).rejects.toThrow("resolve address '0.0.0.0:80' to ''");
  });

  test("is the operator's when that resolves", async () => {
    const names = resolver({ gate: ["192.0.2.1"], "0.0.0.0": ["0.0.0.0"] });
    expect(await advertisedAddress("[::]:80", "gate:81", names)).toBe("gate:81");
    for (const wrong of ["gate:0", "nowhere:80", "0.0.0.0:80"]) {
      await expect(advertisedAddress("[::]:80", wrong, names)).rejects.toThrow(
        `resolve address '[::]:80' to '${wrong}'`,
      );
    }
    await expect(advertisedAddress("[::]:80", "gate", names)).rejects.toThrow(
      "address gate: missing port in address",
    );
  });
});

test("own names are the machine's and those of the addresses, once, without IPs", () => {
  const addrs = ["0.0.0.0:18080", ":1", "Gate.Example:81", "[::1]:80", "host-1:18080"];
  expect(ownNames(addrs, { hostname: "Host-1" })).toEqual(["host-1", "gate.example"]);
});

test("the process describes itself", async () => {
  expect(timeText(1_795_210_399_090)).toBe("2026-11-20 21:33:19.090 +0000 UTC");
  const identity = processIdentity(0);
  expect(identity.pid).toBe(process.pid);
  expect(identity.sys).toStartWith("Linux ");
  expect(await systemResolver.resolve("127.0.0.1", 5000)).toEqual(["127.0.0.1"]);
  expect(await systemResolver.resolve("name.invalid", 1000)).toEqual([]);
});
