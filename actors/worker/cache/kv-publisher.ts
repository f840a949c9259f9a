/**
 * The worker's side of the event plane: it tells subscribed routers what its cache holds.
 *
 *   engine ── KvEvent ──▶ ring (the last events, by id) ── KvEvents, once a tick ──▶ routers
 *                    └──▶ ledger (all that is cached) ── KvDumpPage, when asked ──▶
 *
 * Delivery is at most once. A router that missed events asks for those from an id on, or for a dump
 * in pages when the ring no longer has them.
 */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import type {
  FetchKvDump,
  KvDumpPage,
  KvEvents,
  KvRange,
  KvSubscribed,
  WireKvEvent,
  WorkerNews,
} from "../../../proto/index.ts";
import type { Clock, Timer } from "../../../runtime/capabilities.ts";
import { type Ref, sameActor } from "../../../runtime/kernel/ref.ts";
import type { EventLine, ProcessReports } from "../load/process-reports.ts";
import { cachedPrompts, type StoredRun } from "./cached-prompts.ts";
import { type EventPart, KvEventRing } from "./kv-event-ring.ts";
import { KvLedger } from "./kv-ledger.ts";

export type KvPublisherOptions = {
  readonly clock: Clock;
  /** Tokens a block. */
  readonly block_size: number;
  /** False: the engine says nothing of its cache, and routers are told so. */
  readonly publishes: boolean;
  /** False: the engine never reuses a block, so there are no events. Default true. */
  readonly caches?: boolean;
  /** Undefined: this worker is the only one of its process. */
  readonly reports?: ProcessReports | undefined;
  /** Events kept for routers that missed some. Default 16,384. */
  readonly ring_events?: number;
  /** Blocks in kept events, which bounds their memory. Default 1,048,576 (8 MiB of hashes). */
  readonly ring_blocks?: number;
  /** Blocks in one page of a dump. A router applies the default, 32,768, in a few ms. */
  readonly page_blocks?: number;
};

/** `line`: set if the router hears of all workers of this process together. */
type Subscriber = {
  readonly ref: Ref<KvEvents>;
  readonly subscription: number;
  readonly line: EventLine | undefined;
};

/** Routers take silence for longer than a few of these as a fault. */
export const KV_HEARTBEAT_MS = 1_000;
/** Blocks in one event and in one message: 512 KiB of hashes, far below a frame's limit. */
export const KV_MESSAGE_BLOCKS = 65_536;
const PAGE_BLOCKS = 32_768;
/** Events that are looked at for a person. */
const PROMPT_EVENTS = 2_048;
const MESSAGE_EVENTS = 8_192;

export class KvPublisher {
  readonly #options: KvPublisherOptions;
  readonly #ledger = new KvLedger();
  readonly #subscribers = new Map<number, Subscriber>();
  readonly #ring: KvEventRing;
  /** First event that subscribers were not told yet. */
  #untold_id = 0;
  #flush_queued = false;
  #heartbeat: Timer | undefined;
  /** Blocks of the engine that gave way. */
  evicted = 0;

  constructor(options: KvPublisherOptions) {
    this.#options = options;
    this.#ring = new KvEventRing(options.ring_events ?? 16_384, options.ring_blocks ?? 1_048_576);
  }

  get subscriber_count(): number {
    return this.#subscribers.size;
  }

  /** In the engine. */
  get blocks(): number {
    return this.#ledger.blocksIn("device");
  }

  /** That routers are told of: in all tiers. */
  get told(): number {
    return this.#ledger.blocks;
  }

  /** The last prompts of which all blocks are in the engine; for people. */
  prompts(): HashPairs[] {
    const runs: StoredRun[] = [];
    const from = Math.max(this.#ring.oldest_id, this.#ring.next_id - PROMPT_EVENTS);
    for (let id = from; id < this.#ring.next_id; id++) {
      const { kind, tier, parent, hashes } = this.#ring.read(id);
      if (kind !== "stored" || tier !== "device") continue;
      const [before] = hashesOf(parent);
      runs.push({ parent: before, hashes: hashesOf(hashes) });
    }
    return cachedPrompts(runs, (hash) => this.cachedRow(BigUint64Array.of(hash)) === 1);
  }

  /** How many of these blocks are in the engine, from the first on without a gap. */
  cachedRow(hashes: BigUint64Array): number {
    return this.#ledger.row(0, "device", hashes);
  }

  /** Call it in the order in which events happen. */
  publish(event: KvEvent): void {
    this.#ledger.apply(event);
    if (event.kind === "removed" && event.tier === "device")
      this.evicted += event.sequence_hashes.length;
    for (const part of partsOf(event)) this.#ring.push(part);
    const { next_id } = this.#ring;
    if (this.#subscribers.size === 0) {
      this.#untold_id = next_id;
    } else if (next_id - this.#untold_id >= MESSAGE_EVENTS) {
      this.#flush();
    } else if (!this.#flush_queued) {
      this.#flush_queued = true;
      (this.#options.reports ?? this.#options.clock).defer(() => this.#flush());
    }
  }

  /**
   * `monitor` watches the subscriber. A router that subscribes again doubts its old connection: the
   * old monitor is returned, and the caller ends it.
   */
  subscribe(ref: Ref<KvEvents>, subscription: number, monitor: number): number | undefined {
    this.#flush();
    let old: number | undefined;
    for (const [number, known] of this.#subscribers) if (sameActor(known.ref, ref)) old = number;
    if (old !== undefined) this.unsubscribe(old);
    const { reports } = this.#options;
    const router = ref as unknown as Ref<WorkerNews>;
    const line = reports?.eventLine(router, subscription, () => this.#untold_id);
    this.#subscribers.set(monitor, { ref, subscription, line });
    if (reports === undefined) this.#beatLater();
    return old;
  }

  #beatLater(): void {
    this.#heartbeat ??= this.#options.clock.after(KV_HEARTBEAT_MS, () => this.#beat());
  }

  /** The answer to SubscribeKv. */
  subscribed(): KvSubscribed {
    const { publishes, block_size, caches = true } = this.#options;
    return { kind: "kv_subscribed", publishes, block_size, next_id: this.#ring.next_id, caches };
  }

  /** True when the monitor was a subscriber's. */
  unsubscribe(monitor: number): boolean {
    this.#subscribers.get(monitor)?.line?.close();
    return this.#subscribers.delete(monitor);
  }

  /** The answer to FetchKvEvents: as many as one message takes. */
  range(from: number): KvRange {
    const { next_id, oldest_id } = this.#ring;
    if (!Number.isInteger(from) || from < oldest_id || from > next_id) {
      return { kind: "kv_range", too_old: true, first_id: from, events: [], next_id };
    }
    const events = this.#eventsFrom(from);
    return { kind: "kv_range", too_old: false, first_id: from, events, next_id };
  }

  /** The answer to FetchKvDump. */
  dumpPage({ partition, below }: Pick<FetchKvDump, "partition" | "below">): KvDumpPage {
    const page = this.#ledger.page(partition, below, this.#options.page_blocks ?? PAGE_BLOCKS);
    return {
      kind: "kv_dump_page",
      next_id: this.#ring.next_id,
      dp_rank: page?.dp_rank ?? 0,
      tier: page?.tier ?? "device",
      hashes: page === undefined ? new Uint8Array(0) : bytesOfPairs(page.hashes),
      last: page?.next === undefined,
      partition: page?.next?.partition ?? 0,
      below: page?.next?.below ?? 0,
      blocks: this.#ledger.blocks,
    };
  }

  stop(): void {
    if (this.#heartbeat !== undefined) this.#options.clock.cancel(this.#heartbeat);
    this.#heartbeat = undefined;
    for (const { line } of this.#subscribers.values()) line?.close();
    this.#subscribers.clear();
  }

  #eventsFrom(from: number): WireKvEvent[] {
    const events: WireKvEvent[] = [];
    let blocks = 0;
    const ring = this.#ring;
    for (let id = from; id < ring.next_id && events.length < MESSAGE_EVENTS; id++) {
      blocks += ring.blocksIn(id);
      if (blocks > KV_MESSAGE_BLOCKS && events.length > 0) break;
      events.push(ring.read(id));
    }
    return events;
  }

  #flush(): void {
    this.#flush_queued = false;
    // Routers notice events that the ring lost within one tick as a gap.
    this.#untold_id = Math.max(this.#untold_id, this.#ring.oldest_id);
    while (this.#untold_id < this.#ring.next_id) {
      const events = this.#eventsFrom(this.#untold_id);
      this.#tellAll(events);
      this.#untold_id += events.length;
    }
  }

  #tellAll(events: readonly WireKvEvent[]): void {
    for (const { ref, subscription, line } of this.#subscribers.values()) {
      const first_id = this.#untold_id;
      if (line === undefined) ref.tell({ kind: "kv_events", subscription, first_id, events });
      else line.tell(first_id, events);
    }
  }

  #beat(): void {
    this.#heartbeat = undefined;
    if (this.#subscribers.size === 0) return;
    this.#flush();
    this.#tellAll([]);
    this.#beatLater();
  }
}

/** Splits an event that is too long for one message. */
function* partsOf(event: KvEvent): Iterable<EventPart> {
  if (event.kind === "cleared") {
    yield { event, from: 0, to: 0 };
    return;
  }
  const { length } = event.sequence_hashes;
  for (let from = 0; from < length; from += KV_MESSAGE_BLOCKS) {
    yield { event, from, to: Math.min(length, from + KV_MESSAGE_BLOCKS) };
  }
}

/** The ring gives copies, which begin where their buffer does. */
const hashesOf = (bytes: Uint8Array): BigUint64Array =>
  new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);

function bytesOfPairs(pairs: Uint32Array): Uint8Array {
  return new Uint8Array(pairs.buffer, pairs.byteOffset, pairs.byteLength);
}
