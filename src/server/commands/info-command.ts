/** INFO. What the sections say is in info.ts. Source: Redis 7.0 src/server.c `infoCommand`. */

import { argText, type Call, type Handler } from "../call.ts";
import { DEFAULT_SECTIONS, infoText, SECTIONS } from "../info.ts";

/** The sections that the arguments ask for, in the order of INFO. */
function asked(call: Call): string[] {
  const words = new Set<string>();
  for (let i = 1; i < call.argc; i++) words.add(argText(call, i).toLowerCase());
  if (words.size === 0 || words.has("default"))
    for (const name of DEFAULT_SECTIONS) words.add(name);
  const isAll = words.has("all") || words.has("everything");
  return [...SECTIONS.keys()].filter((name) => isAll || words.has(name));
}

export const INFO_HANDLERS = {
  INFO: (call) => call.out.bulkText(infoText(call.server, asked(call))),
} as const satisfies Record<string, Handler>;
