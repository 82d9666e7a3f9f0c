import { describe, expect, test } from "bun:test";
import {
  ADDRESS_TAKEN,
  formatAddress,
  isGlobalUnicast,
  isLoopback,
  isWildcard,
  listenFailure,
  parseAddress,
} from "../../src/base/address.ts";

describe("addresses", () => {
  test("host and port are split at the last colon, brackets around IPv6", () => {
    expect(parseAddress("127.0.0.1:19000")).toEqual({ host: "127.0.0.1", port: 19000 });
    expect(parseAddress("[::1]:80")).toEqual({ host: "::1", port: 80 });
    expect(parseAddress(":0")).toEqual({ host: "", port: 0 });
    expect(formatAddress("::", 80)).toBe("[::]:80");
    expect(formatAddress("a.b", 80)).toBe("a.b:80");
  });

  test("a malformed address is refused with the reason", () => {
    expect(() => parseAddress("localhost")).toThrow("address localhost: missing port in address");
    expect(() => parseAddress("[::1]")).toThrow("missing port in address");
    expect(() => parseAddress("::1:80")).toThrow("too many colons in address");
    expect(() => parseAddress("a:99999")).toThrow("invalid port");
    expect(() => parseAddress("a:")).toThrow("invalid port");
  });

  test("why nobody can listen is said with what helps, where it does not explain itself", () => {
    const failed = (code: string): Error => Object.assign(new Error("Failed to listen"), { code });
    expect(listenFailure(failed("EADDRINUSE"))).toBe(ADDRESS_TAKEN);
    expect(listenFailure(failed("EACCES"))).toBe(
      "permission denied: a port below 1024 needs root or CAP_NET_BIND_SERVICE",
    );
    expect(listenFailure(failed("EADDRNOTAVAIL"))).toBeUndefined();
  });

  test("kinds of IPs", () => {
    expect(["", "0.0.0.0", "::", "::0", "1.0.0.0"].map(isWildcard)).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(["127.9.0.1", "::1", "::ffff:127.0.0.1", "128.0.0.1"].map(isLoopback)).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"].map(isGlobalUnicast)).toEqual([
      true,
      true,
      true,
    ]);
    for (const ip of ["169.254.1.1", "fe80::1", "224.0.0.1", "ff02::1", "0.0.0.0", "host"]) {
      expect([ip, isGlobalUnicast(ip)]).toEqual([ip, false]);
    }
  });
});
