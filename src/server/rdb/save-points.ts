/**
 * Pure: `save` of the configuration: pairs of seconds and changes. When so many changes were made
 * and so many seconds have passed since the last save, another begins. Source: Redis 7.0
 * src/config.c (`setConfigSaveOption`).
 */

export interface SavePoint {
  readonly seconds: number;
  readonly changes: number;
}

/** @returns the pairs of `text`, a blank between numbers; undefined when it is no list of pairs */
export function parseSavePoints(text: string): readonly SavePoint[] | undefined {
  const words = text === "" ? [] : text.split(" ");
  if (words.length % 2 !== 0 || !words.every((word) => /^\d{1,9}$/.test(word))) return undefined;
  const points: SavePoint[] = [];
  for (let i = 0; i < words.length; i += 2) {
    points.push({ seconds: Number(words[i]), changes: Number(words[i + 1]) });
  }
  return points.every(({ seconds }) => seconds >= 1) ? points : undefined;
}

/** The point that says that it is time, or undefined. */
export function dueSavePoint(
  points: readonly SavePoint[],
  changes: number,
  secondsSince: number,
): SavePoint | undefined {
  return points.find((point) => changes >= point.changes && secondsSince > point.seconds);
}
