/**
 * The spans of one prompt's answer, out of the steps of its stream actor. A worker says how long its
 * steps took, and no clocks are compared: they are laid backwards from the first token.
 *
 *   route │ transfer │ queue │ prefill │ decode          │ migration              │ decode
 *                                                         │ route │ queue │ prefill│
 *
 * What lies below another span is `inside` it.
 */
import type { BeginTimes, RouteChoice } from "../../../proto/index.ts";
import type { AnswerStep } from "../../stream/stream.ts";
import { close, note, type Span, type SpanName } from "./span.ts";

export type RouteStory = { readonly at_ms: number; readonly choice: RouteChoice };

/** Where the spans of a request stand, those of all its answers together. */
export type Account = {
  readonly spans: Span[];
  readonly workers: string[];
  readonly routes: RouteStory[];
  migrations: number;
  resumes: number;
};

/** More than any sound request has: one that goes round and round is not kept in full. */
const SPANS_MOST = 256;
const WORKERS_MOST = 16;
const ROUTES_MOST = 16;

export class AnswerAccount {
  readonly #account: Account;
  readonly #prompt: number;
  #route: Span | undefined;
  #planned_ms = 0;
  /** From the request's way to the worker until its first token. */
  #wait: Span | undefined;
  #accepted_ms = 0;
  #decode: Span | undefined;
  #migration: Span | undefined;
  /** At the worker that computes the prompt for another one. */
  #elsewhere: Span | undefined;

  constructor(account: Account, prompt: number) {
    this.#account = account;
    this.#prompt = prompt;
  }

  step(step: AnswerStep, now_ms: number): void {
    switch (step.kind) {
      case "routing":
        this.#route ??= this.#open("route", now_ms, undefined, this.#outer());
        break;
      case "planned":
        this.#planned(step.choices, now_ms);
        break;
      case "sent":
        this.#sent(step.worker, step.held, now_ms);
        break;
      case "accepted":
        this.#accepted_ms = now_ms;
        if (this.#wait?.name === "queue") this.#wait.name = "prefill";
        break;
      case "prefill_sent":
        close(this.#elsewhere, now_ms);
        this.#elsewhere = this.#open("prefill", now_ms, step.worker, "transfer");
        break;
      case "prefill_ended":
        this.#elsewhereEnded(step.times, step.outcome, now_ms);
        break;
      case "first":
        this.#first(step.times, now_ms);
        break;
      case "moves":
        this.#moves(step, now_ms);
    }
  }

  /** The answer is over. */
  end(now_ms: number): void {
    close(this.#route, now_ms);
    close(this.#wait, now_ms);
    close(this.#elsewhere, now_ms);
    close(this.#decode, now_ms);
    close(this.#migration, now_ms);
  }

  #planned(choices: readonly RouteChoice[], now_ms: number): void {
    close(this.#route, now_ms);
    this.#planned_ms = now_ms;
    const { routes } = this.#account;
    for (const choice of choices) {
      if (routes.length < ROUTES_MOST) routes.push({ at_ms: now_ms, choice });
      if (choice.prefill) continue;
      const { chosen, why, waited_ms, mode } = choice;
      note(this.#route, { mode, chosen, why, waited_ms });
    }
    this.#route = undefined;
  }

  #sent(worker: string, held: boolean, now_ms: number): void {
    const { workers } = this.#account;
    if (workers.length < WORKERS_MOST) workers.push(worker);
    const inside = this.#migration === undefined ? undefined : "migration";
    if (held) this.#account.resumes += 1;
    close(this.#route, now_ms);
    this.#route = undefined;
    // The plan is carried out at once, but for the first one of a process.
    const from_ms = this.#planned_ms || now_ms;
    this.#planned_ms = 0;
    this.#wait = this.#open(held ? "resume" : "queue", from_ms, worker, inside);
    this.#accepted_ms = 0;
  }

  #first(times: BeginTimes | undefined, now_ms: number): void {
    const wait = this.#wait;
    close(this.#elsewhere, now_ms);
    if (wait !== undefined) {
      if (wait.name === "resume") close(wait, now_ms);
      else this.#split(wait, times ?? this.#timesSeen(wait, now_ms), now_ms);
    }
    this.#wait = undefined;
    close(this.#migration, now_ms);
    this.#migration = undefined;
    this.#decode = this.#open("decode", now_ms, wait?.worker, undefined);
  }

  /** Of a worker that does not say it: what is seen from here. */
  #timesSeen({ from_ms }: Span, now_ms: number): BeginTimes {
    const begun_ms = this.#accepted_ms || from_ms;
    return { transfer_ms: 0, queue_ms: begun_ms - from_ms, prefill_ms: now_ms - begun_ms };
  }

  #split(wait: Span, times: BeginTimes, now_ms: number): void {
    const { from_ms, worker, inside } = wait;
    const prefill_ms = Math.max(from_ms, now_ms - times.prefill_ms);
    const isMoved = times.transfer_ms > 0;
    const queue_ms = isMoved ? Math.max(from_ms, prefill_ms - times.queue_ms) : from_ms;
    wait.name = isMoved ? "transfer" : "queue";
    wait.to_ms = isMoved ? queue_ms : prefill_ms;
    if (isMoved) close(this.#open("queue", queue_ms, worker, inside), prefill_ms);
    else if (this.#elsewhere !== undefined) this.#elsewhere.inside = "queue";
    close(this.#open("prefill", prefill_ms, worker, inside), now_ms);
    this.#elsewhere = undefined;
  }

  #elsewhereEnded(times: BeginTimes | undefined, outcome: string, now_ms: number): void {
    const span = this.#elsewhere;
    if (span === undefined) return;
    close(span, now_ms);
    const queue_ms = times?.queue_ms ?? 0;
    note(span, outcome === "finished" ? { queue_ms } : { queue_ms, outcome });
  }

  #moves({ why, worker, tokens }: Extract<AnswerStep, { kind: "moves" }>, now_ms: number): void {
    close(this.#wait, now_ms);
    close(this.#elsewhere, now_ms);
    close(this.#decode, now_ms);
    this.#wait = undefined;
    this.#elsewhere = undefined;
    this.#decode = undefined;
    this.#planned_ms = 0;
    this.#account.migrations += 1;
    // A place that was sought while the answer went on was found within its decoding.
    if (this.#migration !== undefined) return;
    this.#migration = this.#open("migration", now_ms, undefined, undefined);
    note(this.#migration, { why, from: worker, tokens });
  }

  #outer(): SpanName | undefined {
    if (this.#migration !== undefined) return "migration";
    return this.#decode === undefined ? undefined : "decode";
  }

  #open(
    name: SpanName,
    from_ms: number,
    worker: string | undefined,
    inside: SpanName | undefined,
  ): Span {
    const { spans } = this.#account;
    const to_ms = Number.NaN;
    const span = { name, inside, from_ms, to_ms, worker, prompt: this.#prompt, notes: undefined };
    if (spans.length < SPANS_MOST) spans.push(span);
    return span;
  }
}
