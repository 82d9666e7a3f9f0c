/** Methods of Bun's Buffer that its types do not name: half the cost of `toString` and `write`. */
interface Buffer {
  latin1Slice(from?: number, to?: number): string;
  utf8Slice(from?: number, to?: number): string;
  /** Returns how many bytes were written. */
  latin1Write(text: string, at?: number, bytes?: number): number;
}
