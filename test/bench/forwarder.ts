/**
 * The floor under every proxy: bytes are passed on as they come, one connection to a server per
 * client, nothing is looked at. Run by the bench; servers' ports are its arguments, its own port is
 * its first line. It need not share connections, so a proxy that does can even beat it.
 */

interface End {
  peer: Bun.Socket<End> | undefined;
  /** What the socket has not taken yet. */
  unsent: Buffer[];
}

const backends = process.argv.slice(2).map(Number);
let clients = 0;

function pass(socket: Bun.Socket<End>, chunk: Buffer): void {
  const { unsent } = socket.data;
  if (unsent.length > 0) {
    unsent.push(chunk);
    return;
  }
  const taken = Math.max(0, socket.write(chunk));
  if (taken < chunk.length) unsent.push(chunk.subarray(taken));
}

const handlers = {
  data(socket: Bun.Socket<End>, chunk: Buffer): void {
    const { peer } = socket.data;
    if (peer === undefined) socket.data.unsent.push(chunk);
    else pass(peer, chunk);
  },
  drain(socket: Bun.Socket<End>): void {
    for (const chunk of socket.data.unsent.splice(0)) pass(socket, chunk);
  },
  close(socket: Bun.Socket<End>): void {
    socket.data.peer?.end();
  },
};

async function connectBackend(client: Bun.Socket<End>): Promise<void> {
  const port = backends[clients++ % backends.length]!;
  // What the client sends before the connection stands is kept with the client.
  const early = client.data.unsent;
  const backend = await Bun.connect<End>({
    hostname: "127.0.0.1",
    port,
    data: { peer: client, unsent: [] },
    socket: handlers,
  });
  client.data.unsent = [];
  client.data.peer = backend;
  for (const chunk of early) pass(backend, chunk);
}

const listener = Bun.listen<End>({
  hostname: "127.0.0.1",
  port: 0,
  socket: {
    ...handlers,
    open(socket) {
      socket.data = { peer: undefined, unsent: [] };
      connectBackend(socket).catch(() => socket.end());
    },
  },
});
process.stdout.write(`${listener.port}\n`);
