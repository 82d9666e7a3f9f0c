/**
 * Where a bench's output goes: progress to stderr, raw output into a directory of this run under
 * test/bench/out/ (not in git), tables and verdicts to stdout at the end.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";

/** One of the targets, held against what was measured. */
export interface Verdict {
  readonly what: string;
  readonly measured: number;
  /** `measured` must not be above it. */
  readonly limit: number;
  readonly unit: "x" | "ms";
}

function isMet({ measured, limit }: Verdict): boolean {
  return measured <= limit;
}

/** Rows under a heading; numbers are right-aligned. */
export interface Table {
  readonly title: string;
  readonly heading: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

export class Recorder {
  readonly directory: string;
  readonly tables: Table[] = [];
  readonly verdicts: Verdict[] = [];
  readonly #beganMs = performance.now();

  constructor() {
    const name = new Date().toISOString().replace(/[:.]/g, "-");
    this.directory = join(import.meta.dir, "out", name);
    mkdirSync(this.directory, { recursive: true });
  }

  progress(text: string): void {
    const seconds = ((performance.now() - this.#beganMs) / 1000).toFixed(0);
    process.stderr.write(`[${seconds.padStart(3)} s] ${text}\n`);
  }

  /** Keeps a program's output as it was, with what was measured beside it. */
  raw(name: string, text: string, measured: object): void {
    writeFileSync(join(this.directory, `${name}.txt`), `${JSON.stringify(measured)}\n${text}\n`);
  }

  /** Prints everything and keeps it. @returns whether every target is met */
  finish(asJson: boolean): boolean {
    const host = `${cpus()[0]?.model ?? "unknown CPU"}, Bun ${Bun.version}`;
    const verdicts = this.verdicts.map((verdict) => ({ ...verdict, isMet: isMet(verdict) }));
    const json = JSON.stringify({ host, tables: this.tables, verdicts }, undefined, 2);
    const text = [host, ...this.tables.map(formatTable), formatVerdicts(this.verdicts)].join(
      "\n\n",
    );
    writeFileSync(join(this.directory, "summary.json"), `${json}\n`);
    writeFileSync(join(this.directory, "summary.txt"), `${text}\n`);
    process.stdout.write(`${asJson ? json : text}\n`);
    this.progress(`raw output: ${this.directory}`);
    return this.verdicts.every(isMet);
  }
}

export function formatTable({ title, heading, rows }: Table): string {
  const cells = [heading, ...rows.map((row) => row.map(String))];
  const widths = heading.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const isNumeric = heading.map((_, i) => rows.every((row) => /^[\d.-]+$/.test(String(row[i]))));
  const lines = cells.map((row) =>
    row
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
  return [title, ...lines].join("\n");
}

function formatVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => {
    const { what, measured, limit, unit } = verdict;
    return [
      what,
      `${measured.toFixed(2)} ${unit}`,
      `${limit} ${unit}`,
      isMet(verdict) ? "met" : "MISSED",
    ];
  });
  return formatTable({ title: "Targets", heading: ["what", "measured", "at most", ""], rows });
}
