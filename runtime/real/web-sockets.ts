/** The WebSockets of one HTTP server of Bun. */
import type { WebSocketEnd, WebSocketHandlers, WebSocketLimits } from "../capabilities.ts";

type Accept = (socket: WebSocketEnd) => WebSocketHandlers;
type BunWebSocket = Bun.ServerWebSocket<TextSocket>;

/** A client that takes nothing has a closed connection's last bytes for no longer than this. */
const LINGER_MS = 1_000;
/** The longest that Bun takes. */
const IDLE_MOST_S = 960;
const UNSUPPORTED = 1003;

/** One of them, from the request on. */
export class TextSocket implements WebSocketEnd {
  readonly #accept: Accept;
  #socket: BunWebSocket | undefined;
  #handlers: WebSocketHandlers | undefined;
  #closing = false;

  constructor(accept: Accept) {
    this.#accept = accept;
  }

  get buffered_bytes(): number {
    return this.#socket?.getBufferedAmount() ?? 0;
  }

  send(text: string): boolean {
    // 0: dropped; -1: it waits, because the client is slower than we are.
    return !this.#closing && (this.#socket?.sendText(text) ?? 0) !== 0;
  }

  close(code: number, reason: string): void {
    const socket = this.#socket;
    if (this.#closing || socket === undefined) return;
    this.#closing = true;
    socket.close(code, reason);
    setTimeout(() => this.#socket?.terminate(), LINGER_MS).unref();
  }

  opened(socket: BunWebSocket): void {
    this.#socket = socket;
    this.#handlers = this.#accept(this);
  }

  took(message: string | Buffer): void {
    if (this.#closing) return;
    if (typeof message === "string") this.#handlers?.message(message);
    else this.close(UNSUPPORTED, "texts alone are understood here");
  }

  closed(code: number): void {
    this.#closing = true;
    this.#socket = undefined;
    this.#handlers?.close(code);
  }
}

export class WebSockets {
  readonly #limits: WebSocketLimits;
  #count = 0;

  constructor(limits: WebSocketLimits) {
    this.#limits = limits;
  }

  /** For `Bun.serve`. */
  get handler(): Bun.WebSocketHandler<TextSocket> {
    const { message_bytes_max, idle_ms, waiting_bytes_max } = this.#limits;
    return {
      maxPayloadLength: message_bytes_max,
      // Bun asks a silent client with a ping in time.
      idleTimeout: Math.min(IDLE_MOST_S, Math.ceil(idle_ms / 1_000)),
      sendPings: true,
      backpressureLimit: waiting_bytes_max,
      perMessageDeflate: false,
      open: (socket) => {
        this.#count++;
        socket.data.opened(socket);
      },
      message: (socket, message) => socket.data.took(message),
      close: (socket, code) => {
        this.#count--;
        socket.data.closed(code);
      },
    };
  }

  upgrade(
    server: Bun.Server<TextSocket | undefined>,
    request: Request,
    accept: Accept,
  ): "done" | "not_asked" | "too_many" {
    if (request.headers.get("upgrade")?.toLowerCase() !== "websocket") return "not_asked";
    if (this.#count >= this.#limits.count_max) return "too_many";
    return server.upgrade(request, { data: new TextSocket(accept) }) ? "done" : "not_asked";
  }
}
