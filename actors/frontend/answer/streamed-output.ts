/**
 * An answer as server-sent events. The status line waits for the first token, so that whatever
 * fails before it still has its own HTTP status.
 *
 * Every event carries `id: REQUEST:CURSOR`; the cursor (stream-id.ts) counts the delivered tokens
 * of each choice, so that an answer can be taken up again exactly where a client lost it: it comes
 * from its first token again, and what the client has is passed over.
 */
import { workerHint } from "../../names/names.ts";
import type {
  AnswerEnd,
  AnswerFailure,
  AnswerPiece,
  AnswerScores,
  AnswerUsage,
  PromptScore,
} from "../../stream/stream.ts";
import { ApiError, clientGone, oddEventId } from "../api/api-error.ts";
import type { ChunkFormat, Events, ScoredPrompt } from "../api/dialect.ts";
import type { FlushRounds } from "../http/flush-rounds.ts";
import type { Quiet } from "../http/live-requests.ts";
import { SseWriter } from "../http/sse-writer.ts";
import {
  type ChoiceCursor,
  choiceText,
  type PlaceHint,
  placesText,
  type StreamCursor,
} from "../resume/stream-id.ts";
import { localFailures } from "./local-failures.ts";
import { type Recording, tellRecording } from "./recording.ts";
import type { AnswerOutput } from "./request-run.ts";

export type StreamedOutputOptions = {
  readonly rounds: FlushRounds;
  /** The server's id of the request, first half of every event id. */
  readonly request: string;
  readonly format: ChunkFormat;
  readonly choices: number;
  readonly prompts: number;
  /** Tokens that the client has already; undefined: none. */
  readonly from?: StreamCursor | undefined;
  /** Where an answer that is cut off can be resumed. */
  readonly resume_path?: string | undefined;
  readonly include_usage: boolean;
  /** By choice; undefined without `echo`. */
  readonly echo: ((choice: number) => string) | undefined;
  /** By choice; undefined where no prompt is scored. Needs `echo`. */
  readonly scored?: ((choice: number) => ScoredPrompt) | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly buffer_chars: number;
  readonly drained: () => void;
  readonly cancelled: () => void;
  /** Events that go out before any token; they have no id. */
  readonly early?: readonly string[] | undefined;
  /** Of an answer that is stored; its end waits until it is written. */
  readonly recorded?: Recorded | undefined;
};

export type Recorded = Omit<Recording, "started" | "whole"> & { whole(): Promise<void> };

export class StreamedOutput implements AnswerOutput, Quiet {
  /** Rejects with ApiError when the answer failed before its first token. */
  readonly response: Promise<Response>;
  readonly #options: StreamedOutputOptions;
  readonly #writer: SseWriter;
  /** Tokens that the client had when this output began. */
  readonly #had: readonly ChoiceCursor[];
  readonly #cursors: ChoiceCursor[];
  /** Choices of which the client claims more than has come so far. */
  readonly #unproven = new Set<number>();
  /** By choice: how many events the client has of those that come next. */
  readonly #parts = new Map<number, number>();
  /** Scores of prompts that are not complete, by choice. */
  readonly #scores = new Map<number, PromptScore[]>();
  /** True: the client claims tokens that were never made. */
  #refused = false;
  readonly #places: (PlaceHint | undefined)[];
  readonly #usage_told: boolean;
  /** The begin of every event, up to the cursor. */
  readonly #id: string;
  #counts: string;
  #place = "";
  #committed = false;
  /** The head is with the client, maybe with comments alone. */
  #opened = false;
  #resolve: (response: Response) => void = () => {};
  #reject: (error: ApiError) => void = () => {};

  constructor(options: StreamedOutputOptions) {
    this.#options = options;
    const { rounds, buffer_chars, headers, drained, cancelled } = options;
    const opened = (body: ReadableStream<Uint8Array> | string) => {
      this.#opened = true;
      this.#resolve(new Response(body, { headers }));
    };
    this.#writer = new SseWriter({ rounds, opened, buffer_chars, drained, cancelled });
    this.#had = Array.from({ length: options.choices }, (_, i) => options.from?.choices[i] ?? none);
    this.#cursors = [...this.#had];
    this.#had.forEach(({ delivered, parts }, i) => {
      if (delivered > 0) this.#unproven.add(i);
      if (parts > 0) this.#parts.set(i, parts);
    });
    this.#had.forEach(({ begun }, i) => {
      if (begun && options.scored?.(i).count === 0) this.#promptEvent(i, []);
    });
    this.#places = new Array<PlaceHint | undefined>(options.prompts).fill(undefined);
    this.#usage_told = options.from?.usage_told ?? false;
    this.#id = `id: ${options.request}:`;
    this.#counts = this.#cursors.map(choiceText).join(".");
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    for (const event of options.early ?? []) this.#writer.write(`${event}\n\n`);
  }

  /** True: a part of the response is with the client, or on its way. */
  get committed(): boolean {
    return this.#committed;
  }

  /** After a while of silence the head goes out too, which gives the status away. */
  look(looks: number): void {
    this.#writer.look(looks);
  }

  placed(prompt: number, worker: string, attempt: number): void {
    this.#places[prompt] = { attempt, worker_hint: workerHint(worker) };
    this.#place = placesText(this.#places);
    this.#writer.hurry();
  }

  piece(choice: number, piece: AnswerPiece): boolean {
    const had = this.#had[choice]!;
    if (piece.delivered <= had.delivered) return this.#skip(choice, piece);
    if (had.ended) this.#refuse();
    if (this.#refused) return true;
    if (had.delivered > 0) this.#unproven.delete(choice);
    const first = !this.#cursors[choice]!.begun;
    if (first) this.#begin(choice);
    // The echo was the first chunk already and carried what only the first one carries.
    const opening = first && this.#options.echo === undefined;
    const before = opening ? none : this.#cursors[choice]!;
    const events = this.#options.format.piece(choice, piece, opening);
    const after = { delivered: piece.delivered, begun: true, ended: false, parts: 0 };
    if (typeof events !== "string" || this.#parts.has(choice)) {
      return this.#sendAll(choice, events, before, after);
    }
    if (this.#cursors.length === 1) {
      // The usual case: only the count has to be written.
      this.#cursors[0] = after;
      this.#counts = String(piece.delivered);
    } else {
      this.#move(choice, after);
    }
    // What it has to show comes with a later event, whose id counts this piece too.
    return events === "" ? true : this.#send(events);
  }

  /** The echoed prompt is one event, with all of its scores. */
  scores(choice: number, { scores, delivered, last }: AnswerScores): void {
    if (this.#refused) return;
    const before = this.#scores.get(choice);
    const all = before ?? [];
    for (const score of scores) all.push(score);
    if (before === undefined) this.#scores.set(choice, all);
    if (!last) return;
    this.#scores.delete(choice);
    const event = this.#promptEvent(choice, all);
    if (this.#had[choice]!.begun) {
      this.#prove(choice, delivered);
      return;
    }
    this.#commit();
    this.#move(choice, { delivered, begun: true, ended: false, parts: 0 });
    this.#send(event);
  }

  #promptEvent(choice: number, scores: readonly PromptScore[]): string {
    const { format, echo, scored } = this.#options;
    const known = scored?.(choice) ?? { first: "", count: 0, offsets: [] };
    return format.prompt?.(choice, echo?.(choice) ?? "", { ...known, scores }) ?? "";
  }

  end(choice: number, end: AnswerEnd): void {
    const { begun, delivered, ended } = this.#cursors[choice]!;
    if (this.#unproven.has(choice)) this.#refuse();
    if (this.#refused) return;
    this.#commit();
    const { format, echo } = this.#options;
    if (ended) {
      // It may remember how the answer ended, for what still comes.
      format.end(choice, end);
      return;
    }
    if (!begun) {
      this.#begin(choice);
      // An answer without a token is still an answer: an empty first chunk names its role.
      if (echo === undefined) this.#sendAll(choice, format.text(choice, ""), none, begunNow);
    }
    const after = { delivered, begun: true, ended: true, parts: 0 };
    this.#sendAll(choice, format.end(choice, end), this.#cursors[choice]!, after);
  }

  done(usage: AnswerUsage): void {
    if (this.#refused) return;
    this.#commit();
    if (this.#options.include_usage) {
      this.#counts += "u";
      if (!this.#usage_told) this.#send(this.#options.format.usage(usage));
    }
    this.#counts += "d";
    const last = this.#options.format.done();
    const { recorded } = this.#options;
    if (recorded === undefined) this.#endWith(last);
    else void recorded.whole().then(() => this.#endWith(last));
  }

  #endWith(last: string): void {
    this.#send(last);
    this.#writer.close();
  }

  /** Once the head is out the failure is an event, and the event of a whole answer never comes. */
  failed(failure: AnswerFailure): void {
    const begun = this.#committed;
    const isLocal = localFailures.includes(failure.code);
    this.#committed = true;
    const isRefused = !begun && !this.#opened;
    tellRecording(this.#options.recorded, failure, isRefused);
    if (isRefused) {
      this.#reject(failureError(failure));
      return;
    }
    const { format, resume_path } = this.#options;
    const resumes = begun && isLocal;
    this.#send(format.failed(failure, resumes ? resume_path : undefined));
    this.#writer.close();
  }

  abandoned(): void {
    this.#options.recorded?.left();
    if (!this.#committed && !this.#opened) this.#reject(clientGone());
    this.#committed = true;
    this.#writer.close();
  }

  /** The status waits until all that the client claims to have has come. */
  #skip(choice: number, piece: AnswerPiece): boolean {
    this.#prove(choice, piece.delivered);
    this.#options.format.skip(choice, piece);
    return true;
  }

  #prove(choice: number, delivered: number): void {
    if (delivered === this.#had[choice]!.delivered) this.#unproven.delete(choice);
    if (this.#unproven.size === 0 && !this.#refused) this.#commit();
  }

  /** Drops all that still comes. The answer stays with its worker for an honest client. */
  #refuse(): void {
    if (this.#refused) return;
    this.#refused = true;
    const error = oddEventId();
    if (!this.#committed && !this.#opened) this.#reject(error);
    else this.#send(this.#options.format.failed(error, undefined));
    this.#committed = true;
    this.#writer.close();
  }

  #begin(choice: number): void {
    this.#commit();
    this.#move(choice, begunNow);
    const echo = this.#options.echo?.(choice);
    if (echo === undefined) return;
    // A scored prompt that comes here has one token: none of its scores came before.
    const scored = this.#options.scored !== undefined;
    if (scored) this.#send(this.#promptEvent(choice, []));
    else this.#sendAll(choice, this.#options.format.text(choice, echo), none, begunNow);
  }

  /**
   * Events that belong together. Each has an id of its own, which says how many of them the client
   * has then; those that it has already are left out.
   */
  #sendAll(choice: number, events: Events, before: ChoiceCursor, after: ChoiceCursor): boolean {
    const list = typeof events === "string" ? (events === "" ? [] : [events]) : events;
    const had = this.#parts.get(choice) ?? 0;
    // Events without an id of their own, as of a piece that shows nothing, are never claimed.
    if (had > 0 && list.length > 0) {
      this.#parts.delete(choice);
      if (had >= list.length) this.#refuse();
      if (this.#refused) return true;
    }
    let takes_more = true;
    for (let at = had; at < list.length; at += 1) {
      const isLast = at === list.length - 1;
      this.#move(choice, isLast ? after : { ...before, parts: at + 1 });
      takes_more = this.#send(list[at]!);
    }
    if (list.length === 0) this.#move(choice, after);
    return takes_more;
  }

  #move(choice: number, cursor: ChoiceCursor): void {
    this.#cursors[choice] = cursor;
    this.#counts = this.#cursors.map(choiceText).join(".");
  }

  #commit(): void {
    if (this.#committed) return;
    this.#committed = true;
    this.#writer.arm();
  }

  /** `event`: its lines, without its id. */
  #send(event: string): boolean {
    if (event === "") return true;
    return this.#writer.write(`${this.#id}${this.#counts}${this.#place}\n${event}\n\n`);
  }
}

const none: ChoiceCursor = { delivered: 0, begun: false, ended: false, parts: 0 };
const begunNow: ChoiceCursor = { ...none, begun: true };

/** The failure as an HTTP error, for a response of which nothing has been sent. */
export function failureError(failure: AnswerFailure): ApiError {
  const { status, code, message, retry_after_s, param } = failure;
  const headers: Record<string, string> =
    retry_after_s === undefined ? {} : { "Retry-After": String(retry_after_s) };
  return new ApiError(status, code, message, param ?? null, headers);
}
