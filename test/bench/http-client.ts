/**
 * A lean HTTP/1.1 client for timings: one keep-alive connection, TCP_NODELAY, one request at a
 * time,
 * and a time for each server-sent event. `fetch` would add its own queueing and, against servers
 * that write little, a delayed acknowledgement.
 */
import type { Socket } from "bun";
import { AnswerParser } from "./load/answer-parser.ts";

export type Answer = {
  readonly status: number;
  /** From the first byte written to the first event with text; -1 = there was none. */
  readonly ttft_ms: number;
  readonly total_ms: number;
  /** Events that carried text: not a role alone, not usage, not `[DONE]`. */
  readonly events: number;
  readonly completion_tokens: number;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  /** When each of the events arrived, on the scale of performance.now(). */
  readonly event_ms: readonly number[];
  /** Why the answer is not a good one; empty = it is. */
  readonly error: string;
};

type Pending = {
  readonly parser: AnswerParser;
  readonly event_ms: number[];
  readonly started_ms: number;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
};

export class HttpClient {
  #socket: Socket | undefined;
  #pending: Pending | undefined;
  /** What the socket did not take yet. */
  #unsent: Buffer | undefined;
  readonly #url: URL;
  readonly #key: string | undefined;
  readonly #on_text: (now_ms: number) => void;

  /** @param options on_text: hears of each event with text as it comes */
  constructor(
    url: string,
    options: {
      readonly api_key?: string | undefined;
      readonly on_text?: (now_ms: number) => void;
    } = {},
  ) {
    this.#url = new URL(url);
    this.#key = options.api_key;
    this.#on_text = options.on_text ?? (() => {});
  }

  async open(): Promise<void> {
    const tls = this.#url.protocol === "https:";
    this.#socket = await Bun.connect({
      hostname: this.#url.hostname.replace(/^\[|\]$/g, ""),
      port: Number(this.#url.port) || (tls ? 443 : 80),
      ...(tls ? { tls: { serverName: this.#url.hostname } } : {}),
      socket: {
        data: (_socket, bytes) => this.#take(bytes),
        drain: () => this.#flush(),
        close: (socket) => {
          if (socket === this.#socket) this.#closed();
        },
        error: (_socket, error) => this.#fail(error),
      },
    });
    this.#socket.setNoDelay(true);
  }

  get connected(): boolean {
    return this.#socket !== undefined;
  }

  /** Posts a streaming request with usage; one at a time on one connection. */
  post(path: string, body: object): Promise<Answer> {
    return this.send(
      path,
      JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    );
  }

  /** The same with a body made beforehand; opens the connection when there is none. */
  async send(path: string, payload: string): Promise<Answer> {
    if (this.#pending !== undefined) throw new Error("one request at a time on a connection");
    if (this.#socket === undefined) await this.open();
    const head =
      `POST ${path} HTTP/1.1\r\nHost: ${this.#url.host}\r\nContent-Type: application/json\r\n` +
      (this.#key === undefined ? "" : `Authorization: Bearer ${this.#key}\r\n`) +
      `Content-Length: ${Buffer.byteLength(payload)}\r\n\r\n`;
    const bytes = Buffer.from(head + payload);
    return new Promise((resolve, reject) => {
      const event_ms: number[] = [];
      const onText = (now_ms: number) => {
        event_ms.push(now_ms);
        this.#on_text(now_ms);
      };
      const parser = new AnswerParser({ onText });
      this.#pending = { parser, event_ms, started_ms: performance.now(), resolve, reject };
      this.#unsent = bytes;
      this.#flush();
    });
  }

  /** Ends the connection; a request under way fails with `why`. */
  close(why = "closed by this client"): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.terminate();
    this.#fail(new Error(why));
  }

  #flush(): void {
    if (this.#unsent === undefined || this.#socket === undefined) return;
    const written = this.#socket.write(this.#unsent);
    if (written < 0) return;
    this.#unsent = written < this.#unsent.length ? this.#unsent.subarray(written) : undefined;
  }

  #take(bytes: Buffer): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    try {
      if (pending.parser.take(bytes, performance.now())) this.#end(pending);
    } catch (error) {
      this.close((error as Error).message);
    }
  }

  #closed(): void {
    this.#socket = undefined;
    const pending = this.#pending;
    if (pending?.parser.closed()) this.#end(pending);
    else this.#fail(new Error("the server closed the connection"));
  }

  #fail(error: Error): void {
    const pending = this.#pending;
    this.#pending = undefined;
    this.#unsent = undefined;
    pending?.reject(error);
  }

  #end({ parser, event_ms, started_ms, resolve }: Pending): void {
    this.#pending = undefined;
    const { status, completion_tokens, prompt_tokens, cached_tokens } = parser;
    const first_ms = event_ms[0];
    if (parser.closing) {
      this.#socket?.end();
      this.#socket = undefined;
    }
    resolve({
      status,
      ttft_ms: first_ms === undefined ? -1 : first_ms - started_ms,
      total_ms: performance.now() - started_ms,
      events: event_ms.length,
      completion_tokens,
      prompt_tokens,
      cached_tokens,
      event_ms,
      error: parser.error,
    });
  }
}
