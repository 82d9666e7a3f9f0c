/** Pure: how people name a dashboard, in every flag and variable that does. */

import { parseAddress } from "../src/base/address.ts";
import { CodisError } from "../src/base/errors.ts";

/**
 * `host:port`, also of an address as `codis up` shows it: `http://host:port/topom`.
 * @throws CodisError "usage" naming what was given
 */
export function addressOfDashboard(given: string): string {
  const address = given.replace(/^http:\/\/([^/]*)(\/.*)?$/, "$1");
  try {
    if (parseAddress(address).port > 0) return address;
  } catch (error) {
    if (!(error instanceof CodisError)) throw error;
  }
  const example = "such as 127.0.0.1:18080 or http://127.0.0.1:18080/topom";
  throw new CodisError(
    "usage",
    `Cannot use dashboard '${given}': it must be host:port, ${example}`,
  );
}
