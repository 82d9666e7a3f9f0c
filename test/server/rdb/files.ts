/** Makes RDB files byte by byte, and loads them into a server without a socket. */

import { sealCrc64 } from "../../../src/server/rdb/crc64.ts";
import { loadRdb, type RdbLoaded } from "../../../src/server/rdb/load.ts";
import { OwnServer } from "../../support/compare.ts";
import { MemoryFiles } from "../../support/memory-files.ts";
import { RecordingLog } from "../../support/own-server.ts";

export type Bytes = Buffer | readonly number[];

/** A string with a 32-bit length, which every reader must take. */
export function longString(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text as string, "latin1");
  const head = Buffer.alloc(5, 0x80);
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** One key: type, name, body. */
export function keyBytes(name: string, type: number, body: Bytes): Buffer {
  return Buffer.concat([Buffer.of(type), longString(name), Buffer.from(body as Buffer)]);
}

/** A file of `parts`, with its end and, since version 5, its checksum. */
export function rdbFile(parts: readonly Bytes[], version = 10, hasChecksum = true): Buffer {
  const head = Buffer.from(`REDIS${String(version).padStart(4, "0")}`, "latin1");
  const body = parts.map((part) => Buffer.from(part as Buffer));
  const bytes = Buffer.concat([head, ...body, Buffer.of(0xff), Buffer.alloc(8)]);
  if (version < 5) return bytes.subarray(0, -8);
  if (hasChecksum) sealCrc64(bytes, 0, bytes.length - 8);
  return bytes;
}

export interface LoadedFile extends RdbLoaded {
  readonly own: OwnServer;
  readonly log: RecordingLog;
}

/** Loads the file into an empty server. */
export async function loadFile(
  content: Buffer,
  changes: { isPreamble?: boolean; checksSum?: boolean } = {},
): Promise<LoadedFile> {
  const files = new MemoryFiles();
  files.set("dump.rdb", content);
  const own = new OwnServer();
  const log = new RecordingLog();
  const fd = files.open("dump.rdb", "r");
  const loaded = await loadRdb(files, fd, {
    databases: own.state.databases,
    clock: { now: () => own.clock.now(), monotonic: () => performance.now() },
    log: log as never,
    path: "disk/dump.rdb",
    checksSum: true,
    isPreamble: false,
    ...changes,
  });
  return { ...loaded, own, log };
}

/** The text of the refusal; fails when the file loads. */
export async function refusalOf(content: Buffer): Promise<string> {
  try {
    await loadFile(content);
  } catch (error) {
    return String((error as Error).message);
  }
  throw new Error("the file was loaded");
}
