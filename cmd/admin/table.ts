/**
 * Pure: tables that align, for people. Numbers to the right, text to the left, two blanks between
 * columns, no trailing blanks.
 */

export type Cell = string | number;

/** Cells that say nothing, in columns of numbers as in columns of text. */
const NO_VALUE: readonly Cell[] = ["", "-"];

/**
 * @param header one word per column
 * @param rows as many cells each as the header; a number is printed with thousands separated, so
 *   one that is a name (of a slot, a group) is given as text
 * @returns lines, each ending in a line feed; only the header when there are no rows
 */
export function renderTable(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const texts = rows.map((row) => row.map(cellText));
  const widths = header.map((name, column) =>
    Math.max(name.length, ...texts.map((row) => row[column]!.length)),
  );
  const isNumeric = header.map((_, column) => {
    const cells = rows.map((row) => row[column]!).filter((cell) => !NO_VALUE.includes(cell));
    return cells.length > 0 && cells.every((cell) => typeof cell === "number");
  });
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((text, column) => {
      return isNumeric[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!);
    });
    return `${padded.join("  ").trimEnd()}\n`;
  };
  return [header, ...texts].map(line).join("");
}

function cellText(cell: Cell): string {
  return typeof cell === "number" ? formatCount(cell) : cell;
}

/** 1234567 -> `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

/** `1 slot`, `1,024 slots`. */
export function formatCounted(count: number, thing: string): string {
  return `${formatCount(count)} ${thing}${count === 1 ? "" : "s"}`;
}

/** Slot ids as ranges: [0,1,2,7] -> `0-2,7`; `-` when empty. Ids ascending. */
export function formatRanges(slots: readonly number[]): string {
  const ranges: string[] = [];
  for (let i = 0; i < slots.length; ) {
    let end = i;
    while (slots[end + 1] === slots[end]! + 1) end++;
    ranges.push(end === i ? String(slots[i]) : `${slots[i]}-${slots[end]}`);
    i = end + 1;
  }
  return ranges.length === 0 ? "-" : ranges.join(",");
}

/** Whole seconds as people say them: 42 -> `42 s`, 150 -> `2 min 30 s`, 7200 -> `2 h 0 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
