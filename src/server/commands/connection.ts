/**
 * Commands about the connection itself: who may use it, which database, whether it lives. CLIENT is
 * in clients.ts. Source of texts: Redis 7.0 src/acl.c, src/networking.c, src/db.c `selectCommand`.
 */

import { timingSafeEqual } from "node:crypto";
import { REDIS_VERSION } from "../../commands/redis-version.ts";
import { PONG } from "../../resp/reply.ts";
import {
  argBytes,
  argEnd,
  argInteger,
  argIs,
  argStart,
  argText,
  type Call,
  type Handler,
} from "../call.ts";
import { DB_OUT_OF_RANGE, NOT_INTEGER_ERROR, ReplyError, SYNTAX, wrongArity } from "../replies.ts";

const NO_PASSWORD_SET =
  "ERR AUTH <password> called without any password configured for the default user. " +
  "Are you sure your configuration is correct?";
const WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled.";
const HELLO_NEEDS_AUTH =
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> " +
  "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol " +
  "version at the same time";
const CLIENT_NAME_RULE = "ERR Client names cannot contain spaces, newlines or special characters.";

/** The password matches, compared in a time that does not tell how much of it. */
function isPassword(given: Buffer, password: string): boolean {
  const right = Buffer.from(password);
  if (given.length !== right.length) return false;
  return timingSafeEqual(given, right);
}

/** Lets the connection in when this is the server's password. @returns whether it is */
export function authenticatePassword(call: Call, password: Buffer): boolean {
  if (!isPassword(password, call.server.config.requirepass)) return false;
  letIn(call);
  return true;
}

function letIn(call: Call): void {
  call.client.isAuthenticated = true;
  call.client.port.authenticated();
}

/** There is one user, `default`; without a password it takes any. @throws ReplyError WRONGPASS */
function authenticate(call: Call, user: string, password: Buffer): void {
  const { requirepass } = call.server.config;
  if (user === "default" && requirepass === "") letIn(call);
  else if (user !== "default" || !authenticatePassword(call, password)) {
    throw new ReplyError(WRONG_PASSWORD);
  }
}

function auth(call: Call): void {
  if (call.argc > 3) throw new ReplyError(SYNTAX);
  if (call.argc === 2) {
    if (call.server.config.requirepass === "") throw new ReplyError(NO_PASSWORD_SET);
    authenticate(call, "default", argBytes(call, 1));
  } else {
    authenticate(call, argText(call, 1), argBytes(call, 2));
  }
  call.out.ok();
}

/**
 * The name a client gives itself. @throws ReplyError when a byte of it is not printable ASCII
 */
export function readClientName(call: Call, i: number, error = CLIENT_NAME_RULE): string {
  const name = argText(call, i);
  for (let k = 0; k < name.length; k++) {
    const code = name.charCodeAt(k);
    if (code < 0x21 || code > 0x7e) throw new ReplyError(error);
  }
  return name;
}

/**
 * RESP3 is not spoken yet: HELLO says protocol 2 whatever is asked for, as a refusal would make
 * node-redis give up. To HELLO 3 it says so in a map of RESP3: Bun's client takes nothing else,
 * node-redis and ioredis take both.
 */
function hello(call: Call): void {
  let asksForMap = false;
  let next = 1;
  if (call.argc > 1) {
    const rule = new ReplyError("ERR Protocol version is not an integer or out of range");
    const version = argInteger(call, 1, rule);
    if (version < 2 || version > 3) throw new ReplyError("NOPROTO unsupported protocol version");
    asksForMap = version === 3;
    next = 2;
  }
  let user: string | undefined;
  let password: Buffer | undefined;
  let name: string | undefined;
  while (next < call.argc) {
    const more = call.argc - next - 1;
    if (argIs(call, next, "auth") && more >= 2) {
      user = argText(call, next + 1);
      password = argBytes(call, next + 2);
      next += 3;
    } else if (argIs(call, next, "setname") && more >= 1) {
      name = readClientName(call, next + 1);
      next += 2;
    } else {
      throw new ReplyError(`ERR Syntax error in HELLO option '${argText(call, next)}'`);
    }
  }
  if (user !== undefined && password !== undefined) authenticate(call, user, password);
  if (!call.client.isAuthenticated) throw new ReplyError(HELLO_NEEDS_AUTH);
  if (name !== undefined) call.client.name = name;
  replyHello(call, asksForMap);
}

const MAP_OF_SEVEN = Buffer.from("%7\r\n");

function replyHello(call: Call, asksForMap: boolean): void {
  const { out } = call;
  if (asksForMap) out.raw(MAP_OF_SEVEN);
  else out.array(14);
  out.bulkText("server");
  out.bulkText("redis");
  out.bulkText("version");
  out.bulkText(REDIS_VERSION);
  out.bulkText("proto");
  out.integer(2);
  out.bulkText("id");
  out.integer(call.client.id);
  out.bulkText("mode");
  out.bulkText("standalone");
  out.bulkText("role");
  out.bulkText("master");
  out.bulkText("modules");
  out.emptyArray();
}

function ping(call: Call): void {
  if (call.argc > 2) throw new ReplyError(wrongArity("PING"));
  if (call.argc === 1) call.out.raw(PONG);
  else call.out.bulk(call.buf, argStart(call, 1), argEnd(call, 1));
}

function quit(call: Call): void {
  call.out.ok();
  call.client.closeAfterReply();
}

function reset(call: Call): void {
  const { client, server } = call;
  client.dbIndex = 0;
  client.name = "";
  client.replyMode = "on";
  client.isAuthenticated = server.config.requirepass === "";
  call.out.simple("RESET");
}

/** Argument `i` as the number of a database. @throws ReplyError `error`, or out of range */
export function readDbIndex(call: Call, i: number, error: ReplyError): number {
  const index = argInteger(call, i, error);
  if (index < 0 || index >= call.server.config.databases) throw new ReplyError(DB_OUT_OF_RANGE);
  return index;
}

function select(call: Call): void {
  call.client.dbIndex = readDbIndex(call, 1, NOT_INTEGER_ERROR);
  call.out.ok();
}

export const CONNECTION_HANDLERS = {
  AUTH: auth,
  ECHO: (call) => call.out.bulk(call.buf, argStart(call, 1), argEnd(call, 1)),
  HELLO: hello,
  PING: ping,
  QUIT: quit,
  RESET: reset,
  SELECT: select,
} as const satisfies Record<string, Handler>;
