/**
 * One admin port, as the original's command line used it: raw JSON in and out, errors worded
 * `call rpc <name> to dashboard <addr> failed` with the remote cause behind.
 */

import { callAdmin } from "../../src/api/http-client.ts";
import { CodisError } from "../../src/base/errors.ts";
import { encodeJson } from "../../src/model/encode.ts";

export class AdminApi {
  readonly #address: string;
  readonly #peer: "dashboard" | "proxy";

  constructor(address: string, peer: "dashboard" | "proxy") {
    this.#address = address;
    this.#peer = peer;
  }

  /** @param name of the call, for the error text */
  get(name: string, path: string): Promise<unknown> {
    return this.request(name, "GET", path);
  }

  async put(name: string, path: string, body?: unknown): Promise<void> {
    await this.request(name, "PUT", path, body);
  }

  async request(
    name: string,
    method: "GET" | "PUT",
    path: string,
    body?: unknown,
  ): Promise<unknown> {
    try {
      const json = body === undefined ? {} : { body: encodeJson(body) };
      return await callAdmin({ addr: this.#address, method, path, ...json });
    } catch (error) {
      if (!(error instanceof CodisError)) throw error;
      const call = `call rpc ${name} to ${this.#peer} ${this.#address} failed`;
      throw new CodisError(error.code, call, error);
    }
  }
}
