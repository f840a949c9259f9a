/**
 * Reads one HTTP/1.1 answer from the bytes of a socket, without ever joining or searching what was
 * read before: head, then a body by Content-Length or in chunks, then (for a stream) its lines.
 *
 *   bytes ─▶ head ─▶ body (chunked | length | until close) ─▶ lines ─▶ `data:` with text: a token
 */

type Stage = "head" | "length" | "chunk_size" | "chunk" | "chunk_end" | "trailer" | "to_close";

/** What a parser hands up; times are the caller's, taken once for each read of the socket. */
export type AnswerSink = {
  /** One server-sent event that carried text (or arguments of a tool call). */
  readonly onText: (now_ms: number) => void;
  /** Every line of an event stream, as Latin-1: for those who read what is in it. */
  readonly onLine?: (line: string, now_ms: number) => void;
};

/** Escapes inside a string keep their backslash, so none of its contents can look like a key. */
const carriesText = /"(?:reasoning_content|content|text|arguments)": ?"[^"]/;
const newline = 10;

export class AnswerParser {
  status = 0;
  completion_tokens = 0;
  prompt_tokens = 0;
  cached_tokens = 0;
  /** The server will close after this answer. */
  closing = false;
  /** An answer that is not an event stream is kept, up to a limit: an error, or a JSON answer. */
  body = "";

  #failure = "";
  #done = false;

  readonly #sink: AnswerSink;
  #stage: Stage = "head";
  #events = false;
  #left = 0;
  #kept = Buffer.alloc(0);
  #line = "";

  constructor(sink: AnswerSink) {
    this.#sink = sink;
  }

  /** Takes what arrived at `now_ms`; true = the answer is whole. Throws on what is not HTTP. */
  take(arrived: Buffer, now_ms: number): boolean {
    let bytes = this.#kept.length === 0 ? arrived : Buffer.concat([this.#kept, arrived]);
    this.#kept = Buffer.alloc(0);
    if (this.#stage === "head") {
      const end = bytes.indexOf("\r\n\r\n");
      if (end < 0) {
        if (bytes.length > 65_536) throw new Error("the head of the answer has no end");
        this.#kept = Buffer.from(bytes);
        return false;
      }
      this.#stage = this.#readHead(bytes.toString("latin1", 0, end));
      bytes = bytes.subarray(end + 4);
      if (this.#empty()) return true;
    }
    return this.#readBody(bytes, now_ms);
  }

  /** The connection closed; true = that was the answer's proper end. */
  closed(): boolean {
    return this.#stage === "to_close";
  }

  /** Why a whole answer is not a good stream; empty = it is one. */
  get error(): string {
    if (this.status !== 200) return `HTTP ${this.status}: ${this.body.slice(0, 300)}`;
    if (this.#failure !== "") return this.#failure;
    if (!this.#events) return "the answer is not an event stream";
    return this.#done ? "" : "the stream ended without [DONE]";
  }

  #readHead(head: string): Stage {
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1];
    if (status === undefined) throw new Error(`not an HTTP answer: ${head.slice(0, 60)}`);
    this.status = Number(status);
    this.#events = /^content-type: *text\/event-stream/im.test(head);
    this.closing = /^connection: *close/im.test(head);
    const length = /^content-length: *(\d+)/im.exec(head)?.[1];
    if (/^transfer-encoding: *chunked/im.test(head)) return "chunk_size";
    if (length === undefined) return "to_close";
    this.#left = Number(length);
    return "length";
  }

  /** A body of no bytes. */
  #empty(): boolean {
    return this.#stage === "length" && this.#left === 0;
  }

  #readBody(bytes: Buffer, now_ms: number): boolean {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#stage) {
        case "length":
        case "chunk": {
          const end = Math.min(bytes.length, at + this.#left);
          this.#left -= end - at;
          this.#text(bytes, at, end, now_ms);
          at = end;
          if (this.#left > 0) break;
          if (this.#stage === "length") return true;
          this.#stage = "chunk_end";
          break;
        }
        case "to_close":
          this.#text(bytes, at, bytes.length, now_ms);
          return false;
        default: {
          const line_end = bytes.indexOf(newline, at);
          if (line_end < 0) {
            this.#kept = Buffer.from(bytes.subarray(at));
            return false;
          }
          if (this.#framing(bytes.toString("latin1", at, line_end).trimEnd())) return true;
          at = line_end + 1;
        }
      }
    }
    return false;
  }

  /** A line between chunks; true = the body is over. */
  #framing(line: string): boolean {
    if (this.#stage === "chunk_end") {
      this.#stage = "chunk_size";
      return false;
    }
    if (this.#stage === "trailer") return line === "";
    this.#left = Number.parseInt(line, 16);
    if (Number.isNaN(this.#left)) throw new Error(`not a chunk size: ${line.slice(0, 20)}`);
    this.#stage = this.#left === 0 ? "trailer" : "chunk";
    return false;
  }

  /** Body bytes of a stream: whole lines are looked at, the rest waits as text. */
  #text(bytes: Buffer, from: number, to: number, now_ms: number): void {
    if (!this.#events) {
      if (this.body.length < 65_536) this.body += bytes.toString("utf8", from, to);
      if (this.#stage === "length" && this.#left === 0) this.#readUsage(this.body);
      return;
    }
    let at = from;
    for (;;) {
      const end = bytes.indexOf(newline, at);
      if (end < 0 || end >= to) break;
      // Latin-1 keeps ASCII, which is all that is looked for, and costs no decoding.
      this.#event(this.#line + bytes.toString("latin1", at, end), now_ms);
      this.#line = "";
      at = end + 1;
    }
    if (at < to) this.#line += bytes.toString("latin1", at, to);
  }

  #event(line: string, now_ms: number): void {
    this.#sink.onLine?.(line, now_ms);
    if (!line.startsWith("data:")) return;
    if (carriesText.test(line)) this.#sink.onText(now_ms);
    else if (line.includes("[DONE]")) this.#done = true;
    else if (line.startsWith('{"error"', line.indexOf("{"))) this.#failure ||= line.slice(5, 500);
    if (line.includes('"completion_tokens"')) this.#readUsage(line);
  }

  #readUsage(text: string): void {
    this.completion_tokens = number(/"completion_tokens": ?(\d+)/, text, this.completion_tokens);
    this.prompt_tokens = number(/"prompt_tokens": ?(\d+)/, text, this.prompt_tokens);
    this.cached_tokens = number(/"cached_tokens": ?(\d+)/, text, this.cached_tokens);
  }
}

const number = (pattern: RegExp, text: string, otherwise: number): number =>
  Number(pattern.exec(text)?.[1] ?? otherwise);
