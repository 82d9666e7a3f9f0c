/**
 * Pure: CLIENT, as far as it is about this session alone. What libraries send when they connect
 * (SETINFO, SETNAME) is answered; what looks at or ends other clients, or changes how a connection
 * speaks, is not a proxy's to give: those connections to the servers are shared.
 */

import type { Command } from "../commands/lookup.ts";
import type { RequestDecoder } from "../resp/decoder.ts";
import { NIL, OK } from "../resp/reply.ts";
import { BAD_CLIENT_NAME, bulk, errorLine, notAllowed, wrongArguments } from "./replies.ts";
import { argText } from "./router.ts";
import type { Session } from "./session.ts";

/** Longest client name that is kept, in bytes. */
const NAME_BYTES_MAX = 256;

/** Answers CLIENT; what is not about this session is refused as a command not allowed. */
export function answerClient(session: Session, decoder: RequestDecoder, command: Command): true {
  const { argc } = decoder;
  if (argc < 2) {
    session.answer(command.id, errorLine(wrongArguments(command.lower)));
    return true;
  }
  const subcommand = argText(decoder, 1).toUpperCase();
  const wanted = ARGUMENTS[subcommand];
  if (wanted === undefined) {
    session.refuse(command.id, notAllowed(command.name));
  } else if (argc !== wanted) {
    const name = `${command.lower}|${subcommand.toLowerCase()}`;
    session.answer(command.id, errorLine(wrongArguments(name)));
  } else {
    session.answer(command.id, replyTo(session, decoder, subcommand));
  }
  return true;
}

/** Subcommands that are answered, and how many arguments each has, with both names. */
const ARGUMENTS: Readonly<Record<string, number>> = {
  ID: 2,
  GETNAME: 2,
  SETNAME: 3,
  SETINFO: 4,
  "NO-EVICT": 3,
  "NO-TOUCH": 3,
};

function replyTo(session: Session, decoder: RequestDecoder, subcommand: string): Buffer {
  switch (subcommand) {
    case "ID":
      return Buffer.from(`:${session.id}\r\n`);
    case "GETNAME":
      return session.name === "" ? NIL : Buffer.from(bulk(session.name), "latin1");
    case "SETNAME":
      return setName(session, argText(decoder, 2));
    default:
      return OK;
  }
}

function setName(session: Session, name: string): Buffer {
  if (name.length > NAME_BYTES_MAX || /[^!-~]/.test(name)) return errorLine(BAD_CLIENT_NAME);
  session.name = name;
  return OK;
}
