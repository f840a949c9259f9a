/**
 * Requests whose next blocks lie at the keeper: they come in before their request is submitted, so
 * that the engine finds them cached.
 *
 *   start ─▶ find ─▶ slots, a lease ─▶ engine copies them in ─▶ release ─▶ ready
 *                                         └── more are coming ─▶ arrived ─┘
 *
 * Whatever goes wrong, the request is ready, and what did not come in is computed.
 */
import type {
  CachedFrom,
  FirstDrawn,
  Generate,
  HandOff,
  HandOffIs,
  KvArrived,
} from "../../../proto/index.ts";
import type { Timer } from "../../../runtime/capabilities.ts";
import type { ReplyPort } from "../../../runtime/kernel/ref.ts";
import type { BlockMove, BlockPort, EngineRefusal } from "../../engine/engine.ts";
import { packedHashes } from "../../kv/kv.ts";
import { isWellFormed } from "../engine-request.ts";
import { ANSWER_MS, type KeeperLink, type OpenSpace } from "./keeper-link.ts";
import { rowOf } from "./prompt-row.ts";

/** Told to the worker actor by timers here. */
export type OnboardTimer = { readonly kind: "kv_late"; readonly number: number };

export type OnboardHost = {
  readonly port: BlockPort;
  readonly link: KeeperLink;
  readonly block_size: () => number;
  /** How many of these blocks are cached, from the first on without a gap. */
  readonly cachedRow: (hashes: BigUint64Array) => number;
  readonly nextHandle: () => number;
  readonly counted: (blocks: number) => void;
  /** The engine did not take a move of so many blocks. */
  readonly refused: (blocks: number, refusal: EngineRefusal) => void;
  readonly after: (delay_ms: number, message: OnboardTimer) => Timer;
  readonly cancel: (timer: Timer) => void;
  /** The request may be submitted now, with what came in for it. */
  readonly ready: (generate: Generate, port: ReplyPort, came: Came) => void;
};

/** What is there for a request when it may be submitted. */
export type Came = {
  readonly from: CachedFrom;
  /** The answer's next token, drawn elsewhere: its reader does not have it. */
  readonly drawn?: number;
};

type Waiting = {
  readonly number: number;
  readonly generate: Generate;
  readonly port: ReplyPort;
  readonly space: OpenSpace;
  readonly tokens: Uint32Array;
  readonly hashes: BigUint64Array;
  /** Number of the first block of `slots`. */
  readonly first: number;
  readonly slots: number[];
  /** The last one is that by which more may come. */
  readonly leases: number[];
  /** Of `slots`, those that are in the engine. */
  done: number;
  /** Blocks before these numbers were in memory at once, or come from disk. */
  here_until: number;
  disk_until: number;
  coming: boolean;
  /** The keeper was asked and has not answered. */
  finding: boolean;
  /** Another worker computes these blocks, or did. */
  hand_off: HandOff | undefined;
  /** The move that is on its way; 0: none. */
  handle: number;
  timer: Timer | undefined;
  cancelled: boolean;
  /** The token behind all these; undefined: nobody has drawn it yet. */
  drawn: number | undefined;
};

/** With fewer uncached tokens in full blocks than this, asking costs more than it saves. */
const TOKENS_LEAST = 128;
/** So long blocks may come; without a new one a request waits no longer than ANSWER_MS. */
const LONGEST_MS = 10_000;
/** So long a request waits for word of another worker, when that of its prompt ended early. */
const WORD_MS = 500;
const HAND_OFF_MOST_MS = 600_000;
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

  /** Of these, requests whose prompt another worker computes, and has not done yet. */
  get elsewhere(): number {
    let count = 0;
    for (const { hand_off, first, slots, hashes } of this.#waiting.values()) {
      if (hand_off !== undefined && first + slots.length < hashes.length) count += 1;
    }
    return count;
  }

  /** True: `ready` is called later, and `port` was called. */
  start(generate: Generate, port: () => ReplyPort): boolean {
    const { link, block_size } = this.#host;
    const { space } = link;
    if (space === undefined || this.#waiting.size >= WAITING_MOST) return false;
    if (!isWellFormed(generate)) return false;
    const { hand_off } = generate;
    const receives = hand_off !== undefined && !hand_off.send;
    const least = receives ? 1 : TOKENS_LEAST;
    // Names cost something, and prompts are often short.
    if (tokensIn(generate) <= least) return false;
    const { tokens, hashes } = rowOf(generate, block_size(), "read");
    if (hashes.length * block_size() < least) return false;
    const first = this.#host.cachedRow(hashes);
    if ((hashes.length - first) * block_size() < least) return false;
    const number = ++this.#last;
    const waiting: Waiting = {
      ...{ number, generate, port: port(), space, tokens, hashes, first, slots: [], done: 0 },
      ...{ here_until: first, disk_until: first },
      ...{ leases: [], coming: false, finding: false, handle: 0, timer: undefined },
      ...{ hand_off: receives ? hand_off : undefined, cancelled: false, drawn: undefined },
    };
    this.#waiting.set(number, waiting);
    this.looked_for += hashes.length - first;
    this.#find(waiting);
    return true;
  }

  /** Asks for the blocks behind those that are here. */
  #find(waiting: Waiting): void {
    const { space, hashes, hand_off, generate } = waiting;
    const from = waiting.first + waiting.slots.length;
    const ask = { space: space.number, hashes: packedHashes(hashes), from };
    const wait_ms = hand_off === undefined ? LONGEST_MS : waitMs(generate);
    const { from_keeper } = hand_off ?? {};
    const is_far = from_keeper !== undefined && from_keeper.node !== space.keeper.address.node;
    waiting.finding = true;
    this.#host.link.ask(
      {
        ...{ kind: "find_kv", ...ask, writer: hand_off?.id ?? "", wait_ms },
        ...(is_far ? { from_keeper } : {}),
      },
      ({ lease, slots, coming, disk_until }) => {
        waiting.finding = false;
        // The next worker of a hand-off finds in memory what the one before has computed.
        if (waiting.here_until === from) waiting.here_until = from + slots.length;
        waiting.disk_until = Math.max(waiting.disk_until, disk_until);
        if (lease !== 0) waiting.leases.push(lease);
        waiting.coming = coming;
        waiting.slots.push(...slots);
        // It may have been cancelled while the keeper was asked.
        if (this.#waiting.has(waiting.number)) this.#go(waiting);
        else this.#release(waiting);
      },
      () => this.#end(waiting),
    );
  }

  /**
   * Another worker computes the blocks from here on; or none does, and what is missing is computed
   * here.
   */
  handOffIs({ request, hand_off }: HandOffIs): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.generate.request !== request || waiting.hand_off === undefined) continue;
      waiting.hand_off = hand_off;
      if (waiting.finding) continue;
      if (hand_off === undefined) {
        waiting.coming = false;
        this.#go(waiting);
      } else this.#find(waiting);
    }
  }

  /** Blocks come a little later than the token that was drawn behind them. */
  firstDrawn({ request, token }: FirstDrawn): void {
    for (const waiting of this.#waiting.values()) {
      if (waiting.generate.request === request) waiting.drawn = token;
    }
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
      if (waiting.leases.at(-1) !== lease || waiting.space !== this.#host.link.space) continue;
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
      this.#host.counted(came);
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
    waiting.hand_off = undefined;
    this.#go(waiting);
  }

  /** The space is closed: nothing more comes of it. Copies that have begun go on. */
  closed(): void {
    for (const waiting of this.#waiting.values()) {
      waiting.coming = false;
      waiting.hand_off = undefined;
      this.#go(waiting);
    }
  }

  /** Copies what is there, waits for what comes, or ends. */
  #go(waiting: Waiting): void {
    const { link, port, nextHandle } = this.#host;
    if (waiting.handle !== 0 || waiting.finding) return;
    this.#untime(waiting);
    const isOpen = link.space === waiting.space;
    const next = waiting.slots.slice(waiting.done, waiting.done + port.most);
    const isWhole = waiting.first + waiting.done === waiting.hashes.length;
    // With a hand-off that ended early, another worker may be found to go on.
    const mayCome = !isWhole && (waiting.coming || waiting.hand_off !== undefined);
    if (waiting.cancelled || !isOpen || (next.length === 0 && !mayCome)) {
      this.#end(waiting);
      return;
    }
    if (next.length === 0) {
      const late = { kind: "kv_late", number: waiting.number } as const;
      waiting.timer = this.#host.after(silenceMs(waiting), late);
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
    const refusal = port.in(handle, into, space.block_bytes);
    if (refusal !== undefined) {
      this.#host.refused(next.length, refusal);
      this.#end(waiting);
      return;
    }
    link.use();
    waiting.handle = handle;
  }

  #end(waiting: Waiting): void {
    this.#untime(waiting);
    if (!this.#waiting.delete(waiting.number)) return;
    this.#release(waiting);
    const { generate, port, cancelled, drawn } = waiting;
    if (cancelled) return;
    const from = cameFrom(waiting, this.#host.block_size());
    this.#host.ready(generate, port, drawn === undefined ? { from } : { from, drawn });
  }

  #release({ leases, space }: Waiting): void {
    const { link } = this.#host;
    if (link.space !== space) return;
    for (const lease of leases) link.tell({ kind: "release_kv", space: space.number, lease });
  }

  #untime(waiting: Waiting): void {
    if (waiting.timer !== undefined) this.#host.cancel(waiting.timer);
    waiting.timer = undefined;
  }
}

/** Tokens by where their blocks were when the request came. */
function cameFrom(waiting: Waiting, block_size: number): CachedFrom {
  const { first, done, here_until, disk_until } = waiting;
  const end = first + done;
  const host = Math.min(end, here_until) - first;
  const disk = Math.max(0, Math.min(end, disk_until) - here_until);
  const remote = done - host - disk;
  return { host: host * block_size, disk: disk * block_size, remote: remote * block_size };
}

const waitMs = ({ deadline_ms }: Generate): number => Math.min(HAND_OFF_MOST_MS, deadline_ms);

/** After this time without a block the rest is computed here. */
function silenceMs({ coming, hand_off, generate }: Waiting): number {
  if (hand_off === undefined) return ANSWER_MS;
  // The keeper watches the worker that computes them, and the stream asks after it.
  return coming ? waitMs(generate) : WORD_MS;
}

/** At most so many, of the prompt and of what is delivered. */
const tokensIn = ({ prompt, choices }: Generate): number =>
  choices.reduce((bytes, { delivered }) => bytes + delivered.length, prompt.length) / 4;
