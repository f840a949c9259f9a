/**
 * Runs the batches of the cluster. Each frontend has such an actor, and one of them at a time
 * leads: the one that holds a name in the registry. When its process ends another gets the name and
 * goes on where the records say. Two that believe to lead at once do work twice and record it once.
 *
 *   live-batch/ in the store ─▶ BatchRun, some at once ─▶ the frontend's own door, by `submit`
 *                                     ▲ turns of all runs: Slots ◀─ pace ◀─ what the router has
 */

import { errorText } from "../../runtime/error-text.ts";
import { Actor, type Snapshot } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { type FileShelf, timeOf } from "../files/files.ts";
import type { GetTraffic, Traffic as RouterTraffic } from "../router/router.ts";
import { pause } from "./answer-log.ts";
import type { Batch, BatchBook } from "./batch-book.ts";
import { BatchMetrics } from "./batch-metrics.ts";
import { BATCH_PREFIX } from "./batch-record.ts";
import { type BatchLimits, BatchRun, type SubmitLine } from "./batch-run.ts";
import { firstPace, nextPace, type Pace, paceRules, type Traffic } from "./pace.ts";
import { Slots } from "./slots.ts";

export type BatchesOptions = {
  readonly shelf: FileShelf;
  readonly book: BatchBook;
  readonly submit: SubmitLine;
  /** Bytes → JSON value, within the limits of all bodies. Throws an Error for clients. */
  readonly parse: (bytes: Uint8Array) => unknown;
  /** True: this process runs the cluster's batches. */
  readonly leads: () => boolean;
  /** False: nothing was ever stored, and a look would make the store. */
  readonly hasRecords: () => Promise<boolean>;
  readonly router: () => Ref<GetTraffic> | undefined;
  readonly limits?: BatchLimits;
};

export const batchLimits: BatchLimits = { lines: 50_000, line_bytes: 8 * 1024 * 1024 };
/** Batches of the cluster that are not over. */
export const LIVE_MAX = 100;

export type BatchesMessage =
  | { readonly kind: "look" }
  | { readonly kind: "pace" }
  | { readonly kind: "sweep" }
  | { readonly kind: "live"; readonly batches: readonly Batch[] }
  | { readonly kind: "run_over"; readonly id: string };

const LOOK_MS = 500;
const PACE_MS = 100;
const SWEEP_MS = 60_000;
const TRAFFIC_DEADLINE_MS = 1_000;
/** Batches that are answered at once; the others wait, the oldest first. */
const RUNS_MAX = 4;
/** A batch whose store failed is not taken up again before. */
const AGAIN_MS = 2_000;
/** A request that makes a batch writes its records in this time. */
const MADE_MS = 60_000;
const STOP_MS = 1_000;

const batchTime_ms = (id: string) => timeOf(id, BATCH_PREFIX);

export class BatchRunner extends Actor<BatchesMessage> {
  readonly #options: BatchesOptions;
  readonly #slots = new Slots();
  readonly #runs = new Map<string, BatchRun>();
  readonly #over = new Set<Promise<void>>();
  #metrics!: BatchMetrics;
  #pace: Pace = firstPace;
  #pacing = false;
  #asking = false;
  #looking = false;
  #ended = false;

  constructor(options: BatchesOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    const { system, self } = this.ctx;
    this.#metrics = new BatchMetrics(system.metrics);
    const count = (status: string) =>
      [...this.#runs.values()].filter((run) => run.status === status).length;
    this.#metrics.watch(count, {
      in_flight: () => this.#slots.taken,
      allowed: () => (this.#runs.size === 0 ? 0 : this.#slots.allowed),
    });
    this.#options.book.onChange = () => void self.tell({ kind: "look" });
    this.ctx.every(LOOK_MS, { kind: "look" });
    this.ctx.every(SWEEP_MS, { kind: "sweep" });
  }

  override receive(message: BatchesMessage): void {
    switch (message.kind) {
      case "look":
        if (this.#options.leads()) this.#look();
        else this.#stopAll();
        return;
      case "live":
        this.#looking = false;
        for (const batch of message.batches) this.#start(batch);
        return;
      case "run_over":
        this.#runs.delete(message.id);
        this.#look();
        return;
      case "pace":
        this.#pacing = false;
        if (this.#runs.size > 0) void this.#askTraffic();
        this.#keepPace();
        return;
      case "sweep":
        if (this.#options.leads()) void this.#sweep();
    }
  }

  override async terminate(): Promise<void> {
    this.#stopAll();
    // What is answered by now is recorded, as far as the disk can.
    await Promise.race([Promise.all(this.#over), pause(this.ctx.clock, STOP_MS)]);
  }

  override release(): void {
    this.#ended = true;
    this.#stopAll();
  }

  override inspect(): Snapshot {
    const { allowed, taken } = this.#slots;
    return {
      leads: this.#options.leads(),
      batches: [...this.#runs].map(([id, { status, counts }]) => ({ id, status, ...counts })),
      lines: { allowed, in_flight: taken },
    };
  }

  #look(): void {
    if (this.#looking || this.#runs.size >= RUNS_MAX) return;
    this.#looking = true;
    const told = (batches: readonly Batch[]) => void this.ctx.self.tell({ kind: "live", batches });
    this.#waiting().then(told, (error: unknown) => {
      this.#warn("batches cannot be looked for; tried again", error);
      told([]);
    });
  }

  /** Batches that nobody runs here, the oldest first. */
  async #waiting(): Promise<readonly Batch[]> {
    const { hasRecords, book } = this.#options;
    if (!(await hasRecords())) return [];
    const batches: Batch[] = [];
    for (const id of await book.live(LIVE_MAX)) {
      if (this.#runs.has(id)) continue;
      if (batches.length + this.#runs.size >= RUNS_MAX) break;
      const batch = await book.any(id);
      if (batch !== undefined) batches.push(batch);
      // Who made it crashed before it was there.
      else if (this.ctx.clock.wall_ms() - (batchTime_ms(id) ?? 0) > MADE_MS)
        await book.noLonger(id);
    }
    return batches;
  }

  #start(batch: Batch): void {
    const { made } = batch;
    if (this.#ended || this.#runs.has(made.id) || !this.#options.leads()) return;
    const { clock, random, log } = this.ctx;
    const { shelf, book, submit, parse, limits = batchLimits } = this.#options;
    const parts = { clock, random, log, shelf, book, submit, parse, limits };
    const run = new BatchRun({ ...parts, slots: this.#slots, metrics: this.#metrics }, batch);
    this.#runs.set(made.id, run);
    this.#keepPace();
    const over = run
      .run()
      .catch(async (error: unknown) => {
        this.#warn(`batch ${made.id} is interrupted; taken up again`, error);
        await pause(clock, AGAIN_MS);
      })
      .finally(() => {
        this.#over.delete(over);
        this.ctx.self.tell({ kind: "run_over", id: made.id });
      });
    this.#over.add(over);
  }

  /** The pace is looked at while there are lines alone. */
  #keepPace(): void {
    if (this.#pacing || this.#runs.size === 0) return;
    this.#pacing = true;
    this.ctx.after(PACE_MS, { kind: "pace" });
  }

  #stopAll(): void {
    for (const run of this.#runs.values()) run.stop();
  }

  async #askTraffic(): Promise<void> {
    const router = this.#options.router();
    if (this.#asking || router === undefined) return;
    this.#asking = true;
    try {
      const options = { deadline_ms: TRAFFIC_DEADLINE_MS };
      const traffic = await this.ctx.ask(router, { kind: "get_traffic" }, options);
      this.#take(traffic);
    } catch {
      // The router is between two lives.
    } finally {
      this.#asking = false;
    }
  }

  #take({ workers, requests, lowest, waiting }: RouterTraffic): void {
    // A router of another mode than kv knows no priorities.
    const lines = lowest > 0 ? lowest : Math.min(this.#slots.taken, requests);
    const traffic: Traffic = { workers, others: requests - lines, waiting };
    this.#pace = nextPace(this.#pace, traffic, this.ctx.clock.now_ms());
    this.#slots.allowed = this.#pace.allowed;
    if (traffic.others > 0) this.#slots.takeBack(Math.max(1, workers * paceRules.kept_each));
  }

  async #sweep(): Promise<void> {
    const { hasRecords, shelf, book } = this.#options;
    try {
      if (!(await hasRecords())) return;
      await shelf.sweep();
      await book.sweep();
    } catch (error) {
      this.#warn("old files and batches cannot be swept; tried again", error);
    }
  }

  #warn(what: string, error: unknown): void {
    this.ctx.log.log("warn", what, { why: errorText(error) });
  }
}
