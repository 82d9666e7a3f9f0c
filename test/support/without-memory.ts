/** Runs `work` while no buffer of bytes can be had. */
export function withoutMemory(work: () => void): void {
  const allocate = Buffer.allocUnsafeSlow;
  Buffer.allocUnsafeSlow = () => {
    throw new RangeError("Out of memory");
  };
  try {
    work();
  } finally {
    Buffer.allocUnsafeSlow = allocate;
  }
}
