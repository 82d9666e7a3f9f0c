import { expect, test } from "bun:test";
import { decodeRecord, encodeJson, encodeRecord } from "../../src/model/encode.ts";
import { GROUP } from "../../src/model/group.ts";
import { groupPath, slotPath } from "../../src/model/paths.ts";
import { isProductName } from "../../src/model/product-name.ts";
import { PROXY } from "../../src/model/proxy.ts";
import { SENTINEL } from "../../src/model/sentinel.ts";
import { MAPPING, offlineMapping, SLOT, SLOTS } from "../../src/model/slot.ts";

test("encodeJson indents by four and escapes what HTML would read", () => {
  expect(encodeJson({ a: "<b> & \u2028", list: [], none: {} })).toBe(
    '{\n    "a": "\\u003cb\\u003e \\u0026 \\u2028",\n    "list": [],\n    "none": {}\n}',
  );
});

test("A pushed slot leaves out what is zero", () => {
  expect(encodeRecord(SLOT, { ...SLOT.zero(), id: 1023, forward_method: 1 })).toBe(
    '{\n    "id": 1023,\n    "forward_method": 1\n}',
  );
});

test("Every optional field of a pushed slot keeps its place", () => {
  const json =
    '{"id":200,"locked":true,"backend_addr":"a:1","backend_addr_group_id":1,"migrate_from":"b:2",' +
    '"migrate_from_group_id":2,"forward_method":1,"replica_groups":[["c:3"],["d:4","e:5"]]}';
  expect(JSON.stringify(SLOT.write(decodeRecord(SLOT, json, "slot")))).toBe(json);
});

test("A slot nobody stored is offline without an action", () => {
  expect(encodeRecord(MAPPING, offlineMapping(16))).toBe(
    '{\n    "id": 16,\n    "group_id": 0,\n    "action": {}\n}',
  );
});

test("Unknown keys, missing keys, nulls and other case are read as upstream reads them", () => {
  const group = decodeRecord(GROUP, '{"ID": 7, "servers": null, "colour": "red"}', "group");
  expect(group).toEqual({
    id: 7,
    servers: [],
    promoting: { index: 0, state: "" },
    out_of_sync: false,
  });
  expect(decodeRecord(SENTINEL, "null", "sentinel")).toEqual({ servers: [], out_of_sync: false });
  expect(decodeRecord(PROXY, "{}", "proxy").token).toBe("");
});

test("A record that is not JSON or has a value of the wrong type is refused with its place", () => {
  const read = (json: string) => () => decodeRecord(SLOTS, json, "slots");
  expect(read('[{"id":1,')).toThrow(/^Cannot read slots: not JSON/);
  expect(read('[{"id":"x"}]')).toThrow('Cannot read slots[0].id: "x" must be an integer');
  expect(read('[{"id":1},null]')).toThrow("Cannot read slots[1]: null must be an element");
  expect(read('{"id":1}')).toThrow('Cannot read slots: {"id":1} must be an array');
  expect(read("[1]")).toThrow("Cannot read slots[0]: 1 must be an object");
  expect(read('[{"id":1.5}]')).toThrow("must be an integer");
});

test("A state no version of Codis knows is refused", () => {
  const json = '{"id":1,"group_id":1,"action":{"state":"moving"}}';
  expect(() => decodeRecord(MAPPING, json, "slot")).toThrow(
    /slot\.action\.state: "moving" must be/,
  );
});

test("Zero records share nothing", () => {
  const [a, b] = [GROUP.zero(), GROUP.zero()];
  a.servers.push({ ...decodeRecord(GROUP, '{"servers":[{}]}', "group").servers[0]! });
  expect(b.servers).toEqual([]);
});

test("Nodes of slots and groups are named with four digits", () => {
  expect(slotPath("demo", 3)).toBe("/codis3/demo/slots/slot-0003");
  expect(groupPath("demo", 12)).toBe("/codis3/demo/group/group-0012");
});

test("Product names are words with dots and dashes", () => {
  for (const name of ["codis-demo", "a.b", "_x"]) expect(isProductName(name)).toBe(true);
  for (const name of ["", "-a", ".a", "a/b", "a b"]) expect(isProductName(name)).toBe(false);
});
