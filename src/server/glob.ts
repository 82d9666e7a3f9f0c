/**
 * Pure: glob patterns as Redis reads them (KEYS, the SCAN family, CONFIG GET): `*`, `?`, `[a-z]`,
 * `[^x]` and `\` before a byte to be taken as it is. Bytes, not text.
 *
 * Every token but `*` takes exactly one byte, so it is enough to go back to the last `*` seen: time
 * is at most pattern length x subject length, whatever the pattern.
 * Source: redis 7.0 src/util.c `stringmatchlen`, with its oddities: an empty subject matches only
 * an empty pattern (not even `*`: callers treat a lone `*` as no pattern), an unclosed `[` ends
 * with the pattern.
 */

const STAR = 0x2a;
const QUESTION = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const CARET = 0x5e;
const DASH = 0x2d;
const BACKSLASH = 0x5c;

/** Where the token that was just compared ends; set by `matchToken`. */
let tokenEnd = 0;

/**
 * Whether `subject[from, to)` matches `pattern[patternFrom, patternTo)`, case included.
 */
export function matchGlob(
  pattern: Uint8Array,
  patternFrom: number,
  patternTo: number,
  subject: Uint8Array,
  from: number,
  to: number,
): boolean {
  if (from === to) return patternFrom === patternTo;
  let p = patternFrom;
  let s = from;
  let afterStar = -1;
  let starSubject = 0;
  while (s < to) {
    if (p < patternTo && pattern[p] === STAR) {
      afterStar = ++p;
      starSubject = s;
      if (p === patternTo) return true;
    } else if (p < patternTo && matchToken(pattern, p, patternTo, subject[s]!)) {
      p = tokenEnd;
      s++;
    } else if (afterStar >= 0) {
      p = afterStar;
      s = ++starSubject;
    } else {
      return false;
    }
  }
  while (p < patternTo && pattern[p] === STAR) p++;
  return p === patternTo;
}

/**
 * Whether the token at `p` (no star) takes `byte`; `tokenEnd` is then where the next token starts.
 */
function matchToken(pattern: Uint8Array, p: number, patternTo: number, byte: number): boolean {
  const first = pattern[p]!;
  if (first === OPEN) return matchSet(pattern, p + 1, patternTo, byte);
  if (first === QUESTION) {
    tokenEnd = p + 1;
    return true;
  }
  const literal = first === BACKSLASH && p + 1 < patternTo ? p + 1 : p;
  tokenEnd = literal + 1;
  return pattern[literal] === byte;
}

/** A set of bytes; `start` is behind its `[`. */
function matchSet(pattern: Uint8Array, start: number, patternTo: number, byte: number): boolean {
  let p = start;
  const negated = p < patternTo && pattern[p] === CARET;
  if (negated) p++;
  let found = false;
  while (p < patternTo && pattern[p] !== CLOSE) {
    if (pattern[p] === BACKSLASH && p + 1 < patternTo) {
      found ||= pattern[p + 1] === byte;
      p += 2;
    } else if (p + 2 < patternTo && pattern[p + 1] === DASH) {
      const low = Math.min(pattern[p]!, pattern[p + 2]!);
      const high = Math.max(pattern[p]!, pattern[p + 2]!);
      found ||= byte >= low && byte <= high;
      p += 3;
    } else {
      found ||= pattern[p] === byte;
      p++;
    }
  }
  tokenEnd = Math.min(p + 1, patternTo);
  return found !== negated;
}
