/**
 * Decides when the engine is stepped, and when its tokens are sent.
 *
 *   wake ─▶ pass: step, poll, record, … ─▶ flush ─┬─ more to do ─▶ pass after this tick
 *                                                 ├─ later ─▶ pass by timer
 *                                                 └─ nothing ─▶ until the next wake
 */
import type { Timer } from "../../runtime/capabilities.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import type { Engine, EngineEvent } from "../engine/engine.ts";

/** The loop's message to the worker actor, which then calls `pass`. */
export type LoopMessage = { readonly kind: "engine_pass" };

export type LoopHost = {
  readonly ctx: () => Pick<Context<LoopMessage>, "clock" | "self" | "after" | "cancel">;
  readonly engine: () => Engine;
  /** Before the first step of a pass. */
  readonly prepare: () => void;
  /** True: one of these events is a first token, for which a client waits. */
  readonly record: (events: readonly EngineEvent[]) => boolean;
  /** After the last step: sends the tokens. */
  readonly flush: (seen: number) => void;
};

/** Events taken in one pass; messages have their turn before the next pass takes more. */
const EVENTS_A_PASS = 4_096;
/**
 * A fast engine is stepped for this long, or this often, before its tokens are sent, because each
 * batch costs a message and a write, however many tokens it has. A step that takes longer, as with
 * real models, is sent at once.
 */
const GATHER_MS = 0.5;
const GATHER_STEPS = 8;
/** Time until a pass is tried again after a full mailbox. */
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

  /** Called by the engine when it has events, within a step or from its own thread. */
  engineWoke(): void {
    // A stepped engine calls within its step, and the pass that made the step polls anyway.
    if (!this.#stepping) this.wake();
  }

  /** The engine has work or events: a pass follows the messages already waiting. */
  wake(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#cancelTimer();
    if (!this.#host.ctx().self.tell({ kind: "engine_pass" })) {
      // The mailbox is full, and the engine must go on nevertheless.
      this.#queued = false;
      this.passIn(AGAIN_MS);
    }
  }

  /** Sockets and timers have their turn first, since a fast engine would starve them. */
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
