/**
 * Pure: the two names by which a request of HTTP shows on a port that speaks RESP. A web page can
 * make a browser send `POST / HTTP/1.1`, `Host: ...` and a body of its choice to any address, and
 * taken as inline requests the lines of that body are commands. So whoever says one of them is cut
 * off at once, before anything behind it is executed, and gets no reply a page could learn from.
 *
 * Source: Redis 7.0 server.c `processCommand`, networking.c `securityWarningCommand`.
 */

import type { Command } from "./lookup.ts";

/** What the log says; the first words are Redis's, which alarms look for. */
export const HTTP_DETECTED =
  "Possible SECURITY ATTACK detected: POST or Host: came as a command, as when a web page makes a " +
  "browser write to this port";

/** Whether the name is one that only HTTP uses. */
export function isHttp({ name }: Command): boolean {
  return name === "POST" || name === "HOST:";
}
