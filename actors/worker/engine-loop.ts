/**
 * When the engine is stepped, and what becomes of what it made.
 *
 *   wake ─▶ pass: step, poll, record, … ─▶ flush ─┬─ more to do ─▶ pass after this tick
 *                                                 ├─ later ─▶ pass by timer
 *                                                 └─ nothing ─▶ until the next wake
 */
import type { Timer } from "../../runtime/capabilities.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import type { Engine, EngineEvent } from "../engine/engine.ts";

/** What the loop tells the worker actor, which calls `pass` then. */
export type LoopMessage = { readonly kind: "engine_pass" };

export type LoopHost = {
  readonly ctx: () => Pick<Context<LoopMessage>, "clock" | "self" | "after" | "cancel">;
  readonly engine: () => Engine;
  /** Before the first step of a pass. */
  readonly prepare: () => void;
  /** True when somebody waits for one of these events: a first token. */
  readonly record: (events: readonly EngineEvent[]) => boolean;
  /** Behind the last step: sends what there is. */
  readonly flush: (seen: number) => void;
};

/** More are fetched in the next pass, so that messages get their turn in between. */
const EVENTS_A_PASS = 4_096;
/**
 * An engine without delay is stepped for so long, or so often, before its tokens are sent: each
 * batch costs its receiver a message and its client a write, whatever number of tokens is in it.
 * A step that takes longer than this, as those of real models do, is sent at once.
 */
const GATHER_MS = 0.5;
const GATHER_STEPS = 8;
/** How soon a pass is tried again that the mailbox had no room for. */
const AGAIN_MS = 5;

export class EngineLoop {
  readonly #host: LoopHost;
  #stepping = false;
  #queued = false;
  #timer: Timer | undefined;
  /** When `timer` fires. */
  #due_ms = 0;

  constructor(host: LoopHost) {
    this.#host = host;
  }

  /** The engine says that it has something, from within a step or from a thread of its own. */
  engineWoke(): void {
    // A stepped engine calls from within its step: the pass that made it polls anyway.
    if (!this.#stepping) this.wake();
  }

  /** The engine has something to do, or to say: a pass follows the messages already waiting. */
  wake(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#cancelTimer();
    if (!this.#host.ctx().self.tell({ kind: "engine_pass" })) {
      // The mailbox is full of other people's messages; the engine must go on nevertheless.
      this.#queued = false;
      this.passIn(AGAIN_MS);
    }
  }

  /** Sockets and timers get their turn first: an engine without delays would starve them. */
  passAfterTick(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#host.ctx().clock.defer(() => {
      this.#queued = false;
      this.wake();
    });
  }

  passIn(delay_ms: number): void {
    if (this.#queued) return;
    const ctx = this.#host.ctx();
    const due_ms = ctx.clock.now_ms() + delay_ms;
    if (this.#timer !== undefined) {
      if (this.#due_ms <= due_ms) return;
      ctx.cancel(this.#timer);
    }
    this.#due_ms = due_ms;
    this.#timer = ctx.after(delay_ms, { kind: "engine_pass" });
  }

  #cancelTimer(): void {
    if (this.#timer !== undefined) this.#host.ctx().cancel(this.#timer);
    this.#timer = undefined;
  }

  pass(): void {
    this.#queued = false;
    this.#cancelTimer();
    const host = this.#host;
    const { clock } = host.ctx();
    const engine = host.engine();
    host.prepare();
    const started_ms = clock.now_ms();
    let now_ms = started_ms;
    let next_ms: number | undefined;
    let seen = 0;
    for (let steps = 1; ; steps++) {
      next_ms = this.#step(engine, now_ms);
      const events = engine.poll(EVENTS_A_PASS - seen);
      seen += events.length;
      const urgent = host.record(events);
      if (next_ms === undefined || next_ms > 0) break;
      if (urgent || steps === GATHER_STEPS || seen >= EVENTS_A_PASS) break;
      now_ms = clock.now_ms();
      if (now_ms - started_ms >= GATHER_MS) break;
    }
    host.flush(seen);
    if (seen >= EVENTS_A_PASS || (next_ms !== undefined && next_ms <= 0)) {
      this.passAfterTick();
    } else if (next_ms !== undefined) {
      this.passIn(next_ms);
    }
  }

  #step(engine: Engine, now_ms: number): number | undefined {
    this.#stepping = true;
    try {
      return engine.step(now_ms);
    } finally {
      this.#stepping = false;
    }
  }
}
