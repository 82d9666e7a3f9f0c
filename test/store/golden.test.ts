/** A tree written by the original read by ours, and the reverse, byte for byte. */

import { afterAll, expect, test } from "bun:test";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CodisError } from "../../src/base/errors.ts";
import { encodeJson } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { TOPOM } from "../../src/model/topom.ts";
import { FilesystemCoordinator } from "../../src/store/filesystem.ts";
import { Store } from "../../src/store/store.ts";
import { goldenPath } from "../golden/load.ts";

const scratch = mkdtempSync(join(tmpdir(), "codis-tree-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function copyOfDemo(name: string): string {
  const root = join(scratch, name);
  cpSync(goldenPath("storage/fs-demo"), root, { recursive: true });
  return root;
}

/** Every file and folder with its mode, as the recorded listing shows them. */
function listing(root: string): string[] {
  const names = readdirSync(root, { recursive: true }) as string[];
  return ["", ...names]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => {
      const stat = statSync(join(root, name));
      const mode = stat.mode.toString(8).slice(-3);
      return `${stat.isDirectory() ? "d" : "-"}${mode} ${name}`;
    });
}

test("A tree ours wrote has the files, modes and bytes of the original's", async () => {
  const source = new Store(new FilesystemCoordinator(copyOfDemo("theirs")), "demo");
  const root = join(scratch, "ours");
  const target = new Store(new FilesystemCoordinator(root), "demo");
  for (let id = 0; id < 16; id++) await target.updateSlot(await source.loadSlot(id));
  for (const group of await source.loadGroups()) await target.createGroup(group);
  for (const proxy of await source.loadProxies()) await target.createProxy(proxy);
  await target.updateSentinel(await source.loadSentinel());
  await target.lock((await source.loadTopom())!);

  const recorded = readFileSync(goldenPath("storage/fs-demo.listing.txt"), "utf8").trimEnd();
  const modes: Readonly<Record<string, string>> = {
    "drwxr-xr-x": "d755",
    "-rw-------": "-600",
    "-rw-r--r--": "-644",
  };
  const expected = recorded.split("\n").map((line) => {
    const [mode, name = ""] = line.split(" ");
    return `${modes[mode!]} ${name}`;
  });
  const ours = listing(root).filter((line) => !line.endsWith("/lease"));
  expect(ours).toEqual(expected);
  for (const line of expected.filter((entry) => entry.startsWith("-600"))) {
    const name = line.slice(5);
    const bytes = readFileSync(join(goldenPath("storage/fs-demo"), name), "utf8");
    expect([name, readFileSync(join(root, name), "utf8")]).toEqual([name, bytes]);
  }
});

test("The groups of the original's tree are shown as the original shows them", async () => {
  const store = new Store(new FilesystemCoordinator(copyOfDemo("groups")), "demo");
  const groups = (await store.loadGroups()).map((group) => GROUP.write(group));
  const recorded = readFileSync(
    goldenPath("storage/fs-demo.topom-stats-group-models.json"),
    "utf8",
  );
  expect(encodeJson(groups)).toBe(recorded);
});

test("The lock in the original's tree is respected until it is removed", async () => {
  const store = new Store(new FilesystemCoordinator(copyOfDemo("locked")), "demo");
  const mine = { ...TOPOM.zero(), product_name: "demo", pid: 7 };
  await expect(store.lock(mine)).rejects.toThrow(
    new CodisError("conflict", "store: acquire lock of demo failed"),
  );
  await store.removeLock();
  await store.lock(mine);
  expect((await store.loadTopom())?.pid).toBe(7);
});
