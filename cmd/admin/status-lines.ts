/**
 * Pure: the status lines of groups and proxies, as the original printed them. Marks: `[ ]` good,
 * `[?]` no statistics yet, `[E]` error, `[T]` timeout, `[X]` wrong replication. Ids are padded with
 * zeros and addresses with blanks to the widest of the list.
 * Source: Codis 3.2 cmd/admin `--group-status`, `--proxy-status`.
 */

/** The members of the dashboard's statistics that the lines are made of. */
export interface StatusInput {
  readonly group: {
    readonly models: readonly { id: number; servers: readonly { server: string }[] | null }[];
    readonly stats: Readonly<Record<string, PolledStats | undefined>>;
  };
  readonly proxy: {
    readonly models: readonly {
      id?: number;
      token: string;
      admin_addr: string;
      proxy_addr: string;
    }[];
    readonly stats: Readonly<Record<string, PolledStats | undefined>>;
  };
}

export interface PolledStats {
  readonly stats?: unknown;
  readonly error?: unknown;
  readonly timeout?: boolean;
}

/** Where a server points: `NO:ONE` for a master, else `address:link status`. */
interface Replication {
  readonly text: string;
  readonly isGood: boolean;
}

/** One line per proxy, each ending in a line feed. */
export function proxyStatusLines(input: StatusInput): string {
  const { models, stats } = input.proxy;
  const idWidth = Math.max(...models.map((model) => String(model.id ?? 0).length));
  const adminWidth = Math.max(...models.map((model) => model.admin_addr.length));
  const proxyWidth = Math.max(...models.map((model) => model.proxy_addr.length));
  return models
    .map((model) => {
      const id = String(model.id ?? 0).padStart(idWidth, "0");
      const admin = model.admin_addr.padEnd(adminWidth);
      const proxy = model.proxy_addr.padEnd(proxyWidth);
      const mark = pollMark(stats[model.token]);
      return `[${mark}] proxy-${id} [T] ${model.token} [A] ${admin} [P] ${proxy}\n`;
    })
    .join("");
}

/** One line per server, each ending in a line feed. */
export function groupStatusLines(input: StatusInput): string {
  const groups = input.group.models.map((model) => ({ ...model, servers: model.servers ?? [] }));
  const servers = groups.flatMap((group) => group.servers);
  const idWidth = Math.max(...groups.map((group) => String(group.id).length));
  const addressWidth = Math.max(...servers.map(({ server }) => server.length));
  const lines = groups.flatMap((group) => {
    const master = group.servers[0]?.server ?? "";
    return group.servers.map(({ server }, position) => {
      const polled = input.group.stats[server];
      const replication = replicationOf(polled, position, master);
      const mark = replication === undefined || replication.isGood ? pollMark(polled) : "X";
      const head = `[${mark}] group-${String(group.id).padStart(idWidth, "0")} [${position}]`;
      if (replication === undefined) return `${head} ${server.padEnd(addressWidth)}\n`;
      return `${head} ${server.padEnd(addressWidth)}      ==> ${replication.text}\n`;
    });
  });
  return lines.join("");
}

function pollMark(polled: PolledStats | undefined): string {
  if (polled === undefined) return "?";
  if (polled.error !== undefined) return "E";
  if (polled.timeout || polled.stats === undefined) return "T";
  return " ";
}

function replicationOf(
  polled: PolledStats | undefined,
  position: number,
  master: string,
): Replication | undefined {
  const stats = polled?.stats;
  if (typeof stats !== "object" || stats === null) return undefined;
  const fields = stats as Readonly<Record<string, string | undefined>>;
  const text =
    fields.master_addr === undefined
      ? "NO:ONE"
      : `${fields.master_addr}:${fields.master_link_status ?? ""}`;
  return { text, isGood: text === (position === 0 ? "NO:ONE" : `${master}:up`) };
}

/** Runs of consecutive slots with one target: `[0000,0002] => 1`, each ending in a line feed. */
export function planLines(plan: Readonly<Record<string, number>>): string {
  const slots = Object.keys(plan)
    .map(Number)
    .sort((a, b) => a - b);
  const lines: string[] = [];
  let begin = 0;
  for (let i = 1; i <= slots.length; i++) {
    const isRun = slots[i] === slots[i - 1]! + 1 && plan[slots[i]!] === plan[slots[begin]!];
    if (isRun) continue;
    lines.push(`[${pad4(slots[begin]!)},${pad4(slots[i - 1]!)}] => ${plan[slots[begin]!]}\n`);
    begin = i;
  }
  return lines.join("");
}

function pad4(slot: number): string {
  return String(slot).padStart(4, "0");
}
