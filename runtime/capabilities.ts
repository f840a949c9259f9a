/**
 * Everything an actor may ask of the world. All of it is handed in, so that the same actors run
 * on real processes and in a simulator; nothing outside `runtime/` touches the world otherwise.
 * Real ones are made in `runtime/real/`, simulated ones in `runtime/simulation/virtual-clock.ts`,
 * `random.ts`, `transport/memory.ts` and `store/memory.ts`.
 */

import type { Telemetry } from "./observe/telemetry.ts";
import type { TlsPair } from "./tls-pair.ts";

export type Timer = { readonly id: number };

export interface Clock {
  /** Monotonic milliseconds with fractions; for durations and deadlines. */
  now_ms(): number;
  /** Unix time in milliseconds; for people and headers, never for durations. */
  wall_ms(): number;
  after(delay_ms: number, run: () => void): Timer;
  cancel(timer: Timer): void;
  /** Runs once at the end of the current tick: where batches are flushed. */
  defer(run: () => void): void;
}

export interface Random {
  u32(): number;
  u64(): bigint;
  /** Uniform in [0, 1). */
  unit(): number;
}

/** Draws unique text ids: hyperid at the real edge, a counter in the simulator. */
export interface Ids {
  next(): string;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

export interface Log {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** One duplex byte channel between two processes (or two simulated nodes). */
export interface Socket {
  /** Queues bytes; returns bytes still buffered here (0 = all handed over). Copies if it must. */
  write(bytes: Uint8Array): number;
  /** Bytes accepted by `write` but not yet by the peer's kernel. */
  readonly buffered_bytes: number;
  /** Stops reading, which slows the sender; `resume` goes on. */
  pause(): void;
  resume(): void;
  close(): void;
}

export type SocketHandlers = {
  readonly data: (bytes: Uint8Array) => void;
  /** The write buffer is empty again. */
  readonly drain: () => void;
  /** Called once, whichever side closed. */
  readonly close: (reason: string) => void;
};

export interface Listener {
  readonly address: string;
  close(): void;
}

/** Addresses are text: `unix:/run/x.sock`, `tcp:10.0.0.1:7000`, `memory:name`. */
export interface Net {
  /** The listener's address is the one to connect to: `tcp:HOST:0` takes any free port. */
  listen(address: string, accept: (socket: Socket) => SocketHandlers): Promise<Listener>;
  connect(address: string, handlers: SocketHandlers, timeout_ms: number): Promise<Socket>;
  /** The HTTP door: handed in, so that the frontend runs in the simulator. */
  serve(options: HttpServeOptions): Promise<HttpServer>;
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

export type HttpServeOptions = {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Several frontends share one port; the caller has checked that no other program has it. */
  readonly share_port: boolean;
  /** An idle connection is closed after this time; 0 or absent: never. */
  readonly idle_ms?: number;
  /** Undefined: plain HTTP. */
  readonly tls?: TlsPair;
  /** Absent: no request becomes a WebSocket. */
  readonly web_sockets?: WebSocketLimits;
  readonly fetch: (request: Request, info: HttpExchange) => Promise<Response>;
};

export type WebSocketLimits = {
  /** Open at once. */
  readonly count_max: number;
  /** A longer message from the client ends the connection. */
  readonly message_bytes_max: number;
  /** A client that does not even answer pings for so long is gone. */
  readonly idle_ms: number;
  /** With more than this waiting to be sent, further messages are dropped. */
  readonly waiting_bytes_max: number;
};

/** What a request has become; texts alone. */
export interface WebSocketEnd {
  /** False: dropped, as too much waits already or the connection is closing. */
  send(text: string): boolean;
  /** Sent and not taken by the client's side yet. */
  readonly buffered_bytes: number;
  /** `code` as in RFC 6455, 7.4.1. A client that takes nothing is cut off soon after. */
  close(code: number, reason: string): void;
}

export type WebSocketHandlers = {
  readonly message: (text: string) => void;
  /** Called once, whichever side closed. */
  readonly close: (code: number) => void;
};

export interface HttpExchange {
  /** Address of the client. */
  readonly client: string;
  /** Whether this exchange may be silent for longer than `idle_ms`. False ends what true began. */
  mayBeSilent?(yes: boolean): void;
  /**
   * Makes a WebSocket of this exchange; the answer that is then returned is sent to nobody.
   * `not_asked`: the request does not ask for one. Absent: the network here has none.
   */
  upgrade?(accept: (socket: WebSocketEnd) => WebSocketHandlers): "done" | "not_asked" | "too_many";
}

export interface HttpServer {
  readonly host: string;
  readonly port: number;
  /** Stops accepting; live answers go on until `close`. */
  drain(): void;
  close(): Promise<void>;
}

export type SpawnOptions = {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly onStdout?: (bytes: Uint8Array) => void;
  readonly onStderr?: (bytes: Uint8Array) => void;
  readonly onExit: (exit: ProcessExit) => void;
};

export type ProcessExit = { readonly code: number | null; readonly signal: string | null };

export interface ChildProcess {
  readonly pid: number;
  kill(signal: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT" | "SIGINT"): void;
  /** True: the system has stopped it (SIGSTOP, a debugger). False also if unknown. */
  stopped(): boolean;
}

export interface Spawn {
  /** Starts an OS process that dies with this one. Throws SpawnError when it cannot start. */
  start(options: SpawnOptions): ChildProcess;
  /** Command that starts another copy of this program: [bun, entry] or [compiled binary]. */
  readonly self: readonly string[];
  readonly pid: number;
  /** Whether a process of this machine, not only of ours, can still do something. */
  isAlive(pid: number): boolean;
  resident_bytes(): number;
}

export interface Files {
  read(path: string, from_byte?: number, length_bytes?: number): Promise<Uint8Array>;
  /** undefined when there is no such file. */
  size_bytes(path: string): Promise<number | undefined>;
  /** Another text whenever the file is another; undefined when there is none. */
  stamp(path: string): Promise<string | undefined>;
  list(folder: string): Promise<readonly string[]>;
  makeFolder(path: string): Promise<void>;
  append(path: string, bytes: Uint8Array): Promise<void>;
  /** Resolves when the file's bytes would survive a loss of power. */
  sync(path: string): Promise<void>;
  write(path: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  free_bytes(folder: string): Promise<number>;
}

/** A thread of this process with an event loop of its own. */
export interface Thread {
  /** A copy of the message: plain data and arrays of numbers. */
  post(message: unknown): void;
  /** Ends it, whatever it does. */
  end(): void;
  /** Resolves when it has ended and touches nothing any more. */
  readonly ended: Promise<void>;
  /** What it has computed so far, in milliseconds of a core; undefined: not known here. */
  cpu_ms(): number | undefined;
}

export type ThreadHandlers = {
  readonly message: (message: unknown) => void;
  /** It has ended, told or not. */
  readonly ended: (reason: string) => void;
};

export interface Threads {
  /** `entry` is a file of the sources, named from their root (deploy/build-binary.ts lists them). */
  start(entry: string, handlers: ThreadHandlers): Thread;
}

/**
 * Small durable records by key, shared by processes: `runtime/store/{memory,sqlite,redis}.ts` pass
 * one contract test. Each call is one transaction; it rejects when the store cannot be used now.
 */
export interface Store {
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, value: Uint8Array): Promise<void>;
  /** Puts the value where none is; false: there is one, and it stays. */
  create(key: string, value: Uint8Array): Promise<boolean>;
  /** Puts the value in the place of `was`; false: something else, or nothing, is there. */
  replace(key: string, was: Uint8Array, value: Uint8Array): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** Keys in the order of their UTF-8 bytes, those behind `after` alone; at most `limit`. */
  list(prefix: string, limit: number, after?: string): Promise<readonly string[]>;
  close(): Promise<void>;
}

export type Capabilities = {
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: Log;
  readonly net: Net;
  readonly spawn: Spawn;
  readonly files: Files;
  readonly store: Store;
  /** Absent in the simulator, which has one thread. */
  readonly threads?: Threads;
  /** Absent where nobody collects traces and metrics. */
  readonly telemetry?: Telemetry;
};
