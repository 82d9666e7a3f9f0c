/**
 * Pure: every error the proxy itself says to a client, once each. Clients and scripts match on
 * them, so they are the original's to the letter where it has one. What is wrong with a server's
 * reply is said where that is judged (pull.ts, split.ts), and framed here.
 *
 * A text is without `-` and CR LF; `errorLine` makes the bytes. What a client sent and is shown
 * again goes through `errorLine` too, which turns CR and LF into spaces: one reply stays one line.
 *
 * Sources: Codis pkg/proxy/{session,router,forward,proxy}.go; Redis 7.0 server.c for what Codis did
 * not answer itself.
 */

/** The bytes of an error reply. */
export function errorLine(text: string): Buffer {
  return Buffer.from(`-${text.replace(/[\r\n]/g, " ")}\r\n`, "latin1");
}

export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

// -- before a request ---------------------------------------------------------------------------

export const TOO_MANY_CLIENTS = "ERR max number of clients reached";
export const NOT_ONLINE = "ERR router is not online";

// -- answered by the proxy ----------------------------------------------------------------------

export const NO_AUTH = "NOAUTH Authentication required";
export const WRONG_PASSWORD = "ERR invalid password";
export const NO_PASSWORD_SET = "ERR Client sent AUTH, but no password is set";
export const BAD_DATABASE = "ERR invalid DB index";

export function databaseOutOfRange(databases: number): string {
  return `ERR invalid DB index, only accept DB [0,${databases})`;
}

/** `name` in upper case for what Codis answers, in lower case for what Redis does. */
export function wrongArguments(name: string): string {
  return `ERR wrong number of arguments for '${name}' command`;
}

export function backendNotFound(address: string): string {
  return `ERR backend server '${address}' not found`;
}

export const HELLO_NEEDS_AUTH =
  "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> " +
  "AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol " +
  "version at the same time";
export const UNSUPPORTED_PROTOCOL = "NOPROTO unsupported protocol version";
export const BAD_PROTOCOL = "ERR Protocol version is not an integer or out of range";

export function badHelloOption(option: string): string {
  return `ERR Syntax error in HELLO option '${option}'`;
}

export const BAD_CLIENT_NAME =
  "ERR Client names cannot contain spaces, newlines or special characters.";

/** COMMAND GETKEYS of what has no row, of what has no key, of keys that cannot be told. */
export const NO_SUCH_COMMAND = "ERR Invalid command specified";
export const NO_KEY_ARGUMENTS = "ERR The command has no key arguments";
export const BAD_KEY_ARGUMENTS = "ERR Invalid arguments specified for command";

/** `reason` as Go's strconv says it, or `out of range`. */
export function badSlotNumber(number: string, reason: string): string {
  return `ERR parse slotnum '${number}' failed, ${reason}`;
}

export const CROSS_SLOT = "CROSSSLOT Keys in request don't hash to the same slot";

/** Redis shows so much of a name, and so much of all arguments together. */
const UNKNOWN_SHOWN_BYTES = 128;

/** Redis 7.0's text, which clients look for. Like a C string, what is shown ends at a NUL. */
export function unknownCommand(name: string, args: readonly string[]): string {
  let shown = "";
  for (const arg of args) {
    if (shown.length >= UNKNOWN_SHOWN_BYTES) break;
    shown += `'${beforeNul(arg).slice(0, UNKNOWN_SHOWN_BYTES - shown.length)}' `;
  }
  const start = beforeNul(name).slice(0, UNKNOWN_SHOWN_BYTES);
  return `ERR unknown command '${start}', with args beginning with: ${shown}`;
}

function beforeNul(text: string): string {
  const nul = text.indexOf("\0");
  return nul < 0 ? text : text.slice(0, nul);
}

export function unknownSubcommand(command: string, subcommand: string): string {
  return `ERR unknown subcommand '${subcommand.slice(0, UNKNOWN_SHOWN_BYTES)}'. Try ${command} HELP.`;
}

// -- failed before it was queued: `handle request` ----------------------------------------------

const HANDLE_REQUEST = "ERR handle request, ";

export const BAD_COMMAND_LENGTH = `${HANDLE_REQUEST}bad command length, too short or too long`;
export const SLOT_OFFLINE = `${HANDLE_REQUEST}slot is not ready, may be offline`;

export function notAllowed(name: string): string {
  return `${HANDLE_REQUEST}command '${name}' is not allowed`;
}

/** Ours, in front as the original's: what is asked for is spread over the groups. */
export function forEachServer(name: string): string {
  return (
    `${notAllowed(name)}: each server has only its own keys; ` +
    "send it to the master of each group, see 'codis admin group list'"
  );
}

/** Ours: a command we know and a later version forwards. */
export function notSupportedYet(name: string): string {
  return `${HANDLE_REQUEST}command '${name}' is not supported yet`;
}

/** A migration command could not be answered; `cause` as `failedWith`. */
export function handleRequest(cause: string): string {
  return HANDLE_REQUEST + cause;
}

// -- failed while its reply was awaited: `handle response` --------------------------------------

export function handleResponse(cause: string): string {
  return `ERR handle response, ${cause}`;
}

/** The connection broke while this request's reply was the next to come. */
export function connectionFailure(cause: string): string {
  return `backend conn failure, ${cause}`;
}

/** The request was queued behind that one, or the connection could not be opened. */
export const CONNECTION_RESET = "backend conn reset";

/**
 * The original's words for what `ReplyScanner` says about a malformed reply.
 * @param error as the scanner has it; texts that the original has no word for stay
 */
export function malformedReply(error: string): string {
  const type = /^invalid reply type '(.)'$/s.exec(error)?.[1];
  if (type !== undefined) return `bad resp type ${typeTag(type.charCodeAt(0))}`;
  if (error.startsWith("expected CRLF")) return "bad CRLF end";
  if (error === "invalid bulk length") return "bad bulk bytes len, too long";
  if (error === "invalid length") return "bad array len, too long";
  return error;
}

/** The type tag that Codis puts into its texts, for the first byte of a reply. */
export function typeTag(firstByte: number): string {
  switch (firstByte) {
    case 0x2b:
      return "<string>";
    case 0x2d:
      return "<error>";
    case 0x3a:
      return "<int>";
    case 0x24:
      return "<bulkbytes>";
    case 0x2a:
      return "<array>";
    default:
      return `<unknown-0x${firstByte.toString(16)}>`;
  }
}
