/**
 * Pure: the two families of servers, as far as moving keys between them goes.
 *
 *   codis  knows SLOTS*: SLOTSMGRT* at the source, SLOTSRESTORE at the target
 *   redis  any other: SCAN and MIGRATE at the source, RESTORE at the target
 *
 * Nobody is told which family a server is of, and nothing is stored: it is asked for what the codis
 * family does, and one of the redis family answers that it does not know the command.
 *
 * MIGRATE copies first and deletes when the target has taken the key, so a move that was cut off
 * leaves the key at both. Then the source has the truth, as no request reaches the target's copy
 * before the key was moved. MIGRATE is sent without REPLACE first and with it only when the target
 * says that it has the key: a RESTORE of a broken connection that arrives late finds the key there
 * and harms nothing.
 */

export interface MigrateOptions {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  /** Longest silence of the target, milliseconds. The source serves nobody meanwhile. */
  readonly timeoutMs: number;
  /** The target's password, "" for none. */
  readonly auth: string;
  /** The target has some of the keys already. */
  readonly replace: boolean;
}

/** MIGRATE of any number of keys: moved to the last one, or an error and some of them moved. */
export function migrateRequest(
  { host, port, database, timeoutMs, auth, replace }: MigrateOptions,
  keys: readonly Buffer[],
): (string | number | Buffer)[] {
  const options = [...(replace ? ["REPLACE"] : []), ...(auth === "" ? [] : ["AUTH", auth])];
  return ["MIGRATE", host, port, "", database, timeoutMs, ...options, "KEYS", ...keys];
}

/** Whether an error reply, without its `-`, says that the server has no such command. */
export function isUnknownCommand(text: string): boolean {
  return /^ERR unknown command\b/i.test(text);
}

/**
 * The error of a server that does not know a command, without the request, which it repeats: that
 * may hold a password, and errors are logged, shown and sent to clients.
 */
export function withoutArguments(text: string): string {
  return text.replace(/, with args beginning with:.*$/s, "");
}

/**
 * Whether MIGRATE failed because the target does not take a value: it knows no such type, as ours
 * knows no streams and a server without the module no module's, or not yet the form it is sent in.
 */
export function isRefusedValue(text: string): boolean {
  return /Bad data format|DUMP payload version or checksum/.test(text);
}

/** Whether MIGRATE failed because the target has one of the keys. */
export function isBusyKey(text: string): boolean {
  return text.includes("BUSYKEY");
}
