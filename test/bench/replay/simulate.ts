/**
 * Replays a trace in virtual time: arrivals, the router, N mocker workers. Nothing waits for real
 * time, and the same settings give the same result.
 *
 * The router hears what happens at a worker `lag_ms` later (0: at once, before the next pass
 * begins), as over the event plane.
 *
 * With a planner, workers come and go: a new one serves after a delay, and one that retires gets
 * nothing new and is gone when it has finished what it has.
 *
 * Long because all of it moves the same requests between the same workers.
 */
import type { MockerOptions } from "../../../actors/engine/mocker/options.ts";
import type { MockerTiming } from "../../../actors/engine/mocker/timing.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import { TraceBlocks } from "../../../llm/blocks/trace-blocks.ts";
import type { GoodputLimits } from "../goodput.ts";
import { EventHeap } from "./event-heap.ts";
import type { Timeline } from "./hand-offs.ts";
import { Fleet, type WorkerLife } from "./plan/fleet.ts";
import { PlannerLoop, type PlanRules, type ReplicaPoint } from "./plan/planner-loop.ts";
import type { ReplayRouter } from "./replay-router.ts";
import { ReplaySequence, SimulatedWorker, type WorkerListener } from "./simulated-worker.ts";
import { OutsideCount } from "./sla/outside-count.ts";
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
  /** Not given: the workers stay as they are. */
  readonly plan?: PlanRules;
  /** Ends the replay as soon as more requests than `most` are outside the limits. */
  readonly stop?: { readonly sla: GoodputLimits; readonly most: number };
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
  /** Of its answer, tokens that were guessed. */
  accepted_tokens: number;
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
  /** One a worker, also those that are gone or never served. */
  readonly workers: readonly WorkerFigures[];
  readonly lives: readonly WorkerLife[];
  /** At the beginning and after each tick of the planner; empty without one. */
  readonly replicas: readonly ReplicaPoint[];
  /** One a machine; empty without tiers. */
  readonly machines: readonly MachineFigures[];
  readonly end_ms: number;
  /** True: `stop` ended it, and some requests have not ended or never came. */
  readonly stopped: boolean;
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
  /** Those that serve or retire, by number. */
  readonly #workers: (SimulatedWorker | undefined)[] = [];
  readonly #figures: WorkerFigures[] = [];
  readonly #fleet = new Fleet();
  readonly #loop: PlannerLoop | undefined;
  readonly #outside: OutsideCount | undefined;
  /** Requests that are not over. */
  #open: number;
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
    this.#open = trace.length;
    this.#outside = settings.stop && new OutsideCount(settings.stop);
    for (let number = 0; number < settings.workers; number++) {
      const life = this.#fleet.add(this.#roleOf(number), "serving", 0);
      this.#workers[number] = this.#worker(life);
    }
    if (settings.plan !== undefined) this.#loop = this.#planned(settings.plan);
  }

  /** Of the workers that are there from the beginning. */
  #roleOf(number: number): WorkerLife["role"] {
    const { prefill = 0 } = this.#settings;
    if (prefill === 0) return "aggregated";
    return number < prefill ? "prefill" : "decode";
  }

  #planned(rules: PlanRules): PlannerLoop {
    const { block_size, num_gpu_blocks, max_num_batched_tokens, max_num_seqs } =
      this.#settings.mocker;
    const max_kv_tokens = num_gpu_blocks * block_size;
    return new PlannerLoop(this.#fleet, rules, {
      ...this.#timeline,
      engine: (number) => this.#workers[number],
      up: (life) => this.#up(life),
      drain: ({ number }) =>
        this.#tellChange(() => {
          this.#router.workerGone(number, this.#now_ms);
          const worker = this.#workers[number];
          if (worker === undefined) return;
          worker.forgotten = true;
          this.#goIfDone(number);
        }),
      limits: {
        ...{ context_length: max_kv_tokens, max_kv_tokens, block_size },
        ...{ max_batch_tokens: max_num_batched_tokens, max_seqs: max_num_seqs },
      },
    });
  }

  #up(life: WorkerLife): void {
    const { number, role } = life;
    this.#workers[number] = this.#worker(life);
    this.#tellChange(() => this.#router.workerUp(number, role === "prefill", this.#now_ms));
  }

  /** The worker has one thing less to do. */
  #release(number: number): void {
    const worker = this.#workers[number];
    if (worker === undefined) return;
    worker.owes--;
    this.#goIfDone(number);
  }

  /** What it has sent on is under way without it. */
  #goIfDone(number: number): void {
    const worker = this.#workers[number];
    if (worker?.forgotten !== true || worker.owes > 0) return;
    this.#figures[number] = figuresOf(worker);
    this.#workers[number] = undefined;
    this.#loop?.pool.retired(this.#fleet.lives[number]!);
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
      // A planner would go on for ever.
      if (this.#open === 0 && this.#loop !== undefined) break;
      if (this.#outside?.enough === true) break;
    }
    const { lives } = this.#fleet;
    const workers = lives.map(({ number }) => {
      const worker = this.#workers[number];
      return worker === undefined ? (this.#figures[number] ?? noFigures) : figuresOf(worker);
    });
    return {
      ...{ records: this.#records, workers, lives, end_ms: this.#now_ms },
      replicas: this.#loop?.replicas ?? [],
      stopped: this.#outside?.enough ?? false,
      machines: this.#machines.map((machine) => machine.figures()),
    };
  }

  #progress(): void {
    this.#happenings_left = this.#settings.happenings_max ?? HAPPENINGS_MAX;
  }

  #stuck(): ReplayStuckError {
    const open = this.#records.filter((each) => Number.isNaN(each.end_ms) && !each.refused).length;
    const workers = this.#workers.map((worker, number) => {
      if (worker === undefined) return `${number}: gone`;
      const { scheduler } = worker;
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
    this.#loop?.start(concurrency > 0 ? 0 : (this.#first_turns[0]?.at_ms ?? 0));
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

  #worker({ number, role }: WorkerLife): SimulatedWorker {
    const router = this.#router;
    const { mocker, timing } = this.#settings;
    const listener: WorkerListener = {
      event: (event) => this.#tell(() => router.event(number, event)),
      firstToken: ({ index, part }, at_ms) => {
        if (part !== "whole") return;
        this.#firstToken(index, at_ms);
        // What is sent now is there when the worker begins its next pass.
        this.#pump();
      },
      finished: (sequence, at_ms) => {
        if (sequence.part === "prompt") this.#promptDone(sequence, number, at_ms);
        else this.#finish(sequence, at_ms);
      },
    };
    const machine = this.#machineOf(number);
    const tiers = machine && { machine, name: `${number}` };
    const options = role === "prefill" ? promptsOnly(mocker) : mocker;
    return new SimulatedWorker({ options, timing, listener, timeline: this.#timeline, tiers });
  }

  #machineOf(worker: number): MachineTiers | undefined {
    const { tiers: shape, mocker } = this.#settings;
    if (shape === undefined) return undefined;
    const { workers_per_machine } = shape;
    const at = Math.floor(worker / workers_per_machine);
    const first = at * workers_per_machine;
    const last = first + workers_per_machine;
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
    this.#loop?.traffic.arrived(this.#records[index]!);
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
    this.#loop?.traffic.routed(record);
    const { input_length, output_length } = this.#trace[index]!;
    const names = this.#names[index]!;
    const sequence = new ReplaySequence(index, names, input_length, output_length);
    if (!worker.scheduler.fits(sequence)) {
      this.#router.ended(String(index), this.#now_ms, 0);
      this.#refuse(index, "prompt and answer do not fit into the worker's blocks");
      return;
    }
    worker.owes++;
    if (prompt === undefined) this.#bring(sequence, number);
    else this.#handOver(sequence, number, prompt);
  }

  /**
   * Another worker computes the prompt, of which this one takes the blocks that it lacks. It goes
   * on behind the token that was drawn there, unless it has the blocks before it hears of that.
   */
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
    const { input_length, output_length } = this.#trace[index]!;
    const draws = output_length > 1;
    const leg = new ReplaySequence(index, names, draws ? input_length : prompt.tokens, 1, "prompt");
    this.#computed.set(index, prompt.tokens);
    const computes = this.#workers[prompt.worker]!;
    // To compute it, and to hand it over.
    computes.owes += 2;
    const done = () => {
      const record = this.#records[index]!;
      record.handed_ms = this.#now_ms;
      scheduler.news.bringIn(names, first, end);
      const isDrawn = draws && record.computed_ms !== undefined;
      if (isDrawn) this.#firstToken(index, this.#now_ms);
      const rest = () =>
        new ReplaySequence(index, names, input_length + 1, output_length - 1, "rest");
      this.#enter(isDrawn ? rest() : sequence, number);
      this.#release(prompt.worker);
    };
    if (first === end) done();
    else {
      computes.hand_offs.begin({ sequence: leg, into: links.in, first, end, done });
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
    const worker = this.#workers[number];
    if (worker?.due_ms !== at_ms) return;
    const due_ms = worker.step(at_ms);
    if (due_ms < Number.POSITIVE_INFINITY)
      this.#heap.push(due_ms, { kind: "step", worker: number });
    const load = worker.report(at_ms);
    if (load === undefined) return;
    const sums = worker.timing.take();
    this.#tellChange(() => this.#router.reported(number, load, this.#now_ms, sums));
  }

  #firstToken(index: number, at_ms: number): void {
    const record = this.#records[index]!;
    record.first_token_ms = at_ms;
    this.#loop?.traffic.firstToken(record);
    this.#outside?.firstToken(record);
    this.#progress();
    this.#tellChange(() => this.#router.firstToken(String(index), this.#now_ms));
  }

  #promptDone(sequence: ReplaySequence, number: number, at_ms: number): void {
    const { index, cached_tokens } = sequence;
    this.#records[index]!.computed_ms = at_ms;
    this.#computed.set(index, Math.max(0, this.#computed.get(index)! - cached_tokens));
    this.#tellChange(() => this.#router.promptDone(String(index), this.#now_ms));
    this.#release(number);
  }

  #finish(sequence: ReplaySequence, at_ms: number): void {
    const record = this.#records[sequence.index]!;
    const generated = sequence.generated + (sequence.part === "rest" ? 1 : 0);
    record.end_ms = at_ms;
    // What another worker has computed of the prompt is not cached, though it was found here.
    const computed = this.#computed.get(sequence.index) ?? 0;
    this.#computed.delete(sequence.index);
    record.cached_tokens = Math.max(0, sequence.cached_tokens - computed);
    this.#countBrought(sequence.index, record);
    record.preemptions = sequence.preemptions;
    record.accepted_tokens = sequence.accepted;
    this.#tellChange(() => this.#router.ended(String(sequence.index), this.#now_ms, generated));
    this.#names[sequence.index] = undefined;
    this.#loop?.traffic.ended(record);
    this.#outside?.ended(record);
    this.#release(record.worker);
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
    this.#loop?.traffic.refused(this.#records[index]!);
    this.#outside?.refused();
    this.#over(index, this.#now_ms);
  }

  #over(index: number, at_ms: number): void {
    this.#progress();
    this.#open--;
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
    accepted_tokens: 0,
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

const noFigures: WorkerFigures = {
  ...{ requests: 0, prompt_tokens: 0, cached_tokens: 0, generated_tokens: 0 },
  ...{ busy_ms: 0, preemptions: 0 },
};

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
