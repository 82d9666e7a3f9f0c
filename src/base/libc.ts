/**
 * The C library, for `dlopen` of `bun:ffi`: whoever needs a call that Bun does not offer names its
 * shape. Linux with glibc, which is what codis is built for.
 */
export const LIBC = "libc.so.6";
