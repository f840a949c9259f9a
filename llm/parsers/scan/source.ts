import type { Markers } from "./markers.ts";

/** What became of a piece of the output: each is exactly one of these. */
export type Kind = "content" | "reasoning" | "call" | "markup";

/** Hears of every piece, in order: joined they are the output. For tests. */
export type Ledger = (kind: Kind, text: string) => void;

export const NO = 0;
export const YES = 1;
/** What is there so far fits; more text decides. */
export const MAYBE = 2;
export type Match = typeof NO | typeof YES | typeof MAYBE;

const SPACE = 32;

/**
 * The text that was pushed and not read yet. Readers consume it and say what it was ("settle");
 * what is consumed but not settled is kept, since it may turn out to be plain text after all.
 * Only the beginning of a marker ever waits for more, so long outputs in small pieces stay linear.
 */
export class Source {
  buffer = "";
  at = 0;
  /** The text that `until` passed over. */
  run = "";
  /** The marker that `until` found. */
  marker = "";
  #start = 0;
  #kept = "";
  readonly #ledger: Ledger | undefined;

  constructor(ledger?: Ledger) {
    this.#ledger = ledger;
  }

  add(text: string): void {
    if (this.#start < this.at) this.#kept += this.buffer.slice(this.#start, this.at);
    this.buffer = this.at === this.buffer.length ? text : this.buffer.slice(this.at) + text;
    this.at = 0;
    this.#start = 0;
  }

  /** What was consumed but not settled. */
  unsettled(): string {
    return this.#kept + this.buffer.slice(this.#start, this.at);
  }

  /** @param keep so many units at the end, of this buffer, stay as they are */
  settle(kind: Kind, keep = 0): void {
    const to = this.at - keep;
    if (this.#ledger !== undefined) {
      const text = this.#kept + this.buffer.slice(this.#start, to);
      if (text !== "") this.#ledger(kind, text);
    }
    this.#kept = "";
    this.#start = to;
  }

  /** Settles the first so many units of what is not settled. */
  settleFirst(kind: Kind, count: number): void {
    const text = this.unsettled();
    this.#ledger?.(kind, text.slice(0, count));
    this.#kept = text.slice(count);
    this.#start = this.at;
  }

  /** Consumes and gives all that is left, also what waits for more. */
  rest(): string {
    const text = this.buffer.slice(this.at);
    this.at = this.buffer.length;
    return text;
  }

  get empty(): boolean {
    return this.at >= this.buffer.length;
  }

  /** The next UTF-16 unit, or −1 when more text is needed. */
  peek(): number {
    return this.at < this.buffer.length ? this.buffer.charCodeAt(this.at) : -1;
  }

  /**
   * Passes over text until a marker; `run` is the text, settled as `kind`, and `marker` what was
   * found, consumed and not settled. False: no whole marker there yet.
   */
  until(markers: Markers, kind: Kind): boolean {
    const { buffer } = this;
    let at = markers.candidate(buffer, this.at);
    for (; at >= 0; at = markers.candidate(buffer, at + 1)) {
      let waiting = false;
      for (const text of markers.texts) {
        if (buffer.startsWith(text, at)) {
          this.#pass(at, kind);
          this.marker = text;
          this.at = at + text.length;
          return true;
        }
        if (at + text.length > buffer.length && text.startsWith(buffer.slice(at))) waiting = true;
      }
      if (waiting) break;
    }
    this.#pass(at < 0 ? buffer.length : at, kind);
    return false;
  }

  #pass(to: number, kind: Kind): void {
    if (to === this.at) {
      this.run = "";
      return;
    }
    this.run = this.buffer.slice(this.at, to);
    this.at = to;
    this.settle(kind);
  }

  /** Whether the text goes on like this; on YES it is consumed. */
  match(text: string): Match {
    const { buffer, at } = this;
    if (buffer.startsWith(text, at)) {
      this.at += text.length;
      return YES;
    }
    const left = buffer.length - at;
    return left < text.length && text.startsWith(buffer.slice(at)) ? MAYBE : NO;
  }

  /** Index of the text that comes next, consumed; MAYBE_ANY when it may be one, else −1. */
  matchAny(texts: readonly string[]): number {
    let maybe = false;
    for (let i = 0; i < texts.length; i++) {
      const match = this.match(texts[i]!);
      if (match === YES) return i;
      if (match === MAYBE) maybe = true;
    }
    return maybe ? MAYBE_ANY : -1;
  }

  /** Consumes white space. False: all of the text is consumed, more may come. */
  skipSpace(): boolean {
    const { buffer } = this;
    while (this.at < buffer.length && isSpace(buffer.charCodeAt(this.at))) this.at++;
    return this.at < buffer.length;
  }
}

export const MAYBE_ANY = -2;

export function isSpace(unit: number): boolean {
  return unit === SPACE || (unit >= 9 && unit <= 13);
}
