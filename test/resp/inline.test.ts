import { expect, test } from "bun:test";
import { encodeRequest } from "../../src/resp/encoder.ts";
import { encodePlainWords, findPlainWords, splitQuoted } from "../../src/resp/inline.ts";
import { createPrng } from "../support/prng.ts";

const prng = createPrng();
/** Blanks of every kind, also those that do not end a word, and bytes of words. */
const PLAIN_BYTES = Buffer.from(" \t\n\v\f\rab\\x41\x80\xff", "latin1");
const WORDS_MAX = 8;

test("A line without quotes is the same array whether its words are copied or rewritten in place", () => {
  for (let round = 0; round < 2000; round++) {
    const length = prng.int(24);
    const line = Buffer.from(Array.from({ length }, () => prng.pick([...PLAIN_BYTES])));
    const from = prng.int(length + 1);
    const words = splitQuoted(line, from, length)!;
    const args = new Int32Array(2 * WORDS_MAX);
    const count = findPlainWords(line, from, length, args);
    const seed = `seed ${prng.seed}, line ${JSON.stringify(line.toString("latin1"))}`;
    expect(count, seed).toBe(words.length > WORDS_MAX ? -1 : words.length);
    if (count <= 0) continue;
    const request = encodePlainWords(line, args, count);
    expect(request, seed).toEqual(encodeRequest(words));
    const taken = words.map((_, i) => request.subarray(args[2 * i], args[2 * i + 1]));
    expect(taken, seed).toEqual(words);
  }
});

test("Quotes, a NUL and more words than there is room for are left to splitQuoted", () => {
  const args = new Int32Array(4);
  for (const text of ['a "b"', "a 'b", 'a"b', "a\0b", "a b c"]) {
    const line = Buffer.from(text);
    expect([text, findPlainWords(line, 0, line.length, args)]).toEqual([text, -1]);
  }
  expect(findPlainWords(Buffer.from("a b "), 0, 4, args)).toBe(2);
});
