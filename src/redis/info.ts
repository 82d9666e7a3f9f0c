/** Pure: INFO of a server as pairs, as the dashboard's API shows it. */

import { CodisError } from "../base/errors.ts";
import { ErrorReply, type Reply } from "../resp/reply.ts";

/**
 * Every `key:value` line, split at the first colon and trimmed; with `master_addr` when it is a
 * replica.
 * @throws CodisError "unavailable" with the server's words when the reply is an error
 */
export function parseInfo(reply: Reply): Record<string, string> {
  if (reply instanceof ErrorReply) throw new CodisError("unavailable", reply.text);
  const info: Record<string, string> = {};
  for (const line of String(reply).split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    info[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
  }
  const { master_host: host, master_port: port } = info;
  if (host !== undefined && port !== undefined) info.master_addr = `${host}:${port}`;
  return info;
}
