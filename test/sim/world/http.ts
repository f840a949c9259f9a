/**
 * HTTP between clients and the simulated processes' servers: connections with delays, a bounded
 * window, hang-ups of either side, and clients that vanish without a word. Servers that share a
 * port get connections by chance, a frozen one its share too, as kernels do it.
 */
import type { HttpServeOptions, HttpServer, Random } from "../../../runtime/capabilities.ts";
import { pickIndex } from "../../../runtime/simulation/random.ts";
import type { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { TransportError } from "../../../runtime/transport/transport.ts";
import type { SimulatedProcess } from "./process.ts";

export type HttpRequest = {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
};

/** What a client sees of its exchange; after `failed` or `ended` nothing more. */
export type HttpEvents = {
  readonly head: (status: number, headers: Headers, node: string) => void;
  readonly data: (bytes: Uint8Array) => void;
  readonly ended: () => void;
  readonly failed: (why: string) => void;
};

export interface Exchange {
  /** The process that got it; undefined when nobody listened. */
  readonly process: SimulatedProcess | undefined;
  /** The client reads no more until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
  /** The client is gone, and nobody is told. */
  vanish(): void;
}

type Server = { readonly options: HttpServeOptions; readonly process: SimulatedProcess };

type Reader = {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
};

export const REFUSED = "connection refused";
/** Chunks that may be on their way, or wait for a client that does not read. */
const windowChunks = 8;

export class SimulatedHttp {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly delay_ms: () => number;
  /** Connections that are open. */
  readonly open = new Set<Connection>();
  readonly #servers = new Map<number, Server[]>();
  #nextPort = 30_000;

  constructor(clock: VirtualClock, random: Random, delay_ms: () => number) {
    this.clock = clock;
    this.random = random;
    this.delay_ms = delay_ms;
  }

  serve(process: SimulatedProcess, options: HttpServeOptions): HttpServer {
    const port = options.port === 0 ? ++this.#nextPort : options.port;
    const sharers = this.#servers.get(port) ?? [];
    if (sharers.length > 0 && !options.share_port) {
      throw new TransportError("address_in_use", `port ${port} is taken by another server`);
    }
    const server = { options, process };
    this.#servers.set(port, [...sharers, server]);
    const leave = (): void => {
      const rest = (this.#servers.get(port) ?? []).filter((other) => other !== server);
      this.#servers.set(port, rest);
    };
    const close = async (): Promise<void> => {
      leave();
      for (const connection of [...this.open]) {
        if (connection.server === server) connection.reset("the server closed");
      }
    };
    return { host: options.host, port, drain: leave, close };
  }

  /** A process died: its kernel closes everything. */
  died(process: SimulatedProcess): void {
    for (const [port, sharers] of this.#servers) {
      this.#servers.set(
        port,
        sharers.filter((server) => server.process !== process),
      );
    }
    for (const connection of [...this.open]) {
      if (connection.process === process) connection.reset("connection reset by peer");
    }
  }

  request(port: number, request: HttpRequest, events: HttpEvents): Exchange {
    const sharers = this.#servers.get(port) ?? [];
    const server = sharers[pickIndex(this.random, Math.max(1, sharers.length))];
    return new Connection(this, server, request, events);
  }
}

class Connection implements Exchange {
  readonly server: Server | undefined;
  readonly #http: SimulatedHttp;
  readonly #events: HttpEvents;
  readonly #abort = new AbortController();
  #reader: Reader | undefined;
  #client: "there" | "closed" | "vanished" = "there";
  #over = false;
  #paused = false;
  #inFlight = 0;
  #reading = false;
  #lastArrival_ms = 0;
  /** What a client that does not read has not seen yet. */
  readonly #unread: (() => void)[] = [];

  constructor(
    http: SimulatedHttp,
    server: Server | undefined,
    request: HttpRequest,
    events: HttpEvents,
  ) {
    this.#http = http;
    this.server = server;
    this.#events = events;
    http.open.add(this);
    http.clock.after(http.delay_ms(), () => {
      if (server === undefined) this.reset(REFUSED);
      else if (server.process.alive) server.process.deliver(() => this.#arrive(server, request));
    });
  }

  get process(): SimulatedProcess | undefined {
    return this.server?.process;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    while (!this.#paused) {
      const next = this.#unread.shift();
      if (next === undefined) return;
      next();
    }
  }

  close(): void {
    if (this.#client !== "there") return;
    this.#client = "closed";
    const { clock } = this.#http;
    clock.after(this.#http.delay_ms(), () => {
      this.#http.open.delete(this);
      this.process?.deliver(() => this.#serverSide(() => this.#abort.abort()));
    });
  }

  vanish(): void {
    this.#client = "vanished";
  }

  /** The server's end is gone. */
  reset(why: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#http.open.delete(this);
    this.#toClient(() => this.#events.failed(why));
  }

  #arrive(server: Server, { method, path, headers, body }: HttpRequest): void {
    if (this.#over || this.#client === "closed") return;
    const request = new Request(`http://127.0.0.1${path}`, {
      method,
      signal: this.#abort.signal,
      ...(headers === undefined ? {} : { headers }),
      ...(body === undefined ? {} : { body }),
    });
    const answer = server.options.fetch(request, { client: "10.0.0.1" });
    answer.then(
      (response) => this.#head(response),
      () => this.reset("the server failed"),
    );
  }

  #head(response: Response): void {
    if (this.#over || this.process?.alive !== true) return;
    const { status, headers } = response;
    this.#toClient(() => this.#events.head(status, headers, this.process?.node ?? ""));
    const { body } = response;
    if (body === null) {
      this.#end();
      return;
    }
    this.#reader = body.getReader() as unknown as Reader;
    if (this.#abort.signal.aborted) void this.#reader.cancel().catch(() => {});
    else this.#read();
  }

  /** As far as the window allows, one chunk after the other. */
  #read(): void {
    const reader = this.#reader;
    if (reader === undefined || this.#reading || this.#over) return;
    if (this.#inFlight >= windowChunks) return;
    this.#reading = true;
    reader.read().then(
      ({ done, value }) => {
        this.#reading = false;
        if (this.#over || this.process?.alive !== true) return;
        if (done || value === undefined) {
          this.#end();
          return;
        }
        this.#inFlight++;
        this.#toClient(() => {
          this.#inFlight--;
          this.#events.data(value);
          this.process?.deliver(() => this.#read());
        });
        this.#read();
      },
      () => this.reset("the body failed"),
    );
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#http.open.delete(this);
    this.#toClient(() => this.#events.ended());
  }

  #serverSide(abort: () => void): void {
    if (this.#over) return;
    this.#over = true;
    abort();
    void this.#reader?.cancel().catch(() => {});
  }

  #toClient(run: () => void): void {
    const { clock } = this.#http;
    const at_ms = Math.max(this.#lastArrival_ms, clock.now_ms() + this.#http.delay_ms());
    this.#lastArrival_ms = at_ms;
    clock.after(at_ms - clock.now_ms(), () => {
      if (this.#client !== "there") return;
      if (this.#paused || this.#unread.length > 0) this.#unread.push(run);
      else run();
    });
  }
}
