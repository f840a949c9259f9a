import type { ParsedDelta } from "../answer-parser.ts";
import { isSpace } from "./source.ts";

const NOTHING: readonly ParsedDelta[] = [];

export type SinkOptions = {
  /** Calls are read and thrown away: the request has no tools. */
  readonly mute: boolean;
  /** White space between text and a call goes with the call. */
  readonly trim: boolean;
};

/** Where readers put what they find; neighbours of one kind become one delta. */
export class Sink {
  /** Calls that are complete. */
  complete_calls = 0;
  /** A call was begun and never finished. */
  cut = false;
  #calls = 0;
  #open = false;
  #deltas: ParsedDelta[] = [];
  /** White space of the content that is not out yet. */
  #space = "";
  /** Only white space came since the beginning, the last call or the last reasoning. */
  #fresh = true;
  #content = false;
  #reasoning = false;
  readonly #options: SinkOptions;

  constructor(options: SinkOptions) {
    this.#options = options;
  }

  /** What came since the last time. */
  drain(): readonly ParsedDelta[] {
    if (this.#deltas.length === 0) return NOTHING;
    const deltas = this.#deltas;
    this.#deltas = [];
    return deltas;
  }

  /** White space alone, between reasoning and calls, is framing and does not come out. */
  content(text: string): void {
    let shown = text;
    if (this.#fresh) {
      const from = firstLetter(text);
      if (from === text.length) {
        this.#space += text;
        return;
      }
      // What stands between the reasoning and the answer is the template's.
      const framing = this.#options.trim ? this.#calls > 0 : this.#reasoning && !this.#content;
      shown = framing ? text.slice(from) : this.#space + text;
      this.#space = "";
      this.#fresh = false;
    }
    if (this.#options.trim) {
      const to = lastLetter(shown);
      if (to === 0) {
        this.#space += shown;
        return;
      }
      const rest = shown.slice(to);
      shown = this.#space + shown.slice(0, to);
      this.#space = rest;
    }
    this.#content = true;
    this.#text("content", shown);
  }

  reasoning(text: string): void {
    if (text === "") return;
    this.#boundary();
    this.#reasoning = true;
    this.#text("reasoning", text);
  }

  call(name: string, id?: string): void {
    this.#boundary();
    this.#open = true;
    if (this.#options.mute) return;
    const index = this.#calls;
    this.#deltas.push({ kind: "call", index, name, ...(id === undefined ? {} : { id }) });
  }

  arguments(text: string): void {
    if (text === "" || !this.#open || this.#options.mute) return;
    const index = this.#calls;
    const last = this.#deltas.at(-1);
    if (last?.kind === "arguments" && last.index === index) {
      this.#deltas[this.#deltas.length - 1] = { kind: "arguments", index, text: last.text + text };
    } else {
      this.#deltas.push({ kind: "arguments", index, text });
    }
  }

  /** Ends the call that is open, if one is. */
  callEnd(complete: boolean): void {
    if (!this.#open) return;
    this.#open = false;
    if (!complete) this.cut = true;
    if (this.#options.mute) return;
    this.#deltas.push({ kind: "call_end", index: this.#calls, complete });
    this.#calls++;
    if (complete) this.complete_calls++;
  }

  get open(): boolean {
    return this.#open;
  }

  /** The answer ended. White space that is all there is comes out. */
  end(): void {
    this.callEnd(false);
    const alone = !this.#content && !this.#reasoning && this.#calls === 0;
    if (this.#space !== "" && (alone || !this.#fresh)) this.#text("content", this.#space);
    this.#space = "";
  }

  #boundary(): void {
    if (this.#fresh || this.#options.trim) this.#space = "";
    this.#fresh = true;
  }

  #text(kind: "content" | "reasoning", text: string): void {
    const last = this.#deltas.at(-1);
    if (last?.kind === kind)
      this.#deltas[this.#deltas.length - 1] = { kind, text: last.text + text };
    else this.#deltas.push({ kind, text });
  }
}

function firstLetter(text: string): number {
  let at = 0;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function lastLetter(text: string): number {
  let to = text.length;
  while (to > 0 && isSpace(text.charCodeAt(to - 1))) to--;
  return to;
}
