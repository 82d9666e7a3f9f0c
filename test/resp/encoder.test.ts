import { describe, expect, test } from "bun:test";
import { encodeRequest, ReplyWriter } from "../../src/resp/encoder.ts";
import { EMPTY_ARRAY, OK } from "../../src/resp/reply.ts";
import { createPrng } from "../support/prng.ts";

const prng = createPrng();

/** What `write` puts out, as latin1. */
function written(write: (writer: ReplyWriter) => void): string {
  const writer = new ReplyWriter();
  write(writer);
  return writer.take().latin1Slice();
}

describe("encodeRequest", () => {
  test("strings are UTF-8, buffers bytes, numbers decimal", () => {
    const request = encodeRequest(["SET", "ключ", Buffer.from([0, 255]), -15, 0.5]);
    expect(request.latin1Slice()).toBe(
      Buffer.from("*5\r\n$3\r\nSET\r\n$8\r\nключ\r\n").latin1Slice() +
        "$2\r\n\x00\xff\r\n$3\r\n-15\r\n$3\r\n0.5\r\n",
    );
  });

  test("a writer adds the same behind what it has", () => {
    const args = ["SET", "ключ", Buffer.alloc(10_000, 7), -15, 0.5];
    const expected = `+OK\r\n${encodeRequest(args).latin1Slice()}:1\r\n`;
    const write = (writer: ReplyWriter): void => {
      writer.ok();
      writer.request(args);
      writer.integer(1);
    };
    expect(written(write)).toBe(expected);
  });

  test("nothing is an empty array", () => {
    expect(encodeRequest([]).latin1Slice()).toBe("*0\r\n");
  });
});

describe("ReplyWriter", () => {
  const long = "x".repeat(5000);
  const ROWS: [name: string, write: (writer: ReplyWriter) => void, wire: string][] = [
    ["ok", (w) => w.ok(), "+OK\r\n"],
    ["simple", (w) => w.simple("PONG"), "+PONG\r\n"],
    ["simple, long", (w) => w.simple(long), `+${long}\r\n`],
    ["error", (w) => w.error("ERR no such key"), "-ERR no such key\r\n"],
    ["error with line ends", (w) => w.error("ERR a\r\nb\nc"), "-ERR a  b c\r\n"],
    ["error in latin1", (w) => w.error("ERR \xe9\xff"), "-ERR \xe9\xff\r\n"],
    ["integer", (w) => w.integer(-12), ":-12\r\n"],
    ["largest safe integer", (w) => w.integer(2 ** 53 - 1), ":9007199254740991\r\n"],
    ["bigInteger", (w) => w.bigInteger(-(2n ** 63n)), ":-9223372036854775808\r\n"],
    ["bulk", (w) => w.bulk(Buffer.from("abcde"), 1, 4), "$3\r\nbcd\r\n"],
    ["empty bulk", (w) => w.bulk(Buffer.from("abcde"), 2, 2), "$0\r\n\r\n"],
    ["long bulk", (w) => w.bulk(Buffer.from(long), 0, 5000), `$5000\r\n${long}\r\n`],
    ["bulkText", (w) => w.bulkText("a\r\n\xff"), "$4\r\na\r\n\xff\r\n"],
    ["long bulkText", (w) => w.bulkText(long), `$5000\r\n${long}\r\n`],
    ["bulkInteger", (w) => w.bulkInteger(-100), "$4\r\n-100\r\n"],
    ["nil", (w) => w.nil(), "$-1\r\n"],
    ["nilArray", (w) => w.nilArray(), "*-1\r\n"],
    ["emptyArray", (w) => w.emptyArray(), "*0\r\n"],
    ["array", (w) => w.array(3), "*3\r\n"],
    ["raw", (w) => w.raw(EMPTY_ARRAY), "*0\r\n"],
    ["append", (w) => w.append(Buffer.from("x:1\r\ny"), 1, 5), ":1\r\n"],
  ];
  for (const [name, write, wire] of ROWS) {
    test(`writes ${name}`, () => {
      expect(written(write)).toBe(wire);
    });
  }

  test("every kind can be written at every fill of the buffer", () => {
    const writer = new ReplyWriter();
    let expected = "";
    for (let round = 0; round < 5000; round++) {
      const [, write, wire] = prng.pick(ROWS);
      write(writer);
      expected += wire;
      if (prng.oneIn(50)) {
        expect({ seed: prng.seed, same: writer.take().latin1Slice() === expected }).toEqual({
          seed: prng.seed,
          same: true,
        });
        expected = "";
      }
    }
  });

  test("consume in pieces gives every byte once, whatever is written meanwhile", () => {
    const writer = new ReplyWriter();
    let sent = "";
    let expected = "";
    for (let round = 0; round < 3000; round++) {
      const text = prng.bytes(prng.int(2000)).latin1Slice();
      writer.append(Buffer.from(text, "latin1"), 0, text.length);
      expected += text;
      const bytes = prng.oneIn(100) ? writer.pendingBytes : prng.int(writer.pendingBytes + 1);
      sent += writer.buf.latin1Slice(writer.head, writer.head + bytes);
      writer.consume(bytes);
      expect(writer.pendingBytes).toBe(expected.length - sent.length);
    }
    sent += writer.take().latin1Slice();
    expect({ seed: prng.seed, same: sent === expected }).toEqual({ seed: prng.seed, same: true });
  });

  test("an empty writer holds no buffer, and what is consumed gives its buffer back", () => {
    const writer = new ReplyWriter();
    expect(writer.buf.length).toBe(0);
    writer.raw(OK);
    const used = writer.buf;
    expect(used.length).toBe(4096);
    writer.consume(writer.pendingBytes);
    expect(writer.buf.length).toBe(0);
    expect({ head: writer.head, length: writer.length }).toEqual({ head: 0, length: 0 });
    const other = new ReplyWriter();
    other.raw(OK);
    expect(other.buf).toBe(used);
    other.clear();
    expect(other.buf.length).toBe(0);
  });

  test("a backlog that has mostly been sent moves to a smaller buffer", () => {
    const writer = new ReplyWriter();
    const size = 16 << 20;
    writer.raw(prng.bytes(1000));
    const start = writer.take();
    writer.raw(start);
    writer.raw(Buffer.alloc(size));
    writer.raw(start);
    expect(writer.buf.length).toBe(32 << 20);
    writer.consume(1000);
    writer.consume(size);
    expect(writer.buf.length).toBe(4096);
    expect(writer.take().equals(start)).toBe(true);
  });

  test("what is too much makes it overfull: memory is bounded, and clear starts anew", () => {
    const writer = new ReplyWriter(64 * 1024);
    const piece = Buffer.alloc(20_000, "x");
    writer.append(piece, 0, piece.length);
    const mark = writer.length;
    for (let i = 0; i < 2; i++) writer.bulk(piece, 0, piece.length);
    expect(writer.isOverfull).toBe(false);
    for (let i = 0; i < 100; i++) {
      writer.bulk(piece, 0, piece.length);
      writer.integer(i);
      expect(writer.isOverfull).toBe(true);
      expect(writer.buf.length).toBe(64 * 1024);
    }
    writer.truncate(mark);
    writer.ok();
    expect(writer.isOverfull).toBe(true);
    writer.clear();
    expect(writer.isOverfull).toBe(false);
    writer.ok();
    expect(writer.take().latin1Slice()).toBe("+OK\r\n");
  });

  test("truncate takes back what was written since a mark, after any growth", () => {
    const writer = new ReplyWriter();
    writer.ok();
    writer.raw(Buffer.from("rest"));
    writer.consume(2);
    const mark = writer.length;
    writer.bulkText("x".repeat(100_000));
    writer.truncate(mark);
    writer.error("ERR late");
    expect(writer.take().latin1Slice()).toBe("K\r\nrest-ERR late\r\n");
  });

  test("reserve makes room for bytes written by hand", () => {
    const writer = new ReplyWriter();
    writer.reserve(10_000);
    expect(writer.buf.length).toBeGreaterThanOrEqual(10_000);
    writer.length = writer.buf.write(":7\r\n", writer.length);
    expect(writer.take().latin1Slice()).toBe(":7\r\n");
  });
});
