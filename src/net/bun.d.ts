/** What Bun 1.4.5 does and its types do not say; each is used by this folder and tested there. */
import "bun";

declare module "bun" {
  interface TCPSocketListener {
    readonly fd: number;
  }
  interface TCPSocketConnectOptions {
    allowHalfOpen?: boolean;
  }
}
