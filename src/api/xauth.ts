/**
 * The names that upstream derives by hashing: the xauth a caller of an admin API must know, and the
 * token by which a dashboard knows a proxy again. One xauth is ours: the secret one of a dashboard.
 * Source: Codis pkg/utils/rpc/crypto.go.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { networkInterfaces } from "node:os";
import { CodisError } from "../base/errors.ts";

/**
 * What a caller of a dashboard's API must know; 32 hex digits. No password is part of it, and the
 * dashboard tells everybody its product: whoever reaches the port can make it.
 */
export function topomXauth(productName: string): string {
  return newXauth(productName);
}

/** Ours: stands in the same place, and shows that the caller knows the product's password. */
export function topomSecretXauth(productName: string, productAuth: string): string {
  return newXauth(productName, productAuth);
}

/** What a caller of a proxy's API must know; 32 hex digits. `token` is in the proxy's model. */
export function proxyXauth(productName: string, productAuth: string, token: string): string {
  return newXauth(productName, productAuth, token);
}

function newXauth(...segments: readonly string[]): string {
  const text = `Codis-XAuth${segments.map((segment) => `-[${segment}]`).join("")}`;
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

/**
 * 32 hex digits, the same after every restart on the same machine and addresses.
 * @param macs hardware addresses of this machine
 * @param segments product name, then each bound address
 */
export function newToken(macs: readonly string[], ...segments: readonly string[]): string {
  const machine = macs.map((mac) => mac.toLowerCase()).sort();
  const tail = segments.map((segment) => `-{${segment}}`).join("");
  return createHash("md5")
    .update(`Codis-Token@[${machine.join(" ")}]${tail}`)
    .digest("hex");
}

/** Hardware addresses of all interfaces that have one; each once per interface. */
export function hardwareAddresses(): string[] {
  const macs: string[] = [];
  for (const entries of Object.values(networkInterfaces())) {
    // An interface lists its hardware address once per IP.
    const mac = entries?.[0]?.mac;
    if (mac !== undefined && mac !== "00:00:00:00:00:00") macs.push(mac);
  }
  return macs;
}

/** Takes the same time for every wrong one. */
export function isXauth(expected: string, given: string): boolean {
  const wanted = Buffer.from(expected);
  const bytes = Buffer.from(given);
  return bytes.length === wanted.length && timingSafeEqual(bytes, wanted);
}

/** Throws CodisError "denied" unless `given` is `expected`. */
export function checkXauth(expected: string, given: string): void {
  if (isXauth(expected, given)) return;
  throw new CodisError("denied", "invalid xauth, please check product name & auth");
}
