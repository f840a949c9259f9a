/** The real network: unix sockets, TCP and HTTP of Bun. */
import { lookup } from "node:dns/promises";
import { existsSync, unlinkSync } from "node:fs";
import type {
  HttpExchange,
  HttpServeOptions,
  HttpServer,
  Listener,
  Net,
  Socket,
  SocketHandlers,
  WebSocketEnd,
  WebSocketHandlers,
} from "../capabilities.ts";
import { tcpAddress, tcpPlaceOf } from "../transport/tcp-address.ts";
import { TransportError } from "../transport/transport.ts";
import { realLog } from "./log.ts";
import { unixPathBytesMax } from "./unix-path.ts";
import { type TextSocket, WebSockets } from "./web-sockets.ts";

/** Bodies over the frontend's own limits get its answer, not Bun's empty 413. */
const BODY_BACKSTOP_BYTES = 1024 ** 3;
/** A peer that takes nothing keeps a closed channel's last bytes for no longer than this. */
const LINGER_MS = 1_000;
/** A name server that does not answer holds an error back for no longer than this. */
const LOOKUP_MS = 2_000;

type BunSocket = Bun.Socket<ByteSocket | undefined>;

/** Keeps what the kernel did not take; Bun's own write is unbuffered. */
class ByteSocket implements Socket {
  handlers: SocketHandlers | undefined;
  #socket: BunSocket | undefined;
  #pending: Uint8Array[] = [];
  #pending_bytes = 0;
  #closing = false;
  #closed = false;

  open(socket: BunSocket): void {
    this.#socket = socket;
  }

  get buffered_bytes(): number {
    return this.#pending_bytes;
  }

  write(bytes: Uint8Array): number {
    if (this.#closing || this.#closed) return 0;
    if (this.#pending_bytes > 0) return this.#keep(bytes);
    const written = Math.max(0, this.#socket?.write(bytes) ?? 0);
    return written === bytes.length ? 0 : this.#keep(bytes.subarray(written));
  }

  pause(): void {
    if (!this.#closed) this.#socket?.pause();
  }

  resume(): void {
    if (!this.#closed) this.#socket?.resume();
  }

  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    if (this.#pending_bytes === 0) this.#socket?.end();
    else setTimeout(() => this.#socket?.terminate(), LINGER_MS).unref();
  }

  drain(): void {
    while (this.#pending_bytes > 0) {
      const head = this.#pending[0] as Uint8Array;
      const written = Math.max(0, this.#socket?.write(head) ?? 0);
      this.#pending_bytes -= written;
      if (written < head.length) {
        this.#pending[0] = head.subarray(written);
        return;
      }
      this.#pending.shift();
    }
    if (this.#closing) this.#socket?.end();
    else this.handlers?.drain();
  }

  closed(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#pending_bytes = 0;
    this.handlers?.close(reason);
  }

  #keep(bytes: Uint8Array): number {
    this.#pending.push(bytes.slice());
    this.#pending_bytes += bytes.length;
    return this.#pending_bytes;
  }
}

const socketEvents = {
  data: (socket: BunSocket, bytes: Uint8Array) => socket.data?.handlers?.data(bytes),
  drain: (socket: BunSocket) => socket.data?.drain(),
  // With half-open off Bun answers the peer's end by itself; `close` follows.
  close: (socket: BunSocket, error?: Error) => socket.data?.closed(error?.message ?? "closed"),
  error: (socket: BunSocket, error: Error) => socket.data?.closed(error.message),
};

export function realNet(): Net {
  return { listen, connect, serve, fetch: (url, init) => fetch(url, init) };
}

async function listen(
  address: string,
  accept: (socket: Socket) => SocketHandlers,
): Promise<Listener> {
  const tcp = tcpPlaceOf(address);
  const path = tcp === undefined ? unixPath(address) : "";
  if (tcp === undefined && existsSync(path)) await removeIfStale(address, path);
  const open = (raw: BunSocket): void => {
    const socket = new ByteSocket();
    raw.data = socket;
    socket.open(raw);
    socket.handlers = accept(socket);
  };
  try {
    const socket = { ...socketEvents, open, binaryType: "uint8array" } as const;
    if (tcp !== undefined) {
      const { host, port } = tcp;
      const listener = Bun.listen<ByteSocket | undefined>({ hostname: host, port, socket });
      return { address: tcpAddress(host, listener.port), close: () => listener.stop() };
    }
    const listener = Bun.listen<ByteSocket | undefined>({ unix: path, socket });
    return {
      address,
      close: () => {
        listener.stop();
        if (existsSync(path)) unlinkSync(path);
      },
    };
  } catch (error) {
    const taken = (error as { code?: string }).code === "EADDRINUSE";
    const why = `cannot listen at ${address}: ${textWithCode(error)}`;
    throw new TransportError(taken ? "address_in_use" : "bad_address", why);
  }
}

/** A socket file outlives a killed process: it is in use only if somebody answers. */
async function removeIfStale(address: string, path: string): Promise<void> {
  const nothing = { data: () => {}, drain: () => {}, close: () => {} };
  const probe = await connect(address, nothing, 200).catch(() => undefined);
  if (probe !== undefined) {
    probe.close();
    throw new TransportError("address_in_use", `${address} is taken by a live process`);
  }
  if (existsSync(path)) unlinkSync(path);
}

function connect(address: string, handlers: SocketHandlers, timeout_ms: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const tcp = tcpPlaceOf(address);
    const path = tcp === undefined ? unixPath(address) : "";
    const socket = new ByteSocket();
    let settled = false;
    const fail = (code: "connect_failed" | "connect_timeout", why: string): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      reject(new TransportError(code, `cannot connect to ${address}: ${why}`));
    };
    const timer = setTimeout(
      () => fail("connect_timeout", `no answer within ${timeout_ms} ms`),
      timeout_ms,
    );
    const open = (raw: BunSocket): void => {
      if (settled) {
        raw.end();
        return;
      }
      settled = true;
      clearTimeout(timer);
      raw.data = socket;
      socket.open(raw);
      socket.handlers = handlers;
      resolve(socket);
    };
    const events: Bun.SocketHandler<ByteSocket | undefined> & { binaryType: "uint8array" } = {
      ...socketEvents,
      open,
      connectError: (_raw, error) => fail("connect_failed", textWithCode(error)),
      binaryType: "uint8array",
    };
    const connecting: Promise<unknown> =
      tcp === undefined
        ? Bun.connect<ByteSocket | undefined>({ unix: path, socket: events })
        : Bun.connect<ByteSocket | undefined>({
            ...{ hostname: tcp.host, port: tcp.port },
            socket: events,
          });
    connecting.catch((error: unknown) => fail("connect_failed", textWithCode(error)));
  });
}

function unixPath(address: string): string {
  if (!address.startsWith("unix:")) {
    throw new TransportError(
      "bad_address",
      `"${address}" is no unix:/path and no tcp:host:port address`,
    );
  }
  const path = address.slice("unix:".length);
  const length = Buffer.byteLength(path);
  if (length === 0 || length > unixPathBytesMax) {
    throw new TransportError(
      "bad_address",
      `the socket path "${path}" has ${length} bytes, 1 to ${unixPathBytesMax} are possible; ` +
        "choose a shorter runtime folder",
    );
  }
  return path;
}

/** The longest that Bun takes, in seconds. */
const IDLE_MOST_S = 255;

/**
 * Bun itself gives a connection 12 s for the head of its first request. Throws TransportError
 * `address_in_use`, or `bad_address` for a host that is not ours.
 */
async function serve(options: HttpServeOptions): Promise<HttpServer> {
  const { host, port, share_port, idle_ms = 0, tls, web_sockets } = options;
  const idle_s = Math.min(IDLE_MOST_S, Math.ceil(idle_ms / 1_000));
  const sockets = web_sockets && new WebSockets(web_sockets);
  try {
    const server = Bun.serve<TextSocket | undefined>({
      // A URL's brackets are no part of the address.
      hostname: host.replace(/^\[(.*)\]$/, "$1"),
      port,
      reusePort: share_port,
      ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key } }),
      idleTimeout: idle_s,
      maxRequestBodySize: BODY_BACKSTOP_BYTES,
      // Bun's own page of an error is 50 kB of HTML, with the stack and lines of the source.
      development: false,
      error: faultAnswer,
      ...(sockets === undefined
        ? {
            fetch: (request: Request, bun: BunServer) =>
              options.fetch(request, new RequestInfo(request, bun, idle_s)),
          }
        : {
            websocket: sockets.handler as Bun.WebSocketHandler<TextSocket | undefined>,
            fetch: async (request: Request, bun: BunServer) => {
              const info = new UpgradableInfo(request, bun, idle_s, sockets);
              const answer = await options.fetch(request, info);
              return info.upgraded ? undefined : answer;
            },
          }),
    });
    return {
      host,
      port: server.port ?? port,
      drain: () => void server.stop(false),
      close: () => server.stop(true),
    };
  } catch (error) {
    throw await whyNotServed(host, port, error);
  }
}

/** A fetch that throws is a bug: it is logged in full, and the client is not told of it. */
function faultAnswer(error: unknown): Response {
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const line = "a request failed by a fault of this server; please report it with these lines";
  realLog("error").log("error", line, { error: detail });
  const message = "Internal error. Try again; the server's log says more.";
  const fault = { message, type: "server_error", param: null, code: "internal_error" };
  return Response.json({ error: fault }, { status: 500 });
}

const OURS = "give an address of this machine, as 127.0.0.1, or 0.0.0.0 for all";

async function whyNotServed(host: string, port: number, error: unknown): Promise<TransportError> {
  const { code } = error as { code?: string };
  // Bun's code for a host that does not resolve is any, EADDRINUSE among them.
  if (!(await isKnownHost(host.replace(/^\[(.*)\]$/, "$1")))) {
    return new TransportError("bad_address", `there is no host ${host}: ${OURS}`);
  }
  if (code === "EADDRINUSE") {
    return new TransportError("address_in_use", `port ${port} on ${host} is in use`);
  }
  if (code === "EACCES" || code === "EPERM") {
    const why = `this user may not listen on port ${port}: give one above 1023`;
    return new TransportError("bad_address", why);
  }
  if (code === "EADDRNOTAVAIL" || code === "EINVAL") {
    return new TransportError("bad_address", `${host} is not here: ${OURS}`);
  }
  return new TransportError(
    "bad_address",
    `cannot listen on ${host}:${port}: ${textWithCode(error)}`,
  );
}

async function isKnownHost(host: string): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(true), LOOKUP_MS).unref();
  });
  const found = lookup(host.replace(/%.*$/, "")).then(
    () => true,
    () => false,
  );
  return await Promise.race([found, late]);
}

type BunServer = Bun.Server<TextSocket | undefined>;

/** Asking for the address costs as much as parsing the request, and few want to know. */
class RequestInfo implements HttpExchange {
  readonly #request: Request;
  readonly #server: BunServer;
  readonly #idle_s: number;

  constructor(request: Request, server: BunServer, idle_s: number) {
    this.#request = request;
    this.#server = server;
    this.#idle_s = idle_s;
  }

  mayBeSilent(yes: boolean): void {
    this.#server.timeout(this.#request, yes ? 0 : this.#idle_s);
  }

  get client(): string {
    return this.#server.requestIP(this.#request)?.address ?? "";
  }
}

/** Where the server takes WebSockets. */
class UpgradableInfo extends RequestInfo {
  upgraded = false;
  readonly upgrade: Required<HttpExchange>["upgrade"];

  constructor(request: Request, server: BunServer, idle_s: number, sockets: WebSockets) {
    super(request, server, idle_s);
    this.upgrade = (accept: (socket: WebSocketEnd) => WebSocketHandlers) => {
      const outcome = sockets.upgrade(server, request, accept);
      this.upgraded = outcome === "done";
      return outcome;
    };
  }
}

function textWithCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: string }).code;
  // Bun's messages begin with the code already, some of them.
  return code === undefined || error.message.includes(code)
    ? error.message
    : `${code} ${error.message}`;
}
