/**
 * What one request goes through, from its arrival to its end: marks of its way through the door,
 * the account of each of its answers, and what it came to. The request book shows it and keeps it
 * for a while; the request trace writes its line from it. A token costs it two additions.
 */
import type { Clock } from "../../../runtime/capabilities.ts";
import type { Telemetry } from "../../../runtime/observe/telemetry.ts";
import { parseTraceparent, type TraceContext } from "../../../runtime/observe/trace.ts";
import type { AnswerStep, AnswerUsage } from "../../stream/stream.ts";
import type { TimedStage } from "../prompt/prepare-context.ts";
import { type Account, AnswerAccount, type RouteStory } from "./answer-account.ts";
import { KeptText } from "./kept-text.ts";
import { close, type Span, type SpanName } from "./span.ts";

export type RequestState = "live" | "done" | "failed" | "cancelled";

/** The request as it came. */
export type Arrival = {
  readonly id: string;
  readonly request: Request;
  readonly path: string;
  readonly arrived_ms: number;
};

/** Hears of the end of each entry, once. */
export type Ended = (entry: RequestEntry) => void;

type EntryParts = {
  readonly stages: Stages;
  readonly ended: Ended;
  readonly may_follow: boolean;
  readonly telemetry?: Telemetry | undefined;
};

/** The door's own figures of the same steps. */
type Stages = TimedStage & { stage(name: string, from_ms: number): void };

const FOLLOW_MS = 10_000;
const REASONS_MOST = 16;
/** Of so many pieces one is timed on its way to the client. */
export const TIMED_EACH = 8;

export class RequestEntry implements Stages, Account {
  readonly arrival: Arrival;
  readonly spans: Span[] = [];
  readonly workers: string[] = [];
  readonly routes: RouteStory[] = [];
  readonly finish_reasons: string[] = [];
  migrations = 0;
  resumes = 0;
  state: RequestState = "live";
  /** As HTTP has it; 0: not known yet. */
  status = 0;
  error: string | undefined;
  endpoint: string;
  model = "";
  prompt_tokens = 0;
  output_tokens = 0;
  cached_tokens = 0;
  /** On the clock's scale; 0: there was no token. */
  first_ms = 0;
  last_ms = 0;
  progress_ms: number;
  ended_ms = 0;
  /** Time in the parser and in the dialect of the answer, estimated. */
  shown_ms = 0;
  body: { readonly value: object; readonly bytes: number } | undefined;
  /** Where the text is kept; undefined: nobody follows it. */
  text: KeptText | undefined;
  /** The router is asked for its reasons. */
  explains = false;
  /** It is shown for a while after its end, whatever it comes to. */
  stays = false;
  /** Of those that have ended and are shown: in the order of their ends. 0: it is none of them. */
  number = 0;
  /** Its meter tells it its end. */
  metered = false;
  /** Called once at the end, before the entry lets go of what only a live request needs. */
  onEnd: ((usage: AnswerUsage | undefined) => void) | undefined;
  readonly #clock: Clock;
  readonly #stages: Stages;
  readonly #ended: Ended;
  readonly #may_follow: boolean;
  readonly #telemetry: Telemetry | undefined;
  readonly #accounts: AnswerAccount[] = [];
  /** Where the last step of the door ended, and the next one begins; NaN: they are over. */
  #mark_ms: number;
  #follow_until_ms = 0;
  #trace: TraceContext | null | undefined;

  constructor(clock: Clock, arrival: Arrival, endpoint: string, parts: EntryParts) {
    this.#clock = clock;
    this.arrival = arrival;
    this.endpoint = endpoint;
    this.#stages = parts.stages;
    this.#ended = parts.ended;
    this.#may_follow = parts.may_follow;
    this.#telemetry = parts.telemetry;
    this.#mark_ms = arrival.arrived_ms;
    this.progress_ms = arrival.arrived_ms;
  }

  /** True: its spans are collected, so that its client may want to know their trace. */
  get exports(): boolean {
    return this.#telemetry !== undefined;
  }

  /** The span of its client; undefined: it named none. */
  get parent(): TraceContext | undefined {
    const header = this.arrival.request.headers.get("traceparent");
    return header === null ? undefined : parseTraceparent(header);
  }

  /** Its own span where traces are collected, else its client's; undefined: there is none. */
  get trace(): TraceContext | undefined {
    if (this.#trace === undefined) {
      const { parent } = this;
      this.#trace = this.#telemetry?.begin(parent) ?? parent ?? null;
    }
    return this.#trace ?? undefined;
  }

  now_ms(): number {
    return this.#clock.now_ms();
  }

  /** The body is here. */
  received(now_ms: number): void {
    this.#upTo("receive", now_ms);
  }

  begin(): void {
    this.#upTo("validate", this.#clock.now_ms());
  }

  end(stage: "template" | "tokenize"): void {
    this.stage(stage, this.#mark_ms);
  }

  stage(name: string, from_ms: number): void {
    this.#stages.stage(name, from_ms);
    if (name !== "template" && name !== "tokenize") return;
    if (from_ms > this.#mark_ms) this.#upTo("validate", from_ms);
    this.#upTo(name, this.#clock.now_ms());
  }

  /** It is checked, and its answers begin. */
  prepared(now_ms: number): void {
    this.#upTo("validate", now_ms);
    this.#mark_ms = Number.NaN;
  }

  /** A step of the answer to one of its prompts. */
  step(prompt: number, step: AnswerStep): void {
    const now_ms = this.#clock.now_ms();
    if (!Number.isNaN(this.#mark_ms)) this.prepared(now_ms);
    this.progress_ms = now_ms;
    let account = this.#accounts[prompt];
    if (account === undefined) {
      account = new AnswerAccount(this, prompt);
      this.#accounts[prompt] = account;
    }
    account.step(step, now_ms);
  }

  /** A request without an answer of its own is computed from here on. */
  computing(): void {
    const from_ms = this.#clock.now_ms();
    this.prepared(from_ms);
    this.#push("prefill", from_ms, Number.NaN);
  }

  tokens(count: number, now_ms: number): void {
    if (this.first_ms === 0) this.first_ms = now_ms;
    this.last_ms = now_ms;
    this.progress_ms = now_ms;
    this.output_tokens += count;
  }

  said(choice: number, text: string): void {
    if (this.progress_ms < this.#follow_until_ms) this.text?.add(choice, text);
  }

  promptDone(prompt: number): void {
    this.#accounts[prompt]?.end(this.#clock.now_ms());
  }

  reason(reason: string): void {
    if (this.finish_reasons.length < REASONS_MOST) this.finish_reasons.push(reason);
  }

  /** Its text is kept from now on for a while. */
  follow(): void {
    if (!this.#may_follow || this.state !== "live") return;
    this.text ??= new KeptText();
    this.#follow_until_ms = this.#clock.now_ms() + FOLLOW_MS;
  }

  finished(usage: AnswerUsage): void {
    this.prompt_tokens = usage.prompt_tokens;
    this.output_tokens = usage.completion_tokens;
    this.cached_tokens = usage.cached_tokens;
    this.#end("done", 200, usage);
  }

  failed(status: number, error?: string): void {
    this.error ??= error;
    this.#end("failed", status, undefined);
  }

  disconnected(): void {
    this.#end("cancelled", 499, undefined);
  }

  /** It was answered without an answer of its own. */
  answered(status: number): void {
    this.#end("done", status, undefined);
  }

  #end(state: RequestState, status: number, usage: AnswerUsage | undefined): void {
    if (this.state !== "live") return;
    const now_ms = this.#clock.now_ms();
    this.state = state;
    this.status = status;
    this.ended_ms = now_ms;
    if (!Number.isNaN(this.#mark_ms)) this.prepared(now_ms);
    for (const account of this.#accounts) account?.end(now_ms);
    for (const span of this.spans) close(span, now_ms);
    this.#accounts.length = 0;
    this.onEnd?.(usage);
    this.onEnd = undefined;
    this.#ended(this);
  }

  /** What came since the last mark was this. */
  #upTo(name: SpanName, now_ms: number): void {
    if (now_ms <= this.#mark_ms) return;
    this.#push(name, this.#mark_ms, now_ms);
    this.#mark_ms = now_ms;
    this.progress_ms = now_ms;
  }

  #push(name: SpanName, from_ms: number, to_ms: number): void {
    const worker = undefined;
    const prompt = undefined;
    this.spans.push({ name, inside: undefined, from_ms, to_ms, worker, prompt, notes: undefined });
  }
}
