/**
 * A network inside one process: byte channels with delays, splits and bounded buffers drawn from a
 * seeded source, and HTTP servers by host and port. The simulator's only network; also the quickest
 * one for tests. Each simulated machine or process has its own `net()`, which can be killed whole.
 */
import type {
  Clock,
  HttpServeOptions,
  HttpServer,
  Listener,
  Net,
  Random,
  Socket,
  SocketHandlers,
} from "../capabilities.ts";
import { framedTransport } from "./framing.ts";
import { tcpAddress, tcpPlaceOf } from "./tcp-address.ts";
import { type LinkLimits, type Transport, TransportError } from "./transport.ts";

export type MemoryNetworkOptions = {
  /** One-way delay, uniform between the two; both 0 = the end of the same tick. */
  readonly delay_ms_min: number;
  readonly delay_ms_max: number;
  /** A write arrives in pieces of 1 to this many bytes; 0: in one piece. */
  readonly split_bytes_max: number;
  /** Bytes a channel holds in flight before `write` reports back-pressure. */
  readonly window_bytes: number;
};

const memoryNetworkDefaults: MemoryNetworkOptions = {
  delay_ms_min: 0,
  delay_ms_max: 0,
  split_bytes_max: 0,
  window_bytes: 256 * 1024,
};

type Door = { readonly accept: (socket: Socket) => SocketHandlers; readonly owner: MemoryNet };

export class MemoryNetwork {
  readonly clock: Clock;
  readonly random: Random;
  readonly options: MemoryNetworkOptions;
  readonly doors = new Map<string, Door>();
  readonly servers = new Map<string, { options: HttpServeOptions; open: boolean }[]>();
  #nextPort = 20_000;

  constructor(clock: Clock, random: Random, options: Partial<MemoryNetworkOptions> = {}) {
    this.clock = clock;
    this.random = random;
    this.options = { ...memoryNetworkDefaults, ...options };
  }

  /** The network as one node sees it. */
  net(): MemoryNet {
    return new MemoryNet(this);
  }

  freePort(): number {
    this.#nextPort += 1;
    return this.#nextPort;
  }

  delay_ms(): number {
    const { delay_ms_min, delay_ms_max } = this.options;
    return delay_ms_min + this.random.unit() * (delay_ms_max - delay_ms_min);
  }
}

export class MemoryNet implements Net {
  readonly #network: MemoryNetwork;
  readonly sockets = new Set<MemorySocket>();
  #dead = false;
  #frozen = false;
  /** Connections that its kernel took while this node was frozen. */
  #backlog: (() => void)[] = [];

  constructor(network: MemoryNetwork) {
    this.#network = network;
  }

  async listen(given: string, accept: (socket: Socket) => SocketHandlers): Promise<Listener> {
    const doors = this.#network.doors;
    const tcp = tcpPlaceOf(given);
    const address = tcp?.port === 0 ? tcpAddress(tcp.host, this.#network.freePort()) : given;
    if (doors.has(address)) {
      throw new TransportError("address_in_use", `${address} is taken by another listener`);
    }
    doors.set(address, { accept, owner: this });
    return { address, close: () => void doors.delete(address) };
  }

  connect(address: string, handlers: SocketHandlers, timeout_ms: number): Promise<Socket> {
    const network = this.#network;
    return new Promise((resolve, reject) => {
      const delay_ms = network.delay_ms();
      const late = delay_ms > timeout_ms;
      const knock = (): void => {
        const door = network.doors.get(address);
        if (late || door === undefined || this.#dead) {
          const code = late ? "connect_timeout" : "connect_failed";
          reject(new TransportError(code, `nobody listens at ${address}`));
          return;
        }
        const near = new MemorySocket(network, this);
        const far = new MemorySocket(network, door.owner);
        near.join(far, handlers);
        far.join(near);
        door.owner.take(() => far.use(door.accept(far)));
        resolve(near);
      };
      network.clock.after(Math.min(delay_ms, timeout_ms), knock);
    });
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  /** Stops the node's process: bytes sent to it wait in its kernel, up to the window. */
  freeze(): void {
    this.#frozen = true;
  }

  thaw(): void {
    this.#frozen = false;
    for (const arrival of this.#backlog.splice(0)) arrival();
    for (const socket of [...this.sockets]) socket.release();
  }

  /** Runs an arrival at this node, now or when it is thawed. */
  take(arrival: () => void): void {
    if (this.#frozen) this.#backlog.push(arrival);
    else if (!this.#dead) arrival();
  }

  /** Kills this node's process: all its channels and listeners are gone at once. */
  kill(): void {
    this.#dead = true;
    for (const [address, door] of this.#network.doors) {
      if (door.owner === this) this.#network.doors.delete(address);
    }
    this.#backlog = [];
    for (const socket of [...this.sockets]) socket.cut("the process died");
  }

  async serve(options: HttpServeOptions): Promise<HttpServer> {
    const { servers } = this.#network;
    const port = options.port === 0 ? this.#network.freePort() : options.port;
    const key = `${options.host}:${port}`;
    const sharers = servers.get(key) ?? [];
    if (sharers.length > 0 && !options.share_port) {
      throw new TransportError("address_in_use", `${key} is taken by another server`);
    }
    const entry = { options, open: true };
    servers.set(key, [...sharers, entry]);
    const leave = (): void => {
      entry.open = false;
      const rest = (servers.get(key) ?? []).filter((other) => other !== entry);
      if (rest.length === 0) servers.delete(key);
      else servers.set(key, rest);
    };
    return {
      host: options.host,
      port,
      drain: leave,
      close: async () => leave(),
    };
  }

  async fetch(url: string, init?: RequestInit): Promise<Response> {
    const target = new URL(url);
    const sharers = this.#network.servers.get(`${target.hostname}:${target.port}`) ?? [];
    const chosen = sharers[this.#network.random.u32() % Math.max(1, sharers.length)];
    if (chosen === undefined) {
      throw new TransportError("connect_failed", `nobody serves ${target.host}`);
    }
    return chosen.options.fetch(new Request(url, init), { client: "127.0.0.1" });
  }
}

class MemorySocket implements Socket {
  readonly #network: MemoryNetwork;
  readonly #owner: MemoryNet;
  #peer: MemorySocket | undefined;
  #handlers: SocketHandlers | undefined;
  /** Bytes written here and not taken by the peer; those over the window count as buffered. */
  #unread_bytes = 0;
  #wasFull = false;
  #closed = false;
  /** Pieces for this side that came while it was paused. */
  #held: (() => void)[] = [];
  #paused = false;
  /** Delivery is in order: no piece may arrive before the one written earlier. */
  #lastArrival_ms = 0;

  constructor(network: MemoryNetwork, owner: MemoryNet) {
    this.#network = network;
    this.#owner = owner;
    owner.sockets.add(this);
  }

  join(peer: MemorySocket, handlers?: SocketHandlers): void {
    this.#peer = peer;
    this.#handlers = handlers;
  }

  use(handlers: SocketHandlers): void {
    this.#handlers = handlers;
  }

  /** Takes the held pieces, unless another reason still holds them. */
  release(): void {
    while (!this.#paused && !this.#owner.frozen) {
      const next = this.#held.shift();
      if (next === undefined) return;
      next();
    }
  }

  get buffered_bytes(): number {
    return Math.max(0, this.#unread_bytes - this.#network.options.window_bytes);
  }

  write(bytes: Uint8Array): number {
    if (this.#closed) return 0;
    const { split_bytes_max } = this.#network.options;
    const copy = bytes.slice();
    let at = 0;
    while (at < copy.length) {
      const rest = copy.length - at;
      const size =
        split_bytes_max === 0
          ? rest
          : Math.min(rest, 1 + (this.#network.random.u32() % split_bytes_max));
      const piece = copy.subarray(at, at + size);
      at += size;
      this.#unread_bytes += size;
      this.#carry(() => {
        const peer = this.#peer as MemorySocket;
        peer.#take(() => {
          this.#arrived(size);
          peer.#handlers?.data(piece);
        });
      });
    }
    if (this.buffered_bytes > 0) this.#wasFull = true;
    return this.buffered_bytes;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.release();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.sockets.delete(this);
    this.#network.clock.defer(() => this.#handlers?.close("closed here"));
    this.#carry(() => {
      const peer = this.#peer as MemorySocket;
      peer.#take(() => peer.#end("closed by the peer"));
    });
  }

  /** Ends abruptly: bytes in flight to this side are lost; the peer notices after the delay. */
  cut(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#held = [];
    this.#owner.sockets.delete(this);
    const peer = this.#peer as MemorySocket;
    const why = `closed by the peer: ${reason}`;
    this.#carry(() => peer.#owner.take(() => peer.#end(why)));
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.sockets.delete(this);
    this.#handlers?.close(reason);
  }

  #take(arrival: () => void): void {
    if (this.#closed) return;
    if (this.#paused || this.#owner.frozen || this.#held.length > 0) this.#held.push(arrival);
    else arrival();
  }

  #arrived(size_bytes: number): void {
    this.#unread_bytes -= size_bytes;
    if (!this.#wasFull || this.buffered_bytes > 0) return;
    this.#wasFull = false;
    this.#network.clock.defer(() => {
      if (!this.#closed) this.#handlers?.drain();
    });
  }

  #carry(arrive: () => void): void {
    const { clock } = this.#network;
    const delay_ms = this.#network.delay_ms();
    if (delay_ms === 0 && this.#lastArrival_ms === 0) {
      clock.defer(arrive);
      return;
    }
    const now_ms = clock.now_ms();
    this.#lastArrival_ms = Math.max(this.#lastArrival_ms, now_ms + delay_ms);
    clock.after(this.#lastArrival_ms - now_ms, arrive);
  }
}

/** Frames over the memory network. Addresses are `memory:name`. */
export function memoryTransport(net: Net, limits: LinkLimits): Transport {
  return framedTransport(net, "memory", limits);
}
