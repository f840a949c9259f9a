/**
 * The router's side of the event plane: it keeps the index equal to each worker's cache.
 *
 *   worker up ─▶ subscribing ─▶ dumping ─▶ fetching ─▶ live ◀─▶ fetching (a gap)
 *                     ▲                       │ too old: dumping
 *                     └── approximate ◀───────┴── silence, another block size, garbage
 *
 * Nothing here blocks: questions go out by `ask`, replies and events come in as calls. A worker
 * whose events cannot be used gets approximate entries, from the prompts sent to it; log, gauge and
 * state show this. It is tried again, unless its block size differs: blocks cannot be compared
 * then.
 */
import type {
  ActorRef,
  KvDumpPage,
  KvEvents,
  KvRange,
  KvSourceMessage,
  KvSubscribed,
  WireKvEvent,
  WorkerRecord,
} from "../../../proto/index.ts";
import type { Clock, Log, Timer } from "../../../runtime/capabilities.ts";
import type { Metrics } from "../../../runtime/observe/metrics.ts";
import { workerKey } from "../../names/names.ts";
import type { CacheIndex } from "../index/cache-index.ts";
import {
  type FedWorker,
  type FeedEntry,
  type FeedFault,
  faultTexts,
  newEntry,
  RETRY_MS,
} from "./feed-entry.ts";
import { FeedMetrics } from "./kv-feed-metrics.ts";
import { checkedEvent, checkedHashes, isForward, isRank, tierNumber } from "./kv-wire.ts";
import { Turns } from "./turns.ts";

export type KvFeedOptions = {
  readonly index: CacheIndex;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  /** The reference to which workers send KvEvents. */
  readonly subscriber: () => ActorRef;
  /** Resolves with the worker's reply; rejects when none comes in time. */
  readonly ask: (worker: ActorRef, message: KvSourceMessage) => Promise<unknown>;
};

const TICK_MS = 500;
/** A worker that should publish and is silent for this long is reported. */
const SILENCE_MS = 10_000;
/** Most dumps that are fetched at once. */
const DUMPS_MAX = 8;
const RETRY_MAX_MS = 300_000;
/** After this time live, a worker's next fault counts as a new one, with a short pause. */
const GOOD_AFTER_MS = 60_000;

export class KvFeed {
  readonly #options: KvFeedOptions;
  readonly #index: CacheIndex;
  readonly #counts: FeedMetrics;
  readonly #by_worker = new Map<string, FeedEntry>();
  readonly #by_subscription = new Map<number, FeedEntry>();
  readonly #block_sizes = new Map<string, number>();
  readonly #dumps: Turns<FeedEntry>;
  #last_subscription = 0;
  #timer: Timer | undefined;
  #tick_due_ms = 0;

  constructor(options: KvFeedOptions) {
    this.#options = options;
    this.#index = options.index;
    this.#dumps = new Turns(DUMPS_MAX, (entry) => this.#startDump(entry));
    this.#counts = new FeedMetrics(options.metrics, {
      bytes: () => options.index.bytes,
      faulty: () => this.workers().filter((each) => each.fault !== undefined).length,
    });
  }

  start(): void {
    this.#tick_due_ms = this.#options.clock.now_ms() + TICK_MS;
    this.#timer ??= this.#options.clock.after(TICK_MS, () => this.#tick());
  }

  stop(): void {
    if (this.#timer !== undefined) this.#options.clock.cancel(this.#timer);
    this.#timer = undefined;
    for (const name of [...this.#by_worker.keys()]) this.workerGone(name);
    this.#counts.close();
  }

  workers(): FedWorker[] {
    return [...this.#by_worker.values()].map((entry) => ({
      worker: entry.record.worker,
      model: entry.model,
      slot: entry.slot,
      state: entry.state,
      fault: entry.fault,
      blocks: this.#index.blocksOf(entry.slot),
    }));
  }

  /** The worker's number in the index; undefined when it is not known. */
  slotOf(worker: string): number | undefined {
    return this.#by_worker.get(worker)?.slot;
  }

  /** Tokens a block for prompts of this model; undefined until a worker serves it. */
  blockSize(model: string): number | undefined {
    return this.#block_sizes.get(model);
  }

  /** A worker appeared, or another start of one. */
  workerUp(record: WorkerRecord): void {
    const { ref, worker, card } = record;
    if (ref === undefined) return;
    const key = workerKey(worker, ref);
    if (this.#by_worker.get(worker)?.key === key) return;
    this.workerGone(worker);
    const slot = this.#index.addWorker("events");
    const entry = newEntry(record, ref, slot, this.#options.clock.now_ms());
    this.#by_worker.set(worker, entry);
    this.#counts.workerUp(worker, {
      blocks: () => this.#index.blocksOf(slot),
      refused: () => this.#index.refusedOf(slot),
    });
    if (this.#takesBlocksOf(entry, card?.block_size ?? 0)) this.#subscribe(entry);
  }

  workerGone(worker: string): void {
    const entry = this.#by_worker.get(worker);
    if (entry === undefined) return;
    entry.turn++;
    this.#by_worker.delete(worker);
    this.#by_subscription.delete(entry.subscription);
    this.#index.removeWorker(entry.slot);
    this.#counts.workerGone(worker);
    this.#dumps.over(entry);
    const left = [...this.#by_worker.values()].some((each) => each.model === entry.model);
    if (!left) this.#block_sizes.delete(entry.model);
  }

  onEvents({ subscription, first_id, events }: KvEvents): void {
    const entry = this.#by_subscription.get(subscription);
    if (entry === undefined) return;
    entry.last_message_ms = this.#options.clock.now_ms();
    // Before it is live, events come with the reply that is awaited.
    if (entry.state !== "live") return;
    if (first_id > entry.next_id) {
      this.#counts.gap();
      this.#catchUp(entry);
    } else {
      this.#apply(entry, first_id, events);
    }
  }

  /** The worker reports again after a broken connection: it may have lost the subscription. */
  workerBack(worker: string): void {
    const entry = this.#by_worker.get(worker);
    if (entry?.state === "live" || entry?.state === "fetching") this.#subscribe(entry);
  }

  /**
   * Takes the number of cached blocks from the worker's load. If it has had blocks for long and its
   * events never showed any, the events are lost on the way.
   */
  noteLoad(worker: string, cached_blocks: number): void {
    const entry = this.#by_worker.get(worker);
    if (entry === undefined || entry.state !== "live") return;
    const says_nothing = this.#index.source(entry.slot) === "none" || cached_blocks === 0;
    if (says_nothing || entry.next_id > 0 || this.#index.blocksOf(entry.slot) > 0) {
      entry.cached_since_ms = undefined;
      return;
    }
    const now_ms = this.#options.clock.now_ms();
    entry.cached_since_ms ??= now_ms;
    if (now_ms - entry.cached_since_ms >= SILENCE_MS) this.#fail(entry, "silent");
  }

  /** False: it was refused. */
  #takesBlocksOf(entry: FeedEntry, block_size: number): boolean {
    if (block_size === 0) {
      this.#fail(entry, "no_events");
      return false;
    }
    const wanted = this.#block_sizes.get(entry.model) ?? block_size;
    if (block_size !== wanted) {
      const fields = { block_size, wanted };
      this.#fail(entry, "block_size", fields);
      return false;
    }
    this.#block_sizes.set(entry.model, wanted);
    return true;
  }

  #subscribe(entry: FeedEntry): void {
    this.#by_subscription.delete(entry.subscription);
    entry.subscription = ++this.#last_subscription;
    this.#by_subscription.set(entry.subscription, entry);
    if (entry.state !== "approximate") entry.state = "subscribing";
    entry.retry_ms = this.#options.clock.now_ms() + RETRY_MS;
    const { subscription } = entry;
    const subscriber = this.#options.subscriber();
    this.#ask(entry, { kind: "subscribe_kv", subscriber, subscription }, (reply) => {
      if (reply?.kind === "kv_subscribed") this.#onSubscribed(entry, reply);
    });
  }

  #onSubscribed(entry: FeedEntry, reply: KvSubscribed): void {
    const { publishes, block_size, next_id, caches } = reply;
    if (!publishes) {
      this.#fail(entry, "no_events");
      return;
    }
    if (!this.#takesBlocksOf(entry, block_size)) return;
    this.#index.setSource(entry.slot, caches ? "events" : "none");
    if (entry.fault !== undefined) this.#recovered(entry);
    if (entry.synced) this.#catchUp(entry);
    else if (next_id === 0) this.#live(entry, 0);
    else this.#dump(entry);
  }

  #live(entry: FeedEntry, next_id: number): void {
    entry.state = "live";
    entry.next_id = next_id;
    entry.synced = true;
    entry.retry_ms = Number.POSITIVE_INFINITY;
    entry.live_ms = this.#options.clock.now_ms();
  }

  #dump(entry: FeedEntry): void {
    entry.state = "dumping";
    entry.synced = false;
    entry.turn++;
    entry.retry_ms = Number.POSITIVE_INFINITY;
    this.#dumps.ask(entry);
  }

  #startDump(entry: FeedEntry): void {
    this.#counts.dump();
    this.#index.cleared(entry.slot);
    this.#nextPage(entry, 0, 0, undefined);
  }

  /** `since`: the id after which events matter, known from the first page on. */
  #nextPage(entry: FeedEntry, partition: number, below: number, since: number | undefined): void {
    this.#ask(entry, { kind: "fetch_kv_dump", partition, below }, (page) => {
      if (page?.kind !== "kv_dump_page") {
        this.#dumps.over(entry);
        this.#again(entry);
        return;
      }
      const from = since ?? page.next_id;
      if (!this.#applyPage(entry, page) || !isForward(partition, below, page)) {
        this.#dumps.over(entry);
        this.#fail(entry, "garbage");
      } else if (!page.last) {
        this.#nextPage(entry, page.partition, page.below, from);
      } else {
        this.#dumps.over(entry);
        entry.next_id = from;
        entry.synced = true;
        this.#catchUp(entry);
      }
    });
  }

  #applyPage(entry: FeedEntry, page: KvDumpPage): boolean {
    const tier = tierNumber(page.tier);
    const hashes = checkedHashes(page.hashes);
    if (tier === undefined || hashes === undefined || !isRank(page.dp_rank)) return false;
    this.#index.stored(entry.slot, page.dp_rank, tier, hashes);
    return true;
  }

  #catchUp(entry: FeedEntry): void {
    entry.state = "fetching";
    this.#ask(entry, { kind: "fetch_kv_events", from: entry.next_id }, (range) => {
      if (range?.kind !== "kv_range") this.#again(entry);
      else this.#onRange(entry, range);
    });
  }

  #onRange(entry: FeedEntry, { too_old, first_id, events, next_id }: KvRange): void {
    if (too_old) {
      this.#dump(entry);
      return;
    }
    if (first_id !== entry.next_id || (events.length === 0 && next_id > first_id)) {
      this.#fail(entry, "garbage");
      return;
    }
    if (!this.#apply(entry, first_id, events)) return;
    if (entry.next_id < next_id) this.#catchUp(entry);
    else this.#live(entry, entry.next_id);
  }

  /** Applies new events; false: they were garbage. */
  #apply(entry: FeedEntry, first_id: number, events: readonly WireKvEvent[]): boolean {
    const known = entry.next_id - first_id;
    if (known > 0) this.#counts.duplicates(Math.min(known, events.length));
    for (let i = Math.max(0, known); i < events.length; i++) {
      const event = checkedEvent(events[i]!);
      if (event === undefined) {
        this.#fail(entry, "garbage");
        return false;
      }
      const { slot } = entry;
      const { kind, dp_rank, tier, hashes } = event;
      entry.next_id++;
      this.#counts.applied(kind);
      if (kind === "stored") this.#index.stored(slot, dp_rank, tier, hashes);
      else if (kind === "cleared") this.#index.cleared(slot, dp_rank, tier);
      else this.#counts.unknown(this.#index.removed(slot, dp_rank, tier, hashes));
    }
    return true;
  }

  /** No reply came. The subscription may be lost too, so it is made anew; synced blocks stay. */
  #again(entry: FeedEntry): void {
    if (entry.state !== "approximate") entry.state = "subscribing";
    entry.retry_ms = this.#options.clock.now_ms() + TICK_MS;
  }

  #ask(
    entry: FeedEntry,
    message: KvSourceMessage,
    then: (reply: KvSubscribed | KvRange | KvDumpPage | undefined) => void,
  ): void {
    const turn = ++entry.turn;
    const answered = (reply: unknown) => {
      if (entry.turn !== turn) return;
      if (reply !== undefined) entry.last_message_ms = this.#options.clock.now_ms();
      then(reply as KvSubscribed | KvRange | KvDumpPage | undefined);
    };
    this.#options.ask(entry.ref, message).then(answered, () => answered(undefined));
  }

  #fail(entry: FeedEntry, fault: FeedFault, fields: Record<string, unknown> = {}): void {
    const { worker } = entry.record;
    const now_ms = this.#options.clock.now_ms();
    const was_good = entry.state === "live" && now_ms - entry.live_ms >= GOOD_AFTER_MS;
    if (was_good) entry.retry_delay_ms = RETRY_MS;
    entry.turn++;
    entry.state = "approximate";
    entry.synced = false;
    entry.cached_since_ms = undefined;
    this.#dumps.over(entry);
    this.#index.setSource(entry.slot, "approximate");
    const lasting = fault === "block_size";
    entry.retry_ms = lasting ? Number.POSITIVE_INFINITY : now_ms + entry.retry_delay_ms;
    entry.retry_delay_ms = Math.min(RETRY_MAX_MS, entry.retry_delay_ms * 2);
    if (entry.fault === fault) return;
    entry.fault = fault;
    this.#counts.fault(fault);
    const message =
      `worker ${worker} ${faultTexts[fault]}. Meanwhile its cache is ` +
      "guessed from the requests that it gets.";
    this.#options.log.log(fault === "no_events" ? "warn" : "error", message, {
      worker,
      model: entry.model,
      fault,
      ...fields,
    });
  }

  #recovered(entry: FeedEntry): void {
    const { worker } = entry.record;
    const { fault } = entry;
    entry.fault = undefined;
    this.#options.log.log("info", `worker ${worker} publishes cache events again`, {
      worker,
      fault,
    });
  }

  #tick(): void {
    const { clock } = this.#options;
    const now_ms = clock.now_ms();
    const late_ms = now_ms - this.#tick_due_ms;
    for (const entry of this.#by_worker.values()) {
      // Events that came while this process was held up are still in the mailbox.
      if (late_ms > TICK_MS) entry.last_message_ms += late_ms;
      const silent_ms = now_ms - entry.last_message_ms;
      if (entry.fault === undefined && silent_ms >= SILENCE_MS) this.#fail(entry, "silent");
      if (now_ms >= entry.retry_ms) this.#subscribe(entry);
    }
    const more = this.#index.sweep();
    const wait_ms = more ? 1 : TICK_MS;
    this.#tick_due_ms = now_ms + wait_ms;
    this.#timer = clock.after(wait_ms, () => this.#tick());
  }
}
