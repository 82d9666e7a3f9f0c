/**
 * The rules of the codebase, run over the tree: where a file may import from, what is pure, how
 * long things are, what is not written. The rules are in support/tidy-rules.ts; each prints
 * file:line.
 */

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { readSource, type SourceText } from "./support/source-text.ts";
import { describeViolation, RULES } from "./support/tidy-rules.ts";

const ROOT = join(import.meta.dir, "..");

/** Sources as they are now; one that vanishes while we look is none of ours. */
function sourcesOfTree(): SourceText[] {
  return ["src", "cmd", "test"].flatMap((folder) => {
    if (!existsSync(join(ROOT, folder))) return [];
    return [...new Glob("**/*.ts").scanSync({ cwd: join(ROOT, folder) })].flatMap((name) => {
      try {
        return [readSource(`${folder}/${name}`, readFileSync(join(ROOT, folder, name), "utf8"))];
      } catch {
        return [];
      }
    });
  });
}

describe("the tree", () => {
  const sources = sourcesOfTree();
  for (const rule of RULES) {
    test(`obeys the rule on ${rule.name}`, () => {
      expect(sources.flatMap((source) => rule.check(source)).map(describeViolation)).toEqual([]);
    });
  }

  test("has no import that is only reached through a folder", () => {
    expect(sources.map(({ path }) => path).filter((path) => path.endsWith("/index.ts"))).toEqual(
      [],
    );
  });
});

// -- the rules themselves -----------------------------------------------------------------------

const HEADER = "/** What this is. */\n";

/** The violations of a file that begins with a proper header. */
function violations(path: string, body: string, head = HEADER): string[] {
  const source = readSource(path, head + body);
  return RULES.flatMap((rule) => rule.check(source)).map(describeViolation);
}

describe("the rules", () => {
  test("let a plain file pass", () => {
    const body = 'import { a } from "../base/a.ts";\n\nexport const b = a / 2; // half of "a"\n';
    expect(violations("src/slots/x.ts", body)).toEqual([]);
  });

  test.each([
    ["src/slots/x.ts", "../net/dial.ts", "slots may not import net"],
    ["src/resp/x.ts", "../slots/hash.ts", "resp may not import slots"],
    ["src/proxy/x.ts", "../server/server.ts", "proxy may not import server"],
    ["src/api/x.ts", "../redis/client.ts", "api may not import redis"],
    ["src/base/x.ts", "../../cmd/flags.ts", "imports cmd/flags.ts, which is above it"],
    ["src/base/x.ts", "../../test/support/prng.ts", "imports from test/"],
    ["src/server/arena/x.ts", "../keyspace.ts", "server/arena may import only base, not server"],
    ["src/odd/x.ts", "../base/a.ts", "stands in a folder without a layer"],
  ])("refuse %s importing %s", (path, target, reason) => {
    for (const form of ["import type { A } from", "import { A } from", "import"]) {
      expect(violations(path, `${form} "${target}";\n`)).toEqual([`${path}:2 layering: ${reason}`]);
    }
    const dynamic = violations(path, `const a = await import("${target}");\n`);
    expect(dynamic).toEqual([`${path}:2 layering: ${reason}`]);
  });

  test.each([
    ["src/model/x.ts", "../slots/hash.ts"],
    ["src/redis/x.ts", "../net/dial.ts"],
    ["src/server/commands/x.ts", "../arena/arena.ts"],
    ["src/server/arena/x.ts", "../../base/assert.ts"],
    ["src/server/aof/x.ts", "../../net/dial.ts"],
    ["cmd/x.ts", "../src/proxy/proxy.ts"],
    ["test/x.ts", "../src/server/server.ts"],
  ])("let %s import %s", (path, target) => {
    expect(violations(path, `import { a } from "${target}";\n`)).toEqual([]);
  });

  test("see neither imports nor words in comments and strings", () => {
    const body = `// import { a } from "../net/dial.ts"; Date.now()
export const a = 'import { b } from "../net/dial.ts"' + \`Math.random() \${1 + 1} Date.now()\`;
export const b = /["'\`]/.test("setTimeout(") ? 1 : 2;
`;
    expect(violations("src/slots/x.ts", body)).toEqual([]);
  });

  test("keep sockets, clocks, files and randomness out of pure files", () => {
    for (const use of ["Date.now()", "Math.random()", "setTimeout(f, 1)", "Bun.listen({})"]) {
      expect(violations("src/resp/x.ts", `export const a = ${use};\n`).length).toBe(1);
      expect(violations("src/net/x.ts", `export const a = ${use};\n`)).toEqual([]);
      const marked = violations("src/proxy/x.ts", `const a = ${use};\n`, "/**\n * Pure: x.\n */\n");
      expect(marked.length).toBe(1);
    }
    expect(violations("src/model/x.ts", 'import { a } from "node:fs";\n')).toEqual([
      "src/model/x.ts:2 pure files: uses node:fs",
    ]);
  });

  test("refuse what the language offers and we do not use", () => {
    const path = "src/base/x.ts";
    for (const body of [
      "export enum A { B }\n",
      "namespace A {}\n",
      "export default 1;\n",
      "export const a = (b: any) => b;\n",
      'export { a } from "./a.ts";\n',
      'import { a } from "./a";\n',
      "class A {\n  private b = 1;\n}\n",
      "console.log(1);\n",
    ]) {
      expect([body, violations(path, body).length]).toEqual([body, 1]);
    }
    for (const call of ["test.skip", "describe.only", "it.todo", "test.skipIf"]) {
      expect(violations("test/x.test.ts", `${call}("a", () => {});\n`).length).toBe(1);
    }
    expect(violations(path, "// FIX".concat("ME: later\n")).length).toBe(1);
    expect(violations(path, `const a = "${["", "tmp", "a.log"].join("/")}";\n`).length).toBe(1);
  });

  test("want a header, and lines, functions and files of a length one can read", () => {
    const path = "src/base/x.ts";
    expect(violations(path, "const a = 1;\n", "")).toEqual([`${path}:1 header comment: has none`]);
    expect(violations(path, `const a = [${"1, ".repeat(40)}];\n`).length).toBe(1);
    expect(violations(path, `throw new Error(\n  "${"text ".repeat(30)}",\n);\n`)).toEqual([]);
    expect(violations(path, "a();\n".repeat(460)).length).toBe(1);
    expect(violations(path, `function f() {\n${"  a();\n".repeat(90)}}\n`).length).toBe(1);
    expect(
      violations(path, `class A {\n  #f(): void {\n${"    a();\n".repeat(90)}  }\n}\n`),
    ).toEqual([`${path}:3 lengths: a function of 92 lines`]);
  });

  test("give some answer for a file that is half written", () => {
    for (const body of [
      "const a = `x ${",
      "const a = 'x",
      "/* a",
      "import {",
      'import { a } from "',
    ]) {
      expect(violations("src/base/x.ts", body)).toEqual([]);
    }
  });
});
