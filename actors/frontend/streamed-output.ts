/**
 * An answer as server-sent events. The status line waits for the first token, so that whatever
 * fails before it still has its own HTTP status.
 *
 * Every event carries `id: REQUEST:CURSOR`; the cursor counts the delivered tokens of each choice,
 * joined by dots, so that an answer can be taken up again exactly where a client lost it.
 */
import type { AnswerEnd, AnswerFailure, AnswerPiece, AnswerUsage } from "../stream/stream.ts";
import type { AnswerOutput } from "./answering.ts";
import { ApiError, errorBody } from "./api-error.ts";
import type { ChunkFormat } from "./chunk-format.ts";
import type { FlushRounds } from "./flush-rounds.ts";
import { SseWriter } from "./sse-writer.ts";

export type StreamedOutputOptions = {
  readonly rounds: FlushRounds;
  /** The server's id of the request, first half of every event id. */
  readonly request: string;
  readonly format: ChunkFormat;
  readonly choices: number;
  readonly include_usage: boolean;
  /** By choice; undefined without `echo`. */
  readonly echo: ((choice: number) => string) | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly buffer_chars: number;
  readonly drained: () => void;
  readonly cancelled: () => void;
};

export class StreamedOutput implements AnswerOutput {
  /** Rejects with ApiError when the answer failed before its first token. */
  readonly response: Promise<Response>;
  readonly #options: StreamedOutputOptions;
  readonly #writer: SseWriter;
  readonly #delivered: number[];
  readonly #begun: boolean[];
  /** What every event begins with, up to the cursor. */
  readonly #id: string;
  #cursor: string;
  #committed = false;
  #resolve: (response: Response) => void = () => {};
  #reject: (error: ApiError) => void = () => {};

  constructor(options: StreamedOutputOptions) {
    this.#options = options;
    const { rounds, buffer_chars, drained, cancelled } = options;
    this.#writer = new SseWriter({ rounds, buffer_chars, drained, cancelled });
    this.#delivered = new Array<number>(options.choices).fill(0);
    this.#begun = new Array<boolean>(options.choices).fill(false);
    this.#id = `id: ${options.request}:`;
    this.#cursor = this.#delivered.join(".");
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  piece(choice: number, piece: AnswerPiece): boolean {
    const first = this.#begun[choice] !== true;
    if (first) this.#begin(choice);
    this.#delivered[choice] = piece.delivered;
    this.#cursor =
      this.#delivered.length === 1 ? String(piece.delivered) : this.#delivered.join(".");
    // The echo was the first chunk already and carried what only the first one carries.
    const opening = first && this.#options.echo === undefined;
    return this.#send(this.#options.format.piece(choice, piece, opening));
  }

  end(choice: number, end: AnswerEnd): void {
    if (this.#begun[choice] !== true) {
      this.#begin(choice);
      // An answer without a token is still an answer: an empty first chunk names its role.
      if (this.#options.echo === undefined) this.#send(this.#options.format.text(choice, ""));
    }
    this.#send(this.#options.format.end(choice, end));
  }

  done(usage: AnswerUsage): void {
    this.#commit();
    if (this.#options.include_usage) this.#send(this.#options.format.usage(usage));
    this.#send("[DONE]");
    this.#writer.close();
  }

  /** After the first token the failure is an event, and `[DONE]` never comes. */
  failed(failure: AnswerFailure): void {
    const { status, code, message } = failure;
    if (!this.#committed) {
      this.#committed = true;
      this.#reject(failureError(failure));
      return;
    }
    this.#send(JSON.stringify(errorBody(status, code, message, null)));
    this.#writer.close();
  }

  abandoned(): void {
    if (!this.#committed) {
      this.#committed = true;
      this.#reject(clientGone());
    }
    this.#writer.close();
  }

  #begin(choice: number): void {
    this.#begun[choice] = true;
    this.#commit();
    const echo = this.#options.echo?.(choice);
    if (echo !== undefined) this.#send(this.#options.format.text(choice, echo));
  }

  #commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    this.#resolve(new Response(this.#writer.body, { headers: this.#options.headers }));
  }

  #send(data: string): boolean {
    return this.#writer.write(`${this.#id}${this.#cursor}\ndata: ${data}\n\n`);
  }
}

/** For as long as nothing has been sent: the failure's own status. */
export function failureError(failure: AnswerFailure): ApiError {
  const { status, code, message, retry_after_s } = failure;
  const headers: Record<string, string> =
    retry_after_s === undefined ? {} : { "Retry-After": String(retry_after_s) };
  return new ApiError(status, code, message, null, headers);
}

/** Nobody reads it; the status stands in metrics only. */
export const clientGone = (): ApiError =>
  new ApiError(499, "client_closed_request", "The client closed the request.");
