/** Which coordinator a configuration names. */

import { CodisError } from "../base/errors.ts";
import type { Coordinator } from "./coordinator.ts";
import { FilesystemCoordinator } from "./filesystem.ts";

/**
 * @param name `filesystem` or `fs`
 * @param addr for the filesystem its folder
 * @throws CodisError "usage" for a name that is unknown
 */
export function openCoordinator(name: string, addr: string): Coordinator {
  switch (name) {
    case "filesystem":
    case "fs":
      return new FilesystemCoordinator(addr);
    case "zookeeper":
    case "zk":
    case "etcd":
      throw new CodisError("usage", `coordinator ${name} is not supported yet, use filesystem`);
    default:
      throw new CodisError("usage", `invalid coordinator name = ${name}`);
  }
}
