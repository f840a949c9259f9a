/**
 * Grammars in threads beside the event loop.
 *
 *   compile ─▶ trial thread: parses ─▶ grammar thread: compiles, keeps, makes masks
 *
 * The trial thread has no vocabulary and no answer: a text that is wrong, too large or takes for
 * ever to parse costs the grammar thread nothing. (An error inside the library spoils its thread.)
 * Where the grammar thread has to be replaced after all, the answers that are open get their
 * grammars compiled again and their tokens replayed.
 */
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
};

export type ThreadedOptions = {
  readonly clock: Clock;
  readonly threads: Threads;
  readonly vocab: ThreadVocab;
  /** The engine whose memory gets the masks; without, `open` gives them to JavaScript. */
  readonly native?: ThreadNative & { readonly again: () => boolean };
  /** For tests on busy machines; default STAGE_MS. */
  readonly stage_ms?: number | undefined;
};

type Done = (refusal: EngineRefusal | undefined) => void;
type OpenAnswer = {
  readonly text: string;
  readonly tokens: number[];
  readonly mask: (words: Uint32Array | undefined, count: number) => void;
};

export class ThreadedGrammars implements Grammars {
  readonly #options: ThreadedOptions;
  readonly #trial: JobThread;
  readonly #maker: JobThread;
  /** Compiled, the least recently used first. */
  readonly #kept = new Set<string>();
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
    const shim = native && { shim: native.shim, engine: native.engine, fd: native.fd };
    this.#trial = new JobThread({ clock, threads, start: { kind: "start" }, started: () => {} });
    this.#maker = new JobThread({
      ...{ clock, threads },
      start: { kind: "start", vocab, ...(shim === undefined ? {} : { native: shim }) },
      started: () => this.#rebuild(),
      mask: (message) => this.#onMask(message),
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
    this.#maker.warm();
    this.#next();
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
    const key = this.#openAnswer({ text, tokens, mask });
    return {
      next: () => latest,
      push: (token) => {
        tokens.push(token);
        latest = "late";
        this.#maker.post({ kind: "push", key, token });
      },
      close: () => this.closeNative(key),
    };
  }

  /** An answer whose tokens and masks are in the native engine's memory; returns its key. */
  openNative(text: string): number {
    return this.#openAnswer({ text, tokens: [], mask: () => {} });
  }

  closeNative(key: number): void {
    if (this.#open.delete(key)) this.#maker.post({ kind: "close", key });
  }

  async close(): Promise<void> {
    await Promise.all([this.#trial.close(), this.#maker.close()]);
  }

  #openAnswer(answer: OpenAnswer): number {
    do this.#last_key = (this.#last_key % 0x7fff_fffe) + 1;
    while (this.#open.has(this.#last_key));
    const key = this.#last_key;
    this.#open.set(key, answer);
    if (!this.#kept.has(answer.text)) this.#keep(answer.text);
    this.#maker.post({ kind: "open", key, text: answer.text, tokens: answer.tokens });
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
    const to_make = this.#maker.busy ? undefined : this.#to_make.shift();
    if (to_make !== undefined) {
      const done = (result: JobResult) => {
        const refusal = refusalOf(result, this.#stage_ms);
        if (refusal === undefined) this.#keep(to_make);
        this.#settle(to_make, refusal, result === "late");
        this.#next();
      };
      this.#maker.run(to_make, this.#stage_ms, done);
    }
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

  #keep(text: string): void {
    this.#kept.add(text);
    this.#kept_characters += text.length;
    while (
      this.#kept.size > 1 &&
      (this.#kept.size > KEPT_MOST || this.#kept_characters > KEPT_CHARACTERS_MOST)
    ) {
      const oldest = first(this.#kept);
      this.#kept.delete(oldest);
      this.#kept_characters -= oldest.length;
      this.#maker.post({ kind: "drop", text: oldest });
    }
  }

  #touch(text: string): void {
    this.#kept.delete(text);
    this.#kept.add(text);
  }

  /** A grammar thread is ready: it gets what the answers need that are open. */
  #rebuild(): void {
    this.#kept.clear();
    this.#kept_characters = 0;
    for (const [key, { text, tokens }] of this.#open) {
      this.#maker.post({ kind: "open", key, text, tokens });
      if (!this.#kept.has(text)) this.#keep(text);
    }
    this.#again();
  }

  #again(): void {
    const { native, clock } = this.#options;
    if (native !== undefined && !native.again()) clock.after(10, () => this.#again());
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

function first<Item>(items: Iterable<Item>): Item {
  for (const item of items) return item;
  throw new RangeError("there is no item");
}
