/**
 * The owner of one live answer: it carries out what `answer.ts` decides. It lives as long as the
 * answer; whatever ends it, its parent sees to it that the client hears an end.
 */
import type { Tokenizer } from "../../llm/tokenizer.ts";
import type { ActorRef, Plan, RouterMessage, WorkerMessage } from "../../proto/index.ts";
import { Actor, type Down, type Snapshot } from "../../runtime/actor.ts";
import { AskError } from "../../runtime/errors.ts";
import { describeExit } from "../../runtime/exit-reason.ts";
import type { Ref } from "../../runtime/ref.ts";
import { refOf, wireOf } from "../../runtime/remote/node.ts";
import { advance } from "./answer.ts";
import type { AnswerEffect, AnswerInput } from "./answer-events.ts";
import { type AnswerLimits, type AnswerState, newAnswer } from "./answer-state.ts";
import type { Stages } from "./stages.ts";
import type { AnswerRequest, AnswerSink } from "./stream.ts";

export type StreamDeps = {
  /** The router of this process as it is now; undefined while it is being restarted. */
  readonly router: () => Ref<RouterMessage> | undefined;
  readonly limits: AnswerLimits;
  /** How long a worker may take to say that it takes a request. */
  readonly accept_ms: number;
  readonly stages: Stages;
};

const ROUTER_RETRY_MS = 100;
/** Only cached tokens of the usage are waited for, so not for long. */
const SETTLE_MS = 250;

export class StreamActor extends Actor<AnswerInput> {
  private readonly deps: StreamDeps;
  private readonly sink: AnswerSink;
  private readonly state: AnswerState;
  private late_at_ms = 0;
  private wire: ActorRef | undefined;
  private worker: Ref<WorkerMessage> | undefined;
  private monitor = 0;
  /** When the step at hand began. */
  private stage_ms = 0;
  private first = true;

  constructor(request: AnswerRequest, tokenizer: Tokenizer, sink: AnswerSink, deps: StreamDeps) {
    super();
    this.deps = deps;
    this.sink = sink;
    this.state = newAnswer(request, tokenizer, deps.limits);
  }

  override init(): void {
    const { deadline_ms } = this.state.request;
    this.late_at_ms = this.ctx.clock.now_ms() + deadline_ms;
    this.ctx.after(deadline_ms, { kind: "late" });
    this.receive({ kind: "begin" });
  }

  override receive(input: AnswerInput): void {
    for (const effect of advance(this.state, input)) this.perform(effect);
    if (this.state.phase === "ended") this.ctx.stop();
  }

  override down(signal: Down): void {
    if (signal.monitor !== this.monitor) return;
    const detail = describeExit(signal.reason);
    this.receive({ kind: "worker_lost", attempt: this.state.attempt, how: "ended", detail });
  }

  private perform(effect: AnswerEffect): void {
    switch (effect.kind) {
      case "piece":
        if (this.first) this.endStage("first_token");
        if (!this.sink.piece(effect.piece)) advance(this.state, { kind: "filled" });
        return;
      case "end":
        this.sink.end(effect.end);
        break;
      case "done":
        this.sink.done(effect.usage);
        break;
      case "failed":
        this.sink.failed(effect.failure);
        break;
      case "tell_worker":
        this.worker?.tell(effect.message);
        return;
      case "tell_router":
        this.deps.router()?.tell(effect.message);
        return;
      case "leave_worker":
        this.leaveWorker();
        break;
      case "wait_settled":
        this.ctx.after(SETTLE_MS, { kind: "settle_late" });
        return;
      case "ask_router_later":
        this.ctx.after(ROUTER_RETRY_MS, { kind: "route_again", attempt: effect.attempt });
        return;
      case "ask_router":
        this.askRouter(effect);
        break;
      case "ask_worker":
        this.askWorker(effect);
        break;
    }
  }

  private askRouter({ route, attempt }: Extract<AnswerEffect, { kind: "ask_router" }>): void {
    const router = this.deps.router();
    if (router === undefined) {
      this.learn({ kind: "router_lost", attempt });
      return;
    }
    this.stage_ms = this.ctx.clock.now_ms();
    this.ctx.ask(router, route, { deadline_ms: this.left_ms() }).then(
      (reply) => {
        if (reply.kind === "plan") this.learn({ kind: "planned", attempt, plan: reply });
        else this.learn({ ...reply, kind: "route_refused", attempt });
      },
      (error: unknown) => {
        const code = error instanceof AskError ? error.code : "down";
        // The deadline is the answer's own: its timer says so to the client.
        if (code !== "deadline") this.learn({ kind: "router_lost", attempt });
      },
    );
  }

  private askWorker(effect: Extract<AnswerEffect, { kind: "ask_worker" }>): void {
    const { plan, attempt } = effect;
    const worker = this.workerOf(plan);
    if (worker === undefined) {
      const detail = "the plan names no worker";
      this.learn({ kind: "worker_lost", attempt, how: "silent", detail });
      return;
    }
    this.endStage("route");
    this.worker = worker;
    this.monitor = this.ctx.monitor(worker);
    this.wire ??= wireOf(this.ctx.system, this.ctx.self);
    const left_ms = this.left_ms();
    const generate = {
      ...effect.generate,
      consumer: this.wire,
      deadline_ms: Math.ceil(left_ms),
    };
    const deadline_ms = Math.min(left_ms, this.deps.accept_ms);
    this.ctx.ask(worker, generate, { deadline_ms }).then(
      (reply) => {
        if (reply.kind === "accepted" && this.first) this.endStage("dispatch");
        if (reply.kind === "accepted") this.learn({ kind: "accepted", attempt });
        else this.learn({ ...reply, kind: "generate_refused", attempt });
      },
      (error: unknown) => {
        const detail = error instanceof Error ? error.message : String(error);
        if (error instanceof AskError && error.code === "mailbox_full") {
          const code = "queue_full";
          this.learn({ kind: "generate_refused", attempt, code, message: "the worker is flooded" });
          return;
        }
        const how = error instanceof AskError && error.code === "down" ? "ended" : "silent";
        this.learn({ kind: "worker_lost", attempt, how, detail });
      },
    );
  }

  private workerOf(plan: Plan): Ref<WorkerMessage> | undefined {
    if (plan.ref === undefined) return undefined;
    return refOf<WorkerMessage>(this.ctx.system, plan.ref);
  }

  /** A reply came outside of this actor's turn. */
  private learn(input: AnswerInput): void {
    if (this.state.phase !== "ended") this.ctx.self.tell(input);
  }

  private leaveWorker(): void {
    if (this.worker === undefined) return;
    this.ctx.demonitor(this.monitor);
    this.worker = undefined;
    this.monitor = 0;
  }

  private endStage(stage: keyof Stages): void {
    const now_ms = this.ctx.clock.now_ms();
    this.deps.stages[stage].observe((now_ms - this.stage_ms) / 1000);
    this.stage_ms = now_ms;
    if (stage === "first_token") this.first = false;
  }

  private left_ms(): number {
    return Math.max(0, this.late_at_ms - this.ctx.clock.now_ms());
  }

  /** Stopped or crashed before the answer was over: nobody else will tell worker and router. */
  override terminate(): void {
    const reason = "the server stopped this answer";
    for (const effect of advance(this.state, { kind: "abandon", reason })) this.perform(effect);
  }

  override inspect(): Snapshot {
    const { request, phase, attempt, plan, received, granted, full } = this.state;
    return {
      request: request.request,
      model: request.model,
      phase,
      attempt,
      worker: plan?.worker ?? "",
      received,
      granted,
      full,
    };
  }
}
