/**
 * All requests that have not ended: a drain cuts them, and heartbeats keep the quiet ones alive.
 * Clients give up after minutes without a head, proxies after a minute without a byte, and our own
 * server closes idle connections. One timer serves all requests, and it runs only while there are
 * some, so that a short request pays nothing for it.
 */
import type { Clock, HttpExchange } from "../../../runtime/capabilities.ts";
import { SlotMap } from "../../../runtime/slot-map.ts";

/** A response that can send a heartbeat to its client while it has nothing else to send. */
export interface Quiet {
  /** Called at every look. It sends a heartbeat after `looks` looks without any other byte. */
  look(looks: number): void;
}

export type LiveRequest = {
  readonly cut: (message: string) => void;
  readonly quiet: Quiet | undefined;
  readonly exchange: HttpExchange | undefined;
};

/** Looks in one heartbeat. More looks make its time more exact. */
const LOOKS = 15;
const LOOK_MS = 1_000;
/** After this time the server is told that the connection may be silent for long. */
const LONG_MS = 10_000;

type Entry = LiveRequest & { readonly since_ms: number; long: boolean };

export class LiveRequests {
  readonly #clock: Clock;
  readonly #heartbeat_ms: number;
  readonly #look_ms: number;
  readonly #entries = new SlotMap<number, Entry>();
  #last = 0;
  #armed = false;

  /** `heartbeat_ms` 0: no heartbeats. */
  constructor(clock: Clock, heartbeat_ms: number) {
    this.#clock = clock;
    this.#heartbeat_ms = heartbeat_ms;
    const finest_ms = heartbeat_ms === 0 ? LOOK_MS : heartbeat_ms / LOOKS;
    this.#look_ms = Math.max(1, Math.min(LOOK_MS, finest_ms));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the number for `remove`. */
  add(request: LiveRequest): number {
    const { cut, quiet, exchange } = request;
    const since_ms = this.#clock.now_ms();
    const number = ++this.#last;
    this.#entries.set(number, { cut, quiet, exchange, since_ms, long: false });
    this.#arm();
    return number;
  }

  remove(number: number): void {
    const entry = this.#entries.take(number);
    if (entry?.long === true) entry.exchange?.mayBeSilent?.(false);
  }

  /** Ends all live requests with an error; returns how many there were. */
  cut(message: string): number {
    const entries = [...this.#entries.values()];
    for (const { cut } of entries) cut(message);
    return entries.length;
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#clock.after(this.#look_ms, this.#look);
  }

  readonly #look = (): void => {
    this.#armed = false;
    const now_ms = this.#clock.now_ms();
    // The last byte went out between two looks, so one look less keeps within the time.
    const looks = Math.max(1, Math.round(this.#heartbeat_ms / this.#look_ms) - 1);
    for (const entry of [...this.#entries.values()]) {
      if (!entry.long && now_ms - entry.since_ms >= LONG_MS) {
        entry.long = true;
        entry.exchange?.mayBeSilent?.(true);
      }
      if (this.#heartbeat_ms > 0) entry.quiet?.look(looks);
    }
    if (this.#entries.size > 0) this.#arm();
  };
}
