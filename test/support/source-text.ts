/**
 * A TypeScript file taken apart as far as checking style needs it: the same text three times, each
 * time with the other parts blanked out. Line ends stay, so a position means the same in all.
 *
 *   text         const a = "x"; // why
 *   code         const a = " ";
 *   comments                    // why
 *   uncommented  const a = "x";
 *
 * Whether a slash begins a regular expression is guessed from what stands before it, as editors do.
 * A file that is half written gives some answer, never an error.
 */

export interface SourceText {
  /** Below the checkout, with `/`: "src/slots/hash.ts". */
  readonly path: string;
  readonly text: string;
  /** Without comments and without what is inside of string, template and regex literals. */
  readonly code: string;
  readonly comments: string;
  readonly uncommented: string;
}

/** What a character belongs to. */
const CODE = 0;
const LITERAL = 1;
const COMMENT = 2;

export function readSource(path: string, text: string): SourceText {
  const parts = new Classifier(text).run();
  return {
    path,
    text,
    code: blankUnless(text, parts, (part) => part === CODE),
    comments: blankUnless(text, parts, (part) => part === COMMENT),
    uncommented: blankUnless(text, parts, (part) => part !== COMMENT),
  };
}

function blankUnless(text: string, parts: Uint8Array, keep: (part: number) => boolean): string {
  let result = "";
  for (let i = 0; i < text.length; i++) {
    result += text[i] === "\n" || keep(parts[i]!) ? text[i] : " ";
  }
  return result;
}

/** The line, from 1, of a position in a text. */
export function lineOf(text: string, position: number): number {
  return text.slice(0, position).split("\n").length;
}

/** Walks over a text once and notes what each character is; delimiters of literals are code. */
class Classifier {
  readonly #text: string;
  readonly #parts: Uint8Array;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#parts = new Uint8Array(text.length);
  }

  run(): Uint8Array {
    this.#code("");
    return this.#parts;
  }

  /** Code up to the brace that closes a template's `${`, or to the end. */
  #code(closing: "}" | ""): void {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]!;
      const two = this.#text.slice(this.#at, this.#at + 2);
      if (two === "//") this.#mark(COMMENT, this.#indexAfter("\n", this.#at) - 1);
      else if (two === "/*") this.#mark(COMMENT, this.#indexAfter("*/", this.#at + 2));
      else if (char === '"' || char === "'") this.#quoted(char);
      else if (char === "`") this.#template();
      else if (char === "/" && this.#beginsExpression()) this.#regex();
      else {
        if (char === "{") depth++;
        if (char === "}" && depth-- === 0 && closing === "}") return;
        this.#at++;
      }
    }
  }

  #indexAfter(mark: string, from: number): number {
    const found = this.#text.indexOf(mark, from);
    return found < 0 ? this.#text.length + 1 : found + mark.length;
  }

  #mark(part: number, end: number): void {
    this.#parts.fill(part, this.#at, end);
    this.#at = end;
  }

  #quoted(quote: string): void {
    let end = this.#at + 1;
    while (end < this.#text.length && this.#text[end] !== quote && this.#text[end] !== "\n") {
      end += this.#text[end] === "\\" ? 2 : 1;
    }
    this.#at++;
    this.#mark(LITERAL, end);
    this.#at++;
  }

  #template(): void {
    this.#at++;
    while (this.#at < this.#text.length && this.#text[this.#at] !== "`") {
      if (this.#text.startsWith("${", this.#at)) {
        this.#at += 2;
        this.#code("}");
        this.#at++;
      } else {
        this.#mark(LITERAL, this.#at + (this.#text[this.#at] === "\\" ? 2 : 1));
      }
    }
    this.#at++;
  }

  #regex(): void {
    let end = this.#at + 1;
    let isInClass = false;
    while (end < this.#text.length && this.#text[end] !== "\n") {
      const char = this.#text[end]!;
      if (char === "/" && !isInClass) break;
      if (char === "[") isInClass = true;
      if (char === "]") isInClass = false;
      end += char === "\\" ? 2 : 1;
    }
    this.#at++;
    this.#mark(LITERAL, end);
    this.#at++;
  }

  /** Whether a value is expected here, so that a slash is not a division. */
  #beginsExpression(): boolean {
    const before = this.#text.slice(Math.max(0, this.#at - 40), this.#at).trimEnd();
    return before === "" || /[(,=:[!&|?{};+\-*%<>~^]$|\b(?:return|typeof|case|in|of)$/.test(before);
  }
}
