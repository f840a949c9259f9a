/**
 * Sequences whose blocks are on their way between a prefill and a decode worker: they neither run
 * nor wait meanwhile.
 */
import type { Sequence } from "./sequence.ts";

type Handover<S> = { readonly sequence: S; readonly due_ms: number };

const NEVER = Number.POSITIVE_INFINITY;

export class Handovers<S extends Sequence> {
  #all: Handover<S>[] = [];

  get count(): number {
    return this.#all.length;
  }

  begin(sequence: S, due_ms: number): void {
    sequence.state = "held";
    this.#all.push({ sequence, due_ms });
  }

  drop(sequence: S): void {
    this.#all = this.#all.filter((each) => each.sequence !== sequence);
  }

  /** When the next one arrives; Infinity when none is on its way. */
  nextMs(): number {
    let next_ms = NEVER;
    for (const { due_ms } of this.#all) next_ms = Math.min(next_ms, due_ms);
    return next_ms;
  }

  /** Takes the handovers that have arrived, in the order in which they left. */
  take(now_ms: number): readonly Handover<S>[] {
    if (this.#all.length === 0 || this.nextMs() > now_ms) return NONE;
    const due = this.#all.filter(({ due_ms }) => due_ms <= now_ms);
    this.#all = this.#all.filter(({ due_ms }) => due_ms > now_ms);
    return due;
  }

  /** Removes the names of their blocks. */
  forgetNames(): void {
    for (const { sequence } of this.#all) sequence.registered = 0;
  }
}

const NONE: readonly never[] = [];
