/**
 * Recorded answers of the original programs, for tests to hold ours against. The data lies beside
 * this file as it was recorded (server/README.md and proxy/scenarios.json say how); here it becomes
 * rows with names, and `assertRow` judges an answer:
 *
 *   in later.ts         must not match the record yet      (the list can only shrink)
 *   in differences.ts   must match what stands there, and must not match the record
 *   else                must match the record
 *
 * A runner makes its rows with `proxyTranscript`, `serverTranscripts` or `rowsOf`, asks ours, and
 * calls `assertRow` for each; it sends the requests of later rows too, because others build on
 * them.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { DIFFERENCES } from "./differences.ts";
import { LATER } from "./later.ts";

/** Whether `actual` is what `expected` (the record, or `ours` of a difference) says. */
export type Matcher = (expected: unknown, actual: unknown) => boolean;

export interface GoldenRow {
  /** Path below test/golden: "proxy/merge.json". */
  readonly file: string;
  /** Unique in its file; `rowsOf` says how it is made. */
  readonly id: string;
  readonly recorded: unknown;
  /** Without one, values are compared deeply. */
  readonly matches?: Matcher;
}

/** Under which rules the proxy ran: as it comes, or with `compat = "codis"`. */
export type Mode = "default" | "codis";

// -- judging ------------------------------------------------------------------------------------

/** What the row waits for; undefined when it has to hold now. */
export function waitsFor(row: Pick<GoldenRow, "file" | "id">): string | undefined {
  return LATER.find(
    ({ file, ids }) => file === row.file && (ids === "all" || expandIds(ids).includes(row.id)),
  )?.waitsFor;
}

/** Throws unless `actual` is what the row, or the list it stands in, asks for. */
export function assertRow(row: GoldenRow, actual: unknown, mode: Mode = "default"): void {
  const matches = row.matches ?? Bun.deepEquals;
  const where = `${row.file} row ${row.id}`;
  const isAsRecorded = matches(row.recorded, actual);
  const waiting = waitsFor(row);
  if (waiting !== undefined) {
    // In a file that waits as a whole some rows only prepare the state, and match by nature.
    const isWhole = LATER.some(({ file, ids }) => file === row.file && ids === "all");
    if (!isAsRecorded || isWhole) return;
    throw new Error(`${where} matches the record: strike it from later.ts (waits for ${waiting})`);
  }
  const difference = DIFFERENCES.find(
    (entry) => entry.file === row.file && entry.id === row.id && (entry.mode ?? "default") === mode,
  );
  if (difference === undefined) {
    if (isAsRecorded) return;
    throw new Error(`${where}\n recorded: ${show(row.recorded)}\n ours:     ${show(actual)}`);
  }
  if (isAsRecorded) throw new Error(`${where} matches the record: strike it from differences.ts`);
  if (matches(difference.ours, actual)) return;
  const expected = `${where} differs on purpose (${difference.why})\n expected: `;
  throw new Error(`${expected}${show(difference.ours)}\n ours:     ${show(actual)}`);
}

function show(value: unknown): string {
  return Bun.inspect(value, { depth: 8 });
}

/** `"3"` and `"5-8"` as single ids. */
export function expandIds(ids: readonly string[]): string[] {
  return ids.flatMap((id) => {
    const range = /^(\d+)-(\d+)$/.exec(id);
    if (range === null) return [id];
    const first = Number(range[1]);
    return Array.from({ length: Number(range[2]) - first + 1 }, (_, i) => String(first + i));
  });
}

// -- reading ------------------------------------------------------------------------------------

/** The path of a recorded file, for programs that want the file itself. */
export function goldenPath(file: string): string {
  return join(import.meta.dir, file);
}

/** The JSON of a recorded file; its shape is the caller's knowledge. */
export function readGolden<T>(file: string): T {
  return JSON.parse(readFileSync(goldenPath(file), "utf8")) as T;
}

type Json = Record<string, unknown>;

/**
 * The rows of a file, `recorded` being the whole record. Ids: `id` or `n` where a record has one,
 * else its index; records of a member list of an object are `cases/3`, but plain when the object
 * has one list only.
 */
export function rowsOf(file: string): (GoldenRow & { readonly record: Json })[] {
  const data = readGolden<Json | Json[]>(file);
  const lists = Array.isArray(data) ? [["", data] as const] : memberLists(data);
  return lists.flatMap(([name, list]) =>
    list.map((record, i) => {
      const own = String(record.id ?? record.n ?? i);
      const id = lists.length === 1 ? own : `${name}/${own}`;
      return { file, id, record, recorded: record };
    }),
  );
}

function memberLists(data: Json): [string, Json[]][] {
  return Object.entries(data).filter((entry): entry is [string, Json[]] => Array.isArray(entry[1]));
}

// -- bytes --------------------------------------------------------------------------------------

/** Undoes the escapes of golden/server: `\\ \r \n \t \xHH`. */
export function unescapeBytes(text: string): Buffer {
  const bytes = text.replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex?: string, char?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return char === "r" ? "\r" : char === "n" ? "\n" : char === "t" ? "\t" : char!;
  });
  return Buffer.from(bytes, "latin1");
}

/** Writes bytes as golden/server does; for its regular expressions, and for messages. */
export function escapeBytes(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  return text.replace(/[^\x20-\x5b\x5d-\x7e]/g, (char) => {
    if (char === "\\") return "\\\\";
    if (char === "\r") return "\\r";
    if (char === "\n") return "\\n";
    if (char === "\t") return "\\t";
    return `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

// -- replies ------------------------------------------------------------------------------------

/** What a runner saw: the raw bytes, and whether the peer then closed the connection. */
export interface Answer {
  readonly reply: Uint8Array;
  readonly closed?: boolean;
  /** It came only once a later row was done. */
  readonly held?: boolean;
}

/** What a record, or a difference, says about an answer. Absent members are not looked at. */
export interface ExpectedAnswer {
  /** Raw reply, one character a byte; or a pattern that the latin1 text must match. */
  readonly reply: string | RegExp;
  readonly closed?: boolean;
  readonly held?: boolean;
  /** Arrays compare as multisets. */
  readonly unordered?: boolean;
  /** Must match the escaped reply; `reply` is then a sample. */
  readonly escapedPattern?: RegExp;
}

export const matchesAnswer: Matcher = (expected, actual) => {
  const { reply, closed, held, unordered, escapedPattern } = expected as ExpectedAnswer;
  const answer = actual as Answer;
  if ((held ?? false) !== (answer.held ?? false)) return false;
  if (closed !== undefined && answer.closed !== undefined && closed !== answer.closed) return false;
  const text = Buffer.from(answer.reply).toString("latin1");
  if (escapedPattern !== undefined) return escapedPattern.test(escapeBytes(answer.reply));
  if (reply instanceof RegExp) return reply.test(text);
  return text === reply || (unordered === true && sortedReply(text) === sortedReply(reply));
};

/** A reply with the elements of each array in one order, as text to compare. */
function sortedReply(text: string): string {
  let at = 0;
  const value = (): string => {
    const lineEnd = text.indexOf("\r\n", at);
    if (lineEnd < 0) return text.slice(at);
    const header = text.slice(at, lineEnd);
    at = lineEnd + 2;
    const count = Number(header.slice(1));
    if (header.startsWith("*") && count >= 0) {
      return `[${Array.from({ length: count }, value)
        .sort((a, b) => (a < b ? -1 : 1))
        .join()}]`;
    }
    if (!header.startsWith("$") || count < 0) return JSON.stringify(header);
    const body = text.slice(at, at + count);
    at += count + 2;
    return JSON.stringify(`$${body}`);
  };
  const values: string[] = [];
  while (at < text.length) {
    const before = at;
    values.push(value());
    if (at === before) break;
  }
  return values.join();
}

// -- transcripts --------------------------------------------------------------------------------

/** One exchange at the proxy: send `args` as a request, or `raw` as it is, and read. */
export interface ProxyExchange extends GoldenRow {
  readonly scenario: string;
  readonly conn: string;
  readonly args?: readonly Buffer[];
  /** May be empty: connect and only read. */
  readonly raw?: Buffer;
  readonly origin: "proxy" | "merged" | "backend";
  readonly recorded: ExpectedAnswer & { readonly reply: string };
}

interface ProxyRecord {
  readonly n: number;
  readonly scenario: string;
  readonly conn?: string | number;
  readonly request?: readonly string[];
  readonly raw?: string;
  readonly reply: string;
  readonly origin: ProxyExchange["origin"];
  readonly eof?: boolean;
}

/** @param file "proxy/transcript.json" (3.2 backends) or "proxy/transcript-redis7.json" */
export function proxyTranscript(file: string): ProxyExchange[] {
  return readGolden<ProxyRecord[]>(file).map((record) => ({
    file,
    id: String(record.n),
    scenario: record.scenario,
    conn: String(record.conn ?? "main"),
    ...(record.request && { args: record.request.map((arg) => Buffer.from(arg, "latin1")) }),
    ...(record.raw !== undefined && { raw: Buffer.from(record.raw, "latin1") }),
    origin: record.origin,
    recorded: { reply: record.reply, ...(record.eof !== undefined && { closed: record.eof }) },
    matches: matchesAnswer,
  }));
}

/** One step at a server. */
export interface ServerExchange extends GoldenRow {
  readonly conn: string;
  readonly on: "server" | "target";
  /** null: send nothing, read the reply that is still due. */
  readonly args: readonly Buffer[] | null;
  /** Do not wait for a reply now; there is none to judge. */
  readonly pending: boolean;
  readonly waitMs: number;
  readonly recorded: ExpectedAnswer & { readonly reply: string };
}

export interface ServerTranscript {
  /** "server/transcripts/slotsinfo.json" */
  readonly file: string;
  readonly description: string;
  readonly serverConfig: readonly string[];
  readonly targetConfig: readonly string[];
  readonly needs: readonly ("target" | "blackhole")[];
  /** @param placeholders values of TARGET_HOST, TARGET_PORT, BLACKHOLE_PORT, REFUSED_PORT */
  exchanges(placeholders: Readonly<Record<string, string>>): ServerExchange[];
}

interface ServerRecord {
  readonly request: readonly string[] | null;
  readonly reply: string | null;
  readonly conn?: string;
  readonly on?: "server" | "target";
  readonly match?: "exact" | "unordered" | "regex";
  readonly regex?: string;
  readonly pending?: boolean;
  readonly closes?: boolean;
  readonly wait_ms?: number;
}

interface TranscriptIndex {
  readonly file: string;
  readonly description: string;
  readonly server_config: readonly string[];
  readonly target_config: readonly string[];
  readonly needs: ServerTranscript["needs"];
}

/** All transcripts of golden/server, each to be run in order on fresh, empty servers. */
export function serverTranscripts(): ServerTranscript[] {
  const index = readGolden<TranscriptIndex[]>("server/transcripts/index.json");
  return index.map((entry) => {
    const file = `server/transcripts/${entry.file}`;
    return {
      file,
      description: entry.description,
      serverConfig: entry.server_config,
      targetConfig: entry.target_config,
      needs: entry.needs,
      exchanges: (placeholders) =>
        readGolden<ServerRecord[]>(file).map((record, i) =>
          serverExchange(file, String(i), record, (text) => fill(text, placeholders)),
        ),
    };
  });
}

function fill(text: string, placeholders: Readonly<Record<string, string>>): string {
  return text.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => placeholders[name] ?? whole);
}

function serverExchange(
  file: string,
  id: string,
  record: ServerRecord,
  filled: (text: string) => string,
): ServerExchange {
  const regex = record.regex?.replace(/\\\{\\\{(\w+)\\\}\\\}/g, "{{$1}}");
  const pattern = record.match === "regex" ? filled(regex!) : undefined;
  return {
    file,
    id,
    conn: record.conn ?? "main",
    on: record.on ?? "server",
    args: record.request?.map((arg) => unescapeBytes(filled(arg))) ?? null,
    pending: record.pending === true,
    waitMs: record.wait_ms ?? 0,
    recorded: {
      reply: unescapeBytes(filled(record.reply ?? "")).toString("latin1"),
      closed: record.closes === true,
      ...(record.match === "unordered" && { unordered: true }),
      ...(pattern !== undefined && { escapedPattern: new RegExp(`^(?:${pattern})$`, "s") }),
    },
    matches: matchesAnswer,
  };
}
