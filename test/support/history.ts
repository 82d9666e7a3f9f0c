/**
 * Pure: decides whether what clients saw can be explained by one order of all operations per key
 * (linearizability), from calls and replies with their times. An operation without a reply may have
 * happened at any later time or never.
 *
 * Registers (SET, GET, HSET of one field) use unique values, which makes the check cheap: all reads
 * of a value and its write form a cluster with a zone on the time line, and an order exists exactly
 * when no value is read before its write began, no two forward zones overlap and no backward zone
 * lies inside a forward one. Source: Gibbons and Korach, "Testing Shared Memories", 1997.
 *
 *   forward zone:  first end of the cluster ....... last begin of the cluster   (value surely held)
 *   backward zone: last begin < first end: one instant in between is enough
 */

/** Value that a register holds before its first write. */
export const ABSENT = "\u0000absent";

/** Times are monotonic milliseconds; `endMs` is Infinity while unanswered. */
export interface RegisterOperation {
  readonly kind: "write" | "read";
  readonly value: string;
  readonly beginMs: number;
  readonly endMs: number;
}

interface Zone {
  readonly value: string;
  readonly isForward: boolean;
  readonly low: number;
  readonly high: number;
}

/**
 * @param operations of one register, any order; every written value unique
 * @returns undefined when one order explains them, else what cannot be
 */
export function explainRegister(operations: readonly RegisterOperation[]): string | undefined {
  const clusters = new Map<string, RegisterOperation[]>();
  const initial: RegisterOperation = {
    kind: "write",
    value: ABSENT,
    beginMs: -Infinity,
    endMs: -Infinity,
  };
  for (const operation of [initial, ...operations]) {
    // A read that was never answered saw nothing.
    if (operation.kind === "read" && operation.endMs === Infinity) continue;
    const cluster = clusters.get(operation.value);
    if (cluster === undefined) clusters.set(operation.value, [operation]);
    else cluster.push(operation);
  }
  const zones: Zone[] = [];
  for (const [value, cluster] of clusters) {
    const writes = cluster.filter((operation) => operation.kind === "write");
    if (writes.length === 0) return `value ${shorten(value)} was read but never written`;
    if (writes.length > 1) return `value ${shorten(value)} was written twice: the load is wrong`;
    const write = writes[0]!;
    const early = cluster.find((operation) => operation.endMs < write.beginMs);
    if (early !== undefined) return `value ${shorten(value)} was read before its write began`;
    // A write that nobody saw and nobody answered need not have happened.
    if (cluster.length === 1 && write.endMs === Infinity) continue;
    zones.push(zoneOf(value, cluster));
  }
  return conflictOf(zones);
}

function zoneOf(value: string, cluster: readonly RegisterOperation[]): Zone {
  let firstEnd = Infinity;
  let lastBegin = -Infinity;
  for (const { beginMs, endMs } of cluster) {
    if (endMs < firstEnd) firstEnd = endMs;
    if (beginMs > lastBegin) lastBegin = beginMs;
  }
  const isForward = firstEnd < lastBegin;
  return {
    value,
    isForward,
    low: isForward ? firstEnd : lastBegin,
    high: isForward ? lastBegin : firstEnd,
  };
}

function conflictOf(zones: readonly Zone[]): string | undefined {
  const forward = zones.filter((zone) => zone.isForward).sort((a, b) => a.low - b.low);
  for (let i = 1; i < forward.length; i++) {
    const before = forward[i - 1]!;
    const zone = forward[i]!;
    if (zone.low < before.high) {
      return `values ${shorten(before.value)} and ${shorten(zone.value)} would be held at one time`;
    }
  }
  for (const zone of zones) {
    if (zone.isForward) continue;
    const around = forward[lastAtMost(forward, zone.low)];
    if (around !== undefined && around.low < zone.low && zone.high < around.high) {
      return `value ${shorten(zone.value)} falls in the middle of ${shorten(around.value)}`;
    }
  }
  return undefined;
}

/** Index of the last zone with low <= `at`, -1 when none. */
function lastAtMost(zones: readonly Zone[], at: number): number {
  let low = 0;
  let high = zones.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (zones[middle]!.low <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function shorten(value: string): string {
  if (value === ABSENT) return "(absent)";
  return value.length <= 40 ? value : `${value.slice(0, 37)}...`;
}

/** One INCR: `reply` is undefined while unanswered. */
export interface Increment {
  readonly beginMs: number;
  readonly endMs: number;
  readonly reply: number | undefined;
}

/**
 * Replies of INCR on one counter must be distinct, follow real time, and the final value must count
 * every answered one and at most all.
 * @returns undefined when right, else what is wrong
 */
export function explainCounter(
  increments: readonly Increment[],
  finalValue: number,
): string | undefined {
  const answered = increments
    .filter((increment) => increment.reply !== undefined)
    .sort((a, b) => a.reply! - b.reply!);
  let lastBegin = -Infinity;
  let lastReply = 0;
  for (const { beginMs, endMs, reply } of answered) {
    if (reply === lastReply) return `INCR answered ${reply} twice`;
    if (endMs < lastBegin) return `INCR answered ${reply} before ${lastReply} was asked for`;
    lastBegin = Math.max(lastBegin, beginMs);
    lastReply = reply!;
  }
  if (finalValue < lastReply || finalValue < answered.length) {
    return `${answered.length} INCR were answered, up to ${lastReply}, but the counter is ${finalValue}`;
  }
  if (finalValue > increments.length) {
    return `${increments.length} INCR were sent, but the counter is ${finalValue}`;
  }
  return undefined;
}
