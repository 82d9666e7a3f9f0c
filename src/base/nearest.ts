/**
 * "Did you mean": the known word closest to one that is not known, for config keys, flags and
 * verbs.
 */

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`; both short. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(replace, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, beforeLast[j - 2]! + 1);
      }
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}

/**
 * The word of `known` nearest to `text`, compared without case, `-` read as `_`.
 * @returns undefined when nothing is near: more than a third of the longer word would change
 */
export function nearest(text: string, known: Iterable<string>): string | undefined {
  const wanted = text.toLowerCase().replaceAll("-", "_");
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const word of known) {
    const candidate = word.toLowerCase().replaceAll("-", "_");
    const distance = editDistance(wanted, candidate);
    if (distance > Math.max(wanted.length, candidate.length) / 3 || distance >= bestDistance)
      continue;
    best = word;
    bestDistance = distance;
  }
  return best;
}
