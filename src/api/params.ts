/**
 * Pure: the parameters and bodies of admin routes, read strictly, with upstream's error texts.
 * Upstream ignores a malformed body, or applies what it could read of it; ours is refused whole,
 * with status 800. Upstream's own programs never send one.
 */

import { CodisError, errorText } from "../base/errors.ts";
import { goNumberError, parseGoInteger } from "../base/go-number.ts";
import type { Codec } from "../model/record.ts";
import type { RouteContext } from "./http.ts";

/**
 * A decimal with optional sign, as `strconv.Atoi` of Go.
 * @throws CodisError "usage" with Go's text: `strconv.Atoi: parsing "abc": invalid syntax`
 */
export function parseAtoi(text: string): number {
  const value = parseGoInteger(text);
  if (typeof value === "number") return value;
  throw new CodisError("usage", goNumberError("Atoi", text, value));
}

/** The parameter `name` as an integer of 64 bits; CodisError "usage" `invalid <name>` else. */
export function integerParam(context: RouteContext, name: string): number {
  try {
    return parseAtoi(context.params[name] ?? "");
  } catch (error) {
    throw new CodisError("usage", `invalid ${name}`, error);
  }
}

/** The parameter `name` as a flag: an integer, not 0 is true. */
export function flagParam(context: RouteContext, name: string): boolean {
  return integerParam(context, name) !== 0;
}

/**
 * The body as a record or list.
 * @param name what it holds, for the error text (`slots`)
 * @throws CodisError "usage" when it is empty, null, not JSON, or a field has the wrong type, and
 * what `readBody` throws
 */
export async function bodyOf<T>(context: RouteContext, codec: Codec<T>, name: string): Promise<T> {
  const body = await context.request.readBody();
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    const reason = errorText(error).replace(/^JSON Parse error: /, "");
    throw new CodisError("usage", `Cannot read ${name}: not JSON, ${reason}`);
  }
  if (value === null) throw new CodisError("usage", `Cannot read ${name}: null must be a value`);
  return codec.read(value, name);
}
