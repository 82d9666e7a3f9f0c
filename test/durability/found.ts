/** What a server has, asked for by commands that any server knows: in this process or by the wire. */

import { ErrorReply, type Reply } from "../../src/resp/reply.ts";
import { ReplyDecoder } from "../../src/resp/reply-decoder.ts";
import type { OwnServer } from "../support/compare.ts";
import type { RespClient } from "../support/resp-client.ts";
import { byText, DATABASES, type State, showValue, type Word } from "./model.ts";

/** Sends requests, gives their replies. */
export type Ask = (requests: readonly (readonly Word[])[]) => Promise<readonly Reply[]>;

export function askWire(client: RespClient): Ask {
  // For no request there is no reply to wait for.
  return async (requests) => (requests.length === 0 ? [] : client.pipeline(requests));
}

export function askOwn(own: OwnServer): Ask {
  return async (requests) => requests.map((words) => decodeReply(own.ask(words)));
}

export function decodeReply(bytes: Buffer): Reply {
  const decoder = new ReplyDecoder();
  decoder.feed(bytes);
  const reply = decoder.next();
  if (reply === undefined) throw new Error("half a reply");
  return reply;
}

/** A reply in one line; errors begin with `-`. */
export function textOfReply(reply: Reply): string {
  if (reply instanceof ErrorReply) return `-${reply.text}`;
  return Buffer.isBuffer(reply) ? reply.toString("latin1") : String(reply);
}

const READERS: Readonly<Record<string, (key: Word) => readonly Word[]>> = {
  string: (key) => ["GET", key],
  list: (key) => ["LRANGE", key, 0, -1],
  set: (key) => ["SMEMBERS", key],
  hash: (key) => ["HGETALL", key],
  zset: (key) => ["ZRANGE", key, 0, -1, "WITHSCORES"],
};

/**
 * All keys of all databases. The client is at database 0 afterwards.
 * @param isFleeting says of keys that they may go while this looks
 */
export async function readState(
  ask: Ask,
  isFleeting: (key: string) => boolean = () => false,
): Promise<State> {
  const state = new Map<string, string>();
  for (let index = 0; index < DATABASES; index++) {
    const [, names] = await ask([
      ["SELECT", index],
      ["KEYS", "*"],
    ]);
    const keys = (names as Buffer[]).filter((key) => !isFleeting(key.toString("latin1")));
    const kinds = (await ask(keys.map((key) => ["TYPE", key]))).map(textOfReply);
    const times = await ask(keys.map((key) => ["PEXPIRETIME", key]));
    const values = await ask(keys.map((key, i) => READERS[kinds[i]!]!(key)));
    for (const [i, key] of keys.entries()) {
      const kind = kinds[i] as Parameters<typeof showValue>[0];
      const text = showValue(kind, partsOf(kind, values[i]!), Number(times[i]));
      state.set(`${index} ${key.toString("latin1")}`, text);
    }
  }
  await ask([["SELECT", 0]]);
  return state;
}

function partsOf(kind: string, value: Reply): readonly string[] {
  if (kind === "string") return [textOfReply(value)];
  const parts = (value as readonly Reply[]).map(textOfReply);
  if (kind === "list") return parts;
  if (kind === "set") return parts.sort(byText);
  const pairs = parts.filter((_, i) => i % 2 === 0);
  return pairs.map((name, i) => `${name}=${parts[2 * i + 1]}`).sort(byText);
}
