/** Which coordinator a configuration names. */

import { CodisError } from "../base/errors.ts";
import type { Coordinator } from "./coordinator.ts";
import { FilesystemCoordinator } from "./filesystem.ts";

/**
 * Refuses a name that the original knows and this version does not serve yet.
 * @throws CodisError "usage"
 */
export function requireBuilt(name: string): void {
  if (!["zookeeper", "zk", "etcd"].includes(name)) return;
  throw new CodisError("usage", `coordinator ${name} is not supported yet, use filesystem`);
}

/**
 * @param name `filesystem` or `fs`
 * @param addr for the filesystem its folder
 * @throws CodisError "usage" for a name that is unknown
 */
export function openCoordinator(name: string, addr: string): Coordinator {
  requireBuilt(name);
  switch (name) {
    case "filesystem":
    case "fs":
      return new FilesystemCoordinator(addr);
    default:
      throw new CodisError("usage", `invalid coordinator name = ${name}`);
  }
}
