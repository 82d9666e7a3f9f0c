import { expect, test } from "bun:test";
import { ReplyWriter } from "../../src/resp/encoder.ts";
import { ACK, ACK_DONE, ACK_FAILED, skipDone, writeAck, writeDone } from "../../src/server/ack.ts";

function written(write: (out: ReplyWriter) => void): Buffer {
  const out = new ReplyWriter();
  write(out);
  return out.take();
}

function ackOf(code: number, text: string): Buffer {
  return written((out) => writeAck(out, code, text));
}

test("An ACK of success is the same written either way", () => {
  for (const count of [0, 1, 42, 123_456]) {
    expect(written((out) => writeDone(out, count))).toEqual(ackOf(ACK_DONE, String(count)));
  }
});

test("An ACK of success is skipped when all of it is there, and at no cut before", () => {
  for (const text of ["0", "1", "OK", "123456", "", "x".repeat(99)]) {
    const ack = ackOf(ACK_DONE, text);
    const before = Buffer.from("before");
    const buf = Buffer.concat([before, ack, ack]);
    const end = before.length + ack.length;
    expect(skipDone(buf, before.length, buf.length)).toBe(end);
    expect(skipDone(buf, end, buf.length)).toBe(buf.length);
    for (let to = before.length; to < end; to++) {
      expect(skipDone(buf, before.length, to), `${text} to ${to}`).toBe(-1);
    }
  }
});

test("Whatever else comes is left to who reads replies", () => {
  const others = [
    ackOf(ACK_FAILED, "0"),
    ackOf(ACK_DONE, "x".repeat(100)),
    Buffer.from(`*3\r\n$22\r\n${ACK}\r\n$1\r\n0\r\n$\r\n\r\n`),
    Buffer.from(`*3\r\n$22\r\n${ACK}\r\n$1\r\n0\r\n$1\r\nabc\r\n`),
    Buffer.from(`*3\r\n$22\r\n${ACK}\r\n$1\r\n0\r\n$-1\r\n\r\n`),
    Buffer.from("-ERR what\r\n".padEnd(80, " ")),
  ];
  for (const other of others) expect(skipDone(other, 0, other.length), String(other)).toBe(-1);
});
