/**
 * Bytes where they lie: how the collection types hand out fields, members and elements without a
 * copy. One object is filled again and again; what it shows is valid until its collection changes.
 */

export interface ByteRange {
  /** The memory; the string is `bytes[start, end)`. */
  bytes: Buffer;
  start: number;
  end: number;
}

const NOTHING = Buffer.alloc(0);

/** A range to be filled; empty until then. */
export function createByteRange(): ByteRange {
  return { bytes: NOTHING, start: 0, end: 0 };
}
