/**
 * Pure: how the servers and proxies answered the dashboard's last question, for tables: a word in
 * the row, and below the table once why somebody did not.
 */

/** What the dashboard tells about one of them; undefined when it has not asked yet. */
export interface Polled {
  readonly stats?: unknown;
  readonly error?: { readonly Cause: string };
  readonly timeout?: boolean;
}

/** The word for one without statistics, undefined for one that has answered. */
export function silenceOf(polled: Polled | undefined): string | undefined {
  if (polled === undefined) return "not asked yet";
  if (polled.error !== undefined) return "down";
  return polled.timeout || polled.stats === undefined ? "no answer" : undefined;
}

/**
 * A line per member that did not answer; "" when all did.
 * @param members name, as the table has it, and answer
 */
export function silenceLines(members: readonly (readonly [string, Polled | undefined])[]): string {
  return members
    .map(([name, polled]) => {
      if (polled?.error !== undefined) return `${name} is down: ${polled.error.Cause}\n`;
      return polled?.timeout ? `${name} does not answer within a second\n` : "";
    })
    .join("");
}
