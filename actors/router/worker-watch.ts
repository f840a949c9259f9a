/**
 * The workers that a router follows: it knows them from the registry, subscribes to their load,
 * monitors them, and does not trust a worker for a while when the connection to it broke.
 *
 *   registry ── up ──▶ trusted ── Down, silence, or an answer lost there ──▶ suspect
 *                         ▲ ────────── heard of again ────────────────────────┘ │
 *   registry ── gone ─────┴─────────────────────────────────────────────────────┴──▶ forgotten
 */
import type { RouteOutcome, SubscribeLoad, WorkerLoad, WorkerRecord } from "../../proto/index.ts";
import type { Clock, Timer } from "../../runtime/capabilities.ts";
import type { Down } from "../../runtime/kernel/actor.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { nodeOf, refOf, wireOf } from "../../runtime/remote/node.ts";
import type { Candidate } from "./candidate.ts";
import { WorkerFailures } from "./policy/worker-failures.ts";
import type { RouterOptions, WorkersChange } from "./router-options.ts";
import { WorkerSet } from "./worker-set.ts";

/** Told to the router itself; `receive` takes them. */
export type WatchMessage =
  | { readonly kind: "workers_changed"; readonly change: WorkersChange }
  | { readonly kind: "subscribe_again"; readonly candidate: Candidate }
  | { readonly kind: "worker_crashed"; readonly worker: string }
  | { readonly kind: "look_round" };

/** Changes of workers, for a router that keeps more state of them than the set. */
export interface WorkerListener {
  readonly up?: (candidate: Candidate) => void;
  readonly gone?: (candidate: Candidate) => void;
  readonly suspected?: (candidate: Candidate) => void;
  /** Heard of again. */
  readonly trusted?: (candidate: Candidate) => void;
  /** The candidate's `avoid_until_ms` has changed. */
  readonly avoided?: (candidate: Candidate) => void;
  /** Called after one or several of these changes: waiting requests may be served now. */
  readonly changed: () => void;
}

/** Its sources. */
type Watched = Pick<RouterOptions, "watch" | "watchCrashes">;

/** The part of the router's context that it needs. */
export interface WatchContext {
  readonly self: Ref<WatchMessage>;
  readonly system: ActorSystem;
  monitor(ref: Ref): number;
  demonitor(monitor: number): void;
  readonly clock: Clock;
  after(delay_ms: number, message: WatchMessage): Timer;
}

/** Pause before a suspect is subscribed to again: only a later report clears it. */
const SUBSCRIBE_FIRST_MS = 250;
const SUBSCRIBE_AGAIN_MS = 1_000;
const LOOK_ROUND_MS = 500;
/** A worker reports at least every second: one that missed two reports is not trusted. */
const SILENT_MS = 2_500;

export class WorkerWatch {
  readonly workers = new WorkerSet();
  readonly #failures = new WorkerFailures();
  readonly #ctx: WatchContext;
  readonly #listener: WorkerListener;
  /** By the number of our monitor on it. */
  readonly #monitored = new Map<number, Candidate>();
  /** By the number of our subscription to its load. */
  readonly #subscribed = new Map<number, Candidate>();
  readonly #lines = new Map<Candidate, { monitor: number; subscription: number }>();
  #last_subscription = 0;
  readonly #unwatch: readonly (() => void)[];
  #looked_ms: number;

  constructor(ctx: WatchContext, { watch, watchCrashes }: Watched, listener: WorkerListener) {
    this.#ctx = ctx;
    this.#listener = listener;
    const crashed = (worker: string) => void ctx.self.tell({ kind: "worker_crashed", worker });
    this.#unwatch = [
      watch((change) => ctx.self.tell({ kind: "workers_changed", change })),
      ...(watchCrashes === undefined ? [] : [watchCrashes(crashed)]),
    ];
    this.#looked_ms = ctx.clock.now_ms();
    ctx.after(LOOK_ROUND_MS, { kind: "look_round" });
  }

  stop(): void {
    for (const unwatch of this.#unwatch) unwatch();
  }

  receive(message: WatchMessage): void {
    if (message.kind === "workers_changed") this.#onChange(message.change);
    else if (message.kind === "look_round") this.#lookRound();
    else if (message.kind === "worker_crashed") this.crashed(message.worker);
    else this.#onSubscribeAgain(message.candidate);
  }

  /** A request that was sent there ended, as its stream saw it. */
  ended(candidate: Candidate, outcome: RouteOutcome): void {
    const { worker } = candidate.record;
    // The stream saw the worker go; our own monitor may tell later than the next request comes.
    if (outcome === "lost" || outcome === "crashed") this.suspect(candidate);
    if (outcome === "crashed") this.crashed(worker);
    else if (outcome === "failed") {
      this.#avoid(worker, this.#failures.failed(worker, this.#ctx.clock.now_ms()));
    } else if (outcome === "finished" && this.#failures.any) {
      this.#avoid(worker, this.#failures.succeeded(worker, this.#ctx.clock.now_ms()));
    }
  }

  /** The process of that worker ended by its own fault. */
  crashed(worker: string): void {
    this.#avoid(worker, this.#failures.crashed(worker, this.#ctx.clock.now_ms()));
  }

  #avoid(worker: string, until_ms: number): void {
    const candidate = this.workers.get(worker);
    if (candidate === undefined || candidate.avoid_until_ms === until_ms) return;
    candidate.avoid_until_ms = until_ms;
    this.#listener.avoided?.(candidate);
  }

  /** Takes a report, which is also a sign of life. False: it was out of date and dropped. */
  loaded(load: WorkerLoad): boolean {
    const known = this.workers.get(load.worker);
    const { subscription } = load;
    // A report from before the worker was lost may arrive after the news of its loss.
    if (subscription > 0 && this.#subscribed.get(subscription) !== known) return false;
    if (known !== undefined) known.reported_ms = this.#ctx.clock.now_ms();
    if (!this.workers.report(load)) return true;
    this.#listener.trusted?.(this.workers.get(load.worker)!);
    this.#listener.changed();
    return true;
  }

  /**
   * Heartbeat of many workers: their last reports still hold.
   * @param subscriptions as in our SubscribeLoad
   */
  alive(subscriptions: readonly number[]): void {
    const now_ms = this.#ctx.clock.now_ms();
    for (const subscription of subscriptions) {
      const candidate = this.#subscribed.get(subscription);
      if (candidate?.reported !== undefined) candidate.reported_ms = now_ms;
    }
  }

  down(signal: Down): void {
    const candidate = this.#monitored.get(signal.monitor);
    this.#monitored.delete(signal.monitor);
    if (candidate !== undefined) this.suspect(candidate);
  }

  /**
   * A broken connection is not a death: the registry says when a worker is gone. Until it does,
   * or until the worker reports again, nothing is sent there.
   */
  suspect(candidate: Candidate): void {
    if (candidate.suspect || this.workers.get(candidate.record.worker) !== candidate) return;
    candidate.suspect = true;
    this.#unsubscribe(candidate);
    this.#listener.suspected?.(candidate);
    this.#ctx.after(SUBSCRIBE_FIRST_MS, { kind: "subscribe_again", candidate });
  }

  /** Finds silent workers: a frozen process keeps its connections, and may look idle. */
  #lookRound(): void {
    const now_ms = this.#ctx.clock.now_ms();
    const slept_ms = now_ms - this.#looked_ms - LOOK_ROUND_MS;
    this.#looked_ms = now_ms;
    for (const candidate of this.workers.all()) {
      const { reported_ms } = candidate;
      // Reports that came while this process slept are still in the mailbox.
      if (reported_ms !== undefined && slept_ms > LOOK_ROUND_MS) candidate.reported_ms = now_ms;
      else if (reported_ms !== undefined && now_ms - reported_ms > SILENT_MS)
        this.suspect(candidate);
      else if (this.#isAway(candidate)) this.suspect(candidate);
    }
    this.#ctx.after(LOOK_ROUND_MS, { kind: "look_round" });
  }

  /** True: the worker is behind a bus that is away, so others get the new work. */
  #isAway({ record }: Candidate): boolean {
    return nodeOf(this.#ctx.system)?.isAway(record.ref?.node ?? "") ?? false;
  }

  #onChange(change: WorkersChange): void {
    switch (change.kind) {
      case "gone":
        this.#remove(change.worker);
        break;
      case "up":
        this.#add(change.record);
        break;
      case "all": {
        const present = new Set(change.records.map((record) => record.worker));
        for (const { record } of this.workers.all()) {
          if (!present.has(record.worker)) this.#remove(record.worker);
        }
        for (const record of change.records) this.#add(record);
      }
    }
    this.#listener.changed();
  }

  #add(record: WorkerRecord): void {
    const known = this.workers.get(record.worker);
    const fresh = this.workers.add(record);
    if (fresh === undefined) return;
    if (known !== undefined) this.#forget(known);
    fresh.avoid_until_ms = this.#failures.untilMs(record.worker, this.#ctx.clock.now_ms());
    this.#subscribe(fresh);
    this.#listener.up?.(fresh);
  }

  #remove(worker: string): void {
    const gone = this.workers.remove(worker);
    if (gone !== undefined) this.#forget(gone);
  }

  #forget(candidate: Candidate): void {
    this.#unsubscribe(candidate);
    this.#listener.gone?.(candidate);
  }

  #subscribe(candidate: Candidate): void {
    this.#unsubscribe(candidate);
    if (candidate.record.ref === undefined) return;
    const ref = refOf<SubscribeLoad>(this.#ctx.system, candidate.record.ref);
    const monitor = this.#ctx.monitor(ref);
    const subscription = ++this.#last_subscription;
    this.#monitored.set(monitor, candidate);
    this.#subscribed.set(subscription, candidate);
    this.#lines.set(candidate, { monitor, subscription });
    const subscriber = wireOf(this.#ctx.system, this.#ctx.self);
    ref.tell({ kind: "subscribe_load", subscriber, subscription });
  }

  /** The worker forgets us when it sees us go; here only the monitor has to end. */
  #unsubscribe(candidate: Candidate): void {
    const line = this.#lines.get(candidate);
    if (line === undefined) return;
    this.#lines.delete(candidate);
    this.#subscribed.delete(line.subscription);
    if (this.#monitored.delete(line.monitor)) this.#ctx.demonitor(line.monitor);
  }

  #onSubscribeAgain(candidate: Candidate): void {
    const still_known = this.workers.get(candidate.record.worker) === candidate;
    if (!still_known || !candidate.suspect) return;
    this.#subscribe(candidate);
    this.#ctx.after(SUBSCRIBE_AGAIN_MS, { kind: "subscribe_again", candidate });
  }
}
