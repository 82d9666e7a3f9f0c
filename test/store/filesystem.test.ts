import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorText } from "../../src/base/errors.ts";
import { BATCH_MAX, FilesystemCoordinator } from "../../src/store/filesystem.ts";
import { programPath } from "../support/debian.ts";
import { failureOf } from "../support/failure.ts";

/** More than there are between the end of an operation and the begin of the next: those are 5. */
const MICROTASKS_TO_BEGIN = 50;

let root = "";
let fs: FilesystemCoordinator;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "codis-fs-"));
  fs = new FilesystemCoordinator(root);
});

afterEach(async () => {
  await fs.close();
  rmSync(root, { recursive: true, force: true });
});

/** Another program holding R/data.lck; ends when its input closes. */
async function holdLock(script: string): Promise<{ release(): Promise<void> }> {
  const child = Bun.spawn(["flock", join(root, "data.lck"), "sh", "-c", script], {
    stdin: "pipe",
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    release: async () => {
      await child.stdin.end();
      await child.exited;
    },
  };
}

test("A node is a file of mode 0600 below data, in folders of mode 0755", async () => {
  await fs.create("/codis3/demo/group/group-0001", "text");
  const file = join(root, "data/codis3/demo/group/group-0001");
  expect(readFileSync(file, "utf8")).toBe("text");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(join(root, "data/codis3/demo")).mode & 0o777).toBe(0o755);
  expect(statSync(join(root, "data.lck")).mode & 0o777).toBe(0o644);
  expect(readFileSync(join(root, "data.lck"), "utf8")).toBe("");
  expect(readdirSync(join(root, "temp"))).toEqual([]);
});

test("A disk with no room for the name of the lock's holder can still be read and freed", async () => {
  await fs.create("/d/a", "one");
  await fs.create("/d/b", "two");
  rmSync(join(root, "data.lck"));
  symlinkSync("/dev/full", join(root, "data.lck"));
  expect(await fs.read("/d/a")).toBe("one");
  await fs.remove("/d/a");
  expect(await fs.list("/d")).toEqual(["/d/b"]);
});

test("create refuses what exists and changes nothing", async () => {
  await fs.create("/a", "one");
  const error = await failureOf(fs.create("/a", "two"));
  expect(error.code).toBe("conflict");
  expect(errorText(error)).toContain("file already exists");
  expect(await fs.read("/a")).toBe("one");
});

test("update makes and overwrites, remove takes a missing node and whole folders", async () => {
  await fs.update("/a/b", "one");
  await fs.update("/a/b", "two, longer");
  expect(await fs.read("/a/b")).toBe("two, longer");
  await fs.remove("/a");
  await fs.remove("/a");
  expect(await fs.read("/a/b")).toBeUndefined();
});

test("Updates begun together are all stored, in the order in which others come between", async () => {
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < 200; i++) all.push(fs.update(`/d/${i % 150}`, String(i)));
  const between = fs.read("/d/149");
  all.push(fs.update("/d/149", "last"));
  await Promise.all(all);
  expect(await between).toBe("149");
  expect(await fs.read("/d/149")).toBe("last");
  for (let i = 0; i < 149; i++) expect(await fs.read(`/d/${i}`)).toBe(String(i < 50 ? i + 150 : i));
  expect(readdirSync(join(root, "temp"))).toEqual([]);
});

test("Of updates begun together each fails for itself", async () => {
  const lost = await fs.acquireLease("/p/lease");
  await lost?.release();
  mkdirSync(join(root, "data/p/folder/child"), { recursive: true });
  const results = await Promise.allSettled([
    fs.update("/p/a", "one"),
    fs.update("/p/folder", "two"),
    fs.update("/p/b", "three", lost),
    fs.update("/p/c", "four"),
  ]);
  expect(results.map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "rejected",
    "fulfilled",
  ]);
  expect(await fs.list("/p")).toEqual(["/p/a", "/p/c", "/p/folder", "/p/lease"]);
});

/** How many files this process has open to write the texts of updates. */
function openDrafts(): number {
  const temp = `${realpathSync(root)}/temp/`;
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      // What listed the folder is closed again.
      return "";
    }
  });
  return targets.filter((path) => path.startsWith(temp)).length;
}

test("As many files are open for updates as the limit says, side by side, and no more", async () => {
  const opened: number[] = [];
  // An operation begins in the microtasks that follow its predecessor's end. What those have opened
  // is all open when they are over: that a file is synced, however fast, is told by the loop. So
  // what is counted here does not depend on the disk.
  const count = async (): Promise<void> => {
    for (let i = 0; i < MICROTASKS_TO_BEGIN; i++) await undefined;
    opened.push(openDrafts());
  };
  const updates = Array.from({ length: 3 * BATCH_MAX + 1 }, (_, i) => fs.update(`/d/${i}`, "text"));
  await Promise.all([count(), ...updates.map((update) => update.then(count))]);
  // The first of these is of the first operation, then each update tells of the next one's.
  const full = Array.from({ length: 1 + 2 * BATCH_MAX }, () => BATCH_MAX);
  expect(opened).toEqual([...full, ...Array.from({ length: BATCH_MAX }, () => 1), 0]);
});

test("Updates begun together all fail when the lock is not to be had", async () => {
  const hasty = new FilesystemCoordinator(root, 20);
  await hasty.update("/a", "one");
  const holder = await holdLock("echo held; cat");
  const failures = await Promise.all(
    ["/a", "/b"].map((path) => failureOf(hasty.update(path, "x"))),
  );
  expect(failures.map(({ message }) => message)).toEqual([
    `Cannot write /a below ${root}`,
    `Cannot write /b below ${root}`,
  ]);
  await holder.release();
  expect(await hasty.read("/a")).toBe("one");
  await hasty.close();
});

test("list names children sorted bytewise; a file is not a folder", async () => {
  for (const name of ["b", "a", "C"]) await fs.update(`/dir/${name}`, name);
  expect(await fs.list("/dir")).toEqual(["/dir/C", "/dir/a", "/dir/b"]);
  expect(await fs.list("/none")).toBeUndefined();
  expect(errorText(await failureOf(fs.list("/dir/a")))).toMatch(/not a directory/i);
});

test("A write that fails leaves no draft behind", async () => {
  mkdirSync(join(root, "data/node/child"), { recursive: true });
  const error = await failureOf(fs.update("/node", "text"));
  expect(error.message).toBe(`Cannot write /node below ${root}`);
  expect(readdirSync(join(root, "temp"))).toEqual([]);
});

test("A lock held by another program is waited for", async () => {
  await fs.update("/a", "one");
  const holder = await holdLock("echo held; cat");
  let done = false;
  const reading = fs.read("/a").finally(() => {
    done = true;
  });
  expect(done).toBe(false);
  await holder.release();
  expect(await reading).toBe("one");
});

test("A lock held too long fails the operation with upstream's words, and later ones work", async () => {
  const hasty = new FilesystemCoordinator(root, 20);
  await hasty.update("/a", "one");
  const holder = await holdLock("echo held; cat");
  expect(errorText(await failureOf(hasty.read("/a")))).toContain(
    "resource temporarily unavailable",
  );
  await holder.release();
  expect(await hasty.read("/a")).toBe("one");
  await hasty.close();
});

test("Two programs write one folder at once and nothing is lost", async () => {
  const script = `
    import { FilesystemCoordinator } from ${JSON.stringify(join(import.meta.dir, "../../src/store/filesystem.ts"))};
    const fs = new FilesystemCoordinator(${JSON.stringify(root)});
    for (let i = 0; i < 50; i++) await fs.create("/theirs/" + i, String(i));
    await fs.close();`;
  const child = Bun.spawn([process.execPath, "-e", script], { stderr: "inherit" });
  for (let i = 0; i < 50; i++) await fs.create(`/ours/${i}`, String(i));
  expect(await child.exited).toBe(0);
  expect((await fs.list("/ours"))?.length).toBe(50);
  expect((await fs.list("/theirs"))?.length).toBe(50);
  expect(readdirSync(join(root, "temp"))).toEqual([]);
});

test("A lease belongs to one owner until released, and passes on what was written", async () => {
  const other = new FilesystemCoordinator(root);
  const lease = await fs.acquireLease("/p/lease");
  expect(lease?.previous).toBe("");
  await lease?.write("mine");
  expect(await other.acquireLease("/p/lease")).toBeUndefined();
  await lease?.release();
  const next = await other.acquireLease("/p/lease");
  expect(next?.previous).toBe("mine");
  await other.close();
});

test("A lease that cannot be taken leaves no file open", async () => {
  const other = new FilesystemCoordinator(root);
  const lease = await other.acquireLease("/p/lease");
  // A file that can be opened and locked, but whose first byte cannot be read.
  symlinkSync("/proc/self/mem", join(root, "data/p/unreadable"));
  const before = readdirSync("/proc/self/fd").length;
  for (let i = 0; i < 20; i++) {
    expect(await fs.acquireLease("/p/lease")).toBeUndefined();
    const error = await failureOf(fs.acquireLease("/p/unreadable"));
    expect(error.message).toBe(`Cannot lease /p/unreadable below ${root}`);
  }
  expect(readdirSync("/proc/self/fd").length).toBe(before);
  await lease?.release();
  await other.close();
});

test("A lease falls when its owner is killed", async () => {
  const script = `
    import { FilesystemCoordinator } from ${JSON.stringify(join(import.meta.dir, "../../src/store/filesystem.ts"))};
    const fs = new FilesystemCoordinator(${JSON.stringify(root)});
    await (await fs.acquireLease("/p/lease")).write("theirs");
    console.log("held");
    await Bun.stdin.text();`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  expect(await fs.acquireLease("/p/lease")).toBeUndefined();
  child.kill("SIGKILL");
  await child.exited;
  expect((await fs.acquireLease("/p/lease"))?.previous).toBe("theirs");
});

test("A write conditioned on a lease that was removed fails and changes nothing", async () => {
  const lease = await fs.acquireLease("/p/lease");
  await fs.update("/p/node", "one", lease);
  rmSync(join(root, "data/p/lease"));
  const error = await failureOf(fs.update("/p/node", "two", lease));
  expect(error.code).toBe("closed");
  expect(await fs.read("/p/node")).toBe("one");
});

/** Runs the calls in another process, as `command` starts it; the code of each failure. */
async function codesOf(command: readonly string[], calls: string): Promise<string[]> {
  const script = `
    import { FilesystemCoordinator } from ${JSON.stringify(join(import.meta.dir, "../../src/store/filesystem.ts"))};
    const fs = new FilesystemCoordinator(${JSON.stringify(root)});
    const codes = [];
    const call = async (work) => {
      try {
        await work();
        codes.push("done");
      } catch (error) {
        codes.push(error.code + " " + error.cause?.code);
      }
    };
    ${calls}
    console.log(JSON.stringify(codes));`;
  const child = Bun.spawn([...command, process.execPath, "-e", script], {
    stdout: "pipe",
    stderr: "inherit",
  });
  return JSON.parse(await new Response(child.stdout).text()) as string[];
}

/** In a namespace of its own, which needs root, where R is `mount`. */
function mounted(mount: string): string[] {
  const program = `${programPath("mount")} ${mount} none ${root} && exec "$@"`;
  return [programPath("unshare"), "-m", "sh", "-c", program, "sh"];
}

const ANY_CALL = 'await call(() => fs.update("/a", "x")); await call(() => fs.read("/a"));';

test("A folder that cannot be made or used is a mistake of whoever named it", async () => {
  const linked = join(root, "loop");
  symlinkSync(linked, linked);
  const file = join(root, "file");
  writeFileSync(file, "");
  const cases = [
    [linked, "EEXIST"],
    [join(linked, "below"), "ELOOP"],
    [file, "EEXIST"],
    [join(file, "below"), "ENOTDIR"],
    [join(root, "x".repeat(300)), "ENAMETOOLONG"],
    ["/proc/none", "ENOENT"],
  ] as const;
  for (const [path, cause] of cases) {
    const other = new FilesystemCoordinator(path);
    for (const call of [other.update("/a", "x"), other.read("/a"), other.acquireLease("/l")]) {
      const error = await failureOf(call);
      const { code } = error.cause as NodeJS.ErrnoException;
      expect([path, error.code, code]).toEqual([path, "usage", cause]);
    }
    await other.close();
  }
});

test("A folder that is another user's is a mistake of whoever named it", async () => {
  chmodSync(root, 0o700);
  const nobody = `${programPath("setpriv")} --reuid=65534 --regid=65534 --clear-groups`;
  expect(await codesOf(nobody.split(" "), ANY_CALL)).toEqual(["usage EACCES", "usage EACCES"]);
});

test("A read-only disk is a mistake of whoever named it", async () => {
  const readOnly = mounted("-t tmpfs -o ro");
  expect(await codesOf(readOnly, ANY_CALL)).toEqual(["usage EROFS", "usage EROFS"]);
});

test("A full disk may pass: what is there is read, and removing makes room", async () => {
  const calls = `
    await call(() => fs.update("/small", "x"));
    await call(() => fs.update("/large", "x".repeat(200_000)));
    await call(() => fs.update("/small", "y".repeat(200_000)));
    await call(async () => codes.push(await fs.read("/small")));
    await call(() => fs.update("/half", "x".repeat(100_000)));
    await call(() => fs.update("/other", "x".repeat(100_000)));
    await call(() => fs.remove("/half"));
    await call(() => fs.update("/other", "x".repeat(100_000)));`;
  expect(await codesOf(mounted("-t tmpfs -o size=160k"), calls)).toEqual([
    "done",
    "unavailable ENOSPC",
    "unavailable ENOSPC",
    "x",
    "done",
    "done",
    "unavailable ENOSPC",
    "done",
    "done",
  ]);
});

test("After close every call fails with upstream's words", async () => {
  await fs.close();
  expect((await failureOf(fs.read("/a"))).message).toBe("use of closed fs client");
  expect(existsSync(join(root, "data"))).toBe(false);
});
