/**
 * Requests whose next blocks lie at the keeper: they come in before their request is submitted, so
 * that the engine finds them cached.
 *
 *   start ─▶ find ─▶ slots, a lease ─▶ engine copies them in ─▶ release ─▶ ready
 *                                         └── more are coming ─▶ arrived ─┘
 *
 * Whatever goes wrong, the request is ready, and what did not come in is computed.
 */
import { blockHashes, blockSeed } from "../../../llm/blocks/block-hash.ts";
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type { Generate, KvArrived } from "../../../proto/index.ts";
import type { Timer } from "../../../runtime/capabilities.ts";
import type { ReplyPort } from "../../../runtime/kernel/ref.ts";
import type { BlockMove, BlockPort } from "../../engine/engine.ts";
import { packedHashes } from "../../kv/kv.ts";
import { isWellFormed } from "../engine-request.ts";
import { ANSWER_MS, type KeeperLink, type OpenSpace } from "./keeper-link.ts";

/** Told to the worker actor by timers here. */
export type OnboardTimer = { readonly kind: "kv_late"; readonly number: number };

export type OnboardHost = {
  readonly port: BlockPort;
  readonly link: KeeperLink;
  readonly block_size: () => number;
  /** How many of these blocks are cached, from the first on without a gap. */
  readonly cachedRow: (hashes: BigUint64Array) => number;
  readonly nextHandle: () => number;
  readonly after: (delay_ms: number, message: OnboardTimer) => Timer;
  readonly cancel: (timer: Timer) => void;
  /** The request may be submitted now. */
  readonly ready: (generate: Generate, port: ReplyPort) => void;
};

type Waiting = {
  readonly number: number;
  readonly generate: Generate;
  readonly port: ReplyPort;
  readonly space: OpenSpace;
  readonly tokens: Uint32Array;
  /** Number of the first block of `slots`. */
  readonly first: number;
  readonly slots: number[];
  lease: number;
  /** Of `slots`, those that are in the engine. */
  done: number;
  coming: boolean;
  /** The move that is on its way; 0: none. */
  handle: number;
  moving: number;
  timer: Timer | undefined;
  cancelled: boolean;
};

/** With fewer uncached tokens in full blocks than this, asking costs more than it saves. */
const TOKENS_LEAST = 128;
/** So long blocks may come; without a new one a request waits no longer than ANSWER_MS. */
const LONGEST_MS = 10_000;
/** More than so many requests at a time are submitted as they are. */
const WAITING_MOST = 1_024;

export class Onboard {
  readonly #host: OnboardHost;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  onboarded = 0;
  /** Blocks that were asked for. */
  looked_for = 0;

  constructor(host: OnboardHost) {
    this.#host = host;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** True: `ready` is called later, and `port` was called. */
  start(generate: Generate, port: () => ReplyPort): boolean {
    const { link, block_size } = this.#host;
    const { space } = link;
    if (space === undefined || this.#waiting.size >= WAITING_MOST) return false;
    if (!isWellFormed(generate)) return false;
    const tokens = promptOf(generate);
    // The last token is always computed: the answer's first one is drawn from it.
    const full = Math.floor((tokens.length - 1) / block_size());
    if (full * block_size() < TOKENS_LEAST) return false;
    const within = tokens.subarray(0, full * block_size());
    const hashes = blockHashes(within, block_size(), blockSeed(generate)).sequence_hashes;
    const first = this.#host.cachedRow(hashes);
    if ((full - first) * block_size() < TOKENS_LEAST) return false;
    const number = ++this.#last;
    const waiting: Waiting = {
      ...{ number, generate, port: port(), space, tokens, first, slots: [], lease: 0, done: 0 },
      ...{ coming: false, handle: 0, moving: 0, timer: undefined, cancelled: false },
    };
    this.#waiting.set(number, waiting);
    this.looked_for += full - first;
    const ask = { space: space.number, hashes: packedHashes(hashes), from: first };
    link.ask(
      { kind: "find_kv", ...ask, writer: "", wait_ms: LONGEST_MS },
      ({ lease, slots, coming }) => {
        waiting.lease = lease;
        waiting.coming = coming;
        waiting.slots.push(...slots);
        this.#go(waiting);
      },
      () => this.#end(waiting),
    );
    return true;
  }

  holds(request: string): boolean {
    for (const { generate, cancelled } of this.#waiting.values()) {
      if (generate.request === request && !cancelled) return true;
    }
    return false;
  }

  /** The request was cancelled; what it holds is released when nothing is copied from it. */
  drop(request: string): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.generate.request !== request) continue;
      waiting.cancelled = true;
      this.#go(waiting);
    }
  }

  arrived({ lease, first, slots, coming }: KvArrived): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.lease !== lease || waiting.space !== this.#host.link.space) continue;
      // What is told twice, or out of order, is not used.
      if (first === waiting.first + waiting.slots.length) waiting.slots.push(...slots);
      waiting.coming = coming;
      this.#go(waiting);
      return;
    }
  }

  /** False: the move is not one of these. */
  moved(handle: number, moves: readonly BlockMove[]): boolean {
    for (const waiting of this.#waiting.values()) {
      if (waiting.handle !== handle) continue;
      waiting.handle = 0;
      this.#host.link.unuse();
      const fit = moves.findIndex((move) => move !== "moved");
      const came = fit < 0 ? moves.length : fit;
      waiting.done += came;
      this.onboarded += came;
      if (fit >= 0) this.#end(waiting);
      else this.#go(waiting);
      return true;
    }
    return false;
  }

  onTimer({ number }: OnboardTimer): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    waiting.timer = undefined;
    waiting.coming = false;
    this.#go(waiting);
  }

  /** The space is closed: nothing more comes of it. Copies that have begun go on. */
  closed(): void {
    for (const waiting of this.#waiting.values()) {
      waiting.coming = false;
      this.#go(waiting);
    }
  }

  /** Copies what is there, waits for what comes, or ends. */
  #go(waiting: Waiting): void {
    const { link, port, nextHandle } = this.#host;
    if (waiting.handle !== 0) return;
    this.#untime(waiting);
    const isOpen = link.space === waiting.space;
    const next = waiting.slots.slice(waiting.done, waiting.done + port.most);
    if (waiting.cancelled || !isOpen || (next.length === 0 && !waiting.coming)) {
      this.#end(waiting);
      return;
    }
    if (next.length === 0) {
      const late = { kind: "kv_late", number: waiting.number } as const;
      waiting.timer = this.#host.after(ANSWER_MS, late);
      return;
    }
    const { generate, tokens, space } = waiting;
    const first = waiting.first + waiting.done;
    const { adapter, salt } = generate;
    const into = {
      tokens: tokens.subarray(0, (first + next.length) * this.#host.block_size()),
      ...(adapter === undefined ? {} : { adapter }),
      ...(salt === undefined ? {} : { salt }),
      first,
      addresses: next.map(space.addressOf),
    };
    const handle = nextHandle();
    if (port.in(handle, into, space.block_bytes) !== undefined) {
      this.#end(waiting);
      return;
    }
    link.use();
    waiting.handle = handle;
  }

  #end(waiting: Waiting): void {
    const { link, ready } = this.#host;
    this.#untime(waiting);
    if (!this.#waiting.delete(waiting.number)) return;
    const { lease, space, generate, port, cancelled } = waiting;
    if (lease !== 0 && link.space === space) {
      link.tell({ kind: "release_kv", space: space.number, lease });
    }
    if (!cancelled) ready(generate, port);
  }

  #untime(waiting: Waiting): void {
    if (waiting.timer !== undefined) this.#host.cancel(waiting.timer);
    waiting.timer = undefined;
  }
}

/** What all choices have in common; of a single one also what is delivered of it. */
function promptOf({ prompt, choices }: Generate): Uint32Array {
  const own = tokensOf(prompt);
  const [only] = choices;
  // Prompts that are scored are computed.
  if (choices.some(({ scores }) => scores === true)) return new Uint32Array(0);
  if (choices.length !== 1 || only === undefined || only.delivered.length === 0) return own;
  const delivered = tokensOf(only.delivered);
  const both = new Uint32Array(own.length + delivered.length);
  both.set(own);
  both.set(delivered, own.length);
  return both;
}
