/** One mocker worker in virtual time: the mocker's own scheduler, told the time by the replay. */
import { KvEventLog } from "../../../actors/engine/kv-event-log.ts";
import type { Draw } from "../../../actors/engine/mocker/drawn-token.ts";
import { Link } from "../../../actors/engine/mocker/link.ts";
import { linkSpeeds, type MockerOptions } from "../../../actors/engine/mocker/options.ts";
import { MockerScheduler } from "../../../actors/engine/mocker/scheduler.ts";
import { type BlockNames, Sequence } from "../../../actors/engine/mocker/sequence.ts";
import type { MockerTiming } from "../../../actors/engine/mocker/timing.ts";
import type { ReportedLoad } from "../../../actors/router/policy/worker-state.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import { HandOffs, type Timeline } from "./hand-offs.ts";
import { MeteredTiming } from "./metered-timing.ts";
import { type MachineTiers, type WorkerLinks, WorkerTiers } from "./tiers.ts";

/**
 * What a worker does of a request. `prompt`: another one makes the answer, and has its first token
 * from here; `rest`: what follows such a token.
 */
export type AnswerPart = "whole" | "prompt" | "rest";

export class ReplaySequence extends Sequence {
  readonly #draw: Draw;

  constructor(
    readonly index: number,
    names: BlockNames,
    prompt_tokens: number,
    max_tokens: number,
    readonly part: AnswerPart = "whole",
  ) {
    super(names, prompt_tokens, max_tokens);
    this.#draw = { seed_low: index, seed_high: 0, choice: 0 };
  }

  override get draw(): Draw {
    return this.#draw;
  }
}

export type WorkerListener = {
  readonly event: (event: KvEvent) => void;
  readonly firstToken: (sequence: ReplaySequence, at_ms: number) => void;
  readonly finished: (sequence: ReplaySequence, at_ms: number) => void;
};

export type SimulatedWorkerParts = {
  readonly options: MockerOptions;
  readonly timing: MockerTiming;
  readonly listener: WorkerListener;
  readonly timeline: Timeline;
  /** Those of its machine; none: its blocks stay in its engine. */
  readonly tiers: { readonly machine: MachineTiers; readonly name: string } | undefined;
};

/** Routers hear of a worker's load that often, as from a live one. */
const REPORT_EVERY_MS = 50;

export class SimulatedWorker {
  readonly scheduler: MockerScheduler<ReplaySequence>;
  readonly timing: MeteredTiming;
  /** When the scheduler is to be stepped again. */
  due_ms = Number.POSITIVE_INFINITY;
  requests = 0;
  /** Requests whose blocks are being brought in. */
  onboarding = 0;
  /** Answers and prompts that it has not finished, and prompts that it has not handed over. */
  owes = 0;
  /** It retires, and the router knows: nothing new comes. */
  forgotten = false;
  readonly tiers: WorkerTiers | undefined;
  readonly links: WorkerLinks;
  /** Of the prompts that it computes for others. */
  readonly hand_offs: HandOffs;
  #reported_ms = Number.NEGATIVE_INFINITY;

  constructor({ options, timing, listener, timeline, tiers }: SimulatedWorkerParts) {
    this.timing = new MeteredTiming(timing);
    const speeds = linkSpeeds(options);
    this.links = { out: new Link(speeds.out), in: new Link(speeds.in) };
    const tokens = options.block_size;
    const block = { tokens, bytes: tokens * options.kv_bytes_per_token };
    this.hand_offs = new HandOffs(timeline, this.links.out, block);
    const log = new KvEventLog();
    log.onEvent((event) => {
      listener.event(event);
      if (event.kind === "stored") this.tiers?.stored(event);
    });
    this.scheduler = new MockerScheduler<ReplaySequence>(options, {
      timing: this.timing,
      log,
      sink: {
        firstToken: (sequence, at_ms) => listener.firstToken(sequence, at_ms),
        finished: listener.finished,
      },
    });
    this.tiers = tiers && new WorkerTiers(tiers.name, tiers.machine, this.scheduler, this.links);
  }

  submit(sequence: ReplaySequence): void {
    this.requests++;
    this.scheduler.submit(sequence);
  }

  step(now_ms: number): number {
    this.due_ms = this.scheduler.step(now_ms);
    this.tiers?.stepped();
    this.hand_offs.stepped(this.scheduler.pass_end_ms);
    return this.due_ms;
  }

  /** What it tells routers now, undefined when it has told them a moment ago. */
  report(now_ms: number): ReportedLoad | undefined {
    if (now_ms - this.#reported_ms < REPORT_EVERY_MS) return undefined;
    this.#reported_ms = now_ms;
    const { scheduler } = this;
    return {
      used_blocks: scheduler.pool.used,
      running: scheduler.running_count,
      waiting: scheduler.waiting_count + this.onboarding,
      waiting_prefill_tokens: scheduler.uncomputedTokens(),
    };
  }
}
