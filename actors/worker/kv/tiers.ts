/**
 * A worker's part in the tiers beyond its engine: what the engine caches goes out to the keeper of
 * the machine's blocks, and what a request needs comes in again before it is submitted.
 *
 *   engine ── kv events ──▶ offload ──▶ keeper's memory ──▶ onboard ──▶ engine
 */
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import type {
  FirstDrawn,
  Generate,
  HandOffIs,
  KvArrived,
  KvTierNews,
  PrefetchKv,
  WorkerRecord,
} from "../../../proto/index.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import type { ReplyPort } from "../../../runtime/kernel/ref.ts";
import type { BlockMove, BlockPort, Engine, EngineRefusal } from "../../engine/engine.ts";
import { hashesIn, packedHashes } from "../../kv/kv.ts";
import type { Arrivals } from "../answers/arrivals.ts";
import { isWellFormed } from "../engine-request.ts";
import { KeeperLink, type LinkTimer, type TierOptions } from "./keeper-link.ts";
import { Offload } from "./offload.ts";
import { type Came, Onboard, type OnboardTimer } from "./onboard.ts";
import { rowOf } from "./prompt-row.ts";
import { Sending } from "./sending.ts";
import { TierEvents } from "./tier-events.ts";
import type { TierMetrics } from "./tier-metrics.ts";

/** Told to the worker actor by timers here. */
type OwnTimer = { readonly kind: "kv_flush" } | { readonly kind: "kv_waited" };
export type TiersTimer = LinkTimer | OnboardTimer | OwnTimer;

export type TiersHost = {
  readonly ctx: () => Pick<
    Context<TiersTimer>,
    | ("ask" | "askThen" | "self" | "system" | "monitor" | "demonitor")
    | ("after" | "cancel" | "log" | "clock")
  >;
  readonly engine: Engine;
  readonly blocks: BlockPort;
  readonly options: TierOptions;
  readonly arrivals: Arrivals;
  readonly metrics: TierMetrics;
  /** Name and incarnation. */
  readonly name: () => string;
  readonly cachedRow: (hashes: BigUint64Array) => number;
  /** Tells routers of the cache. */
  readonly publish: (event: KvEvent) => void;
  /** The request may be submitted now, with what came in for it. */
  readonly ready: (generate: Generate, port: ReplyPort, came: Came) => void;
  /** True: the request is in the engine. */
  readonly isHere: (request: string) => boolean;
  /** `record` is what it is for now: a place is open, or was waited for long enough. */
  readonly settled: () => void;
  /** The engine has something to do. */
  readonly wake: () => void;
};

/** Why a prompt is not computed for another worker. */
export const NO_HAND_OFF = {
  code: "closed",
  message: "This worker's blocks stay in its engine now, so that nobody else can have them.",
} as const;

/** So long a worker is not listed without its place, that its first request is warm. */
const OPEN_WAIT_MS = 1_000;
const NOTHING_CAME: Came = { from: { host: 0, disk: 0, remote: 0 } };

export class WorkerTiers {
  #is_settled = false;
  readonly #host: TiersHost;
  readonly #link: KeeperLink;
  readonly #offload: Offload;
  readonly #onboard: Onboard;
  readonly #sending: Sending;
  readonly #events: TierEvents;
  #handle = 0;
  /** Blocks whose bytes were not what they should be. */
  #odd = 0;
  #moved: (readonly [handle: number, moves: readonly BlockMove[]])[] = [];

  constructor(host: TiersHost) {
    this.#host = host;
    this.#events = new TierEvents(host.publish);
    const { blocks: port, engine, options, name } = host;
    const block_size = () => engine.describe().block_size;
    const nextHandle = () => {
      this.#handle = (this.#handle % 0xffff_fffe) + 1;
      host.wake();
      return this.#handle;
    };
    this.#link = new KeeperLink({
      ...{ ctx: host.ctx, name, options, block_size },
      block_bytes: () => port.bytes(),
      opened: () => {
        this.#offload.restart(engine.kvDump?.().blocks ?? []);
        this.#settle();
      },
      closed: () => {
        this.#events.closed();
        this.#sending.closed();
        this.#offload.closed();
        this.#onboard.closed();
      },
    });
    const link = this.#link;
    const ctx = () => host.ctx();
    this.#offload = new Offload({
      ...{ port, link, nextHandle },
      counted: (blocks) => host.metrics.offloaded(blocks),
      refused: (blocks, refusal) => this.#refused("out", blocks, refusal),
      later: (delay_ms) => void ctx().after(delay_ms, { kind: "kv_flush" }),
      handOffOf: (hash) => this.#sending.handOffOf(hash),
      batchEnded: () => this.#sending.look(),
    });
    this.#sending = new Sending({
      ...{ block_size, cachedRow: host.cachedRow },
      tell: (kind, id, blocks) => {
        const { space } = link;
        if (space === undefined) return false;
        const about = { space: space.number, id };
        link.tell(kind === "kv_writing" ? { kind, ...about, blocks } : { kind, ...about });
        return true;
      },
      offer: (id, blocks) => this.#offload.offer(id, blocks),
      pending: (id) => this.#offload.pending(id),
      isHere: (request) => this.#onboard.holds(request) || host.isHere(request),
    });
    this.#onboard = new Onboard({
      ...{ port, link, block_size, nextHandle },
      counted: (blocks) => host.metrics.onboarded(blocks, block_size()),
      refused: (blocks, refusal) => this.#refused("in", blocks, refusal),
      cachedRow: host.cachedRow,
      after: (delay_ms, message) => ctx().after(delay_ms, message),
      cancel: (timer) => ctx().cancel(timer),
      ready: (generate, reply, came) => {
        host.arrivals.blocksCame(generate);
        host.ready(generate, reply, came);
      },
    });
    port.onMoved((handle, moves) => {
      this.#moved.push([handle, moves]);
      for (const move of moves) if (move !== "moved") this.#notMoved(move);
    });
  }

  #notMoved(why: Exclude<BlockMove, "moved">): void {
    this.#host.metrics.notMoved(why);
    if (why !== "odd") return;
    this.#odd += 1;
    const odd = this.#odd;
    const text = "a block's bytes are not what this engine makes of it: it is computed instead";
    // Each power of two: such blocks come in rows.
    if ((odd & (odd - 1)) === 0) this.#host.ctx().log.log("warn", text, { odd });
  }

  #refused(way: "in" | "out", blocks: number, { code, message }: EngineRefusal): void {
    this.#host.metrics.notMoved("refused", blocks);
    const about = { way, blocks, code, why: message };
    this.#host.ctx().log.log("debug", "the engine did not take a move of blocks", about);
  }

  /** Finds its place at the keeper, now or whenever there is one; `settled` hears of it. */
  start(): void {
    this.#host.ctx().after(OPEN_WAIT_MS, { kind: "kv_waited" });
    this.#link.start().catch((error: unknown) => {
      const why = String(error);
      this.#host.ctx().log.log("warn", "this worker's blocks stay in its engine", { why });
    });
  }

  #settle(): void {
    this.#is_settled = true;
    this.#host.settled();
  }

  #waited(): void {
    if (!this.#is_settled) this.#settle();
  }

  /** What others may know of it, as in WorkerRecord. */
  record(): Pick<WorkerRecord, "keeper" | "kv_identity"> {
    return this.#link.record();
  }

  /** Requests that wait for blocks. */
  get waiting(): number {
    return this.#onboard.waiting;
  }

  /** Of those that wait, requests whose prompt another worker computes, and has not done yet. */
  get elsewhere(): number {
    return this.#onboard.elsewhere;
  }

  onEvent(event: KvEvent): void {
    if (event.kind === "stored") this.#offload.stored(event);
  }

  /** False: nobody can have the blocks of this request, which computes them for another worker. */
  send(generate: Generate): boolean {
    return this.#sending.begin(generate);
  }

  /** A request may have ended. */
  look(): void {
    this.#sending.look();
  }

  /** True: `ready` is called later, and `port` was called. */
  hold(generate: Generate, port: () => ReplyPort): boolean {
    if (!this.#onboard.start(generate, port)) return false;
    this.#host.arrivals.waitsForBlocks(generate);
    return true;
  }

  hear(message: KvArrived | KvTierNews | HandOffIs | FirstDrawn | PrefetchKv): void {
    if (message.kind === "kv_arrived") this.#onboard.arrived(message);
    else if (message.kind === "first_drawn") this.#onboard.firstDrawn(message);
    else if (message.kind === "hand_off_is") this.#onboard.handOffIs(message);
    else if (message.kind === "prefetch_kv") this.#prefetch(message);
    else this.#news(message);
  }

  /** Which blocks are at the keeper. */
  #news(message: KvTierNews): void {
    if (this.#link.space?.number !== message.space || this.#events.take(message)) return;
    this.#link.close();
  }

  /** A request that waits in a router will read these blocks; of what is cached nothing is told. */
  #prefetch({ hashes }: Pick<PrefetchKv, "hashes">): void {
    const { space } = this.#link;
    const row = hashesIn(hashes);
    const from = this.#host.cachedRow(row);
    if (space === undefined || from >= row.length) return;
    this.#link.tell({ kind: "prefetch_kv", space: space.number, hashes, from });
  }

  /** A request waits here for something else, before it is held for its blocks. */
  ahead(generate: Generate): void {
    if (this.#link.space === undefined || !isWellFormed(generate)) return;
    const { hashes } = rowOf(generate, this.#host.engine.describe().block_size, "read");
    this.#prefetch({ hashes: packedHashes(hashes) });
  }

  /** Of a request for which nothing came in; undefined: there are no tiers now. */
  nothingCame(): Came | undefined {
    return this.#link.space === undefined ? undefined : NOTHING_CAME;
  }

  holds(request: string): boolean {
    return this.#onboard.holds(request);
  }

  drop(request: string): void {
    this.#onboard.drop(request);
    this.#sending.look();
  }

  /** After each pass of the engine, in which it may have said what became of blocks. */
  passed(): void {
    this.#sending.look();
    if (this.#moved.length === 0) return;
    const moved = this.#moved;
    this.#moved = [];
    for (const [handle, moves] of moved) {
      if (!this.#onboard.moved(handle, moves)) this.#offload.moved(handle, moves);
    }
  }

  onTimer(message: TiersTimer): void {
    if (message.kind === "kv_flush") this.#offload.onTimer();
    else if (message.kind === "kv_waited") this.#waited();
    else if (message.kind === "kv_late") this.#onboard.onTimer(message);
    else this.#link.onTimer(message);
  }

  /** The worker ends in a process that goes on, and its engine does nothing any more. */
  end(): void {
    this.#link.end();
  }

  /** True: the monitor was ours. */
  keeperGone(monitor: number): boolean {
    return this.#link.keeperGone(monitor);
  }

  inspect() {
    return {
      ...this.#link.inspect(),
      sending: this.#sending.count,
      to_offload: this.#offload.waiting,
      offloaded: this.#offload.offloaded,
      looked_for: this.#onboard.looked_for,
      onboarded: this.#onboard.onboarded,
      waiting: this.#onboard.waiting,
      odd: this.#odd,
    };
  }
}
