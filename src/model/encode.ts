/**
 * Pure: JSON text as upstream stores and serves it, and the way back: 4 blanks of indent, no
 * newline at the end, `<` `>` `&` and the two Unicode line separators escaped (encoding/json
 * `MarshalIndent`).
 */

import { CodisError, errorText } from "../base/errors.ts";
import type { Codec } from "./record.ts";

/**
 * @param value anything JSON can hold; fields that are undefined are left out, order is kept
 * @returns the text, without a newline at the end
 */
export function encodeJson(value: unknown): string {
  return JSON.stringify(value, null, 4).replace(/[<>&\u2028\u2029]/g, escapeUnit);
}

/** The stored or sent text of one record. */
export function encodeRecord<T>(codec: Codec<T>, value: T): string {
  return encodeJson(codec.write(value));
}

/**
 * @param name what is being read, for the error text (`group`)
 * @throws CodisError "usage" when `json` is not JSON or a field has the wrong type
 */
export function decodeRecord<T>(codec: Codec<T>, json: string, name: string): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new CodisError("usage", `Cannot read ${name}: not JSON, ${errorText(error)}`);
  }
  return codec.read(value, name);
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
