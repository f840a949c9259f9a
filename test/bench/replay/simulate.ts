/**
 * Replays a trace in virtual time: arrivals, the router, N mocker workers. Nothing waits for real
 * time, and the same settings give the same result.
 *
 * The router hears what happens at a worker `lag_ms` later (0: at once, before the next pass
 * begins), as over the event plane.
 *
 * Long because all of it moves the same requests between the same workers.
 */
import type { MockerOptions } from "../../../actors/engine/mocker/options.ts";
import type { MockerTiming } from "../../../actors/engine/mocker/timing.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import { TraceBlocks } from "../../../llm/blocks/trace-blocks.ts";
import { EventHeap } from "./event-heap.ts";
import type { Timeline } from "./hand-offs.ts";
import type { ReplayRouter } from "./replay-router.ts";
import { ReplaySequence, SimulatedWorker, type WorkerListener } from "./simulated-worker.ts";
import { type Brought, type MachineFigures, MachineTiers, type TierShape } from "./tiers.ts";
import type { TraceRequest } from "./trace.ts";

export type ReplaySettings = {
  readonly workers: number;
  readonly mocker: MockerOptions;
  readonly timing: MockerTiming;
  readonly trace_block_size: number;
  /** Divides all arrival times and think times. */
  readonly arrival_speedup: number;
  readonly lag_ms: number;
  /** Requests in flight at most, in place of the trace's arrival times; 0: as the trace says. */
  readonly concurrency: number;
  /** Tiers below the engines; none: blocks stay in them. */
  readonly tiers?: TierShape & { readonly workers_per_machine: number };
  /** How many workers, the first ones, only compute prompts for the others. Default 0. */
  readonly prefill?: number;
  /** Happenings without a request that comes, begins or ends, after which it gives up. */
  readonly happenings_max?: number;
};

/** Times in ms of virtual time; NaN when it never happened. */
export type RequestRecord = {
  readonly id: string;
  readonly input_length: number;
  readonly output_length: number;
  readonly strict_priority: number;
  readonly policy_class: string | undefined;
  arrival_ms: number;
  routed_ms: number;
  first_token_ms: number;
  end_ms: number;
  worker: number;
  cached_tokens: number;
  /** Of the cached ones, those that were brought in from host memory and from a disk, if any. */
  host_tokens?: number;
  disk_tokens?: number;
  /** Of a prompt that another worker computed: when it was done, and when all was handed over. */
  computed_ms?: number;
  handed_ms?: number;
  preemptions: number;
  refused: string | undefined;
};

export type WorkerFigures = {
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly generated_tokens: number;
  readonly busy_ms: number;
  readonly preemptions: number;
};

export type ReplayResult = {
  readonly records: readonly RequestRecord[];
  readonly workers: readonly WorkerFigures[];
  /** One a machine; empty without tiers. */
  readonly machines: readonly MachineFigures[];
  readonly end_ms: number;
};

type Happening =
  | { readonly kind: "arrival"; readonly index: number }
  | { readonly kind: "step"; readonly worker: number }
  | { readonly kind: "news"; readonly tell: () => void };

/** Nothing is served any more, though there is something to do. */
export class ReplayStuckError extends Error {
  readonly code = "replay_stuck";
}

/** An answer of a million tokens on one worker makes fewer happenings between two that count. */
const HAPPENINGS_MAX = 5_000_000;

export function simulate(
  trace: readonly TraceRequest[],
  settings: ReplaySettings,
  router: ReplayRouter,
): ReplayResult {
  return new Simulation(trace, settings, router).run();
}

class Simulation {
  readonly #heap = new EventHeap<Happening>();
  readonly #machines: MachineTiers[] = [];
  readonly #workers: SimulatedWorker[];
  readonly #records: RequestRecord[];
  /** Requests that wait for others, by the one they wait for. */
  readonly #followers = new Map<number, number[]>();
  readonly #missing: Int32Array;
  readonly #brought = new Map<number, Brought>();
  /** Tokens of prompts that were computed for other workers. */
  readonly #computed = new Map<number, number>();
  readonly #names: (TraceBlocks | undefined)[];
  readonly #ended_ms: Float64Array;
  #now_ms = 0;
  #pumping = false;
  #happenings_left = 0;
  /** Since the router was asked last. */
  #changed = false;
  readonly #first_turns: { readonly index: number; readonly at_ms: number }[] = [];
  #next_in_line = 0;

  readonly #timeline: Timeline = {
    now_ms: () => this.#now_ms,
    at: (due_ms, run) => this.#heap.push(due_ms, { kind: "news", tell: run }),
  };
  readonly #trace: readonly TraceRequest[];
  readonly #settings: ReplaySettings;
  readonly #router: ReplayRouter;

  constructor(trace: readonly TraceRequest[], settings: ReplaySettings, router: ReplayRouter) {
    this.#trace = trace;
    this.#settings = settings;
    this.#router = router;
    this.#records = trace.map(recordOf);
    this.#missing = Int32Array.from(trace, ({ after }) => after.length);
    this.#names = trace.map(() => undefined);
    this.#ended_ms = new Float64Array(trace.length);
    this.#workers = Array.from({ length: settings.workers }, (_, worker) => this.#worker(worker));
  }

  run(): ReplayResult {
    this.#schedule();
    this.#progress();
    for (let next = this.#heap.pop(); next !== undefined; next = this.#heap.pop()) {
      this.#now_ms = next.at_ms;
      if (--this.#happenings_left < 0) throw this.#stuck();
      const { event } = next;
      if (event.kind === "arrival") this.#arrive(event.index);
      else if (event.kind === "step") this.#step(event.worker, next.at_ms);
      else event.tell();
      if (this.#changed) this.#pump();
    }
    const workers = this.#workers.map(figuresOf);
    const machines = this.#machines.map((machine) => machine.figures());
    return { records: this.#records, workers, machines, end_ms: this.#now_ms };
  }

  #progress(): void {
    this.#happenings_left = this.#settings.happenings_max ?? HAPPENINGS_MAX;
  }

  #stuck(): ReplayStuckError {
    const open = this.#records.filter((each) => Number.isNaN(each.end_ms) && !each.refused).length;
    const workers = this.#workers.map(({ scheduler }, number) => {
      const { running_count, waiting_count, pool } = scheduler;
      return `${number}: ${running_count} running, ${waiting_count} waiting, ${pool.used} blocks`;
    });
    return new ReplayStuckError(
      `no request goes on at ${Math.round(this.#now_ms)} ms, ${open} not ended; ${workers.join("; ")}`,
    );
  }

  #schedule(): void {
    const { concurrency, arrival_speedup } = this.#settings;
    for (const [index, { after, arrival_ms }] of this.#trace.entries()) {
      for (const other of after) {
        const list = this.#followers.get(other);
        if (list === undefined) this.#followers.set(other, [index]);
        else list.push(index);
      }
      if (after.length === 0)
        this.#first_turns.push({ index, at_ms: (arrival_ms ?? 0) / arrival_speedup });
    }
    if (concurrency === 0) this.#first_turns.sort((a, b) => a.at_ms - b.at_ms);
    this.#startNextInLine();
    for (let i = 1; i < concurrency; i++) this.#startNextInLine();
  }

  /** One at a time, so that the heap stays small. */
  #startNextInLine(): void {
    const next = this.#first_turns[this.#next_in_line++];
    if (next === undefined) return;
    const { index, at_ms } = next;
    const come_ms = this.#settings.concurrency > 0 ? this.#now_ms : at_ms;
    this.#heap.push(come_ms, { kind: "arrival", index });
  }

  #worker(number: number): SimulatedWorker {
    const router = this.#router;
    const { mocker, timing } = this.#settings;
    const listener: WorkerListener = {
      event: (event) => this.#tell(() => router.event(number, event)),
      firstToken: ({ index, prompt_only }, at_ms) => {
        if (prompt_only) return;
        this.#records[index]!.first_token_ms = at_ms;
        this.#progress();
        this.#tellChange(() => router.firstToken(String(index), this.#now_ms));
        // What is sent now is there when the worker begins its next pass.
        this.#pump();
      },
      finished: (sequence, at_ms) => {
        if (sequence.prompt_only) this.#promptDone(sequence, at_ms);
        else this.#finish(sequence, at_ms);
      },
    };
    const machine = this.#machineOf(number);
    const tiers = machine && { machine, name: `${number}` };
    const options = number < (this.#settings.prefill ?? 0) ? promptsOnly(mocker) : mocker;
    return new SimulatedWorker({ options, timing, listener, timeline: this.#timeline, tiers });
  }

  #machineOf(worker: number): MachineTiers | undefined {
    const { tiers: shape, workers, mocker } = this.#settings;
    if (shape === undefined) return undefined;
    const { workers_per_machine } = shape;
    const at = Math.floor(worker / workers_per_machine);
    const first = at * workers_per_machine;
    const last = Math.min(workers, first + workers_per_machine);
    this.#machines[at] ??= new MachineTiers(shape, {
      ...this.#timeline,
      block_bytes: mocker.block_size * mocker.kv_bytes_per_token,
      event: (event) =>
        this.#tell(() => {
          for (let number = first; number < last; number++) this.#router.event(number, event);
        }),
    });
    return this.#machines[at];
  }

  #tell(news: () => void): void {
    const { lag_ms } = this.#settings;
    if (lag_ms === 0) news();
    else this.#heap.push(this.#now_ms + lag_ms, { kind: "news", tell: news });
  }

  /** News after which somebody who waits may be able to go. */
  #tellChange(news: () => void): void {
    this.#tell(() => {
      this.#changed = true;
      news();
    });
  }

  #arrive(index: number): void {
    this.#progress();
    const first_turn = this.#trace[index]!.after.length === 0;
    if (first_turn && this.#settings.concurrency === 0) this.#startNextInLine();
    const { input_length, hash_ids, session, strict_priority, policy_class } = this.#trace[index]!;
    const { trace_block_size, mocker } = this.#settings;
    const names = new TraceBlocks(
      hash_ids,
      trace_block_size,
      input_length,
      mocker.block_size,
      index,
    );
    this.#names[index] = names;
    this.#records[index]!.arrival_ms = this.#now_ms;
    const hashes = pairsOf(names.hashes().sequence_hashes);
    const request = {
      request: String(index),
      prompt_tokens: input_length,
      hashes,
      strict_priority,
      ...(session === undefined ? {} : { session }),
      ...(policy_class === undefined ? {} : { policy_class }),
    };
    this.#changed = true;
    const refused = this.#router.offer(request, this.#now_ms);
    if (refused?.kind === "refused") this.#refuse(index, refused.message);
  }

  /** Sends on whoever may go. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#changed = false;
    for (;;) {
      const decision = this.#router.next(this.#now_ms);
      if (decision === undefined) break;
      const index = Number(decision.request);
      if (decision.kind === "placed") this.#submit(index, decision.worker, decision.prompt);
      else this.#refuse(index, decision.message);
    }
    this.#pumping = false;
  }

  #submit(
    index: number,
    number: number,
    prompt: { readonly worker: number; readonly tokens: number } | undefined,
  ): void {
    const record = this.#records[index]!;
    const worker = this.#workers[number]!;
    record.routed_ms = this.#now_ms;
    record.worker = number;
    const { input_length, output_length } = this.#trace[index]!;
    const names = this.#names[index]!;
    const sequence = new ReplaySequence(index, names, input_length, output_length);
    if (!worker.scheduler.fits(sequence)) {
      this.#router.ended(String(index), this.#now_ms, 0);
      this.#refuse(index, "prompt and answer do not fit into the worker's blocks");
      return;
    }
    if (prompt === undefined) this.#bring(sequence, number);
    else this.#handOver(sequence, number, prompt);
  }

  /** Another worker computes the prompt, of which this one takes the blocks that it lacks. */
  #handOver(
    sequence: ReplaySequence,
    number: number,
    prompt: { readonly worker: number; readonly tokens: number },
  ): void {
    const { index } = sequence;
    const names = this.#names[index]!;
    const { scheduler, links } = this.#workers[number]!;
    const hashes = names.hashes().sequence_hashes;
    const end = prompt.tokens / this.#settings.mocker.block_size;
    let first = 0;
    while (first < end && scheduler.news.has(hashes[first]!)) first++;
    const leg = new ReplaySequence(index, names, prompt.tokens, 1, true);
    const done = () => {
      this.#records[index]!.handed_ms = this.#now_ms;
      scheduler.news.bringIn(names, first, end);
      this.#enter(sequence, number);
    };
    if (first === end) done();
    else {
      const { hand_offs } = this.#workers[prompt.worker]!;
      hand_offs.begin({ sequence: leg, into: links.in, first, end, done });
    }
    this.#bring(leg, prompt.worker);
  }

  /** The tiers bring in what they have of its prompt; then it enters. */
  #bring(sequence: ReplaySequence, number: number): void {
    const worker = this.#workers[number]!;
    const { index, prompt_length } = sequence;
    const blocks = Math.floor((prompt_length - 1) / this.#settings.mocker.block_size);
    const onboards = worker.tiers?.onboard(this.#names[index]!, blocks, (brought) => {
      worker.onboarding--;
      this.#brought.set(index, brought);
      this.#enter(sequence, number);
    });
    if (onboards) worker.onboarding++;
    else this.#enter(sequence, number);
  }

  #enter(sequence: ReplaySequence, number: number): void {
    const worker = this.#workers[number]!;
    worker.submit(sequence);
    // Everything sent at this instant is to be in the pass that begins with it.
    if (worker.due_ms === Number.POSITIVE_INFINITY) {
      worker.due_ms = this.#now_ms;
      this.#heap.push(this.#now_ms, { kind: "step", worker: number });
    }
  }

  #step(number: number, at_ms: number): void {
    const worker = this.#workers[number]!;
    if (worker.due_ms !== at_ms) return;
    const due_ms = worker.step(at_ms);
    if (due_ms < Number.POSITIVE_INFINITY)
      this.#heap.push(due_ms, { kind: "step", worker: number });
    const load = worker.report(at_ms);
    if (load === undefined) return;
    const sums = worker.timing.take();
    this.#tellChange(() => this.#router.reported(number, load, this.#now_ms, sums));
  }

  #promptDone({ index, prompt_length, cached_tokens }: ReplaySequence, at_ms: number): void {
    this.#records[index]!.computed_ms = at_ms;
    this.#computed.set(index, prompt_length - cached_tokens);
    this.#tellChange(() => this.#router.promptDone(String(index), this.#now_ms));
  }

  #finish(sequence: ReplaySequence, at_ms: number): void {
    const record = this.#records[sequence.index]!;
    record.end_ms = at_ms;
    // What another worker has computed of the prompt is not cached, though it was found here.
    const computed = this.#computed.get(sequence.index) ?? 0;
    this.#computed.delete(sequence.index);
    record.cached_tokens = Math.max(0, sequence.cached_tokens - computed);
    this.#countBrought(sequence.index, record);
    record.preemptions = sequence.preemptions;
    this.#tellChange(() =>
      this.#router.ended(String(sequence.index), this.#now_ms, sequence.generated),
    );
    this.#names[sequence.index] = undefined;
    this.#over(sequence.index, at_ms);
  }

  #countBrought(index: number, record: RequestRecord): void {
    const brought = this.#brought.get(index);
    if (brought === undefined) return;
    this.#brought.delete(index);
    const { block_size } = this.#settings.mocker;
    const behind = Math.max(0, record.cached_tokens - brought.first * block_size);
    record.host_tokens = Math.min(behind, brought.host * block_size);
    record.disk_tokens = Math.min(behind - record.host_tokens, brought.disk * block_size);
  }

  #refuse(index: number, message: string): void {
    this.#records[index]!.refused = message;
    this.#over(index, this.#now_ms);
  }

  #over(index: number, at_ms: number): void {
    this.#progress();
    for (const follower of this.#followers.get(index) ?? []) {
      this.#ended_ms[follower] = Math.max(this.#ended_ms[follower]!, at_ms);
      if (--this.#missing[follower]! > 0) continue;
      const think_ms = this.#trace[follower]!.delay_ms / this.#settings.arrival_speedup;
      const come_ms = this.#ended_ms[follower]! + think_ms;
      this.#heap.push(come_ms, { kind: "arrival", index: follower });
    }
    if (this.#settings.concurrency > 0) this.#startNextInLine();
  }
}

function recordOf(request: TraceRequest): RequestRecord {
  const { id, input_length, output_length, strict_priority, policy_class } = request;
  return {
    id,
    input_length,
    output_length,
    strict_priority,
    policy_class,
    arrival_ms: Number.NaN,
    routed_ms: Number.NaN,
    first_token_ms: Number.NaN,
    end_ms: Number.NaN,
    worker: -1,
    cached_tokens: 0,
    preemptions: 0,
    refused: undefined,
  };
}

/** A worker that draws no token beside its prompts; what it hands over is timed here. */
const promptsOnly = (options: MockerOptions): MockerOptions => ({
  ...options,
  worker_type: "prefill",
  kv_transfer_bandwidth: 0,
});

function figuresOf(worker: SimulatedWorker): WorkerFigures {
  const { totals } = worker.scheduler;
  return {
    requests: worker.requests,
    prompt_tokens: totals.prompt,
    cached_tokens: totals.cached,
    generated_tokens: totals.generated,
    busy_ms: worker.timing.busy_ms,
    preemptions: totals.preemptions,
  };
}
