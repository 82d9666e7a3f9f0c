/** The readable verbs of `codis admin`: their help, and what is refused before anything is sent. */

import { afterAll, afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { runAdmin } from "../../cmd/admin/admin.ts";
import { jsonAnswer } from "../../src/api/http.ts";
import { serveAdmin } from "../../src/api/serve-admin.ts";
import { topomSecretXauth, topomXauth } from "../../src/api/xauth.ts";
import { DashboardWorld } from "../support/dashboard-world.ts";

let requests = 0;
/** What the dashboard was asked, and the keys that it knows. */
let asked: string[] = [];
let known: readonly string[] = [];
const dashboard = await serveAdmin("127.0.0.1:0", async ({ method, target }) => {
  requests++;
  asked.push(`${method} ${target}`);
  const key = /[0-9a-f]{32}/.exec(target)?.[0];
  if (key === undefined) return jsonAnswer(200, { product_name: "demo" });
  if (known.includes(key)) return jsonAnswer(200, "OK");
  return jsonAnswer(800, { Cause: "invalid xauth, please check product name & auth" });
});
const outerDashboard = process.env.CODIS_DASHBOARD;
process.env.CODIS_DASHBOARD = dashboard.address;
afterAll(async () => {
  if (outerDashboard === undefined) delete process.env.CODIS_DASHBOARD;
  else process.env.CODIS_DASHBOARD = outerDashboard;
  await dashboard.close();
});

let printed = "";
const spies = [spyOn(process.stdout, "write"), spyOn(process.stderr, "write")];
beforeEach(() => {
  requests = 0;
  asked = [];
  printed = "";
  for (const spy of spies) {
    spy.mockImplementation((text) => {
      printed += String(text);
      return true;
    });
  }
});
afterEach(() => {
  for (const spy of spies) spy.mockReset();
});
afterAll(() => {
  for (const spy of spies) spy.mockRestore();
});

for (const words of [[], ["group"], ["proxy"], ["slot"]]) {
  test(`codis admin ${[...words, "--help"].join(" ")} ends in an example`, async () => {
    expect(await runAdmin([...words, "--help"])).toBe(0);
    const example = ["  codis admin", ...words].join(" ");
    expect(printed).toContain(`\nExample:\n${example}`);
  });
}

for (const words of [[], ["group"], ["proxy"], ["slot"]]) {
  test(`${["codis admin", ...words].join(" ")} without a verb is a usage error that shows the verbs`, async () => {
    expect(await runAdmin(words)).toBe(2);
    expect(printed).toContain(`Usage: ${["codis admin", ...words].join(" ")} [options] [command]`);
  });
}

test("codis admin --help tells where the password is read from", async () => {
  expect(await runAdmin(["--help"])).toBe(0);
  expect(printed).toContain("CODIS_PRODUCT_AUTH");
});

test("A dashboard may be named as codis up prints it", async () => {
  known = [topomXauth("demo")];
  expect(await runAdmin(["reload", "-d", `http://${dashboard.address}/topom`])).toBe(0);
  expect(await runAdmin(["reload", "-d", `http://${dashboard.address}`])).toBe(0);
  expect(printed).toBe("ok\nok\n");
});

for (const words of ["reload", `--dashboard=${dashboard.address} --reload`]) {
  test(`codis admin ${words.replace(dashboard.address, "ADDR")} shows that it knows the password`, async () => {
    const [weak, secret] = [topomXauth("demo"), topomSecretXauth("demo", "pw")];
    const reload = (key: string): string => `PUT /api/topom/reload/${key}`;
    process.env.CODIS_PRODUCT_AUTH = "pw";
    try {
      known = [weak, secret];
      expect(await runAdmin(words.split(" "))).toBe(0);
      expect(asked.at(-1)).toBe(reload(secret));
      // An original, or a dashboard without a password.
      known = [weak];
      expect(await runAdmin(words.split(" "))).toBe(0);
      expect(asked.at(-1)).toBe(reload(weak));
    } finally {
      delete process.env.CODIS_PRODUCT_AUTH;
    }
    expect(await runAdmin(words.split(" "))).toBe(0);
    expect(asked.at(-1)).toBe(reload(weak));
    expect(printed).not.toContain("PANIC");
  });
}

test("codis admin rebalance --json has one shape, with work and without", async () => {
  const world = new DashboardWorld();
  await world.start();
  let plan: Record<string, number> = {};
  const answering = await serveAdmin("127.0.0.1:0", ({ method, target }) => {
    // The slots that were to move have moved by the time it is looked.
    if (target.includes("/rebalance/")) return Promise.resolve(jsonAnswer(200, plan));
    return world.request(method, target);
  });
  const rebalance = async (how = "--confirm"): Promise<unknown> => {
    printed = "";
    const words = `rebalance --json --dashboard ${answering.address} ${how}`.trim();
    expect(await runAdmin(words.split(" "))).toBe(0);
    return JSON.parse(printed);
  };
  expect(await rebalance()).toEqual({ plan: {}, slots: 0, keysMoved: 0, seconds: 0 });
  for (const how of ["", "--confirm --no-wait"]) expect(await rebalance(how)).toEqual({ plan: {} });
  plan = { 7: 2 };
  const seconds = expect.any(Number);
  expect(await rebalance()).toEqual({ plan: { 7: 2 }, slots: 1, keysMoved: 0, seconds });
  for (const how of ["", "--confirm --no-wait"]) {
    expect(await rebalance(how)).toEqual({ plan: { 7: 2 } });
  }
  await answering.close();
});

for (const words of ["group create 1 --dashboard ADDR", "--dashboard=ADDR --create-group -g 1"]) {
  test(`codis admin ${words} from another host tells a wrong password from a missing one`, async () => {
    const world = new DashboardWorld(0, "pw");
    await world.start();
    const guarded = await serveAdmin("127.0.0.1:0", ({ method, target }) =>
      world.request(method, target, "", "10.0.0.9"),
    );
    const run = async (password: string): Promise<number> => {
      printed = "";
      process.env.CODIS_PRODUCT_AUTH = password;
      return await runAdmin(words.replace("ADDR", guarded.address).split(" "));
    };
    const missing = "refused without the product's password";
    const wrong = `The dashboard at ${guarded.address} refuses changes from here: the password`;
    try {
      expect([await run(""), printed]).toEqual([1, expect.stringContaining(missing)]);
      expect(await run("pv")).toBe(1);
      expect(printed).toContain(wrong);
      expect(printed).not.toContain(missing);
      expect(await run("pw")).toBe(0);
    } finally {
      delete process.env.CODIS_PRODUCT_AUTH;
      await guarded.close();
    }
  });
}

test("Refusals of groups and slots tell the next step behind the dashboard's words", async () => {
  const world = new DashboardWorld();
  world.addServer("s:1");
  await world.start();
  const answering = await serveAdmin("127.0.0.1:0", ({ method, target, readBody }) =>
    readBody().then((body) => world.request(method, target, String(body))),
  );
  const run = async (words: string): Promise<string> => {
    printed = "";
    await runAdmin([...words.split(" "), "--dashboard", answering.address]);
    return printed;
  };
  const refused = async (words: string, text: string, step: string): Promise<void> => {
    expect(await run(words)).toStartWith(`codis admin: [Remote Error] ${text}\n`);
    expect(printed.split("\n")[1]).toContain(step);
    expect(printed.split("\n").slice(2)).toEqual([""]);
  };
  await refused("rebalance", "no valid group could be found", "codis admin group create 1");
  await refused("group remove 3", "group-[3] doesn't exist", "codis admin group create 3");
  await refused("group add 3 s:2", "dial tcp s:2: connect: connection refused", "answers at s:2");
  expect(await run("group create 3")).toBe("ok\n");
  await refused("group create 3", "group-[3] already exists", "codis admin group add 3 ADDR");
  await refused("slot assign 7 3", "group-[3] is empty", "codis admin group add 3 ADDR");
  expect(await run("group add 3 s:1")).toBe("ok\n");
  await refused("group remove 3", "group-[3] isn't empty", "codis admin group del 3 ADDR");
  await refused("group del 3 s:2", "group-[3] doesn't have server-[s:2]", "group list");
  expect(await run("slot assign 7 3")).toBe("ok\n");
  await refused("slot migrate 7 3", "slot-[7] already in group-[3]", "slot list");
  await refused("slot cancel 7", "slot-[7] action doesn't exist", "slot list");
  const move = "codis admin slot migrate --from 3 --to GROUP --count 1024";
  await refused("group del 3 s:1", "group-[3] can't remove master, still in use", move);
  expect(await run("slot migrate 9 3 --no-wait")).toBe("ok\n");
  await refused("slot migrate 9 3", "slot-[9] action already exists", "codis admin slot cancel 9");
  await world.topom.close();
  await refused("group create 4", "use of closed topom", "start it again");
  await answering.close();
});

test("Refusals of members tell the next step", async () => {
  const world = new DashboardWorld();
  world.addServer("s:1");
  world.addProxy("p", { token: "t", admin_addr: "p:1" });
  await world.start();
  const answering = await serveAdmin("127.0.0.1:0", ({ method, target }) => {
    return world.request(method, target);
  });
  const run = async (words: string): Promise<string> => {
    printed = "";
    await runAdmin([...words.split(" "), "--dashboard", answering.address]);
    return printed;
  };
  for (const words of ["group create 3", "group create 4", "group add 3 s:1"]) await run(words);
  expect(await run("group add 4 s:1")).toContain("already exists\ns:1 is in group 3");
  expect(await run("proxy online dead:1")).toContain("no proxy's admin API answers at dead:1");
  expect(await run("proxy create dead:1")).toContain("not the one that clients use?");
  expect(await run("proxy create p:1")).toBe("ok\n");
  expect(await run("proxy create p:1")).toContain("codis admin proxy reinit");
  world.proxies.get("p:1")!.answer = (call) => (call === "GET xping" ? 403 : 200);
  for (const verb of ["create", "online"]) {
    expect(await run(`proxy ${verb} p:1`)).toContain("product_name and product_auth");
  }
  world.proxies.get("p:1")!.answer = (call) => (call === "PUT fillslots" ? 403 : 200);
  expect(await run("proxy reinit 1")).toContain("did not take what it was given");
  world.proxies.get("p:1")!.answer = () => -1;
  expect(await run("proxy remove 1")).toContain("codis admin proxy remove 1 --force");
  expect(await run("proxy remove 1 --force")).toBe("ok\n");
  await answering.close();
});

for (const [words, text] of [
  ["group create x", "Cannot use group x: it must be 1..9999"],
  ["group remove 0", "Cannot use group 0: it must be 1..9999"],
  ["group add 1 nowhere", "Cannot use address 'nowhere': it must be host:port"],
  ["group add 1 h:70000", "Cannot use address 'h:70000': it must be host:port"],
  ["group del x h:1", "Cannot use group x"],
  ["group resync everything", "Cannot use group everything"],
  ["proxy create 10.0.0.1", "Cannot use address '10.0.0.1'"],
  ["proxy online h:x", "Cannot use address 'h:x'"],
  ["slot assign 0-1024 1", "Cannot use slots 0-1024"],
  ["slot assign 0-1 0", "Cannot use group 0"],
  ["slot offline 9-1", "Cannot use slots 9-1"],
  ["slot migrate", "Name slots and a group"],
  ["slot migrate 7", "Cannot go on without group"],
  ["slot migrate 7 2 --from 1", "Name slots and a group"],
  ["slot migrate --to 2 --count 1", "Cannot go on without --from"],
  ["slot migrate --from 1 --to 2", "Cannot go on without --count"],
  ["slot migrate --from 2 --to 2 --count 1", "Cannot move slots from group 2 to group 2"],
  ["slot migrate 1,5-9,7 2", "Cannot use slots 1,5-9,7: slot 7 stands there twice"],
  ["slot migrate 1,,2 2", "Cannot use slots 1,,2: write slots (7), ranges (0-511) or both"],
  ["slot cancel 1024", "Cannot use slots 1024: write slots (7)"],
  ["status -d 19200", "Cannot use dashboard '19200': it must be host:port"],
  ["status -d http://h:x/topom", "Cannot use dashboard 'http://h:x/topom': it must be host:port"],
  ["--statsu", "codis admin: unknown option --statsu, did you mean"],
  ["--rebalanc3", "unknown option --rebalanc3, did you mean --rebalance?"],
  ["--test-config", "codis admin: unknown option --test-config\n(codis admin --help"],
  ["slot interval -- -1", "Cannot use interval -1"],
] as const) {
  test(`codis admin ${words} is refused before anything is sent`, async () => {
    expect(await runAdmin(words.split(" "))).toBe(2);
    expect(printed).toContain(text);
    expect(printed).not.toContain("PANIC");
    expect(requests).toBe(0);
  });
}
