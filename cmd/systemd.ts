/**
 * What systemd is told under `Type=notify`: READY=1 when the role serves, STOPPING=1 when it ends,
 * WATCHDOG=1 in half the interval it asks for. One datagram each to $NOTIFY_SOCKET, sent from our
 * own process through libc, as Bun has no unix datagrams. Without that variable nothing happens.
 * Source: sd_notify(3).
 */

import { dlopen, ptr } from "bun:ffi";
import { LIBC } from "../src/base/libc.ts";

const AF_UNIX = 1;
/** Type SOCK_DGRAM, and not inherited by children. */
const SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
const SUN_PATH_BYTES = 108;

export interface ServiceManager {
  ready(): void;
  stopping(): void;
}

/** The service manager of this process; one that does nothing when there is none. */
export function connectServiceManager(): ServiceManager {
  const path = process.env.NOTIFY_SOCKET ?? "";
  // Children must not speak for us.
  delete process.env.NOTIFY_SOCKET;
  if (path === "") return { ready: () => undefined, stopping: () => undefined };
  const send = openSender(path);
  let watchdog: NodeJS.Timeout | undefined;
  return {
    ready: () => {
      send("READY=1");
      const intervalMs = watchdogIntervalMs();
      if (intervalMs === undefined) return;
      watchdog = setInterval(() => send("WATCHDOG=1"), intervalMs / 2);
      watchdog.unref();
    },
    stopping: () => {
      clearInterval(watchdog);
      send("STOPPING=1");
    },
  };
}

function watchdogIntervalMs(): number | undefined {
  const microseconds = Number(process.env.WATCHDOG_USEC ?? NaN);
  const isOurs = [undefined, String(process.pid)].includes(process.env.WATCHDOG_PID);
  return microseconds > 0 && isOurs ? microseconds / 1000 : undefined;
}

/** A lost message is systemd's to notice: nothing here could do better than go on. */
function openSender(path: string): (message: string) => void {
  const libc = dlopen(LIBC, {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "ptr", "u64", "i32", "ptr", "u32"], returns: "i64" },
  });
  const address = Buffer.alloc(2 + SUN_PATH_BYTES);
  address.writeUInt16LE(AF_UNIX, 0);
  const name = Buffer.from(path.replace(/^@/, "\0"));
  name.copy(address, 2, 0, SUN_PATH_BYTES);
  const length = 2 + Math.min(name.length, SUN_PATH_BYTES);
  const fd = libc.symbols.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  return (message) => {
    const bytes = Buffer.from(message);
    libc.symbols.sendto(fd, ptr(bytes), bytes.length, 0, ptr(address), length);
  };
}
