/** Pure: the name of a product: what it may be, and its row in the files of proxy and dashboard. */

import type { ConfigRow } from "../base/config.ts";

/** Word character first, then word characters, dots and dashes. */
export function isProductName(name: string): boolean {
  return /^\w[\w.-]*$/.test(name);
}

/** Source of the texts: Codis pkg/models/store.go `ValidateProduct`. */
export const PRODUCT_NAME_ROW = {
  kind: "string",
  default: "codis-demo",
  comment: "The name of the cluster.",
  check: (value) =>
    isProductName(value)
      ? undefined
      : "must be a word character, then word characters, dots or dashes",
  complaint: (value) => (value === "" ? "invalid product_name" : `bad product name = ${value}`),
} as const satisfies ConfigRow;
