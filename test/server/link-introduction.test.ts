/** What a new link closes at its target, decided from the target's answers. */

import { describe, expect, test } from "bun:test";
import type { Log } from "../../src/base/log.ts";
import { ReplyWriter } from "../../src/resp/encoder.ts";
import {
  LIST_BYTES_MAX,
  LinkIntroduction,
  type Progress,
} from "../../src/server/link-introduction.ts";
import { isLeftover, LinkNames } from "../../src/server/link-name.ts";
import { RecordingLog } from "../support/own-server.ts";

const SERVER = ["machine", "host", "0.0.0.0", "6379", "/data"];
const TARGET = "10.0.0.2:6379";

/** An introduction that has begun, and what it was told and says. */
function begin(failed: string[] = []) {
  const name = new LinkNames(SERVER, "run 2").next(TARGET);
  const log = new RecordingLog();
  const options = { target: TARGET, name, failed, log: log as unknown as Log };
  const introduction = new LinkIntroduction(options);
  const out = new ReplyWriter();
  introduction.begin(out);
  const sent = (): string => {
    const text = out.buf.toString("latin1", out.head, out.length);
    out.clear();
    return text.replace(/[*$]\d+\r\n/g, "").replaceAll("\r\n", " ");
  };
  expect(sent()).toBe(`CLIENT SETNAME ${name.text} CLIENT LIST `);
  const receive = (text: string): Progress => introduction.receive(Buffer.from(text), out);
  return { introduction, name, log, failed, sent, receive };
}

function listOf(...lines: readonly (readonly [address: string, name: string])[]): string {
  const text = lines.map(([address, name]) => `id=1 addr=${address} fd=8 name=${name} age=0\n`);
  return `+OK\r\n$${text.join("").length}\r\n${text.join("")}\r\n`;
}

describe("The name of a link", () => {
  const before = new LinkNames(SERVER, "run 1");
  const names = new LinkNames(SERVER, "run 2");
  const name = names.next(TARGET);

  test.each([
    ["of an earlier start is a leftover", before.next(TARGET).text, true],
    ["of an earlier start in another lane is one too", before.next("target:6379").text, true],
    ["of this start and lane is one", names.next(TARGET).text, true],
    ["of this start in another lane is a live link", names.next("target:6379").text, false],
    ["of another server is none of ours", new LinkNames(["b"], "run 1").next(TARGET).text, false],
    ["of this very link is no leftover", name.text, false],
    ["of any other client is no leftover", "app", false],
    ["that is empty is no leftover", "", false],
  ])("%s", (_, other, expected) => {
    expect(isLeftover(name, other)).toBe(expected);
  });
});

describe("A new link", () => {
  const old = new LinkNames(SERVER, "run 1").next(TARGET).text;

  test("has its target close what its list shows of earlier ones, and no other client", () => {
    const { introduction, name, failed, sent, receive } = begin(["10.9.9.9:1"]);
    const shown = listOf(["10.0.0.7:1", ""], ["10.0.0.1:2", old], ["10.0.0.1:3", name.text]);
    for (const byte of shown.slice(0, -1)) expect(["part", "step"]).toContain(receive(byte));
    expect(sent()).toBe("");
    expect(receive(shown.slice(-1))).toBe("step");
    expect(sent()).toBe("CLIENT KILL 10.0.0.1:2 ");
    expect(introduction.seenAs).toBe("10.0.0.1:3");
    // What the list does not show has gone.
    expect(failed).toEqual([]);
    expect(receive("-ERR No such client\r\n")).toBe("open");
  });

  test("is open at once when nothing is left", () => {
    const { name, sent, receive } = begin();
    expect(receive(listOf(["10.0.0.1:3", name.text]))).toBe("open");
    expect(sent()).toBe("");
  });

  test.each([
    ["refuses the list", "+OK\r\n-NOPERM this user has no permissions\r\n"],
    ["refuses names", listOf(["10.0.0.1:3", ""]).replace("+OK", "-ERR unknown subcommand")],
  ])("closes the links it knows of at a target that %s, and logs that", (_, answer) => {
    const { failed, log, sent, receive } = begin(["10.0.0.1:1", "10.0.0.1:2"]);
    expect(receive(answer)).toBe("step");
    expect(sent()).toBe("CLIENT KILL 10.0.0.1:1 CLIENT KILL 10.0.0.1:2 ");
    expect(receive("+OK\r\n")).toBe("step");
    expect(failed).toEqual(["10.0.0.1:2"]);
    expect(receive("+OK\r\n")).toBe("open");
    expect(failed).toEqual([]);
    expect(log.lines.join()).toContain("does not show its connections");
  });

  test("forgets no failed link at a target that wants a password", () => {
    const { failed, receive } = begin(["10.0.0.1:1"]);
    expect(receive("-NOAUTH Authentication required.\r\n")).toBe("noauth");
    expect(failed).toEqual(["10.0.0.1:1"]);
  });

  test("reads a list of many clients, and past a name longer than a line may be", () => {
    const { name, sent, receive } = begin();
    const others = Array.from({ length: 10_000 }, (_, i) => [`10.0.1.1:${i}`, "app"] as const);
    const long = ["10.0.0.7:1", "x".repeat(100_000)] as const;
    const text = listOf(...others, long, ["10.0.0.1:2", old], ["10.0.0.1:3", name.text]);
    let progress: Progress = "part";
    for (let at = 0; at < text.length; at += 10_007)
      progress = receive(text.slice(at, at + 10_007));
    expect(progress).toBe("step");
    expect(sent()).toBe("CLIENT KILL 10.0.0.1:2 ");
  });

  test("does not open at a target whose list is longer than the limit, and logs the limit", () => {
    const atLimit = begin();
    expect(atLimit.receive(`+OK\r\n$${LIST_BYTES_MAX}\r\n`)).toBe("step");
    const { log, receive } = begin();
    expect(receive(`+OK\r\n$${LIST_BYTES_MAX + 1}\r\n`)).toBe("broken");
    expect(log.lines.join()).toContain(`longer than ${LIST_BYTES_MAX} bytes`);
  });

  test.each([
    ["no reply", "HTTP/1.1 400 Bad Request\r\n"],
    ["an array", "+OK\r\n*1\r\n"],
    ["a list without a length", "+OK\r\n$-1\r\n"],
    ["a list that does not end where it said", "+OK\r\n$3\r\nlonger\r\n"],
  ])("does not open when it is answered %s", (_, answer) => {
    expect(begin().receive(answer)).toBe("broken");
  });

  test("does not open when more is answered than was asked", () => {
    const { name, receive } = begin();
    expect(receive(`${listOf(["10.0.0.1:3", name.text])}+OK\r\n`)).toBe("broken");
  });
});
