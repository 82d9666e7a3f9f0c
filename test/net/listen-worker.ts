/**
 * A thread that listens on a descriptor it is sent, answers each connection, and stops on request.
 */

import { type Listener, listen } from "../../src/net/listener.ts";

declare const self: Worker;

let listener: Listener | undefined;

self.onmessage = ({ data }: MessageEvent<number | "stop">) => {
  if (data === "stop") {
    listener?.stop();
    self.postMessage("stopped");
    return;
  }
  listener = listen(data, (connection) => {
    connection.out.raw(Buffer.from("worker"));
    connection.close();
    return { onData() {}, onEnd() {}, onClose() {} };
  });
  self.postMessage("ready");
};
