/**
 * Pure: where each record of a product stands in the coordinator's tree.
 * Source: Codis pkg/models/store.go; `lease` is ours.
 *
 *   /codis3/<product>/topom            the running dashboard, and the original's lock
 *   /codis3/<product>/lease            held by the dashboard of ours that owns the product
 *   /codis3/<product>/slots/slot-NNNN  four digits
 *   /codis3/<product>/group/group-NNNN
 *   /codis3/<product>/proxy/proxy-<token>
 *   /codis3/<product>/sentinel
 */

/** The folder of all products. */
export const PRODUCTS_DIR = "/codis3";

function productDir(product: string): string {
  return `${PRODUCTS_DIR}/${product}`;
}

export function topomPath(product: string): string {
  return `${productDir(product)}/topom`;
}

export function leasePath(product: string): string {
  return `${productDir(product)}/lease`;
}

export function slotPath(product: string, id: number): string {
  return `${productDir(product)}/slots/slot-${fourDigits(id)}`;
}

export function groupDir(product: string): string {
  return `${productDir(product)}/group`;
}

export function groupPath(product: string, id: number): string {
  return `${groupDir(product)}/group-${fourDigits(id)}`;
}

export function proxyDir(product: string): string {
  return `${productDir(product)}/proxy`;
}

export function proxyPath(product: string, token: string): string {
  return `${proxyDir(product)}/proxy-${token}`;
}

export function sentinelPath(product: string): string {
  return `${productDir(product)}/sentinel`;
}

function fourDigits(id: number): string {
  return String(id).padStart(4, "0");
}
