/**
 * Pure: the rules of the codebase that a program can check. A source text goes in, violations come
 * out; test/tidy.test.ts walks the tree and prints them.
 *
 * A new folder under src/ needs a line in `LAYERS`, and a reason.
 */

import { dirname, posix } from "node:path";
import { lineOf, type SourceText } from "./source-text.ts";

export interface Violation {
  readonly path: string;
  readonly line: number;
  /** Which rule, in a word or two: what tests are named after. */
  readonly rule: string;
  readonly text: string;
}

export interface Rule {
  readonly name: string;
  check(source: SourceText): Violation[];
}

/** Lines at most, but for `LONG_FILES`. */
const FILE_LINES_MAX = 450;
const FUNCTION_LINES_MAX = 75;
const COLUMNS_MAX = 100;
/** With its delimiters; a drawing takes some. */
const HEADER_LINES_MAX = 22;

/** Tables. This list may only shrink. */
const LONG_FILES = ["src/commands/table.ts", "src/commands/module-table.ts"];

// -- layers -------------------------------------------------------------------------------------

interface Layer {
  readonly level: number;
  /** Folders of the same level that may be imported. */
  readonly uses?: readonly string[];
  /** Folders of a lower level that may be; without it, all of them. */
  readonly only?: readonly string[];
}

/** Folders below src/ (longest match wins), in the order of the layout. */
const LAYERS: Readonly<Record<string, Layer>> = {
  base: { level: 0 },
  resp: { level: 1 },
  slots: { level: 1 },
  commands: { level: 1 },
  model: { level: 1, uses: ["slots"] },
  net: { level: 2 },
  redis: { level: 2, uses: ["net"] },
  store: { level: 2, uses: ["net"] },
  api: { level: 2 },
  proxy: { level: 3 },
  server: { level: 3 },
  // Bytes only: no commands, no Redis.
  "server/arena": { level: 3, only: ["base"] },
  dashboard: { level: 3 },
  ha: { level: 3 },
  fe: { level: 3 },
};

/** Layers without sockets, clocks, files and randomness. */
const PURE_LEVEL = 1;

interface Import {
  readonly target: string;
  /** `{ a, type B }`, or what else stands before `from`. */
  readonly names: string;
  readonly position: number;
  readonly isReexport: boolean;
}

/** Static ones, with their names if any, and dynamic ones. */
const IMPORT = new RegExp(
  [
    /(?<!\S)(import|export)\s+(?:([\w$*{},\s]+?)\s+from\s*)?["']([^"'\n]+)["']/.source,
    /\bimport\(\s*["']([^"'\n]+)["']/.source,
  ].join("|"),
  "g",
);

function importsOf(source: SourceText): Import[] {
  return [...source.uncommented.matchAll(IMPORT)]
    .filter((match) => /\b(?:import|export)$/.test(source.code.slice(0, match.index + 6).trimEnd()))
    .map((match) => ({
      target: match[3] ?? match[4]!,
      names: match[2] ?? "",
      position: match.index,
      isReexport: match[1] === "export",
    }));
}

function layerOf(path: string): { folder: string; layer: Layer } | undefined {
  const parts = dirname(path).split("/").slice(1);
  for (let length = parts.length; length > 0; length--) {
    const folder = parts.slice(0, length).join("/");
    const layer = LAYERS[folder];
    if (layer !== undefined) return { folder, layer };
  }
  return undefined;
}

function isWithin(folder: string, other: string): boolean {
  return folder === other || folder.startsWith(`${other}/`);
}

/** Why `path` may not import `target` (both below the checkout); undefined when it may. */
function forbidden(path: string, target: string): string | undefined {
  if (path.startsWith("test/")) return undefined;
  if (target.startsWith("test/")) return "imports from test/";
  if (path.startsWith("cmd/")) return undefined;
  if (!target.startsWith("src/")) return `imports ${target}, which is above it`;
  const own = layerOf(path);
  const theirs = layerOf(target);
  if (own === undefined) return "stands in a folder without a layer";
  if (theirs === undefined) return `imports ${target}, a folder without a layer`;
  if (own.layer.only !== undefined && theirs.folder !== own.folder) {
    return own.layer.only.includes(theirs.folder)
      ? undefined
      : `${own.folder} may import only ${own.layer.only.join(", ")}, not ${theirs.folder}`;
  }
  if (isWithin(theirs.folder, own.folder) || isWithin(own.folder, theirs.folder)) return undefined;
  if (theirs.layer.level < own.layer.level) return undefined;
  const isSibling = theirs.layer.level === own.layer.level;
  if (isSibling && own.layer.uses?.includes(theirs.folder)) return undefined;
  return `${own.folder} may not import ${theirs.folder}`;
}

const layering: Rule = {
  name: "layering",
  check: (source) =>
    importsOf(source).flatMap(({ target, position }) => {
      if (!target.startsWith(".")) return [];
      const path = posix.join(dirname(source.path), target);
      const reason = forbidden(source.path, path);
      return reason === undefined ? [] : [violation(source, position, "layering", reason)];
    }),
};

const imports: Rule = {
  name: "imports",
  check: (source) =>
    importsOf(source).flatMap(({ target, position, isReexport }) => {
      if (isReexport) return [violation(source, position, "imports", `re-exports ${target}`)];
      if (!target.startsWith(".") || /\.(?:ts|json|html|css)$/.test(target)) return [];
      return [violation(source, position, "imports", `"${target}" does not end in .ts`)];
    }),
};

// -- pure files ---------------------------------------------------------------------------------

/** Without `node:`. */
// biome-ignore format: words fill their lines
const IMPURE_MODULES = [
  "bun", "child_process", "cluster", "dgram", "dns", "fs", "fs/promises", "http", "http2", "https",
  "net", "os", "perf_hooks", "process", "readline", "timers", "timers/promises", "tls",
  "worker_threads",
];

const IMPURE_CODE: readonly (readonly [pattern: RegExp, what: string])[] = [
  [/\bBun\.(?:listen|connect|serve|udpSocket|dns|fetch|redis|RedisClient)\b/g, "a socket"],
  [/\bfetch\s*\(/g, "a socket"],
  [/\bBun\.(?:file|write|spawn|spawnSync|stdin|stdout|stderr|Glob|mmap)\b/g, "a file or a process"],
  [/\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.|\bBun\.nanoseconds\b/g, "a clock"],
  [/\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\s*\(|\bBun\.sleep/g, "a timer"],
  [/\bMath\.random\b|\bcrypto\.|\brandom(?:Bytes|UUID|Int|FillSync)\b/g, "randomness"],
  [/\bprocess\.\w/g, "the process"],
];

/** `isIP` of node:net only looks at a text. */
function isImpureImport({ target, names }: Import): boolean {
  const module = target.replace(/^node:/, "");
  return IMPURE_MODULES.includes(module) && !/^\{\s*isIP\w*\s*\}$/.test(names);
}

function isPure(source: SourceText): boolean {
  if (!source.path.startsWith("src/")) return false;
  const level = layerOf(source.path)?.layer.level;
  return level === PURE_LEVEL || /^\s*(?:\/\/|\/\*\*?(?:\s*\*)?)\s*Pure:/.test(source.text);
}

const pure: Rule = {
  name: "pure files",
  check: (source) => {
    if (!isPure(source)) return [];
    const modules = importsOf(source)
      .filter(isImpureImport)
      .map(({ target, position }) => violation(source, position, "pure files", `uses ${target}`));
    const uses = IMPURE_CODE.flatMap(([pattern, what]) =>
      found(source, source.code, pattern, "pure files", (text) => `uses ${what}: ${text}`),
    );
    return [...modules, ...uses];
  },
};

// -- language -----------------------------------------------------------------------------------

const BANNED_CODE: readonly (readonly [pattern: RegExp, why: string])[] = [
  [
    /^\s*(?:export\s+|declare\s+|const\s+)*enum\s+\w/gm,
    "enum: use a union of strings or const bits",
  ],
  [/^\s*(?:export\s+|declare\s+)*namespace\s+\w/gm, "namespace: use a module"],
  [/^\s*export\s+default\b/gm, "default export: name it"],
  [/(?:[:<,|&(]|\bas|\bextends)\s*any\b(?!\s*\()/g, "any: say the type, or unknown"],
  [/^\s+(?:private|protected)\s+(?!constructor\b)\w/gm, "private or protected: use #"],
  [
    /\b(?:test|describe|it)\.(?:skip|only|todo)\w*/g,
    "a test that does not run, or others that do not",
  ],
];

const language: Rule = {
  name: "language",
  check: (source) => [
    ...BANNED_CODE.flatMap(([pattern, why]) =>
      found(source, source.code, pattern, "language", () => why),
    ),
    ...(source.path.startsWith("test/")
      ? found(source, source.code, /\bBun\.sleep\w*/g, "language", () => "wait for the event")
      : []),
    ...(source.path.startsWith("src/")
      ? found(source, source.code, /\bconsole\.\w+/g, "language", (text) => `${text}: use the log`)
      : []),
  ],
};

const promises: Rule = {
  name: "promises",
  check: (source) =>
    found(source, source.comments, /\b(?:TODO|FIXME|XXX|HACK)\b/g, "promises", (text) => text),
};

/** Defaults of the original's configuration files. */
const KNOWN_PATHS = ["/tmp/codis"];

/** Of the machine it was written on; what a program looks for at run time is another matter. */
const absolutePaths: Rule = {
  name: "absolute paths",
  check: (source) =>
    found(
      source,
      source.text,
      /(?<=[\s"'`(=:])\/(?:work|home|root|tmp|Users)\/[\w.-]*/g,
      "absolute paths",
      (text) => text,
    ).filter(({ text }) => !KNOWN_PATHS.includes(text)),
};

// -- shape --------------------------------------------------------------------------------------

const header: Rule = {
  name: "header comment",
  check: (source) => {
    // Its tests say what a test file is about.
    if (source.path.endsWith(".test.ts")) return [];
    const text = source.text.replace(/^#!.*\n/, "");
    const block = /^\s*(?:\/\*[\s\S]*?\*\/|(?:\/\/.*\n)+)/.exec(text)?.[0];
    if (block === undefined) return [violation(source, 0, "header comment", "has none")];
    const lines = block.trim().split("\n").length;
    if (lines <= HEADER_LINES_MAX) return [];
    return [violation(source, 0, "header comment", `${lines} lines, of ${HEADER_LINES_MAX}`)];
  },
};

const lengths: Rule = {
  name: "lengths",
  check: (source) => {
    const lines = source.text.split("\n");
    const code = source.code.split("\n");
    const comments = source.comments.split("\n");
    const result = lines.flatMap((line, i) => {
      const isFine = line.length <= COLUMNS_MAX || isLoneLiteral(line);
      if (isFine || isLiteralBehind(code[i]!, comments[i]!)) return [];
      return [{ path: source.path, line: i + 1, rule: "lengths", text: `${line.length} columns` }];
    });
    const count = source.text.trimEnd().split("\n").length;
    if (count > FILE_LINES_MAX && !LONG_FILES.includes(source.path)) {
      result.push(violation(source, 0, "lengths", `${count} lines in one file`));
    }
    return [...result, ...longFunctions(source)];
  },
};

/** A text that one wants to find by searching is not broken for its length. */
function isLoneLiteral(line: string): boolean {
  return /^\s*(?:[\w$]+: |return |(?:export )?const \w+ = |\w+\()?["'`/]/.test(line);
}

/** Whether what stands behind the last column is inside a literal, as in a program in a template. */
function isLiteralBehind(code: string, comments: string): boolean {
  const behind = code.slice(COLUMNS_MAX) + comments.slice(COLUMNS_MAX);
  return /^[\s"'`)\];,}]*$/.test(behind);
}

/** Functions and methods, found by the indentation the formatter gives them. */
function longFunctions(source: SourceText): Violation[] {
  const lines = source.code.split("\n");
  const result: Violation[] = [];
  for (let i = 0; i < lines.length; i++) {
    const begin = /^( {0,2})(?:export |static |async )*(?:function\b|#?[\w$]+\(.*\{$)/.exec(
      lines[i]!,
    );
    if (begin === null || /^\s*(?:if|for|while|switch|test|describe)\b/.test(lines[i]!)) continue;
    const indent = begin[1]!;
    const length = lines.slice(i).findIndex((line) => line.startsWith(`${indent}}`)) + 1;
    const body = lines.slice(i, i + length).join("\n");
    if (length > FUNCTION_LINES_MAX && !/\bswitch \(/.test(body)) {
      const text = `a function of ${length} lines`;
      result.push({ path: source.path, line: i + 1, rule: "lengths", text });
    }
  }
  return result;
}

// -- helpers ------------------------------------------------------------------------------------

function violation(source: SourceText, position: number, rule: string, text: string): Violation {
  return { path: source.path, line: lineOf(source.text, position), rule, text };
}

function found(
  source: SourceText,
  where: string,
  pattern: RegExp,
  rule: string,
  say: (text: string) => string,
): Violation[] {
  return [...where.matchAll(pattern)].map((match) => {
    const indent = match[0].length - match[0].trimStart().length;
    return violation(source, match.index + indent, rule, say(match[0].trim()));
  });
}

export const RULES: readonly Rule[] = [
  layering,
  imports,
  pure,
  language,
  promises,
  absolutePaths,
  header,
  lengths,
];

/** `src/a.ts:12 layering: proxy may not import server` */
export function describeViolation({ path, line, rule, text }: Violation): string {
  return `${path}:${line} ${rule}: ${text}`;
}
