/**
 * A lean HTTP/1.1 client for timings: one keep-alive connection, TCP_NODELAY, and a callback at
 * each server-sent event with the time its bytes arrived. `fetch` would add its own queueing and,
 * against servers that write little, a delayed acknowledgement.
 */
import type { Socket } from "bun";

export type Answer = {
  readonly status: number;
  readonly ttft_ms: number;
  readonly total_ms: number;
  /** Events that carried a choice, `[DONE]` and usage not among them. */
  readonly events: number;
  readonly completion_tokens: number;
  /** When each event arrived, on the scale of performance.now(). */
  readonly event_ms: readonly number[];
};

type Pending = {
  text: string;
  started_ms: number;
  ttft_ms: number;
  /** Of the text, how much has been searched for events. */
  searched: number;
  event_ms: number[];
  resolve: (answer: Answer) => void;
  reject: (error: Error) => void;
};

export class HttpClient {
  #socket: Socket | undefined;
  #pending: Pending | undefined;
  readonly #url: URL;
  readonly #decoder = new TextDecoder();

  constructor(url: string) {
    this.#url = new URL(url);
  }

  async open(): Promise<void> {
    this.#socket = await Bun.connect({
      hostname: this.#url.hostname,
      port: Number(this.#url.port),
      socket: {
        data: (_socket, bytes) => this.#take(this.#decoder.decode(bytes, { stream: true })),
        close: () => this.#pending?.reject(new Error("the server closed the connection")),
        error: (_socket, error) => this.#pending?.reject(error),
      },
    });
    this.#socket.setNoDelay(true);
  }

  /** Posts a streaming request; one at a time on one connection. */
  post(path: string, body: object): Promise<Answer> {
    const payload = JSON.stringify({
      ...body,
      stream: true,
      stream_options: { include_usage: true },
    });
    const head =
      `POST ${path} HTTP/1.1\r\nHost: ${this.#url.host}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(payload)}\r\n\r\n`;
    return new Promise((resolve, reject) => {
      const started_ms = performance.now();
      this.#pending = {
        text: "",
        started_ms,
        ttft_ms: -1,
        searched: 0,
        event_ms: [],
        resolve,
        reject,
      };
      this.#socket?.write(head + payload);
    });
  }

  close(): void {
    this.#socket?.end();
  }

  #take(text: string): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    pending.text += text;
    countEvents(pending);
    if (pending.ttft_ms < 0 && /"(?:content|text)":"[^"]/.test(pending.text)) {
      pending.ttft_ms = performance.now() - pending.started_ms;
    }
    // The last chunk of a chunked body; an error answer has a Content-Length instead.
    const status = Number(/^HTTP\/1\.1 (\d+)/.exec(pending.text)?.[1] ?? 0);
    const length = /content-length: (\d+)/i.exec(pending.text)?.[1];
    const body_at = pending.text.indexOf("\r\n\r\n") + 4;
    const ended =
      length === undefined
        ? pending.text.endsWith("\r\n0\r\n\r\n") || pending.text.endsWith("\n0\r\n\r\n")
        : body_at > 3 && Buffer.byteLength(pending.text.slice(body_at)) >= Number(length);
    if (!ended) return;
    this.#pending = undefined;
    const total_ms = performance.now() - pending.started_ms;
    const used = /"completion_tokens":(\d+)/.exec(pending.text)?.[1];
    const { ttft_ms, event_ms, resolve } = pending;
    const completion_tokens = Number(used ?? 0);
    resolve({ status, ttft_ms, total_ms, events: event_ms.length, completion_tokens, event_ms });
  }
}

const mark = '"finish_reason":';

/** Notes the time of each event that became whole with the newest bytes. */
function countEvents(pending: Pending): void {
  const now_ms = performance.now();
  for (;;) {
    const at = pending.text.indexOf(mark, pending.searched);
    if (at < 0) return;
    pending.searched = at + mark.length;
    pending.event_ms.push(now_ms);
  }
}
