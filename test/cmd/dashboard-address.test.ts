import { expect, test } from "bun:test";
import { runOriginal } from "../../cmd/admin/original.ts";
import { addressOfDashboard } from "../../cmd/dashboard-address.ts";

test("An address is host and port, alone or as a page's", () => {
  for (const given of ["h:1", "http://h:1", "http://h:1/", "http://h:1/topom"]) {
    expect([given, addressOfDashboard(given)]).toEqual([given, "h:1"]);
  }
  expect(addressOfDashboard("http://[::1]:18080/topom")).toBe("[::1]:18080");
});

test("What is none is refused with what was given and an example", () => {
  for (const given of ["", "h", "19200", "h:0", "h:x", "http://", "https://h:1", "ftp://h:1/x"]) {
    expect(() => addressOfDashboard(given)).toThrow(
      `Cannot use dashboard '${given}': it must be host:port, such as 127.0.0.1:18080 or `,
    );
  }
});

test("The original's flags take the same", async () => {
  const answering = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json("x") });
  const show = async (address: string): Promise<string> => {
    let text = "";
    const stream = { write: (part: string) => (text += part) };
    await runOriginal([`--dashboard=${address}`], { stdout: stream, stderr: stream });
    return text.replace(/^.*\[PANIC\] /, "");
  };
  const address = `127.0.0.1:${answering.port}`;
  expect(await show(`http://${address}/topom`)).toBe(await show(address));
  expect(await show("http://h/topom")).toStartWith("Cannot use dashboard 'http://h/topom'");
  await answering.stop(true);
});
