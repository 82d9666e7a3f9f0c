/**
 * Pure: addresses as texts, `host:port`, `[v6]:port`, and the kinds of IPs. No lookups here.
 */

import { isIP } from "node:net";
import { CodisError } from "./errors.ts";

export interface Address {
  /** Name or IP, without brackets; "" when only a port was given (`:19000`). */
  readonly host: string;
  /** 0..65535 */
  readonly port: number;
}

/**
 * Splits `host:port` at the last colon; an IPv6 address stands in brackets.
 * @throws CodisError "usage": `address X: missing port in address` and its kin
 */
export function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(":");
  if (colon < 0 || text.endsWith("]")) throw badAddress(text, "missing port in address");
  let host = text.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) host = host.slice(1, -1);
  else if (host.includes(":")) throw badAddress(text, "too many colons in address");
  const digits = text.slice(colon + 1);
  const port = Number(digits);
  if (!/^\d{1,5}$/.test(digits) || port > 65535) throw badAddress(text, "invalid port");
  return { host, port };
}

/** The text of an address, with brackets around an IPv6 host. */
export function formatAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** No host, 0.0.0.0 or ::, that is: every address of this machine. */
export function isWildcard(host: string): boolean {
  return host === "" || host === "0.0.0.0" || /^[0:]+$/.test(host);
}

/** 127.0.0.0/8 and ::1, also written as an IPv4 address inside IPv6. */
export function isLoopback(ip: string): boolean {
  const plain = unmapped(ip);
  return plain === "::1" || (isIP(plain) === 4 && plain.startsWith("127."));
}

/** An IP other machines may reach: no wildcard, loopback, link-local or multicast address. */
export function isGlobalUnicast(ip: string): boolean {
  const plain = unmapped(ip);
  const family = isIP(plain);
  if (family === 0 || isWildcard(plain) || isLoopback(plain)) return false;
  if (family === 6) return !/^(fe[89ab]|ff)/i.test(plain);
  const first = Number(plain.split(".")[0]);
  return first < 224 && plain !== "255.255.255.255" && !plain.startsWith("169.254.");
}

/** `::ffff:10.0.0.1` -> `10.0.0.1`; anything else as it is. */
export function unmapped(ip: string): string {
  return ip.toLowerCase().startsWith("::ffff:") && ip.includes(".") ? ip.slice(7) : ip;
}

function badAddress(text: string, reason: string): CodisError {
  return new CodisError("usage", `address ${text}: ${reason}`);
}

/** Ends the text of an error about an address that somebody else listens on. */
export const ADDRESS_TAKEN = "address already in use";

/** Why nobody can listen on an address, with what helps; undefined for what explains itself. */
export function listenFailure(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "EADDRINUSE") return ADDRESS_TAKEN;
  if (code !== "EACCES") return undefined;
  return "permission denied: a port below 1024 needs root or CAP_NET_BIND_SERVICE";
}
