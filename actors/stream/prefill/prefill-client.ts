/**
 * Carries out what `prefill-leg.ts` wants of the worker that computes a prompt: asks it, watches it,
 * and asks it again and again whether it still lives.
 */
import type { ActorRef, RouterMessage, WorkerMessage } from "../../../proto/index.ts";
import type { Down } from "../../../runtime/kernel/actor.ts";
import type { AskOptions } from "../../../runtime/kernel/ask.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import type { AskError } from "../../../runtime/kernel/errors.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { isAway, refOf } from "../../../runtime/remote/node.ts";
import { prefillLeg } from "../../names/names.ts";
import type { AnswerEffect, AnswerInput } from "../inputs-and-effects.ts";
import { isNoProof, PROBE_MS } from "../stall-watcher.ts";
import { type Death, deathBy } from "../suspicion.ts";

/** Message of its timer to the stream actor, which hands it back. */
export type PrefillMessage = { readonly kind: "prefill_look"; readonly id: string };

type PrefillContext = Pick<
  Context<PrefillMessage>,
  "clock" | "system" | "ask" | "askThen" | "after" | "monitor" | "demonitor"
>;

export type PrefillHost = {
  readonly ctx: () => PrefillContext;
  /** Called in the actor's turn. */
  readonly take: (input: AnswerInput) => void;
  /** Called outside of the actor's turn, or behind what came before. */
  readonly learn: (input: AnswerInput) => void;
  readonly left_ms: () => number;
  /** Options of an ask. */
  readonly within: (deadline_ms: number) => AskOptions;
  readonly accept_ms: number;
  /** The stream actor, to whom the worker's token goes. */
  readonly consumer: () => ActorRef;
  /** The router that counts the answer. */
  readonly planner: () => Ref<RouterMessage> | undefined;
};

type Wanted = Extract<
  AnswerEffect,
  { kind: "ask_prefill" | "ask_router_prefill" | "tell_prefill" | "leave_prefill" }
>;
type AskPrefill = Extract<Wanted, { kind: "ask_prefill" }>;

const LOOK_MS = 1_000;
/** The answering leg waits for the router's word, and not for long. */
const PLAN_MS = 300;

export class PrefillClient {
  readonly #host: PrefillHost;
  #worker: Ref<WorkerMessage> | undefined;
  #monitor = 0;
  #id = "";
  #attempt = 0;

  constructor(host: PrefillHost) {
    this.#host = host;
  }

  perform(effect: Wanted): void {
    switch (effect.kind) {
      case "ask_prefill":
        this.#ask(effect);
        break;
      case "ask_router_prefill":
        this.#askRouter(effect);
        break;
      case "tell_prefill":
        this.#worker?.tell(effect.message);
        break;
      case "leave_prefill":
        this.#leave();
    }
  }

  #ask({ leg, attempt, generate }: AskPrefill): void {
    const ctx = this.#host.ctx();
    const id = generate.request;
    this.#id = id;
    this.#attempt = attempt;
    if (leg.ref === undefined) {
      this.#host.learn({ kind: "prefill_lost", attempt, id, how: "silent" });
      return;
    }
    const worker = refOf<WorkerMessage>(ctx.system, leg.ref);
    this.#worker = worker;
    this.#monitor = ctx.monitor(worker);
    const left_ms = this.#host.left_ms();
    const asked = { ...generate, consumer: this.#host.consumer(), deadline_ms: Math.ceil(left_ms) };
    ctx.askThen(
      worker,
      asked,
      this.#host.within(Math.min(left_ms, this.#host.accept_ms)),
      (answer) => {
        if (answer.kind === "refused") this.#lost(id, attempt, "refused");
      },
      (error) => this.#failed(id, attempt, error),
    );
    ctx.after(LOOK_MS, { kind: "prefill_look", id });
  }

  #failed(id: string, attempt: number, { code }: AskError): void {
    if (code === "mailbox_full") this.#lost(id, attempt, "refused");
    else this.#lost(id, attempt, code === "down" ? "ended" : "silent", "unknown");
  }

  #lost(id: string, attempt: number, how: "ended" | "silent" | "refused", death?: Death): void {
    const at_ms = this.#host.ctx().clock.now_ms();
    const why = death === undefined ? {} : { death };
    this.#host.take({ kind: "prefill_lost", attempt, id, how, at_ms, ...why });
  }

  #askRouter({ attempt, route }: Extract<Wanted, { kind: "ask_router_prefill" }>): void {
    const planned = (leg: ReturnType<typeof prefillLeg>): AnswerInput => {
      return { kind: "prefill_planned", attempt, leg };
    };
    const router = this.#host.planner();
    if (router === undefined) {
      this.#host.learn(planned(undefined));
      return;
    }
    this.#host.ctx().askThen(
      router,
      route,
      { deadline_ms: PLAN_MS },
      (reply) => this.#host.take(planned(reply.kind === "plan" ? prefillLeg(reply) : undefined)),
      () => this.#host.take(planned(undefined)),
    );
  }

  #leave(): void {
    if (this.#worker === undefined) return;
    this.#host.ctx().demonitor(this.#monitor);
    this.#worker = undefined;
    this.#monitor = 0;
    this.#id = "";
  }

  /** False: the signal is not about this worker. */
  down({ monitor, reason }: Down): boolean {
    if (this.#worker === undefined || monitor !== this.#monitor) return false;
    const at_ms = this.#host.ctx().clock.now_ms();
    const [id, attempt] = [this.#id, this.#attempt];
    const death = deathBy(reason);
    // Behind its token, which may have come before.
    this.#host.learn({ kind: "prefill_lost", attempt, id, how: "ended", death, at_ms });
    return true;
  }

  /** A frozen worker keeps its connections. */
  look({ id }: PrefillMessage): void {
    const worker = this.#worker;
    if (worker === undefined || id !== this.#id) return;
    const ctx = this.#host.ctx();
    const attempt = this.#attempt;
    const asked_ms = ctx.clock.now_ms();
    const again = () => ctx.after(LOOK_MS, { kind: "prefill_look", id });
    const silent = () => this.#host.learn({ kind: "prefill_lost", attempt, id, how: "silent" });
    ctx.ask(worker, { kind: "probe", request: id }, { deadline_ms: PROBE_MS }).then(
      ({ known }) => (known ? again() : silent()),
      (error: unknown) => {
        const { code } = error as Partial<AskError>;
        // The monitor's Down follows.
        if (code === "down") return;
        const proof = code === "deadline" && !isNoProof(ctx, worker, asked_ms);
        if (proof || isAway(ctx.system, worker as Ref)) silent();
        else again();
      },
    );
  }
}
