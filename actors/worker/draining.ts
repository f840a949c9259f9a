/**
 * Drain of a worker: it takes nothing new, finishes the answers that are nearly done and hands over
 * the others, until nothing is left or the budget is over. A worker that changes its role drains
 * too, and then takes work again.
 */
import type { ChoiceStart, Drained } from "../../proto/index.ts";
import type { Timer } from "../../runtime/capabilities.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import type { ChoiceTranscript } from "./answers/transcript.ts";

/** An answer with less time left is finished: a move costs a prefill and a visible pause. */
const SOON_MS = 1_000;
const SOON_TOKENS = 8;
/** How often readers of the others are asked again to move, while there is no place. */
const HAND_OVER_AGAIN_MS = 500;

/** Messages of its timers to the worker actor. */
export type DrainMessage = { readonly kind: "drain_look" } | { readonly kind: "drain_late" };

export type DrainHost = {
  readonly ctx: () => Pick<Context<DrainMessage>, "clock" | "after" | "cancel" | "replyLater">;
  /** Answers that are not over. */
  readonly unfinished: () => number;
  readonly isIdle: () => boolean;
  /** Nothing new is taken from here on. */
  readonly begun: () => void;
  /** Asks for answers that will not be done within `left_ms` to move. */
  readonly handOver: (left_ms: number) => void;
};

/** `drained`: how the drain went; undefined: it takes no work again. */
type Paused = (drained: Drained | undefined) => void;

export class Draining {
  readonly #host: DrainHost;
  /** Ports of the asks for a drain. */
  readonly #ports: ReplyPort[] = [];
  /** Calls after which work is taken again. */
  readonly #pauses: Paused[] = [];
  #active = false;
  /** A drain was asked for: it is for good. */
  #drained = false;
  #late: Timer | undefined;
  /** Answers that ended since the drain began. */
  #finished = 0;
  #until_ms = 0;

  constructor(host: DrainHost) {
    this.#host = host;
  }

  get active(): boolean {
    return this.#active;
  }

  /** Replies when nothing is left, or after the `budget_ms` of the first ask. */
  start(budget_ms: number): void {
    this.#ports.push(this.#host.ctx().replyLater());
    this.#drained = true;
    this.#begin(budget_ms);
  }

  /**
   * Drains, and then takes work again. `over` hears whether it does: not when the worker was asked
   * for a drain meanwhile.
   */
  pause(budget_ms: number, over: Paused): void {
    if (this.#drained) {
      over(undefined);
      return;
    }
    this.#pauses.push(over);
    this.#begin(budget_ms);
  }

  #begin(budget_ms: number): void {
    const ctx = this.#host.ctx();
    if (this.#active) {
      this.endIfIdle();
      return;
    }
    this.#active = true;
    this.#until_ms = ctx.clock.now_ms() + budget_ms;
    this.#host.begun();
    this.#late = ctx.after(budget_ms, { kind: "drain_late" });
    if (this.#host.isIdle()) this.#end();
    else this.#handOver();
  }

  onTimer({ kind }: DrainMessage): void {
    if (kind === "drain_look") this.#handOver();
    else this.#end();
  }

  /** Asks again for answers without another place, because one may come up. */
  #handOver(): void {
    if (!this.#active || this.#host.isIdle()) return;
    const ctx = this.#host.ctx();
    this.#host.handOver(this.#until_ms - ctx.clock.now_ms());
    ctx.after(HAND_OVER_AGAIN_MS, { kind: "drain_look" });
  }

  answerEnded(): void {
    if (!this.#active) return;
    this.#finished++;
    this.endIfIdle();
  }

  endIfIdle(): void {
    if (this.#active && this.#host.isIdle()) this.#end();
  }

  #end(): void {
    if (!this.#active) return;
    const unfinished = this.#host.unfinished();
    const drained: Drained = { kind: "drained", finished: this.#finished, unfinished };
    for (const port of this.#ports.splice(0)) port.reply(drained);
    const pauses = this.#pauses.splice(0);
    if (pauses.length === 0) return;
    const resumed = !this.#drained;
    if (resumed) {
      this.#active = false;
      this.#finished = 0;
      if (this.#late !== undefined) this.#host.ctx().cancel(this.#late);
    }
    for (const over of pauses) over(resumed ? drained : undefined);
  }
}

/**
 * True: at its pace so far the answer ends soon. `left_ms`: left of the drain's budget; half of it
 * is kept for answers that have to move after all.
 */
export function finishesSoon(
  starts: readonly ChoiceStart[],
  transcripts: readonly ChoiceTranscript[],
  age_ms: number,
  left_ms: number,
): boolean {
  let made = 0;
  let left = 0;
  for (const [place, { base, own_from, tokens, finished }] of transcripts.entries()) {
    const own = tokens.length - base;
    made = Math.max(made, own);
    if (finished !== undefined) continue;
    const unscored = Math.max(0, own_from - base);
    left = Math.max(left, unscored + (starts[place]?.max_tokens ?? 0) - own);
  }
  if (left_ms <= 0) return false;
  if (left <= SOON_TOKENS && made > 0) return true;
  if (made === 0) return false;
  return (left * age_ms) / made <= Math.min(SOON_MS, left_ms / 2);
}
