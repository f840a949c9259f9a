/** One mocker worker in virtual time: the mocker's own scheduler, told the time by the replay. */
import { KvEventLog } from "../../../actors/engine/kv-event-log.ts";
import type { MockerOptions } from "../../../actors/engine/mocker/options.ts";
import { MockerScheduler } from "../../../actors/engine/mocker/scheduler.ts";
import { type BlockNames, Sequence } from "../../../actors/engine/mocker/sequence.ts";
import type { MockerTiming } from "../../../actors/engine/mocker/timing.ts";
import type { ReportedLoad } from "../../../actors/router/policy/worker-state.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import { MeteredTiming } from "./metered-timing.ts";
import { type MachineTiers, WorkerTiers } from "./tiers.ts";

export class ReplaySequence extends Sequence {
  constructor(
    readonly index: number,
    names: BlockNames,
    prompt_tokens: number,
    max_tokens: number,
  ) {
    super(names, prompt_tokens, max_tokens);
  }
}

export type WorkerListener = {
  readonly event: (event: KvEvent) => void;
  readonly firstToken: (index: number, at_ms: number) => void;
  readonly finished: (sequence: ReplaySequence, at_ms: number) => void;
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
  readonly tiers: WorkerTiers | undefined;
  #reported_ms = Number.NEGATIVE_INFINITY;

  /** @param machine whose tiers it uses; none: its blocks stay in its engine */
  constructor(
    options: MockerOptions,
    timing: MockerTiming,
    listener: WorkerListener,
    machine?: { readonly tiers: MachineTiers; readonly name: string },
  ) {
    this.timing = new MeteredTiming(timing);
    const log = new KvEventLog();
    log.onEvent((event) => {
      listener.event(event);
      if (event.kind === "stored") this.tiers?.stored(event);
    });
    this.scheduler = new MockerScheduler<ReplaySequence>(options, {
      timing: this.timing,
      log,
      sink: {
        firstToken: (sequence, at_ms) => listener.firstToken(sequence.index, at_ms),
        finished: listener.finished,
      },
    });
    this.tiers = machine && new WorkerTiers(machine.name, machine.tiers, this.scheduler);
  }

  submit(sequence: ReplaySequence): void {
    this.requests++;
    this.scheduler.submit(sequence);
  }

  step(now_ms: number): number {
    this.due_ms = this.scheduler.step(now_ms);
    this.tiers?.stepped();
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
