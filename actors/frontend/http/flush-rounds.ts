/**
 * Decides when the text of many streams goes to their sockets. A write costs a system call, however
 * long it is. When many streams have new text at the same time, they are written in rounds with a
 * pause in between, and each write carries all text since the last one. A single stream never
 * waits.
 */
import type { Clock } from "../../../runtime/capabilities.ts";

/** After a round of fewer streams the next round comes with the tick, without a pause. */
const BUSY_STREAMS = 8;
/** The pause between two rounds of many streams, by which an event may be late. */
const PAUSE_MS = 2;

export type Flushable = { flush(): void };

export class FlushRounds {
  readonly #clock: Clock;
  #soon: Flushable[] = [];
  #paced: Flushable[] = [];
  #soon_armed = false;
  #paced_armed = false;
  /** Streams of the last paced round. */
  #last_count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Flushes with this tick: for the first and the last event, for which a client waits. */
  soon(stream: Flushable): void {
    this.#soon.push(stream);
    if (this.#soon_armed) return;
    this.#soon_armed = true;
    this.#clock.defer(this.#flushSoon);
  }

  /** Flushes with the next round. */
  paced(stream: Flushable): void {
    this.#paced.push(stream);
    if (this.#paced_armed) return;
    this.#paced_armed = true;
    if (this.#last_count < BUSY_STREAMS) this.#clock.defer(this.#flushPaced);
    else this.#clock.after(PAUSE_MS, this.#flushPaced);
  }

  readonly #flushSoon = (): void => {
    this.#soon_armed = false;
    const streams = this.#soon;
    this.#soon = [];
    for (const stream of streams) stream.flush();
  };

  readonly #flushPaced = (): void => {
    this.#paced_armed = false;
    const streams = this.#paced;
    this.#paced = [];
    this.#last_count = streams.length;
    for (const stream of streams) stream.flush();
  };
}
