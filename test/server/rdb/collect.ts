/** A ValueSink that keeps what it is given as JavaScript values, and helpers to make payloads. */

import type { ValueKind, ValueSink } from "../../../src/server/rdb/body-reader.ts";
import { sealCrc64 } from "../../../src/server/rdb/crc64.ts";
import type { Slice } from "../../../src/server/rdb/slice.ts";

export class CollectingSink implements ValueSink {
  kind: ValueKind | "" = "";
  text = "";
  readonly items: string[] = [];
  /** Members, members with scores, or fields with values. */
  readonly entries = new Map<string, string | number>();

  begin(kind: ValueKind): void {
    this.kind = kind;
  }
  string(value: Slice): void {
    this.text = value.text();
  }
  push(item: Slice): void {
    this.items.push(item.text());
  }
  member(member: Slice): boolean {
    return this.#add(member, "");
  }
  scored(member: Slice, score: number): boolean {
    return this.#add(member, score);
  }
  field(field: Slice, value: Slice): boolean {
    return this.#add(field, value.text());
  }
  #add(key: Slice, value: string | number): boolean {
    const text = key.text();
    if (this.entries.has(text)) return false;
    this.entries.set(text, value);
    return true;
  }
}

/** `body` (type byte first) with a footer of `version` and its checksum. */
export function sealed(body: Buffer | readonly number[], version = 6): Buffer {
  const bytes = Buffer.from(body as Buffer);
  const payload = Buffer.alloc(bytes.length + 10);
  bytes.copy(payload);
  payload.writeUInt16LE(version, bytes.length);
  sealCrc64(payload, 0, bytes.length + 2);
  return payload;
}
