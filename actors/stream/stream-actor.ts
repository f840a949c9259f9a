/**
 * The owner of one live answer: it carries out the effects of `reducer.ts`. It lives as long as the
 * answer. If it ends early, its parent tells the client an end.
 *
 * Long because every effect is carried out here, and every reply comes back as an input.
 */
import type { Tokenizer } from "../../llm/tokens/tokenizer.ts";
import type {
  Accepted,
  ActorRef,
  BeginTimes,
  PlanLeg,
  Refused,
  RouteChoice,
  RouteEnded,
  RouterMessage,
  TokenBatch,
  WorkerMessage,
} from "../../proto/index.ts";
import { errorText } from "../../runtime/error-text.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { AskOptions } from "../../runtime/kernel/ask.ts";
import { AskError } from "../../runtime/kernel/errors.ts";
import { describeExit } from "../../runtime/kernel/exit-reason.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { Outside } from "../../runtime/outside.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { answerLeg, prefillLeg } from "../names/names.ts";
import { ROUTER_AGAIN_MS } from "./elsewhere.ts";
import type { AnswerEffect, AnswerInput } from "./inputs-and-effects.ts";
import { PrefillClient, type PrefillMessage } from "./prefill/prefill-client.ts";
import { advance } from "./reducer.ts";
import { countFetch, countMove, countPrefill, type Stages } from "./stages.ts";
import {
  isNoProof,
  PROBE_MS,
  type StallHost,
  type StallMessage,
  StallWatcher,
} from "./stall-watcher.ts";
import { type AnswerLimits, type AnswerState, newAnswer } from "./state.ts";
import { deathBy, type UnexplainedDeath } from "./suspicion.ts";
import type { AnswerRequest, AnswerSink } from "./types.ts";

export type StreamDeps = {
  /** The router of this process as it is now; undefined while it is being restarted. */
  readonly router: () => Ref<RouterMessage> | undefined;
  /** The parent of all answers of this process; when it ends, they end. */
  readonly asker: ActorRef;
  readonly limits: AnswerLimits;
  /** How long a worker may take to say that it takes a request. */
  readonly accept_ms: number;
  readonly stages: Stages;
  /** True: that worker had crashed. Undefined: its root has not said yet. */
  readonly isCrash?: (death: UnexplainedDeath) => boolean | undefined;
};

type AskWorker = Extract<AnswerEffect, { kind: "ask_worker" }>;

/** Messages to the stream actor beside the inputs of its answer. */
type Own =
  | StallMessage
  | PrefillMessage
  | {
      readonly kind: "deaths";
      readonly looks: number;
      readonly attempt: number;
      readonly deaths: readonly UnexplainedDeath[];
    };

/** How often to look whether the root has said how a lost worker ended. */
const DEATH_LOOK_MS = 50;
const DEATH_LOOKS = 60;
const ROUTER_RETRY_PAUSES = 10;
/** After this the answer ends without the last `cached_tokens` for its usage. */
const SETTLE_MS = 250;
/** A worker that has made tokens for this long after a move is steady. */
const STEADY_MS = 1_000;

const noChoices: readonly RouteChoice[] = [];

export class StreamActor extends Actor<AnswerInput | Own> implements StallHost {
  readonly #deps: StreamDeps;
  readonly #sink: AnswerSink;
  readonly #state: AnswerState;
  #late_at_ms = 0;
  #wire: ActorRef | undefined;
  #worker: Ref<WorkerMessage> | undefined;
  /** The last router that was asked: it alone counts this answer. */
  #planner: Ref<RouterMessage> | undefined;
  #planner_gone = false;
  #monitor = 0;
  /** When the step at hand began. */
  #stage_ms = 0;
  #stall: StallWatcher | undefined;
  /** Where another worker computes the prompt, or did. */
  #prefill: PrefillClient | undefined;
  #prefill_times: BeginTimes | undefined;
  #first = true;

  constructor(request: AnswerRequest, tokenizer: Tokenizer, sink: AnswerSink, deps: StreamDeps) {
    super();
    this.#deps = deps;
    this.#sink = sink;
    this.#state = newAnswer(request, tokenizer, deps.limits);
  }

  override init(): void {
    const { deadline_ms } = this.#state.request;
    this.#late_at_ms = this.ctx.clock.now_ms() + deadline_ms;
    this.ctx.after(deadline_ms, { kind: "late" });
    this.receive({ kind: "begin" });
  }

  override receive(input: AnswerInput | Own): void {
    if (input.kind === "look") this.#stall?.look(input.attempt);
    else if (input.kind === "deaths") this.#explainDeaths(input);
    else if (input.kind === "probed") this.#stall?.probed(input);
    else if (input.kind === "prefill_look") this.#prefill?.look(input);
    else this.#take(input);
  }

  #take(input: AnswerInput): void {
    const isOwn = input.kind === "token_batch" && input.request !== this.#state.prefill?.id;
    if (isOwn) this.#stall?.tokensCame();
    const had = this.#state.has_output;
    const effects = advance(this.#state, input);
    if (input.kind === "token_batch") this.#notes(input, isOwn, had);
    for (const effect of effects) this.#perform(effect);
    if (this.#state.phase === "ended") this.ctx.stop();
  }

  /** Whoever keeps account of the answer hears of first tokens, and how they came about. */
  #notes({ times }: TokenBatch, isOwn: boolean, had: boolean): void {
    if (!isOwn) this.#prefill_times = times;
    else if (!had && this.#state.has_output) this.#sink.step?.({ kind: "first", times });
  }

  override down(signal: Down): void {
    if (this.#prefill?.down(signal) === true || signal.monitor !== this.#monitor) return;
    const detail = describeExit(signal.reason);
    const lost = {
      kind: "worker_lost",
      attempt: this.#state.attempt,
      how: "ended",
      death: deathBy(signal.reason),
      at_ms: this.ctx.clock.now_ms(),
      detail,
    } as const;
    // Handled behind the tokens that came before: they may complete the answer.
    if (!this.ctx.self.tell(lost)) this.#take(lost);
  }

  #perform(effect: AnswerEffect): void {
    switch (effect.kind) {
      case "piece":
        if (this.#first) this.#endStage("first_token");
        if (!this.#sink.piece(effect.piece)) advance(this.#state, { kind: "filled" });
        return;
      case "scores":
        if (this.#first) this.#endStage("first_token");
        this.#sink.scores?.(effect.scores);
        return;
      case "end":
        this.#sink.end(effect.end);
        break;
      case "done":
        this.#sink.done(effect.usage);
        break;
      case "failed":
        this.#sink.failed(effect.failure);
        break;
      case "tell_worker":
        this.#worker?.tell(effect.message);
        if (effect.message.kind === "credit") this.#stall?.credited();
        return;
      case "tell_router":
        this.#planner?.tell(effect.message);
        if (effect.message.kind === "route_ended") this.#countPrefill(effect.message);
        return;
      case "ask_prefill":
        this.#sink.step?.({ kind: "prefill_sent", worker: effect.leg.worker });
        this.#prefill_times = undefined;
        this.#prefill ??= this.#newPrefill();
        this.#prefill.perform(effect);
        return;
      case "ask_router_prefill":
      case "tell_prefill":
      case "leave_prefill":
        this.#prefill ??= this.#newPrefill();
        this.#prefill.perform(effect);
        return;
      case "leave_worker":
        this.#leaveWorker();
        break;
      case "wait_settled":
        this.ctx.after(SETTLE_MS, { kind: "settle_late" });
        return;
      case "wait_steady":
        this.ctx.after(STEADY_MS, { kind: "steady", attempt: effect.attempt });
        return;
      case "moves":
        this.#moves(effect);
        return;
      case "ask_router_later":
        this.#askLater(effect);
        return;
      case "ask_deaths":
        this.#explainDeaths({ ...effect, kind: "deaths", looks: 0 });
        return;
      case "ask_router":
        this.#askRouter(effect);
        break;
      case "ask_worker":
        this.#askWorker(effect);
        break;
      case "attach":
        this.#attach(effect);
        break;
      case "fetch":
        this.#fetchLost(effect);
        break;
    }
  }

  #explainDeaths(own: Extract<Own, { kind: "deaths" }>): void {
    const { attempt, deaths, looks } = own;
    const { isCrash = () => false } = this.#deps;
    const open = deaths.some((death) => isCrash(death) === undefined);
    // Handled after this turn, because effects of this turn are still to be carried out.
    if (looks === 0 || (open && looks < DEATH_LOOKS)) {
      this.ctx.after(DEATH_LOOK_MS, { ...own, looks: looks + 1 });
      return;
    }
    const crashes = deaths.filter((death) => isCrash(death) === true).length;
    this.#take({ kind: "explained", attempt, crashes });
  }

  #askLater({ attempt, tries }: Extract<AnswerEffect, { kind: "ask_router_later" }>): void {
    const pauses = this.#isAnotherAsked() ? 0 : Math.min(tries, ROUTER_RETRY_PAUSES);
    const delay_ms = ROUTER_AGAIN_MS * pauses;
    this.ctx.after(delay_ms, { kind: "route_again", attempt });
  }

  /** True: the router that was asked is gone and another one has taken its place. */
  #isAnotherAsked(): boolean {
    const next = this.#planner_gone ? this.#deps.router() : undefined;
    return next !== undefined && next !== this.#planner;
  }

  #askRouter({ route, attempt }: Extract<AnswerEffect, { kind: "ask_router" }>): void {
    const router = this.#deps.router();
    if (router === undefined) {
      this.learn({ kind: "router_lost", attempt });
      return;
    }
    this.#stage_ms = this.ctx.clock.now_ms();
    this.#planner = router;
    this.#planner_gone = false;
    const { asker } = this.#deps;
    const { explain = false } = this.#state.request;
    this.#sink.step?.({ kind: "routing" });
    this.ctx.askThen(
      router,
      explain ? { ...route, asker, explain } : { ...route, asker },
      this.#within(this.#left_ms()),
      (reply) => {
        const prefill = reply.kind === "plan" ? prefillLeg(reply) : undefined;
        if (reply.kind === "plan") {
          const { worker } = answerLeg(reply);
          const choices = reply.reasons?.choices ?? noChoices;
          this.#sink.step?.({ kind: "planned", worker, choices });
          this.#take({ kind: "planned", attempt, leg: answerLeg(reply), prefill });
        }
        // The answer has told it so itself, and may have asked again since.
        else if (reply.code === "cancelled") return;
        // The router gives up at the answer's own time, whose timer says so to the client.
        else if (this.#left_ms() > 0) this.#take({ ...reply, kind: "route_refused", attempt });
      },
      ({ code }) => {
        // The deadline is the answer's own: its timer says so to the client.
        if (code === "deadline") return;
        this.#planner_gone = true;
        this.#take({ kind: "router_lost", attempt });
      },
    );
  }

  #askWorker(effect: AskWorker): void {
    const { leg, attempt } = effect;
    const worker = this.#placeAt(leg, attempt, false);
    if (worker === undefined) return;
    const left_ms = this.#left_ms();
    const generate = {
      ...effect.generate,
      consumer: this.#wire,
      deadline_ms: Math.ceil(left_ms),
    };
    this.#watchForStall(worker, generate);
    // A suspect may wait until other suspects' trials are over, and a hand-off for its blocks.
    const waits = generate.alone || generate.hand_off !== undefined;
    const deadline_ms = waits ? left_ms : Math.min(left_ms, this.#deps.accept_ms);
    const { taken, failed } = this.#accepting(attempt);
    this.ctx.askThen(worker, generate, this.#within(deadline_ms), taken, failed);
  }

  #attach({ leg, attempt, attach }: Extract<AnswerEffect, { kind: "attach" }>): void {
    const worker = this.#placeAt(leg, attempt, true);
    if (worker === undefined) return;
    this.#watchForStall(worker, { prompt: this.#state.prompt_bytes, choices: [] });
    const deadline_ms = Math.min(this.#left_ms(), this.#deps.accept_ms);
    const { taken, failed } = this.#accepting(attempt);
    const message = { ...attach, consumer: this.#wire };
    this.ctx.askThen(worker, message, this.#within(deadline_ms), taken, failed);
  }

  #fetchLost({ attempt, reader, attach }: Extract<AnswerEffect, { kind: "fetch" }>): void {
    const worker = this.#worker;
    const wire = this.#wire;
    if (worker === undefined || wire === undefined) return;
    countFetch(this.ctx.system.metrics, this.#state.request.model);
    const asked_ms = this.ctx.clock.now_ms();
    this.ctx.ask(worker, { ...attach, consumer: wire }, { deadline_ms: PROBE_MS }).then(
      (answer) => {
        const { kind } = answer;
        if (kind === "accepted") this.learn({ kind: "fetched", attempt, reader });
        else this.learn({ kind: "fetch_failed", attempt, reader, detail: answer.message });
      },
      (error: unknown) => {
        const detail = errorText(error);
        const code = error instanceof AskError ? error.code : "";
        if (code === "down") this.learn({ kind: "worker_lost", attempt, how: "ended", detail });
        // The link sends the message when it can; the next look sees the outcome.
        else if (isNoProof(this.ctx, worker, asked_ms))
          this.learn({ kind: "fetched", attempt, reader });
        else this.learn({ kind: "fetch_failed", attempt, reader, detail });
      },
    );
  }

  /** Monitors the worker from here on; undefined: it has no reference. */
  #placeAt(leg: PlanLeg, attempt: number, held: boolean): Ref<WorkerMessage> | undefined {
    const worker = this.#workerOf(leg);
    if (worker === undefined) {
      const detail = "the plan names no worker";
      this.learn({ kind: "worker_lost", attempt, how: "silent", detail });
      return undefined;
    }
    this.#endStage("route");
    const { prefill } = this.#state;
    this.#sink.placed?.(leg.worker, attempt, prefill?.leg.worker ?? leg.worker);
    this.#sink.step?.({ kind: "sent", worker: leg.worker, held });
    this.#worker = worker;
    this.#monitor = this.ctx.monitor(worker);
    this.#wire ??= wireOf(this.ctx.system, this.ctx.self);
    return worker;
  }

  #accepting(attempt: number) {
    return {
      taken: (answer: Accepted | Refused): void => {
        if (answer.kind === "accepted" && this.#first) this.#endStage("dispatch");
        if (answer.kind === "accepted") {
          if (attempt === this.#state.attempt) this.#sink.step?.({ kind: "accepted" });
          this.#take({ kind: "accepted", attempt });
        } else this.#take({ ...answer, kind: "generate_refused", attempt });
      },
      failed: ({ code, message }: AskError): void => {
        if (code === "mailbox_full") {
          const message = "The worker has more to do than it can take. Try again in a moment.";
          this.#take({ kind: "generate_refused", attempt, code: "queue_full", message });
          return;
        }
        const how = code === "down" ? "ended" : "silent";
        const death = code === "down" ? "unknown" : "killed";
        const at_ms = this.ctx.clock.now_ms();
        this.#take({ kind: "worker_lost", attempt, how, death, at_ms, detail: message });
      },
    };
  }

  #watchForStall(
    worker: Ref<WorkerMessage>,
    { prompt, choices }: Pick<AskWorker["generate"], "prompt" | "choices">,
  ): void {
    let bytes = prompt.length;
    for (const { delivered } of choices) bytes += delivered.length;
    this.#stall = new StallWatcher(this, this.ctx, this.#state, worker, bytes / 4);
  }

  #newPrefill(): PrefillClient {
    return new PrefillClient({
      ctx: () => this.ctx,
      take: (input) => this.#take(input),
      learn: (input) => this.learn(input),
      left_ms: () => this.#left_ms(),
      within: (deadline_ms) => this.#within(deadline_ms),
      accept_ms: this.#deps.accept_ms,
      consumer: () => {
        this.#wire ??= wireOf(this.ctx.system, this.ctx.self);
        return this.#wire;
      },
      planner: () => this.#planner,
    });
  }

  #countPrefill({ prefill = false, outcome }: RouteEnded): void {
    if (!prefill) return;
    countPrefill(this.ctx.system.metrics, this.#state.request.model, outcome);
    this.#sink.step?.({ kind: "prefill_ended", outcome, times: this.#prefill_times });
  }

  #moves({ why, worker, tokens }: Extract<AnswerEffect, { kind: "moves" }>): void {
    const { request, model } = this.#state.request;
    countMove(this.ctx.system.metrics, model, tokens > 0, why);
    this.#sink.step?.({ kind: "moves", why, worker, tokens });
    this.ctx.log.log("debug", "an answer leaves its worker", { request, worker, why, tokens });
  }

  #workerOf(leg: PlanLeg): Ref<WorkerMessage> | undefined {
    if (leg.ref === undefined) return undefined;
    return refOf<WorkerMessage>(this.ctx.system, leg.ref);
  }

  /** Takes an input that came outside of this actor's turn. */
  learn(input: AnswerInput | Own): void {
    if (this.#state.phase !== "ended") this.ctx.self.tell(input);
  }

  #leaveWorker(): void {
    if (this.#worker === undefined) return;
    this.ctx.demonitor(this.#monitor);
    this.#worker = undefined;
    this.#stall = undefined;
    this.#monitor = 0;
  }

  #endStage(stage: keyof Stages): void {
    const now_ms = this.ctx.clock.now_ms();
    this.#deps.stages[stage].observe((now_ms - this.#stage_ms) / 1000);
    this.#stage_ms = now_ms;
    if (stage === "first_token") this.#first = false;
  }

  /** Replies come without the trace of what was asked, so each ask names it. */
  #within(deadline_ms: number): AskOptions {
    const { trace } = this.#state.request;
    return trace === undefined ? { deadline_ms } : { deadline_ms, trace };
  }

  #left_ms(): number {
    return Math.max(0, this.#late_at_ms - this.ctx.clock.now_ms());
  }

  /**
   * If this actor ends before its answer, no other one tells worker and router. The client did not
   * end the answer, so it may be resumed.
   */
  override release(): void {
    const reason = "the server stopped this answer";
    for (const effect of advance(this.#state, { kind: "leave", reason })) this.#perform(effect);
  }

  /** All of the answer but its request, which does not change. */
  override recordedState() {
    const {
      request: _request,
      prompt_bytes: _prompt,
      tokenizer: _tokenizer,
      ...rest
    } = this.#state;
    const choices = rest.choices.map(({ text: _text, ...choice }) => choice);
    return { ...rest, choices, first: this.#first };
  }

  override inspect(): Snapshot {
    const { request, phase, attempt, leg, prefill, received, granted, full } = this.#state;
    return {
      request: request.request,
      model: request.model,
      phase,
      attempt,
      worker: leg?.worker ?? "",
      ...(prefill === undefined ? {} : { prefill_worker: prefill.leg.worker }),
      received,
      granted,
      full,
    };
  }
}

export type StreamParts = {
  readonly request: AnswerRequest;
  readonly tokenizer: Tokenizer;
  readonly sink: AnswerSink;
  readonly deps: StreamDeps;
};

export function streamOf(parts: StreamParts, outside: Outside): StreamActor {
  const { request, tokenizer, sink, deps } = outside.given("stream", parts);
  return new StreamActor(request, tokenizer, sink, deps);
}
