/**
 * The answers of one HTTP request, from their start until the last has ended or the client left.
 * It gives every prompt's stream actor a sink, numbers the choices of all prompts, adds up usage,
 * and ends the request exactly once.
 *
 *   stream actor of prompt 0 ─▶ sink 0 ─┐
 *   stream actor of prompt 1 ─▶ sink 1 ─┴▶ AnswerOutput (SSE or one JSON body)
 *   client gone ─▶ abandon ─▶ every stream actor that is not done
 */
import { ambient } from "../../../runtime/kernel/ref.ts";
import type { TraceContext } from "../../../runtime/observe/trace.ts";
import type {
  AnswerEnd,
  AnswerFailure,
  AnswerHandle,
  AnswerPiece,
  AnswerRequest,
  AnswerScores,
  AnswerSink,
  AnswerUsage,
  CachedByTier,
  StartAnswer,
} from "../../stream/stream.ts";
import type { Generation } from "../api/dialect.ts";
import type { RequestMeter } from "../frontend-metrics.ts";
import type { ServedModel } from "../models/served-model.ts";
import { type RequestEntry, TIMED_EACH } from "../requests/request-entry.ts";
import { localFailures } from "./local-failures.ts";

/** Where the choices of all prompts come together; choices are numbered over the whole request. */
export interface AnswerOutput {
  /** This worker makes the answer of this prompt from here on. */
  placed?(prompt: number, worker: string, attempt: number): void;
  /** False: no more until the output asked for `drained`. */
  piece(choice: number, piece: AnswerPiece): boolean;
  /** Called only where a generation has `scoring`. */
  scores?(choice: number, scores: AnswerScores): void;
  end(choice: number, end: AnswerEnd): void;
  done(usage: AnswerUsage): void;
  failed(failure: AnswerFailure): void;
  /** The client went before `done` or `failed`; nothing follows. */
  abandoned(): void;
}

export type RequestRunOptions = {
  readonly generation: Generation;
  readonly start: StartAnswer;
  readonly output: AnswerOutput;
  readonly meter: RequestMeter;
  readonly trace: TraceContext | undefined;
  /** Keeps account of it; undefined: nobody does. */
  readonly entry?: RequestEntry | undefined;
  /** Whether workers keep the answers when the client leaves or the server ends the request. */
  readonly keeps: (why: "left" | "cut") => boolean;
  /** Tokens that the client has already, by choice: they are not counted again. */
  readonly had?: readonly number[];
};

const nothing: readonly number[] = [];

export class RequestRun {
  readonly #options: RequestRunOptions;
  /** By prompt; undefined once it is done. */
  readonly #handles: (AnswerHandle | undefined)[] = [];
  readonly #done: boolean[] = [];
  #left: number;
  #prompt_tokens = 0;
  #completion_tokens = 0;
  #cached_tokens = 0;
  #cached_by_tier: CachedByTier | undefined;
  #drafts: AnswerUsage["drafts"];
  #over = false;
  #pieces = 0;

  constructor(options: RequestRunOptions) {
    this.#options = options;
    this.#left = options.generation.answers.length;
  }

  begin(): void {
    const before = ambient.trace;
    // No message is being handled here, so the ambient trace is the request's own.
    const { trace, generation, entry } = this.#options;
    if (entry !== undefined) entry.prompt_tokens = promptTokens(generation);
    const correlation = generation.answers[0]?.request ?? "";
    ambient.trace = trace === undefined ? undefined : { ...trace, correlation };
    try {
      this.#startAll();
    } finally {
      ambient.trace = before;
    }
  }

  #startAll(): void {
    const { generation, start, entry, trace } = this.#options;
    const explain = entry?.explains === true;
    const asks = explain || trace !== undefined;
    const more = { explain, ...(trace === undefined ? {} : { trace }) };
    generation.answers.forEach((answer, prompt) => {
      if (this.#over) return;
      const plain = withAdapter(answer, generation.model);
      const request = asks ? { ...plain, ...more } : plain;
      const sink = this.#sink(prompt, prompt * generation.made_each);
      const scored = request.scored_choices !== undefined && request.prompt.length > 1;
      if (request.max_tokens === 0 && !scored) {
        answerNothing(request, sink);
        return;
      }
      const handle = start(request, sink);
      if (this.#over) handle.tell({ kind: "abandon", reason: "request failed" });
      else if (this.#done[prompt] !== true) this.#handles[prompt] = handle;
    });
  }

  /** The client is gone. Later calls do nothing. */
  abandon(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#stopAll(reason, this.#options.keeps("left"));
    this.#options.meter.disconnected();
    this.#options.output.abandoned();
  }

  /** Ends the whole request before its time. */
  cut(failure: AnswerFailure): void {
    this.#end(failure, this.#options.keeps("cut"));
  }

  #end(failure: AnswerFailure, keeps: boolean): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#options.entry !== undefined) this.#options.entry.error = failure.message;
    this.#stopAll(failure.message, keeps);
    this.#options.meter.failed(failure.status);
    this.#options.output.failed(failure);
  }

  /** The client took what was kept for it. */
  drained(): void {
    for (const handle of this.#handles) handle?.tell({ kind: "drained" });
  }

  #stopAll(reason: string, keeps: boolean): void {
    const kind = keeps ? "leave" : "abandon";
    for (const handle of this.#handles) handle?.tell({ kind, reason });
    this.#handles.length = 0;
  }

  #sink(prompt: number, offset: number): AnswerSink {
    const { watch } = this.#options.generation;
    const sink = this.#plainSink(prompt, offset);
    if (watch === undefined) return sink;
    return {
      ...sink,
      placed: (worker, attempt, prefill) => {
        watch.placed(worker, prefill);
        sink.placed?.(worker, attempt, prefill);
      },
      piece: (piece) => {
        watch.piece(piece);
        return sink.piece(piece);
      },
    };
  }

  #plainSink(prompt: number, offset: number): AnswerSink {
    const { output, meter, entry, had = nothing } = this.#options;
    return {
      step: (step) => entry?.step(prompt, step),
      placed: (worker, attempt) => output.placed?.(prompt, worker, attempt),
      piece: (piece) => {
        if (this.#over) return true;
        const choice = offset + piece.choice;
        if (piece.delivered > (had[choice] ?? 0)) meter.tokens(piece.tokens.length);
        if (entry === undefined) return output.piece(choice, piece);
        if (entry.text !== undefined) entry.said(choice, piece.text);
        return this.#shown(entry, choice, piece);
      },
      scores: (scores) => {
        if (!this.#over) output.scores?.(offset + scores.choice, scores);
      },
      end: (end) => {
        if (this.#over) return;
        entry?.reason(end.reason);
        output.end(offset + end.choice, end);
      },
      done: (usage) => this.#promptDone(prompt, usage),
      failed: (failure) => this.#fail(prompt, failure),
    };
  }

  /** The piece goes to the client; the time that it takes is measured of some. */
  #shown(entry: RequestEntry, choice: number, piece: AnswerPiece): boolean {
    const { output } = this.#options;
    this.#pieces += 1;
    if (this.#pieces % TIMED_EACH !== 0) return output.piece(choice, piece);
    const from_ms = entry.now_ms();
    const takes_more = output.piece(choice, piece);
    entry.shown_ms += TIMED_EACH * (entry.now_ms() - from_ms);
    return takes_more;
  }

  #promptDone(prompt: number, usage: AnswerUsage): void {
    if (this.#over || this.#done[prompt] === true) return;
    this.#options.entry?.promptDone(prompt);
    this.#done[prompt] = true;
    this.#handles[prompt] = undefined;
    this.#prompt_tokens += usage.prompt_tokens;
    this.#completion_tokens += usage.completion_tokens;
    this.#cached_tokens += usage.cached_tokens;
    this.#cached_by_tier = tiersOfBoth(this.#cached_by_tier, usage.cached_by_tier);
    this.#drafts = draftsOfBoth(this.#drafts, usage.drafts);
    this.#left -= 1;
    if (this.#left > 0) return;
    this.#over = true;
    const total = {
      prompt_tokens: this.#prompt_tokens,
      completion_tokens: this.#completion_tokens,
      cached_tokens: this.#cached_tokens,
      ...(this.#cached_by_tier === undefined ? {} : { cached_by_tier: this.#cached_by_tier }),
      ...(this.#drafts === undefined ? {} : { drafts: this.#drafts }),
    };
    this.#options.meter.finished(total);
    this.#options.output.done(total);
  }

  /**
   * When one prompt fails the whole request fails. When only this server failed, the workers keep
   * all parts, and the client may resume the stream elsewhere.
   */
  #fail(prompt: number, failure: AnswerFailure): void {
    this.#handles[prompt] = undefined;
    this.#end(failure, localFailures.includes(failure.code) && this.#options.keeps("cut"));
  }
}

function tiersOfBoth(a: CachedByTier | undefined, b: CachedByTier | undefined) {
  if (a === undefined || b === undefined) return a ?? b;
  return { g1: a.g1 + b.g1, g2: a.g2 + b.g2, g3: a.g3 + b.g3, g4: a.g4 + b.g4 };
}

function draftsOfBoth(a: AnswerUsage["drafts"], b: AnswerUsage["drafts"]) {
  if (a === undefined || b === undefined) return a ?? b;
  return { right: a.right + b.right, wrong: a.wrong + b.wrong };
}

function promptTokens({ answers }: Generation): number {
  let tokens = 0;
  for (const { prompt } of answers) tokens += prompt.length;
  return tokens;
}

/** `max_tokens: 0`: the client wants the echo alone, and no worker is asked. */
function answerNothing(request: AnswerRequest, sink: AnswerSink): void {
  for (let choice = 0; choice < request.choices; choice += 1) {
    sink.end({ choice, reason: "length" });
  }
  const prompt_tokens = request.prompt.length;
  sink.done({ prompt_tokens, completion_tokens: 0, cached_tokens: 0 });
}

/** Workers know a model by its own name, and an adapter beside it. */
function withAdapter(answer: AnswerRequest, { adapter, card }: ServedModel): AnswerRequest {
  return adapter === undefined ? answer : { ...answer, model: card.name, adapter };
}
