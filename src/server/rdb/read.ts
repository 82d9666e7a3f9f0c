/**
 * Pure: reads a serialised value, of every type and form that Redis up to 8 writes, into a sink.
 *
 *   payload  = type byte, body, RDB version (u16 LE), CRC-64 of all before (8 bytes LE)
 *   body     = per type (body-reader.ts); strings as in string-reader.ts, inside which the compact
 *              structures lie
 *
 * The sink is fed while the body is read, so it must be able to throw away what it has: a payload
 * may turn out malformed at its last byte. Empty collections and bytes left over are malformed
 * here, though some Redis versions take them. Source: Redis 7.0 src/cluster.c
 * (`verifyDumpPayload`).
 */

import { BodyReader, isValueType, type ValueSink } from "./body-reader.ts";
import { CRC64_BYTES, matchesCrc64 } from "./crc64.ts";
import { RDB_VERSION_MAX } from "./format.ts";
import { demand, MalformedPayload } from "./slice.ts";
import { StringReader } from "./string-reader.ts";

/** The version and the checksum behind a body. */
const FOOTER_BYTES = 2 + CRC64_BYTES;

/** "footer": wrong version or checksum. "body": the rest. */
export type ReadOutcome = "ok" | "footer" | "body";

/** Whether `bytes[start, end)` ends in a footer we accept: version at most 12, checksum right. */
function hasValidFooter(bytes: Buffer, start: number, end: number): boolean {
  const footer = end - FOOTER_BYTES;
  if (footer < start) return false;
  if (bytes.readUInt16LE(footer) > RDB_VERSION_MAX) return false;
  return matchesCrc64(bytes, start, footer + 2);
}

/** One for all payloads: each is read to its end before the next begins. */
const body = new BodyReader();

/** What a payload says of itself, before anything is checked; undefined when it is too short. */
export function payloadHeader(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly version: number; readonly isKnownType: boolean } | undefined {
  const footer = end - FOOTER_BYTES;
  if (footer <= start) return undefined;
  return { version: bytes.readUInt16LE(footer), isKnownType: isValueType(bytes[start]!) };
}

/**
 * Reads the payload `bytes[start, end)` into `sink`. When the answer is not "ok", what the sink was
 * given so far is to be thrown away.
 */
export function readPayload(
  bytes: Buffer,
  start: number,
  end: number,
  sink: ValueSink,
): ReadOutcome {
  if (!hasValidFooter(bytes, start, end)) return "footer";
  try {
    const source = new StringReader(bytes, start, end - FOOTER_BYTES);
    body.begin(source, source.byte(), sink);
    body.more(Number.POSITIVE_INFINITY);
    demand(body.count > 0, "empty collection");
    demand(source.at === source.end, "bytes after the body");
    return "ok";
  } catch (error) {
    if (error instanceof MalformedPayload) return "body";
    throw error;
  }
}
