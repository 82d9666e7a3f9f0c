/**
 * Pure: what an operator can do about what a dashboard refuses. The dashboard's words are the
 * original's, which scripts know, so the step is found here by them and shown behind them. Steps
 * that need more than the words stand with their verbs (`withStep`).
 */

/** Words of the dashboard, and the step; groups of the pattern stand in it as $1, $2. */
const STEPS: readonly (readonly [words: RegExp, step: string])[] = [
  // -- groups and servers
  [
    /no valid group could be found$/,
    "no group has a server: `codis admin group create 1`, then `codis admin group add 1 ADDR`",
  ],
  [
    /group-\[(\d+)\] can't remove master, still in use$/,
    "a group's first server leaves last, when no slot is the group's or on its way there: take out " +
      "the others (`codis admin group del $1 ADDR`), then move the slots away " +
      "(`codis admin slot migrate --from $1 --to GROUP --count 1024`), then try again",
  ],
  [
    /group-\[(\d+)\] isn't empty$/,
    "take its servers out first: `codis admin group del $1 ADDR`, for each of `codis admin group list`",
  ],
  [
    /group-\[(\d+)\] doesn't exist$/,
    "`codis admin group list` shows those there are, `codis admin group create $1` makes it",
  ],
  [/group-\[(\d+)\] already exists$/, "put servers into it: `codis admin group add $1 ADDR`"],
  [/group-\[(\d+)\] is empty$/, "put a server into it first: `codis admin group add $1 ADDR`"],
  [
    /group-\[\d+\] doesn't have server-\[.*\]$/,
    "`codis admin group list` shows which group has which servers",
  ],
  [
    /^\[Remote Error\] (?:dial|read) tcp (\S+): /,
    "no server answers at $1: start it first (`codis server`, redis-server), then add it",
  ],
  [
    /invalid reply type 'H'$/,
    "an HTTP server answers there, so it is probably the admin address of a proxy or a dashboard: " +
      "name the address that Redis clients use",
  ],
  [/invalid reply type '.'$/s, "what answers there is no Redis server: look at the address"],
  // -- slots
  [
    /slot-\[(\d+)\] action already exists$/,
    "it moves already, `codis admin slot list` shows where to: wait (`codis admin slot wait`), or " +
      "forget the move while it has not begun (`codis admin slot cancel $1`)",
  ],
  [
    /slot-\[\d+\] action doesn't exist$/,
    "it does not move, `codis admin slot list` shows which do",
  ],
  [
    /slot-\[\d+\] already in group-\[\d+\]$/,
    "leave it out: `codis admin slot list` shows which group owns which slots",
  ],
  // -- proxies
  [
    /proxy@(\S+) fetch model failed/,
    "no proxy's admin API answers at $1: is the proxy running, and is this its admin address " +
      "(11080 by default, 19100 of `codis up`), not the one that clients use?",
  ],
  [
    /proxy@(\S+) check xauth failed(, \[Remote Error\] invalid xauth.*)?$/,
    "the proxy at $1 is of another product or has another password: product_name and product_auth " +
      "in its config file must be those of the dashboard's",
  ],
  [
    /proxy-\[\w+\] already exists$/,
    "it is part of the cluster; `codis admin proxy list` shows it, `codis admin proxy reinit` gives " +
      "it all slots again",
  ],
  [
    /proxy-\[\w+\] (?:fillslots|start|set sentinels) failed$/,
    "the proxy is known, and did not take what it was given: see its state (`codis admin proxy list`) " +
      "and its log, then `codis admin proxy reinit`",
  ],
  // -- the dashboard itself
  [
    /topom is not online$/,
    "this dashboard waits for the lock of its product, which another one holds: stop that one, or " +
      "name it with --dashboard; the log of this one says which it is",
  ],
  [/use of closed topom$/, "this dashboard is stopping: start it again, then try again"],
  [
    /store: .* failed$/,
    "the dashboard cannot read or write its coordinator: its log says why, and where that is",
  ],
];

/**
 * @returns "" when there is none for these words, or a verb has put its own step behind them: `$`
 * is the end of the whole text, not of its first line
 */
export function nextStepFor(text: string): string {
  for (const [words, step] of STEPS) {
    const match = words.exec(text);
    if (match !== null)
      return step.replaceAll(/\$(\d)/g, (_, group: string) => match[Number(group)]!);
  }
  return "";
}
