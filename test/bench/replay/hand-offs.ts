/**
 * Prompts that one simulated worker computes for another one's answer. Each block goes over when the
 * pass that computes it ends, over the links of both workers, while the prompt's rest is computed.
 */
import type { Link } from "../../../actors/engine/mocker/link.ts";
import type { Sequence } from "../../../actors/engine/mocker/sequence.ts";

/** Virtual time. */
export type Timeline = {
  readonly now_ms: () => number;
  readonly at: (due_ms: number, run: () => void) => void;
};

export type HandOff = {
  /** Computes the prompt. */
  readonly sequence: Sequence;
  /** Into the worker that answers. */
  readonly into: Link;
  /** Blocks of the prompt that go over: from the `first`th on, before the `end`th. */
  readonly first: number;
  readonly end: number;
  /** All are there. */
  readonly done: () => void;
};

type Open = HandOff & { sent: number; arrived: number };

export class HandOffs {
  readonly #timeline: Timeline;
  readonly #out: Link;
  readonly #block: { readonly tokens: number; readonly bytes: number };
  #open: Open[] = [];

  /** @param out out of the worker that computes the prompts */
  constructor(
    timeline: Timeline,
    out: Link,
    block: { readonly tokens: number; readonly bytes: number },
  ) {
    this.#timeline = timeline;
    this.#out = out;
    this.#block = block;
  }

  begin(hand_off: HandOff): void {
    this.#open.push({ ...hand_off, sent: hand_off.first, arrived: hand_off.first });
  }

  /** Its worker was stepped. @param pass_end_ms of the pass under way; Infinity: there is none */
  stepped(pass_end_ms: number): void {
    if (this.#open.length === 0) return;
    const ready_ms = Number.isFinite(pass_end_ms) ? pass_end_ms : this.#timeline.now_ms();
    for (const each of this.#open) {
      // What is scheduled counts as computed: it is when the pass ends.
      const computed = Math.floor(each.sequence.computed / this.#block.tokens);
      const count = Math.min(each.end, computed) - each.sent;
      if (count <= 0) continue;
      each.sent += count;
      for (let block = 0; block < count; block++) this.#send(each, ready_ms);
    }
    this.#open = this.#open.filter(({ sent, end }) => sent < end);
  }
  #send(hand_off: Open, ready_ms: number): void {
    const { now_ms, at } = this.#timeline;
    const { bytes } = this.#block;
    at(this.#out.carry(bytes, ready_ms), () => {
      at(hand_off.into.carry(bytes, now_ms()), () => {
        hand_off.arrived++;
        if (hand_off.arrived === hand_off.end) hand_off.done();
      });
    });
  }
}
