/**
 * What a stream means, told the slow and plain way: whole text in, all requests or replies out. It
 * is written from the protocol's description and shares nothing with src/resp, which it judges.
 *
 * Sources: RESP specification; Redis 7.0 networking.c; Codis pkg/proxy/redis/decoder.go. Where our
 * two dialects are stricter than those is said in src/resp/decoder.ts.
 */

const MIB = 1024 * 1024;

interface Dialect {
  readonly lineBytes: number;
  readonly inlineBytes: number;
  readonly argumentsMax: number;
  readonly number: RegExp;
}

const DIALECTS = {
  server: {
    lineBytes: 64 * 1024,
    inlineBytes: 64 * 1024,
    argumentsMax: 2 ** 31 - 1,
    number: /^(0|-?[1-9]\d*)$/,
  },
  proxy: {
    lineBytes: 128 * 1024,
    inlineBytes: MIB,
    argumentsMax: MIB,
    number: /^[+-]?\d+$/,
  },
} as const satisfies Record<string, Dialect>;

export type DialectName = keyof typeof DIALECTS;

const BULK_BYTES_MAX = 512 * MIB;

export interface Reading<T> {
  readonly items: readonly T[];
  /** How the text goes on after the items. */
  readonly end: "clean" | "incomplete" | "error";
  /** Why, when it is an error. */
  readonly error: string;
  /** Where the items end. */
  readonly at: number;
}

/** Thrown where the text is wrong, or is over too early. */
class Stop extends Error {
  readonly end: "incomplete" | "error";

  constructor(end: "incomplete" | "error", message = "") {
    super(message);
    this.end = end;
  }
}

interface Cursor {
  readonly text: string;
  at: number;
}

/** All whole requests of a text, each as its words. */
export function readRequests(text: string, name: DialectName): Reading<readonly string[]> {
  return readAll(text, (cursor) => readRequest(cursor, name));
}

/** All whole replies of a text, each as it stands there. */
export function readReplies(text: string): Reading<string> {
  return readAll(text, (cursor) => {
    const from = cursor.at;
    skipReply(cursor);
    return text.slice(from, cursor.at);
  });
}

function readAll<T>(text: string, readOne: (cursor: Cursor) => T | undefined): Reading<T> {
  const cursor = { text, at: 0 };
  const items: T[] = [];
  let at = 0;
  try {
    while (cursor.at < text.length) {
      const item = readOne(cursor);
      if (item !== undefined) items.push(item);
      at = cursor.at;
    }
    return { items, end: "clean", error: "", at };
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    return { items, end: error.end, error: error.message, at };
  }
}

/** Undefined for what is passed over: blank lines, and the server's empty arrays. */
function readRequest(cursor: Cursor, name: DialectName): readonly string[] | undefined {
  if (cursor.text[cursor.at] !== "*") return readInline(cursor, name);
  cursor.at++;
  const dialect = DIALECTS[name];
  const count = readNumber(
    cursor,
    dialect,
    "too big mbulk count string",
    "invalid multibulk length",
  );
  if (count > dialect.argumentsMax) throw new Stop("error", "invalid multibulk length");
  if (count < 1) {
    if (name === "proxy") throw new Stop("error", "invalid multibulk length");
    return undefined;
  }
  const words: string[] = [];
  while (words.length < count) words.push(readBulk(cursor, dialect));
  return words;
}

function readBulk(cursor: Cursor, dialect: Dialect): string {
  const type = cursor.text[cursor.at];
  if (type === undefined) throw new Stop("incomplete");
  if (type !== "$") {
    throw new Stop("error", `expected '$', got '${/[\r\n]/.test(type) ? " " : type}'`);
  }
  cursor.at++;
  const length = readNumber(cursor, dialect, "too big bulk count string", "invalid bulk length");
  if (length < 0 || length > BULK_BYTES_MAX) throw new Stop("error", "invalid bulk length");
  const end = cursor.at + length;
  if (end + 2 > cursor.text.length) throw new Stop("incomplete");
  if (cursor.text.slice(end, end + 2) !== "\r\n")
    throw new Stop("error", "expected CRLF after bulk");
  const word = cursor.text.slice(cursor.at, end);
  cursor.at = end + 2;
  return word;
}

/** The number of a header line, its type already passed. */
function readNumber(cursor: Cursor, dialect: Dialect, tooLong: string, wrong: string): number {
  const lineEnd = cursor.text.indexOf("\n", cursor.at);
  const line = cursor.text.slice(cursor.at, lineEnd < 0 ? undefined : lineEnd);
  if (line.length + 1 > dialect.lineBytes) throw new Stop("error", tooLong);
  if (lineEnd < 0) throw new Stop("incomplete");
  const digits = line.slice(0, -1);
  if (!line.endsWith("\r") || !dialect.number.test(digits)) throw new Stop("error", wrong);
  // Redis would pass over an array of -2^60 elements.
  if (!Number.isSafeInteger(Number(digits))) throw new Stop("error", wrong);
  cursor.at = lineEnd + 1;
  return Number(digits);
}

function readInline(cursor: Cursor, name: DialectName): readonly string[] | undefined {
  const lineEnd = cursor.text.indexOf("\n", cursor.at);
  const line = cursor.text.slice(cursor.at, lineEnd < 0 ? undefined : lineEnd);
  if (line.length > DIALECTS[name].inlineBytes) throw new Stop("error", "too big inline request");
  if (lineEnd < 0) throw new Stop("incomplete");
  const hasCr = line.endsWith("\r");
  const content = hasCr ? line.slice(0, -1) : line;
  cursor.at = lineEnd + 1;
  if (name === "server") {
    const words = splitArguments(content);
    if (words === undefined) throw new Stop("error", "unbalanced quotes in request");
    return words.length === 0 ? undefined : words;
  }
  if (!hasCr) throw new Stop("error", "expected CRLF after inline request");
  const words = content.split(" ").filter((word) => word !== "");
  if (words.length === 0 && content !== "") throw new Stop("error", "blank request");
  return words.length === 0 ? undefined : words;
}

/** Between double quotes any character may follow a backslash, between single quotes only a quote. */
const QUOTED = /"(?:\\[\s\S]|[^"\\])*"|'(?:\\'|[^'\\]|\\(?!'))*'/y;
const BLANKS = /[ \t\n\r\v\f]*/y;

/** Redis's sdssplitargs. Undefined when quotes are unbalanced. */
function splitArguments(line: string): readonly string[] | undefined {
  const text = line.split("\0")[0]!;
  const words: string[] = [];
  let at = 0;
  for (;;) {
    BLANKS.lastIndex = at;
    at += BLANKS.exec(text)![0].length;
    if (at === text.length) return words;
    let word = "";
    while (at < text.length && !/[ \t\n\r]/.test(text[at]!)) {
      QUOTED.lastIndex = at;
      const isQuote = text[at] === '"' || text[at] === "'";
      const piece = isQuote ? QUOTED.exec(text)?.[0] : text[at]!;
      if (piece === undefined) return undefined;
      at += piece.length;
      if (piece[0] !== '"' && piece[0] !== "'") {
        word += piece;
        continue;
      }
      word +=
        piece[0] === '"'
          ? withoutEscapes(piece.slice(1, -1))
          : piece.slice(1, -1).replace(/\\'/g, "'");
      if (at < text.length && !/[ \t\n\r\v\f]/.test(text[at]!)) return undefined;
      break;
    }
    words.push(word);
  }
}

const ESCAPED: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", b: "\b", a: "\x07" };

function withoutEscapes(quoted: string): string {
  return quoted.replace(/\\x([0-9a-fA-F]{2})|\\([\s\S])/g, (_, hex?: string, letter?: string) =>
    hex === undefined
      ? (ESCAPED[letter!] ?? letter!)
      : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** Moves past one reply, with all that is in it. */
function skipReply(cursor: Cursor): void {
  // A count instead of recursion: the nesting of an input has no bound.
  let missing = 1;
  while (missing > 0) {
    const type = cursor.text[cursor.at];
    if (type === undefined) throw new Stop("incomplete");
    cursor.at++;
    if ("+-:,(#_".includes(type)) {
      skipLine(cursor);
      missing--;
    } else if ("$=!".includes(type)) {
      skipBulk(cursor, readLength(cursor, type));
      missing--;
    } else if ("*~>".includes(type)) {
      missing += Math.max(0, readLength(cursor, type)) - 1;
    } else if (type === "%") {
      missing += 2 * readLength(cursor, type) - 1;
    } else if (type === "|") {
      missing += 2 * readLength(cursor, type);
    } else {
      throw new Stop("error", `invalid reply type '${type}'`);
    }
  }
}

function skipLine(cursor: Cursor): void {
  const lineEnd = cursor.text.indexOf("\n", cursor.at);
  if (lineEnd < 0) throw new Stop("incomplete");
  if (lineEnd === cursor.at || cursor.text[lineEnd - 1] !== "\r")
    throw new Stop("error", "expected CRLF");
  cursor.at = lineEnd + 1;
}

function skipBulk(cursor: Cursor, length: number): void {
  if (length < 0) return;
  const tail = cursor.text.slice(cursor.at + length, cursor.at + length + 2);
  if (!"\r\n".startsWith(tail)) throw new Stop("error", "expected CRLF after bulk");
  if (tail.length < 2) throw new Stop("incomplete");
  cursor.at += length + 2;
}

/** A wrong length is an error as soon as its first wrong byte is there, its line need not end. */
function readLength(cursor: Cursor, type: string): number {
  const line = /^-?\d*(\r\n?)?/.exec(cursor.text.slice(cursor.at))![0];
  const canBeNull = type === "$" || type === "*";
  const digits = line.replace(/[\r\n]/g, "");
  const max = "$=!".includes(type) ? BULK_BYTES_MAX : 2 ** 31 - 1;
  if (Math.abs(Number(digits)) > 2 ** 31 - 1) throw new Stop("error", "invalid length");
  if (!line.endsWith("\n")) {
    if (cursor.at + line.length < cursor.text.length) throw new Stop("error", "invalid length");
    throw new Stop("incomplete");
  }
  const length = Number(digits);
  const isWrong = digits === "" || digits === "-" || length > max;
  const isNegative = digits.startsWith("-");
  if (isWrong || (isNegative && !(length === -1 && canBeNull)))
    throw new Stop("error", "invalid length");
  cursor.at += line.length;
  return length;
}
