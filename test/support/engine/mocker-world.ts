/** A simulated rank in virtual time, with everything it said written down. */
import { KvEventLog } from "../../../actors/engine/kv-event-log.ts";
import { type MockerOptions, mockerOptions } from "../../../actors/engine/mocker/options.ts";
import { MockerScheduler } from "../../../actors/engine/mocker/scheduler.ts";
import { type BlockNames, Sequence } from "../../../actors/engine/mocker/sequence.ts";
import { type MockerTiming, polynomialTiming } from "../../../actors/engine/mocker/timing.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import { TraceBlocks } from "../../../llm/blocks/trace-blocks.ts";

export class Job extends Sequence {
  arrival_ms = 0;
  admitted_ms = -1;
  first_token_ms = -1;
  finished_ms = -1;
  /** Times that it was said to be over. */
  ends = 0;

  constructor(names: BlockNames, prompt: number, output: number, prefilled = 0) {
    super(names, prompt, output, prefilled);
  }
}

/** A request of `prompt` tokens whose blocks are named by `ids`, one a block. */
export function job(
  { block_size }: MockerOptions,
  ids: readonly number[],
  prompt: number,
  output: number,
  own = 0,
  prefilled = 0,
): Job {
  const names = new TraceBlocks(ids, block_size, prompt, block_size, own);
  return new Job(names, prompt, output, prefilled);
}

export class MockerWorld {
  readonly options: MockerOptions;
  readonly log = new KvEventLog();
  readonly #heard: KvEvent[] = [];
  readonly scheduler: MockerScheduler<Job>;
  readonly finished: Job[] = [];
  now_ms = 0;

  constructor(options: Partial<MockerOptions>, timing: MockerTiming = polynomialTiming) {
    this.options = mockerOptions(options);
    this.log.onEvent((event) => this.#heard.push(event));
    this.scheduler = new MockerScheduler<Job>(this.options, {
      timing,
      log: this.log,
      sink: {
        admitted: (each, now_ms) => {
          each.admitted_ms = now_ms;
        },
        firstToken: (each, at_ms) => {
          each.first_token_ms = at_ms;
        },
        finished: (each, at_ms) => {
          each.finished_ms = at_ms;
          each.ends++;
          this.finished.push(each);
        },
      },
    });
  }

  job(ids: readonly number[], prompt: number, output: number, own = 0, prefilled = 0): Job {
    return job(this.options, ids, prompt, output, own, prefilled);
  }

  submit(...jobs: readonly Job[]): void {
    for (const each of jobs) {
      each.arrival_ms = this.now_ms;
      this.scheduler.submit(each);
    }
  }

  /** Steps until nothing is due; `between` runs after each step. Throws when it never ends. */
  run(between: () => void = () => {}): void {
    for (let steps = 0; steps < 100_000; steps++) {
      const due_ms = this.scheduler.step(this.now_ms);
      between();
      if (due_ms === Number.POSITIVE_INFINITY) return;
      this.now_ms = due_ms;
    }
    throw new Error("the scheduler is never idle");
  }

  events(): readonly KvEvent[] {
    return this.#heard;
  }
}

/** A cache that knows only what events say. Throws on what a router could not make sense of. */
export class CacheReplica {
  /** Parent by sequence hash; undefined for a first block. */
  readonly parents = new Map<bigint, bigint | undefined>();

  apply(event: KvEvent): void {
    if (event.kind === "cleared") {
      this.parents.clear();
    } else if (event.kind === "removed") {
      for (const hash of event.sequence_hashes) {
        if (!this.parents.delete(hash)) throw new Error(`${hash} is removed but was not there`);
      }
    } else {
      let parent = event.parent_hash;
      for (const hash of event.sequence_hashes) {
        if (this.parents.has(hash)) throw new Error(`${hash} is stored twice`);
        if (parent !== undefined && !this.parents.has(parent)) {
          throw new Error(`${hash} is stored without its parent`);
        }
        this.parents.set(hash, parent);
        parent = hash;
      }
    }
  }
}
