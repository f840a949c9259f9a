/**
 * A grammar thread that compiles one text at a time, and is replaced when that takes too long or
 * fails inside the library.
 *
 *   none ─▶ starting ─▶ idle ⇄ busy
 *             ▲                  │ late, spoiled, gone
 *             └──────────────────┘
 */
import type { Clock, Thread, Threads, Timer } from "../../../runtime/capabilities.ts";
import type { FromThread, ToThread } from "./thread-messages.ts";

/** Path of the thread's entry from the root of the sources. */
const ENTRY = "actors/engine/grammar/grammar-thread.ts";
/** Until a new thread is ready: it reads a vocabulary, which takes a second on a busy machine. */
const START_MS = 20_000;
/** A job may wait so many times its limit for a core. */
const STARVED_MOST = 15;
/** Until a thread that ended by itself, or did not come up, is started again. */
const AGAIN_MS = 1_000;

/** What is wrong with the text; undefined: nothing. "late": it computed longer than it may. */
export type JobResult = { readonly refusal: string | undefined } | "late" | "gone";

export type JobThreadHost = {
  readonly clock: Clock;
  readonly threads: Threads;
  readonly start: Extract<ToThread, { kind: "start" }>;
  /** A thread is ready, the first or another one; it knows nothing of the one before. */
  readonly started: () => void;
  readonly mask?: (message: Extract<FromThread, { kind: "mask" }>) => void;
};

type Job = { readonly text: string; readonly done: (result: JobResult) => void };

export class JobThread {
  readonly #host: JobThreadHost;
  #thread: Thread | undefined;
  #ready = false;
  #job: Job | undefined;
  #timer: Timer | undefined;
  #ended: Promise<void> = Promise.resolve();
  #closed = false;
  #starting = false;
  #limit_ms = 0;

  constructor(host: JobThreadHost) {
    this.#host = host;
  }

  get busy(): boolean {
    return this.#job !== undefined;
  }

  /**
   * Starts the thread if there is none. One job at a time; `limit_ms` is of a core's time where the
   * system says how much the thread had, and else counts from the job's start.
   */
  run(text: string, limit_ms: number, done: (result: JobResult) => void): void {
    this.#job = { text, done };
    this.#limit_ms = limit_ms;
    if (this.#closed) this.#finish("gone");
    else if (this.#ready) this.#postJob(text);
    else this.warm();
  }

  /** Starts the thread, if there is none, once the one before can touch nothing any more. */
  warm(): void {
    if (this.#thread !== undefined || this.#starting) return;
    this.#starting = true;
    void this.#ended.then(() => {
      this.#starting = false;
      if (!this.#closed) this.#start();
    });
  }

  #postJob(text: string): void {
    this.post({ kind: "compile", text });
    this.#waitForJob(this.#thread?.cpu_ms(), 1);
  }

  #waitForJob(from_ms: number | undefined, times: number): void {
    this.#wait(this.#limit_ms, () => {
      const now_ms = this.#thread?.cpu_ms();
      const isStarved =
        from_ms !== undefined && now_ms !== undefined && now_ms - from_ms < this.#limit_ms / 2;
      if (isStarved && times < STARVED_MOST) this.#waitForJob(from_ms, times + 1);
      else this.#giveUp("late");
    });
  }

  #wait(limit_ms: number, then: () => void): void {
    this.#cancelTimer();
    this.#timer = this.#host.clock.after(limit_ms, () => {
      this.#timer = undefined;
      then();
    });
  }

  #giveUp(result: JobResult): void {
    this.#renew();
    this.#finish(result);
  }

  /** Not answered, and lost while no thread is ready. */
  post(message: ToThread): void {
    if (this.#ready) this.#thread?.post(message);
  }

  /** Resolves when the thread has ended. Jobs end in "gone". */
  close(): Promise<void> {
    this.#closed = true;
    this.#end();
    this.#finish("gone");
    return this.#ended;
  }

  #start(): void {
    const { threads, start } = this.#host;
    const thread = threads.start(ENTRY, {
      message: (message) => {
        if (this.#thread === thread) this.#on(message as FromThread);
      },
      ended: () => {
        if (this.#thread !== thread) return;
        this.#forget();
        // Answers may be waiting for its masks.
        if (start.vocab !== undefined) this.#host.clock.after(AGAIN_MS, () => this.warm());
        this.#finish("gone");
      },
    });
    this.#thread = thread;
    this.#ended = thread.ended;
    thread.post(start);
    this.#wait(START_MS, () => this.#giveUp("gone"));
  }

  #on(message: FromThread): void {
    switch (message.kind) {
      case "started":
        this.#cancelTimer();
        this.#ready = true;
        this.#host.started();
        if (this.#job !== undefined) this.#postJob(this.#job.text);
        return;
      case "mask":
        this.#host.mask?.(message);
        return;
      case "compiled":
        this.#cancelTimer();
        if (message.spoiled) this.#renew();
        this.#finish({ refusal: message.refusal });
    }
  }

  #finish(result: JobResult): void {
    const job = this.#job;
    this.#job = undefined;
    job?.done(result);
  }

  #renew(): void {
    this.#end();
    // Without a vocabulary it is started when there is a job.
    if (this.#host.start.vocab !== undefined) this.warm();
  }

  #end(): void {
    this.#thread?.end();
    this.#forget();
  }

  #forget(): void {
    this.#cancelTimer();
    this.#thread = undefined;
    this.#ready = false;
  }

  #cancelTimer(): void {
    if (this.#timer !== undefined) this.#host.clock.cancel(this.#timer);
    this.#timer = undefined;
  }
}
