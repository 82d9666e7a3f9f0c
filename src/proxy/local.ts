/**
 * Pure: the commands a proxy answers itself, or sends to a server it chooses: about the session
 * (AUTH, SELECT, QUIT, HELLO, CLIENT), about the proxy (SLOTSMAPPING, COMMAND), about one server
 * (PING, INFO, SLOTSINFO with its address).
 *
 * A handler answers and returns true, or returns what `forwardToSlot` did. Texts of the original
 * come with the name in upper case, those of Redis in lower case.
 *
 * HELLO says protocol 2 whatever version is asked for, and everything after it is RESP2: a refusal
 * would make node-redis give up. To HELLO 3 it says so in a map of RESP3, as Bun's client takes
 * nothing else and node-redis and ioredis take both.
 * Sources: Codis pkg/proxy/session.go; Redis 7.0.
 */

import { goNumberError, parseGoInteger } from "../base/go-number.ts";
import type { Command } from "../commands/lookup.ts";
import { REDIS_VERSION } from "../commands/redis-version.ts";
import type { CommandName } from "../commands/table.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { encodeRequest } from "../resp/encoder.ts";
import { OK, PONG } from "../resp/reply.ts";
import { SLOT_COUNT, slotOfRange } from "../slots/hash.ts";
import { Addressed } from "./addressed.ts";
import { answerClient } from "./local-client.ts";
import { answerCommand } from "./local-command.ts";
import {
  BAD_DATABASE,
  BAD_PROTOCOL,
  badHelloOption,
  badSlotNumber,
  bulk,
  databaseOutOfRange,
  errorLine,
  HELLO_NEEDS_AUTH,
  NO_PASSWORD_SET,
  UNSUPPORTED_PROTOCOL,
  WRONG_PASSWORD,
  wrongArguments,
} from "./replies.ts";
import { argText, type Router } from "./router.ts";
import type { Session } from "./session.ts";
import type { ProxySlot } from "./slot.ts";

/** The one user there is, by the name Redis gives it. */
const DEFAULT_USER = "default";

type LocalHandler = (
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
) => boolean;

const HANDLERS: Partial<Record<CommandName, LocalHandler>> = {
  SELECT: select,
  PING: ping,
  ECHO: echo,
  INFO: info,
  CLIENT: (session, decoder, command) => answerClient(session, decoder, command),
  COMMAND: (session, decoder, command) => answerCommand(session, decoder, command),
  SLOTSINFO: slotsInfo,
  SLOTSSCAN: slotsScan,
  SLOTSMAPPING: slotsMapping,
  SLOTSHASHKEY: slotsHashKey,
};

/** Answers what needs no password: AUTH, QUIT, HELLO. @returns whether it was one of them */
export function answerBeforeAuth(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
): boolean {
  switch (command.name) {
    case "AUTH":
      auth(session, decoder, command);
      return true;
    case "QUIT":
      session.answer(command.id, OK);
      session.finish("QUIT");
      return true;
    case "HELLO":
      hello(session, decoder, command);
      return true;
    default:
      return false;
  }
}

/** Answers a command of policy `local`. @returns false when it waits for a backend */
export function answerLocally(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  const handler = HANDLERS[command.name];
  if (handler !== undefined) return handler(session, decoder, command, router);
  // A row that is local to our server only: any server may answer it.
  return router.forwardToSlot(session, decoder, command, router.anySlot());
}

/** Answers with an error that is no failure of the proxy. @returns true, as handlers do */
function complain(session: Session, command: Command, text: string): true {
  session.answer(command.id, errorLine(text));
  return true;
}

// -- the session --------------------------------------------------------------------------------

function auth(session: Session, decoder: RequestDecoder, command: Command): void {
  const { argc } = decoder;
  // `AUTH default password` is what clients send that were told a user, as in `redis://default:...`.
  const namesUser = argc === 3 && argText(decoder, 1) === DEFAULT_USER;
  if (argc !== 2 && !namesUser) {
    complain(session, command, wrongArguments(command.name));
    return;
  }
  const failure = authorize(session, argText(decoder, argc - 1));
  session.answer(command.id, failure === "" ? OK : errorLine(failure));
}

/**
 * @returns the error text, "" when the password is right; a wrong one revokes an earlier right one
 */
function authorize(session: Session, password: string): string {
  // Config texts are UTF-8; what came from the client is one character per byte.
  const wanted = Buffer.from(session.port.limits.session_auth);
  if (wanted.length === 0) return NO_PASSWORD_SET;
  session.authorize(wanted.equals(Buffer.from(password, "latin1")));
  return session.isAuthorized ? "" : WRONG_PASSWORD;
}

function hello(session: Session, decoder: RequestDecoder, command: Command): void {
  const failure = readHello(session, decoder);
  if (failure !== "") {
    complain(session, command, failure);
    return;
  }
  const fields = [
    bulk("server") + bulk("redis"),
    bulk("version") + bulk(REDIS_VERSION),
    `${bulk("proto")}:2\r\n`,
    `${bulk("id")}:${session.id}\r\n`,
    bulk("mode") + bulk("standalone"),
    bulk("role") + bulk("master"),
    `${bulk("modules")}*0\r\n`,
  ];
  const asksForMap = decoder.argc > 1 && argText(decoder, 1) === "3";
  const header = asksForMap ? `%${fields.length}` : `*${fields.length * 2}`;
  session.answer(command.id, Buffer.from(`${header}\r\n${fields.join("")}`));
}

/** Applies `HELLO [version [AUTH user password] [SETNAME name]]`; "" or the error text. */
function readHello(session: Session, decoder: RequestDecoder): string {
  const { argc } = decoder;
  if (argc > 1 && !/^[23]$/.test(argText(decoder, 1))) {
    return /^\d+$/.test(argText(decoder, 1)) ? UNSUPPORTED_PROTOCOL : BAD_PROTOCOL;
  }
  let name: string | undefined;
  for (let i = 2; i < argc; i++) {
    const option = argText(decoder, i).toUpperCase();
    if (option === "AUTH" && i + 2 < argc) {
      const failure = authorize(session, argText(decoder, i + 2));
      if (failure !== "") return failure;
      i += 2;
    } else if (option === "SETNAME" && i + 1 < argc) {
      name = argText(decoder, ++i);
    } else {
      return badHelloOption(argText(decoder, i));
    }
  }
  if (!session.isAuthorized) return HELLO_NEEDS_AUTH;
  if (name !== undefined) session.name = name;
  return "";
}

function select(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  if (decoder.argc !== 2) return complain(session, command, wrongArguments(command.name));
  const number = parseGoInteger(argText(decoder, 1));
  if (typeof number === "string") return complain(session, command, BAD_DATABASE);
  const databases = router.config.backend_number_databases;
  if (number < 0 || number >= databases) {
    return complain(session, command, databaseOutOfRange(databases));
  }
  session.database = number;
  session.answer(command.id, OK);
  return true;
}

// -- any server, or one by its address ----------------------------------------------------------

function ping(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  if (decoder.argc === 1) {
    if (router.isCompat) return router.forwardToSlot(session, decoder, command, router.anySlot());
    session.answer(command.id, PONG);
    return true;
  }
  if (namesBackend(decoder, router)) return toBackend(session, decoder, command, router);
  if (decoder.argc > 2) return complain(session, command, wrongArguments(command.lower));
  return echoArgument(session, decoder, command);
}

function info(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  if (decoder.argc > 1 && namesBackend(decoder, router)) {
    return toBackend(session, decoder, command, router);
  }
  return router.forwardToSlot(session, decoder, command, router.anySlot());
}

function echo(session: Session, decoder: RequestDecoder, command: Command): boolean {
  if (decoder.argc !== 2) return complain(session, command, wrongArguments(command.lower));
  return echoArgument(session, decoder, command);
}

/** Argument 1 as a bulk: as it came, length line and all. */
function echoArgument(session: Session, decoder: RequestDecoder, command: Command): boolean {
  const { buf, args } = decoder;
  const length = Buffer.from(`$${args[3]! - args[2]!}\r\n`);
  session.answer(command.id, Buffer.concat([length, buf.subarray(args[2]!, args[3]! + 2)]));
  return true;
}

function slotsInfo(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  if (decoder.argc !== 2) return complain(session, command, wrongArguments(command.name));
  return toBackend(session, decoder, command, router);
}

/** Whether argument 1 is an address; under compat it always is meant as one. */
function namesBackend(decoder: RequestDecoder, router: Router): boolean {
  return router.isCompat || router.knowsBackend(argText(decoder, 1));
}

/** Sends the request without argument 1 to the server whose address that is. */
function toBackend(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  const { buf, args, argc } = decoder;
  const words: (string | Buffer)[] = [command.name];
  for (let i = 2; i < argc; i++) words.push(buf.subarray(args[2 * i]!, args[2 * i + 1]!));
  const address = argText(decoder, 1);
  const request = new Addressed(session, command, router, address, encodeRequest(words));
  if (request.retry()) return true;
  session.wait(request);
  return false;
}

// -- slots --------------------------------------------------------------------------------------

function slotsScan(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  if (decoder.argc < 3) return complain(session, command, wrongArguments(command.name));
  const slotId = parseSlotId(argText(decoder, 1));
  if (typeof slotId === "string") return complain(session, command, slotId);
  return router.forwardToSlot(session, decoder, command, slotId);
}

function slotsMapping(
  session: Session,
  decoder: RequestDecoder,
  command: Command,
  router: Router,
): boolean {
  if (decoder.argc > 2) return complain(session, command, wrongArguments(command.name));
  if (decoder.argc === 1) {
    const all = router.slots.map(mappingOf).join("");
    session.answer(command.id, Buffer.from(`*${SLOT_COUNT}\r\n${all}`));
    return true;
  }
  const slotId = parseSlotId(argText(decoder, 1));
  if (typeof slotId === "string") return complain(session, command, slotId);
  session.answer(command.id, Buffer.from(mappingOf(router.slots[slotId]!)));
  return true;
}

function mappingOf({ definition }: ProxySlot): string {
  const { id, backend_addr: primary, migrate_from: source, replica_groups: groups } = definition;
  const listed = groups.map((group) => {
    return `*${group.length}\r\n${group.map((address) => `+${address}\r\n`).join("")}`;
  });
  const replicas = groups.length === 0 ? "*-1\r\n" : `*${groups.length}\r\n${listed.join("")}`;
  return `*4\r\n+${id}\r\n+${primary}\r\n+${source}\r\n${replicas}`;
}

function slotsHashKey(session: Session, decoder: RequestDecoder, command: Command): boolean {
  const { buf, args, argc } = decoder;
  let reply = `*${argc - 1}\r\n`;
  for (let i = 1; i < argc; i++) {
    reply += `:${slotOfRange(buf, args[2 * i]!, args[2 * i + 1]!)}\r\n`;
  }
  session.answer(command.id, Buffer.from(reply));
  return true;
}

/** A slot number, or the text of the error. */
function parseSlotId(text: string): number | string {
  const number = parseGoInteger(text);
  if (typeof number === "string") {
    return badSlotNumber(text, goNumberError("ParseInt", text, number));
  }
  return number >= 0 && number < SLOT_COUNT ? number : badSlotNumber(text, "out of range");
}
