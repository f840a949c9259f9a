/** A TCP proxy in front of a server, whose connections a test cuts when it wants. */
import type { Socket } from "bun";

export type CutProxy = {
  /** The server's origin with the proxy's port. */
  readonly url: string;
  /** Ends all connections, and refuses new ones until `mend`. */
  cut(): void;
  mend(): void;
  [Symbol.dispose](): void;
};

type Pair = { other: Socket<Pair> | undefined; waits: Buffer[] };

const move = (to: Socket<Pair>): void => {
  const { waits } = to.data;
  while (waits.length > 0) {
    const bytes = waits[0]!;
    const sent = to.write(bytes);
    if (sent < bytes.length) {
      waits[0] = bytes.subarray(Math.max(0, sent));
      return;
    }
    waits.shift();
  }
};

export function cutProxy(server_url: string): CutProxy {
  const { hostname, port } = new URL(server_url);
  const open = new Set<Socket<Pair>>();
  let is_cut = false;
  const handlers = {
    data(socket: Socket<Pair>, bytes: Buffer) {
      const { other } = socket.data;
      if (other === undefined) {
        socket.data.waits.push(Buffer.from(bytes));
        return;
      }
      other.data.waits.push(Buffer.from(bytes));
      move(other);
    },
    drain: move,
    close(socket: Socket<Pair>) {
      open.delete(socket);
      socket.data.other?.end();
    },
    error(socket: Socket<Pair>) {
      socket.end();
    },
  };
  const connect = async (client: Socket<Pair>) => {
    const data: Pair = { other: client, waits: client.data.waits };
    const there = { hostname, port: Number(port), data, socket: { ...handlers, open: move } };
    client.data.waits = [];
    const server = await Bun.connect<Pair>(there).catch(() => undefined);
    if (server === undefined) {
      client.end();
      return;
    }
    open.add(server);
    // What came while the server was being reached goes first.
    server.data.waits.push(...client.data.waits.splice(0));
    client.data.other = server;
    move(server);
  };
  const listener = Bun.listen<Pair>({
    hostname: "127.0.0.1",
    port: 0,
    data: { other: undefined, waits: [] },
    socket: {
      ...handlers,
      open(client) {
        client.data = { other: undefined, waits: [] };
        if (is_cut) {
          client.terminate();
          return;
        }
        open.add(client);
        void connect(client);
      },
    },
  });
  const end = () => {
    for (const socket of open) socket.terminate();
    open.clear();
  };
  return {
    url: `http://127.0.0.1:${listener.port}`,
    cut() {
      is_cut = true;
      end();
    },
    mend() {
      is_cut = false;
    },
    [Symbol.dispose]() {
      end();
      listener.stop(true);
    },
  };
}
