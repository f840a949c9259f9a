/**
 * Workers with caches, one router's feed, and a network between them that loses, repeats and
 * swaps what it is told to. Every message goes through its codec, as between processes.
 */

import { KvFeed } from "../../../actors/router/feed/kv-feed.ts";
import { CacheIndex, type CacheIndexOptions } from "../../../actors/router/index/cache-index.ts";
import { CacheMatches } from "../../../actors/router/index/cache-matches.ts";
import { KvPublisher } from "../../../actors/worker/cache/kv-publisher.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import type { KvEvent, KvTier } from "../../../llm/blocks/kv-event.ts";
import {
  type ActorRef,
  type KvEvents,
  type KvSourceMessage,
  messageTable,
  type WorkerRecord,
} from "../../../proto/index.ts";
import { CodecTable, protoCodecs } from "../../../runtime/codec.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { MemoryLog } from "./test-system.ts";

const codecs = new CodecTable(protoCodecs(messageTable));

export const BLOCK_SIZE = 64;

/** What the next message or question meets. */
export type Fate = "ok" | "lost" | "twice" | "late";

export type WorldWorker = {
  readonly name: string;
  readonly life: number;
  readonly record: WorkerRecord;
  readonly publisher: KvPublisher;
  /** "rank tier" → hashes: what its cache really holds. */
  readonly cache: Map<string, Set<bigint>>;
  next_event_id: number;
};

export type WorldOptions = {
  readonly ring_events?: number;
  readonly page_blocks?: number;
  readonly index?: CacheIndexOptions;
};

export class KvWorld {
  readonly clock = new VirtualClock();
  readonly log = new MemoryLog();
  readonly metrics = new Metrics();
  readonly index: CacheIndex;
  readonly feed: KvFeed;
  readonly workers = new Map<string, WorldWorker>();
  /** Of the next tells and asks, in turn; "ok" when it is empty. */
  readonly fates: Fate[] = [];
  readonly #options: WorldOptions;
  #lives = 0;
  readonly #held_back: KvEvents[] = [];
  /** Instead of what the worker's publisher would answer. */
  answer: ((message: KvSourceMessage, worker: WorldWorker) => Message | undefined) | undefined;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.index = new CacheIndex({ predicted_ttl_ms: 0, ...options.index });
    this.feed = new KvFeed({
      index: this.index,
      clock: this.clock,
      log: this.log,
      metrics: this.metrics,
      subscriber: () => wireRef("router", 1),
      ask: (ref, message) => this.#ask(ref, message),
    });
    this.feed.start();
  }

  start(name: string, card: { block_size?: number; publishes?: boolean } = {}): WorldWorker {
    this.stop(name);
    const { block_size = BLOCK_SIZE, publishes = true } = card;
    const life = ++this.#lives;
    const worker: WorldWorker = {
      name,
      life,
      record: {
        worker: name,
        role: "aggregated",
        ref: wireRef(name, life),
        card: cardOf(block_size),
        labels: [],
        taints: [],
      },
      publisher: new KvPublisher({
        clock: this.clock,
        block_size,
        publishes,
        ring_events: this.#options.ring_events ?? 1_024,
        page_blocks: this.#options.page_blocks ?? 32_768,
      }),
      cache: new Map(),
      next_event_id: 0,
    };
    this.workers.set(name, worker);
    return worker;
  }

  /** Starts it and lets the router know. */
  up(name: string, card: { block_size?: number; publishes?: boolean } = {}): WorldWorker {
    const worker = this.start(name, card);
    this.feed.workerUp(worker.record);
    return worker;
  }

  stop(name: string): void {
    this.workers.get(name)?.publisher.stop();
    this.workers.delete(name);
  }

  gone(name: string): void {
    this.stop(name);
    this.feed.workerGone(name);
  }

  store(name: string, hashes: BigUint64Array, at: { rank?: number; tier?: KvTier } = {}): void {
    const { rank: dp_rank = 0, tier = "device" } = at;
    const event_id = this.#nextId(name);
    this.#happen(name, {
      kind: "stored",
      event_id,
      dp_rank,
      tier,
      parent_hash: undefined,
      start_block: 0,
      sequence_hashes: hashes,
      local_hashes: hashes,
    });
  }

  remove(name: string, hashes: BigUint64Array, at: { rank?: number; tier?: KvTier } = {}): void {
    const { rank: dp_rank = 0, tier = "device" } = at;
    const event_id = this.#nextId(name);
    this.#happen(name, { kind: "removed", event_id, dp_rank, tier, sequence_hashes: hashes });
  }

  clear(name: string, at: { rank?: number; tier?: KvTier } = {}): void {
    const { rank: dp_rank = 0, tier = "device" } = at;
    this.#happen(name, { kind: "cleared", event_id: this.#nextId(name), dp_rank, tier });
  }

  #nextId(name: string): number {
    return this.workers.get(name)!.next_event_id++;
  }

  #happen(name: string, event: KvEvent): void {
    const { cache, publisher } = this.workers.get(name)!;
    const lane = `${event.dp_rank} ${event.tier}`;
    const held = cache.get(lane) ?? new Set();
    cache.set(lane, held);
    if (event.kind === "cleared") held.clear();
    else
      for (const hash of event.sequence_hashes)
        held[event.kind === "stored" ? "add" : "delete"](hash);
    publisher.publish(event);
  }

  /** What was held back arrives now, the last one first. */
  release(): void {
    for (const message of this.#held_back.splice(0).reverse()) this.feed.onEvents(message);
  }

  #deliver(message: KvEvents): void {
    const arrived = codecs.roundTrip(message) as KvEvents;
    const fate = this.fates.shift() ?? "ok";
    if (fate === "late") this.#held_back.push(arrived);
    if (fate === "ok" || fate === "twice") this.feed.onEvents(arrived);
    if (fate === "twice") this.feed.onEvents(arrived);
  }

  async #ask(ref: ActorRef, message: KvSourceMessage): Promise<unknown> {
    const question = codecs.roundTrip(message) as KvSourceMessage;
    const fate = this.fates.shift() ?? "ok";
    const worker = this.workers.get(ref.node);
    if (fate === "lost" || worker === undefined || worker.life !== ref.incarnation[0]) {
      await new Promise<void>((resolve) => this.clock.after(1_000, resolve));
      throw new Error("deadline");
    }
    const reply = this.answer?.(question, worker) ?? this.#reply(question, worker);
    await new Promise<void>((resolve) => this.clock.after(fate === "late" ? 300 : 1, resolve));
    return codecs.roundTrip(reply);
  }

  #reply(message: KvSourceMessage, { publisher }: WorldWorker): Message {
    switch (message.kind) {
      case "subscribe_kv": {
        const tell = (events: KvEvents): boolean => {
          this.#deliver(events);
          return true;
        };
        const address = { node: "router", path: "/router", incarnation: 1n };
        publisher.subscribe({ address, tell } as Ref<KvEvents>, message.subscription, 1);
        return publisher.subscribed();
      }
      case "fetch_kv_events":
        return publisher.range(message.from);
      case "fetch_kv_dump":
        return publisher.dumpPage(message);
      case "clear_kv":
        throw new Error("no router asks for this");
    }
  }

  /** Leading blocks that the index says this rank holds. */
  matched(name: string, hashes: BigUint64Array, rank = 0): number {
    const out = new CacheMatches();
    this.index.match(pairsOf(hashes), hashes.length, out, this.clock.now_ms());
    const slot = this.feed.slotOf(name);
    const row = slot === undefined ? -1 : out.find(slot, rank);
    return row < 0 ? 0 : out.blocks[row]!;
  }

  /** Leading blocks that this rank holds in truth. */
  cached(name: string, hashes: BigUint64Array, rank = 0): number {
    const cache = this.workers.get(name)?.cache ?? new Map<string, Set<bigint>>();
    const lanes = [...cache]
      .filter(([lane]) => lane.startsWith(`${rank} `))
      .map(([, held]) => held);
    const end = hashes.findIndex((hash) => !lanes.some((held) => held.has(hash)));
    return end < 0 ? hashes.length : end;
  }

  state(name: string): string {
    const worker = this.feed.workers().find((each) => each.worker === name);
    return worker === undefined ? "unknown" : `${worker.state} ${worker.fault ?? ""}`.trim();
  }
}

function wireRef(node: string, life: number): ActorRef {
  const incarnation = new Uint8Array(8);
  incarnation[0] = life;
  return { node, path: "/worker", incarnation, address: `memory:${node}` };
}

function cardOf(block_size: number): NonNullable<WorkerRecord["card"]> {
  return {
    name: "tiny",
    architecture: "",
    engine: "mocker",
    context_length: 4_096,
    block_size,
    total_blocks: 1_000,
    max_num_seqs: 8,
    max_num_batched_tokens: 512,
    embedding_size: 0,
    vocab_size: 0,
    tokenizer_blob: "",
    template_blob: "",
    defaults_blob: "",
    created_s: 0,
    build: "",
  };
}

/** `count` hashes that nobody else has. */
export function someHashes(count: number, seed: number): BigUint64Array {
  const hashes = new BigUint64Array(count);
  for (let i = 0; i < count; i++) hashes[i] = Bun.hash.xxHash3(`${seed} ${i}`);
  return hashes;
}
