/**
 * Pure: integers as Go's strconv reads them, and what it says of those that are none. Admin routes
 * and slot numbers of clients were read so by the original, whose texts people know.
 */

const INT64_LIMIT = 1n << 63n;

/** Why a text is no integer, in Go's words. */
export type GoNumberFault = "invalid syntax" | "value out of range";

/** A decimal with optional sign that fits 64 bits, or why it is none. */
export function parseGoInteger(text: string): number | GoNumberFault {
  if (!/^[+-]?\d+$/.test(text)) return "invalid syntax";
  const value = BigInt(text.replace(/^\+/, ""));
  if (value >= INT64_LIMIT || value < -INT64_LIMIT) return "value out of range";
  return Number(value);
}

/** The text of the error of `strconv.ParseInt` or `strconv.Atoi`. */
export function goNumberError(call: string, text: string, fault: GoNumberFault): string {
  return `strconv.${call}: parsing ${quoteGo(text)}: ${fault}`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** As Go's %q. What is not ASCII stays, as what Go can print does. */
function quoteGo(text: string): string {
  const quoted = text.replace(/["\\\x7f]|[^ -\uffff]/g, (char) => {
    return ESCAPES[char] ?? `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
  return `"${quoted}"`;
}
