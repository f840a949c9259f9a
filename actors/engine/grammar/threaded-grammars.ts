/**
 * Grammars in threads beside the event loop.
 *
 *   compile ─▶ trial thread: parses ─▶ grammar thread: compiles, keeps, makes masks
 *
 * There are two grammar threads, as one does one thing at a time: a new text goes to the one with
 * fewer open answers, whose masks wait meanwhile. It stays there, with its answers: a compiled
 * grammar cannot be handed over. The second thread starts when a new text meets open answers.
 *
 * The trial thread has no vocabulary and no answer: a text that is wrong, too large or takes for
 * ever to parse costs the grammar thread nothing. (An error inside the library spoils its thread.)
 * Where the grammar thread has to be replaced after all, the answers that are open get their
 * grammars compiled again and their tokens replayed.
 */

import { TR } from "../../../native/index.ts";
import type { Clock, Threads } from "../../../runtime/capabilities.ts";
import type { EngineRefusal } from "../engine.ts";
import type { Grammars, Masks } from "./grammars.ts";
import { type JobResult, JobThread } from "./job-thread.ts";
import type { FromThread, ThreadNative, ThreadVocab } from "./thread-messages.ts";

/**
 * For each of the two stages, of a core's time. Grammars of real schemas take 1 to 300 ms; the
 * worker has to answer within the five seconds that a frontend waits for it (`accept_ms`). So where
 * a stage gets no core, it goes on.
 */
const STAGE_MS = 2_000;
/** Who waits for longer, behind others or for a core, is refused in time to ask another worker. */
const WAIT_MS = 4_500;
/** Compiled texts that are kept, the least recently used goes first: a megabyte each at most. */
const KEPT_MOST = 64;
const KEPT_CHARACTERS_MOST = 8 * 1024 ** 2;
/** Refused texts that are remembered: who repeats them gets the refusal without a compilation. */
const REFUSED_MOST = 256;
/** What took too long may have met a busy machine: it may be tried again after this time. */
const LATE_AGAIN_MS = 30_000;
const WAITING_MOST = 256;

const QUEUE_FULL: EngineRefusal = {
  code: "queue_full",
  message: `${WAITING_MOST} grammars wait to be compiled: try again later`,
};

const LATE: EngineRefusal = {
  code: "queue_full",
  message: `The worker is too busy to compile the grammar within ${WAIT_MS / 1000} s: try again.`,
  not_yet: true,
};

export type ThreadedOptions = {
  readonly clock: Clock;
  readonly threads: Threads;
  readonly vocab: ThreadVocab;
  /** The engine whose memory gets the masks; without, `open` gives them to JavaScript. */
  readonly native?: {
    readonly lane: (lane: number) => ThreadNative;
    readonly again: (lane: number) => boolean;
  };
  /** For tests on busy machines; default STAGE_MS. */
  readonly stage_ms?: number | undefined;
};

type Done = (refusal: EngineRefusal | undefined) => void;
type Maker = {
  readonly lane: number;
  readonly thread: JobThread;
  /** Once: from then on it is waited for, also where it is replaced. */
  started: boolean;
  /** Answers that have their masks from it. */
  open: number;
};

type OpenAnswer = {
  readonly maker: Maker;
  readonly text: string;
  readonly tokens: number[];
  readonly mask: (words: Uint32Array | undefined, count: number) => void;
};

export class ThreadedGrammars implements Grammars {
  readonly #options: ThreadedOptions;
  readonly #trial: JobThread;
  readonly #makers: readonly Maker[];
  /** Compiled, and by whom; the least recently used first. */
  readonly #kept = new Map<string, Maker>();
  #kept_characters = 0;
  readonly #stage_ms: number;
  readonly #refused = new Map<string, { readonly refusal: EngineRefusal; until_ms: number }>();
  readonly #waiting = new Map<string, Set<Done>>();
  readonly #to_try: string[] = [];
  readonly #to_make: string[] = [];
  readonly #open = new Map<number, OpenAnswer>();
  #last_key = 0;

  constructor(options: ThreadedOptions) {
    const { clock, threads, vocab, native } = options;
    this.#options = options;
    this.#stage_ms = options.stage_ms ?? STAGE_MS;
    this.#trial = new JobThread({ clock, threads, start: { kind: "start" }, started: () => {} });
    this.#makers = Array.from({ length: TR.MASK_LANES }, (_, lane) => {
      const thread = new JobThread({
        ...{ clock, threads },
        start: { kind: "start", vocab, ...(native && { native: native.lane(lane) }) },
        started: () => {
          maker.started = true;
          this.#rebuild(maker);
        },
        mask: (message) => this.#onMask(message),
      });
      const maker: Maker = { lane, thread, started: false, open: 0 };
      return maker;
    });
  }

  compile(text: string, done: Done): void {
    const refused = this.#refused.get(text);
    if (refused !== undefined && refused.until_ms > this.#options.clock.now_ms()) {
      done(refused.refusal);
      return;
    }
    if (this.#kept.has(text)) {
      this.#touch(text);
      done(undefined);
      return;
    }
    const waiting = this.#waiting.get(text);
    if (waiting !== undefined) {
      waiting.add(this.#inTime(waiting, done));
      return;
    }
    if (this.#waiting.size >= WAITING_MOST) {
      done(QUEUE_FULL);
      return;
    }
    const first = new Set<Done>();
    first.add(this.#inTime(first, done));
    this.#waiting.set(text, first);
    this.#to_try.push(text);
    this.#makers[0]!.thread.warm();
    this.#next();
  }

  /** Who compiles a text that nobody has. */
  #calmest(): Maker {
    const [first, ...others] = this.#makers;
    let calmest = first!;
    for (const maker of others) {
      if (calmest.open === 0) break;
      if (!maker.started) maker.thread.warm();
      else if (maker.open < calmest.open) calmest = maker;
    }
    return calmest;
  }

  /** The grammar is compiled all the same, for those who come again. */
  #inTime(waiting: Set<Done>, done: Done): Done {
    const { clock } = this.#options;
    const timer = clock.after(WAIT_MS, () => {
      waiting.delete(told);
      done(LATE);
    });
    const told: Done = (refusal) => {
      clock.cancel(timer);
      done(refusal);
    };
    return told;
  }

  open(text: string, changed: () => void): Masks {
    let latest: Uint32Array | "late" | "failed" = "late";
    const tokens: number[] = [];
    const mask = (words: Uint32Array | undefined, count: number) => {
      if (count !== tokens.length) return;
      latest = words ?? "failed";
      changed();
    };
    const maker = this.#makerOf(text);
    const key = this.#openAnswer({ maker, text, tokens, mask });
    return {
      next: () => latest,
      push: (token) => {
        tokens.push(token);
        latest = "late";
        maker.thread.post({ kind: "push", key, token });
      },
      close: () => this.closeNative(key),
    };
  }

  /** An answer whose tokens and masks are in the native engine's memory; returns its key. */
  openNative(text: string): number {
    return this.#openAnswer({ maker: this.#makerOf(text), text, tokens: [], mask: () => {} });
  }

  closeNative(key: number): void {
    const answer = this.#open.get(key);
    if (answer === undefined) return;
    this.#open.delete(key);
    answer.maker.open--;
    answer.maker.thread.post({ kind: "close", key });
  }

  async close(): Promise<void> {
    await Promise.all([this.#trial, ...this.#makers.map(({ thread }) => thread)].map(closed));
  }

  #makerOf(text: string): Maker {
    return this.#kept.get(text) ?? this.#calmest();
  }

  #openAnswer(answer: OpenAnswer): number {
    const { maker, text, tokens } = answer;
    // The key's remainder is the lane: see native/masks/masks.c.
    do this.#last_key = (this.#last_key % 0x7fff_fffd) + 1;
    while (this.#last_key % TR.MASK_LANES !== maker.lane || this.#open.has(this.#last_key));
    const key = this.#last_key;
    this.#open.set(key, answer);
    maker.open++;
    if (!this.#kept.has(text)) this.#keep(text, maker);
    maker.thread.post({ kind: "open", key, text, tokens });
    return key;
  }

  #next(): void {
    const to_try = this.#trial.busy ? undefined : this.#to_try.shift();
    if (to_try !== undefined) {
      const done = (result: JobResult) => {
        const refusal = refusalOf(result, this.#stage_ms);
        if (refusal === undefined) this.#to_make.push(to_try);
        else this.#settle(to_try, refusal, result === "late");
        this.#next();
      };
      this.#trial.run(to_try, this.#stage_ms, done);
    }
    if (this.#to_make.length === 0) return;
    const maker = this.#calmest();
    if (maker.thread.busy) return;
    const to_make = this.#to_make.shift()!;
    const done = (result: JobResult) => {
      const refusal = refusalOf(result, this.#stage_ms);
      if (refusal === undefined) this.#keep(to_make, maker);
      this.#settle(to_make, refusal, result === "late");
      this.#next();
    };
    maker.thread.run(to_make, this.#stage_ms, done);
  }

  #settle(text: string, refusal: EngineRefusal | undefined, late: boolean): void {
    if (refusal?.code === "bad_request") {
      const now_ms = this.#options.clock.now_ms();
      const until_ms = late ? now_ms + LATE_AGAIN_MS : Number.POSITIVE_INFINITY;
      this.#refused.set(text, { refusal, until_ms });
      if (this.#refused.size > REFUSED_MOST) this.#refused.delete(first(this.#refused.keys()));
    }
    const waiting = this.#waiting.get(text) ?? [];
    this.#waiting.delete(text);
    for (const done of waiting) done(refusal);
  }

  #keep(text: string, maker: Maker): void {
    this.#kept.set(text, maker);
    this.#kept_characters += text.length;
    while (
      this.#kept.size > 1 &&
      (this.#kept.size > KEPT_MOST || this.#kept_characters > KEPT_CHARACTERS_MOST)
    ) {
      const [oldest, its] = first(this.#kept);
      this.#kept.delete(oldest);
      this.#kept_characters -= oldest.length;
      its.thread.post({ kind: "drop", text: oldest });
    }
  }

  #touch(text: string): void {
    const maker = this.#kept.get(text)!;
    this.#kept.delete(text);
    this.#kept.set(text, maker);
  }

  /** A grammar thread is ready: it gets what the answers need that are open there. */
  #rebuild(maker: Maker): void {
    for (const [text, its] of this.#kept) {
      if (its !== maker) continue;
      this.#kept.delete(text);
      this.#kept_characters -= text.length;
    }
    for (const [key, answer] of this.#open) {
      const { text, tokens } = answer;
      if (answer.maker !== maker) continue;
      maker.thread.post({ kind: "open", key, text, tokens });
      if (!this.#kept.has(text)) this.#keep(text, maker);
    }
    this.#again(maker.lane);
  }

  #again(lane: number): void {
    const { native, clock } = this.#options;
    if (native !== undefined && !native.again(lane)) clock.after(10, () => this.#again(lane));
  }

  #onMask({ key, words, count }: Extract<FromThread, { kind: "mask" }>): void {
    this.#open.get(key)?.mask(words, count);
  }
}

function refusalOf(result: JobResult, stage_ms: number): EngineRefusal | undefined {
  if (result === "gone") {
    return { code: "queue_full", message: "The grammar thread has ended: try again in a moment." };
  }
  if (result !== "late" && result.refusal === undefined) return undefined;
  const message =
    result === "late"
      ? `The grammar takes longer than ${stage_ms / 1000} s to compile: make it smaller.`
      : `The grammar cannot be compiled: ${result.refusal}`;
  return { code: "bad_request", message };
}

const closed = (thread: JobThread): Promise<void> => thread.close();

function first<Item>(items: Iterable<Item>): Item {
  for (const item of items) return item;
  throw new RangeError("there is no item");
}
