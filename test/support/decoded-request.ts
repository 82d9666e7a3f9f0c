/** What the decoder of requests made of its input, for the tests of it. */

import { expect } from "bun:test";
import type { RequestDecoder } from "../../src/resp/decoder.ts";
import { encodeRequest } from "../../src/resp/encoder.ts";

/** Arguments as latin1; the request's own bytes must be an array of just these. */
export function argumentsOf(decoder: RequestDecoder): string[] {
  const words = Array.from({ length: decoder.argc }, (_, i) =>
    decoder.buf.latin1Slice(decoder.args[2 * i], decoder.args[2 * i + 1]),
  );
  const whole = decoder.buf.latin1Slice(decoder.start, decoder.end);
  expect(whole).toBe(encodeRequest(words.map((word) => Buffer.from(word, "latin1"))).latin1Slice());
  return words;
}
