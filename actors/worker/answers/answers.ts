/**
 * The answers of a worker from admission until they are dropped: their readers, how long they wait
 * for a lost reader, and how long they are kept once they are over.
 *
 *   open ─▶ live ─ all told ─▶ kept ─ keep_ms ─▶ gone
 *            │  ▲                │
 *            │  └─── attach ◀────┘
 *            ├─ a reader cancels, and it was the last ─▶ gone
 *            └─ a reader is lost, and it was the last ─▶ waits grace_ms, being made ─▶ gone
 *
 * Only resumable answers wait or are kept. Readers of other answers can fetch lost tokens for a
 * moment longer. The worker actor drives the engine.
 */
import type {
  Accepted,
  ActorRef,
  Attach,
  Cancel,
  Claim,
  Claimed,
  ConsumerMessage,
  Credit,
  Detach,
  FindAnswer,
  Generate,
  HeldAnswers,
  Refused,
} from "../../../proto/index.ts";
import type { Timer } from "../../../runtime/capabilities.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import { refOf } from "../../../runtime/remote/node.ts";
import type { EngineEvent, EngineRequest } from "../../engine/engine.ts";
import { finishesSoon } from "../draining.ts";
import { refused } from "../refusal.ts";
import type { KeepOptions } from "../worker-options.ts";
import type { Opening } from "./arrivals.ts";
import { Claims } from "./claims.ts";
import { beginTimes, Delivery, type LiveAnswer, type Reader } from "./delivery.ts";
import { FinishedAnswers, type KeepLimits } from "./finished.ts";
import { ResumableAnswers } from "./resumable.ts";
import { grant, isWhole, newReadPosition, newTranscript, type ReadPosition } from "./transcript.ts";

/** Messages of the answers' timers to the worker actor. */
export type AnswersTimer =
  | { readonly kind: "answer_late"; readonly request: string }
  | { readonly kind: "grace_over"; readonly request: string }
  | { readonly kind: "sweep_kept" };

export type AnswersContext = Pick<
  Context<AnswersTimer>,
  "clock" | "system" | "monitor" | "demonitor" | "after" | "cancel"
>;

export type AnswersHost = {
  readonly ctx: () => AnswersContext;
  readonly keep: KeepOptions;
  /** Stops the engine's work on an answer. */
  readonly cancel: (handles: readonly number[]) => void;
  /** Called once for each answer, and once for each time that it is read again. */
  readonly ended: (answer: LiveAnswer, duration_ms: number | undefined) => void;
};

const nothing = new Uint8Array(0);
/** Readers of one answer at once. */
const READERS_MAX = 8;
/** A sweep may be this late, so that one timer drops many answers. */
const SWEEP_LATE_MS = 100;
/**
 * For answers that no client can resume. A reader asks after at least 1 s without a token, later
 * where tokens are slow.
 */
const lastLimits: KeepLimits = {
  keep_ms: 10_000,
  answers_max: 256,
  bytes_max: 4 * 1024 * 1024,
};

export class Answers {
  readonly #host: AnswersHost;
  readonly #live = new Delivery();
  readonly #kept: ResumableAnswers;
  /**
   * Finished answers that no client can resume: a reader that lost the last batch fetches it here,
   * and the answer need not be made again elsewhere. Readers do not acknowledge an end, so
   * `lastLimits` bounds how many are kept, and how long.
   */
  readonly #last = new FinishedAnswers(lastLimits);
  readonly #claims: Claims;
  #sweep_timer: Timer | undefined;

  constructor(host: AnswersHost) {
    this.#host = host;
    this.#kept = new ResumableAnswers(host.keep);
    this.#claims = new Claims({
      demonitor: (monitor) => host.ctx().demonitor(monitor),
    });
  }

  /** Answers that are not over. */
  get count(): number {
    return this.#live.count;
  }

  get has_unsent(): boolean {
    return this.#live.has_unsent;
  }

  /** Choices that the engine makes. */
  get handle_count(): number {
    return this.#live.handle_count;
  }

  /** Names of answers past their deadline, or without a reader and without grace. */
  *unowned(): Iterable<string> {
    const now_ms = this.#host.ctx().clock.now_ms();
    for (const { generate, deadline, deadline_at_ms, readers, grace } of this.#live.all()) {
      const late = deadline !== undefined && now_ms > deadline_at_ms;
      if (late || (readers.length === 0 && grace === undefined)) yield generate.request;
    }
  }

  hasHandle(handle: number): boolean {
    return this.#live.hasHandle(handle);
  }

  /** True: an answer or a reader has this name. */
  holds(request: string): boolean {
    const live = this.#live.get(request) ?? this.#live.reader(request);
    return live !== undefined || this.#kept.isOver(request);
  }

  /** The engine has taken `parts`, one for each choice that is to be made. */
  open(
    generate: Generate,
    consumer: ActorRef,
    parts: readonly EngineRequest[],
    { arrival, unsent, cached_from }: Opening,
  ): void {
    const ctx = this.#host.ctx();
    const { consumer: _, ...asked } = generate;
    const { request, deadline_ms, resumable } = generate;
    this.#last.forget(request);
    const now_ms = ctx.clock.now_ms();
    const answer: LiveAnswer = {
      generate: resumable === undefined ? { ...asked, prompt: nothing } : asked,
      transcript: newTranscript(generate.choices, generate.prompt),
      readers: [],
      lost: undefined,
      began_ms: now_ms,
      arrival,
      times: unsent > 0 ? beginTimes(arrival, now_ms, 0) : undefined,
      deadline_at_ms: now_ms + deadline_ms,
      deadline: ctx.after(deadline_ms, { kind: "answer_late", request }),
      grace: undefined,
      handles: new Map(parts.map((part) => [part.choice, part.handle])),
      queue: undefined,
      ...(cached_from === undefined ? {} : { cached_from }),
    };
    this.#live.add(answer);
    this.#kept.follow(answer);
    this.#addReader(
      answer,
      consumer,
      newReadPosition(answer.transcript, request, generate.window_tokens, unsent),
    );
  }

  find({ answer }: FindAnswer): HeldAnswers {
    const now_ms = this.#host.ctx().clock.now_ms();
    const items = this.#kept.find(answer, (request) => this.#live.get(request), now_ms);
    return { kind: "held_answers", answer, items };
  }

  claim({ answer, claim, claimer, over }: Claim): Claimed {
    if (claimer === undefined || over) {
      this.#claims.release(answer, claim);
      return { kind: "claimed", answer, first: false };
    }
    const ctx = this.#host.ctx();
    const first = this.#claims.claim(answer, claim, () => ctx.monitor(refOf(ctx.system, claimer)));
    return { kind: "claimed", answer, first };
  }

  /** Adds a reader to a live or a kept answer. */
  attach(attach: Attach): Accepted | Refused {
    const { request, alias, consumer, window_tokens, from, instead_of } = attach;
    const answer = this.#live.get(request) ?? this.#kept.get(request) ?? this.#last.get(request);
    if (answer === undefined) {
      const message = "The worker does not hold this answer any more. Send the request again.";
      return refused(alias, { code: "unknown_request", message });
    }
    if (consumer === undefined || this.holds(alias)) {
      const message = "to read an answer takes a consumer and a name of its own";
      return refused(alias, { code: "bad_request", message });
    }
    const before = this.#live.reader(instead_of);
    if (before?.answer === answer) this.#removeReader(before);
    if (answer.readers.length >= READERS_MAX) {
      const message = `This stream is read by ${READERS_MAX} clients already, which is the most. Try again when one has left.`;
      return refused(alias, { code: "rate_limited", message });
    }
    if (this.#kept.revive(request) || this.#last.forget(request)) this.#live.add(answer);
    const start = from.length === 0 ? "start" : from;
    this.#addReader(
      answer,
      consumer,
      newReadPosition(answer.transcript, alias, window_tokens, start),
    );
    return { kind: "accepted", request: alias };
  }

  #addReader(answer: LiveAnswer, wire: ActorRef, position: ReadPosition): void {
    const ctx = this.#host.ctx();
    const consumer = refOf<ConsumerMessage>(ctx.system, wire);
    this.#live.addReader({ answer, position, consumer, monitor: ctx.monitor(consumer) });
    if (answer.grace !== undefined) ctx.cancel(answer.grace);
    answer.grace = undefined;
  }

  credit({ request, tokens_total }: Credit): void {
    const reader = this.#live.reader(request);
    if (reader === undefined) return;
    grant(reader.position, tokens_total);
    this.#live.touch(reader.answer);
  }

  /** Returns the handles that the engine has to stop. */
  cancel({ request, choices }: Cancel): readonly number[] {
    const reader = this.#live.reader(request);
    const last = reader ?? this.#live.lostReader(request);
    if (choices.length > 0) {
      if (last === undefined) return [];
      const running = choices.map((choice) => this.#live.endChoice(last.answer, choice));
      return running.filter((handle) => handle !== undefined);
    }
    if (reader !== undefined) this.#removeReader(reader);
    // The answer's own name cancels it also without a reader.
    const answer = last?.answer ?? this.#live.get(request);
    if (answer?.readers.length === 0) this.#finish(answer);
    return [];
  }

  /** Tokens sent to the reader of this name; undefined: there is none. */
  sentTo(request: string): number | undefined {
    return this.#live.reader(request)?.position.sent;
  }

  /** The worker drains: asks readers of answers that will not be done soon to go elsewhere. */
  handOver(left_ms: number): void {
    const now_ms = this.#host.ctx().clock.now_ms();
    for (const { generate, transcript, began_ms, readers } of this.#live.all()) {
      if (finishesSoon(generate.choices, transcript.choices, now_ms - began_ms, left_ms)) continue;
      for (const { consumer, position } of readers) {
        consumer.tell({ kind: "hand_over", request: position.name });
      }
    }
  }

  /** The reader leaves; the client may resume the answer later. */
  detach({ request }: Detach): void {
    const reader = this.#live.reader(request);
    if (reader !== undefined) this.#lose(reader);
  }

  /** A consumer ended: as if it had detached. */
  consumerGone(monitor: number): void {
    if (this.#claims.claimerGone(monitor)) return;
    const reader = this.#live.readerOf(monitor);
    if (reader !== undefined) this.#lose(reader);
  }

  #lose(reader: Reader): void {
    const { answer } = reader;
    const { request, resumable } = answer.generate;
    this.#removeReader(reader);
    if (answer.readers.length > 0) return;
    if (resumable === undefined) {
      this.#drop(answer);
      return;
    }
    const message: AnswersTimer = { kind: "grace_over", request };
    answer.grace = this.#host.ctx().after(this.#host.keep.grace_ms, message);
    this.#live.remember(reader);
    this.#live.touch(answer);
  }

  #removeReader(reader: Reader): void {
    this.#host.ctx().demonitor(reader.monitor);
    this.#live.removeReader(reader);
  }

  onTimer(message: AnswersTimer): void {
    if (message.kind === "answer_late") this.#late(message.request);
    else if (message.kind === "grace_over") this.#graceOver(message.request);
    else this.#sweep();
  }

  /** An adapter is unloaded: the answers that still use it end as at their deadline. */
  endAdapter(adapter: string): void {
    for (const { generate } of [...this.#live.all()]) {
      if (generate.adapter === adapter) this.#late(generate.request);
    }
  }

  #late(request: string): void {
    const answer = this.#live.get(request);
    if (answer === undefined) return;
    answer.transcript.late = true;
    this.#live.touch(answer);
    this.flush();
    this.#drop(answer);
  }

  #graceOver(request: string): void {
    const answer = this.#live.get(request);
    if (answer?.readers.length === 0) this.#drop(answer);
  }

  record(event: Exclude<EngineEvent, { kind: "embedding" }>): void {
    this.#live.record(event, this.#host.ctx().clock);
  }

  /** Sends all batches that have credit. */
  flush(): void {
    for (const answer of this.#live.flush()) this.#finish(answer);
  }

  /**
   * The answer has no reader, or all have read it. A whole answer is kept for later readers, and
   * for its last reader, which may have lost the end.
   */
  #finish(answer: LiveAnswer): void {
    const { resumable } = answer.generate;
    const wanted = resumable !== undefined || answer.readers.length > 0;
    if (!wanted || !isWhole(answer.transcript)) {
      this.#drop(answer);
      return;
    }
    if (!this.#close(answer)) return;
    const now_ms = this.#host.ctx().clock.now_ms();
    if (resumable === undefined) {
      this.#last.add(answer, now_ms);
      return;
    }
    this.#kept.finish(answer, now_ms);
    if (this.#sweep_timer === undefined) this.#sweep();
  }

  /** Called now and then. */
  sweepLast(): void {
    this.#last.sweep(this.#host.ctx().clock.now_ms());
  }

  /** Ends an answer whatever its state. */
  #drop(answer: LiveAnswer): void {
    if (this.#close(answer)) this.#kept.forget(answer);
  }

  /** Removes an answer from the live ones; false: it was not live. */
  #close(answer: LiveAnswer): boolean {
    if (this.#live.get(answer.generate.request) !== answer) return false;
    const ctx = this.#host.ctx();
    for (const reader of answer.readers) ctx.demonitor(reader.monitor);
    this.#host.cancel(this.#live.remove(answer));
    if (answer.grace !== undefined) ctx.cancel(answer.grace);
    answer.grace = undefined;
    // An answer that was only read again has no deadline timer.
    const { deadline } = answer;
    answer.deadline = undefined;
    if (deadline !== undefined) ctx.cancel(deadline);
    const took_ms = deadline === undefined ? undefined : ctx.clock.now_ms() - answer.began_ms;
    this.#host.ended(answer, took_ms);
    return true;
  }

  /** Drops kept answers that are too old, and sets the timer for the next. */
  #sweep(): void {
    const ctx = this.#host.ctx();
    const now_ms = ctx.clock.now_ms();
    const next_ms = this.#kept.sweep(now_ms);
    this.#sweep_timer = undefined;
    if (next_ms === undefined) return;
    const message: AnswersTimer = { kind: "sweep_kept" };
    this.#sweep_timer = ctx.after(next_ms - now_ms + SWEEP_LATE_MS, message);
  }

  inspectKept() {
    const kept = this.#kept;
    const last = this.#last;
    const claims = this.#claims;
    return {
      kept_answers: kept.count,
      kept_bytes: kept.bytes,
      last_answers: last.count,
      claims: claims.count,
    };
  }
}
