/**
 * Clients that send and never read. They are bare sockets of the kernel, as an event loop would
 * read; with a small segment size and receive buffer, so that what they do not read stays with the
 * one who sends it and not in the kernel's buffers, which on loopback take megabytes per
 * connection.
 */

import { dlopen } from "bun:ffi";
import { LIBC } from "../../src/base/libc.ts";

const AF_INET = 2;
const SOCK_STREAM = 1;
const IPPROTO_TCP = 6;
const TCP_MAXSEG = 2;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

const SEGMENT_BYTES = 1000;
const RECEIVE_BUFFER_BYTES = 4096;

const libc = dlopen(LIBC, {
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
  close: { args: ["i32"], returns: "i32" },
}).symbols;

export class StalledClients {
  readonly #descriptors: number[] = [];

  /** Connects `count` of them to a port of loopback. */
  constructor(port: number, count: number) {
    // struct sockaddr_in: family in the host's order, port in the network's.
    const address = Buffer.from([
      AF_INET,
      0,
      port >> 8,
      port & 255,
      127,
      0,
      0,
      1,
      ...Array(8).fill(0),
    ]);
    for (let i = 0; i < count; i++) {
      const fd = libc.socket(AF_INET, SOCK_STREAM, 0);
      this.#descriptors.push(fd);
      setOption(fd, IPPROTO_TCP, TCP_MAXSEG, SEGMENT_BYTES);
      setOption(fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
      if (libc.connect(fd, address, address.length) !== 0) {
        throw new Error(`client ${i} cannot connect to port ${port}`);
      }
    }
  }

  /** Every client sends as much of `bytes` as its socket takes now. @returns the bytes taken */
  send(bytes: Buffer): number {
    let taken = 0;
    for (const fd of this.#descriptors) {
      const sent = Number(libc.send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
      taken += Math.max(0, sent);
    }
    return taken;
  }

  close(): void {
    for (const fd of this.#descriptors.splice(0)) libc.close(fd);
  }
}

function setOption(fd: number, level: number, option: number, value: number): void {
  libc.setsockopt(fd, level, option, new Int32Array([value]), 4);
}
