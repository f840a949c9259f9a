import { LooseValue } from "../scan/loose-value.ts";
import {
  type CallReader,
  DONE,
  isToolName,
  MAX_TAG_UNITS,
  MORE,
  type Status,
  TEXT,
  type ToolFormat,
} from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import type { Source } from "../scan/source.ts";

/** `[f(a="x", n=3), g()]`, as Llama 4 and others write calls: a list of Python calls. */
type Place =
  | "call"
  | "name"
  | "first key"
  | "empty"
  | "key"
  | "equals"
  | "value"
  | "after value"
  | "after call"
  | "skip";

const WORD = /[\p{L}\p{N}_.]/u;

export const PYTHONIC_CALLS: ToolFormat = {
  openers: ["["],
  strays: ["<|python_start|>", "<|python_end|>"],
  inner: [],
  trim: true,
  reader: (_opener, _context, before) => new PythonicCalls(before),
};

class PythonicCalls implements CallReader {
  #place: Place = "call";
  #calls = 0;
  /** A name, or a parameter's. */
  #word = "";
  #name = "";
  #open = false;
  #parameters = 0;
  #value = new LooseValue();

  /** A bracket behind a word is an index, not a list. */
  constructor(before: number) {
    const index = before >= 0 && /[\p{L}\p{N}_)\]]/u.test(String.fromCharCode(before));
    if (index) this.#place = "skip";
  }

  read(source: Source, sink: Sink): Status {
    if (this.#place === "skip" && this.#calls === 0) return TEXT;
    for (;;) {
      if (this.#place === "value") {
        const status = this.#value.read(source);
        sink.arguments(this.#value.text);
        source.settle("call");
        if (status === MORE) return MORE;
        if (status === DONE) this.#place = "after value";
        else {
          const broken = this.#broken(source, sink);
          if (broken !== undefined) return broken;
        }
        continue;
      }
      if (this.#place === "skip") {
        source.rest();
        source.settle("call");
        return MORE;
      }
      const unit = source.peek();
      if (unit < 0) return MORE;
      const status = this.#unit(source, sink, source.buffer[source.at]!);
      if (status !== undefined) return status;
    }
  }

  end(finish: string): typeof DONE | typeof TEXT {
    const looks_like_call = this.#place !== "call" && this.#place !== "name";
    return this.#calls > 0 || (finish === "length" && looks_like_call) ? DONE : TEXT;
  }

  #broken(source: Source, sink: Sink): Status | undefined {
    if (this.#calls === 0) return TEXT;
    if (!this.#open) return DONE;
    sink.callEnd(false);
    source.settle("call");
    this.#place = "skip";
    return undefined;
  }

  /** One unit; undefined: go on. */
  #unit(source: Source, sink: Sink, char: string): Status | undefined {
    const space = char.trim() === "";
    const place = this.#place;
    if (place === "name" || (place === "key" && this.#word !== "")) {
      if (WORD.test(char) && this.#word.length < MAX_TAG_UNITS) this.#word += char;
      else return this.#endWord(source, sink, char);
    } else if (space) {
      // between words
    } else if (place === "call" || place === "key" || place === "first key") {
      return this.#beginWord(source, sink, char);
    } else if (place === "empty") {
      // `f()`: a call if the list goes on or ends.
      if (char !== "," && char !== "]") return this.#broken(source, sink);
      this.#begin(sink);
      this.#endCall(source, sink);
      return undefined;
    } else if (place === "equals") {
      if (char !== "=") return this.#broken(source, sink);
      source.at++;
      this.#beginValue(sink);
      return undefined;
    } else if (place === "after value") {
      if (char === ")") this.#endCall(source, sink);
      else if (char === ",") {
        this.#word = "";
        this.#place = "key";
      } else return this.#broken(source, sink);
    } else {
      return this.#afterCall(source, sink, char);
    }
    source.at++;
    return undefined;
  }

  #beginWord(source: Source, sink: Sink, char: string): Status | undefined {
    if (char === ")" && this.#place !== "call") {
      source.at++;
      if (this.#open) this.#endCall(source, sink);
      else this.#place = "empty";
      return undefined;
    }
    if (!/[\p{L}_]/u.test(char)) return this.#broken(source, sink);
    this.#word = char;
    this.#place = this.#place === "call" ? "name" : "key";
    source.at++;
    return undefined;
  }

  /** The unit behind a word. */
  #endWord(source: Source, sink: Sink, char: string): Status | undefined {
    if (this.#place === "name") {
      if (char !== "(" || !isToolName(this.#word)) return this.#broken(source, sink);
      this.#name = this.#word;
      this.#word = "";
      this.#open = false;
      this.#parameters = 0;
      this.#place = "first key";
      source.at++;
      return undefined;
    }
    if (char.trim() === "") {
      this.#place = "equals";
      return undefined;
    }
    if (char !== "=") return this.#broken(source, sink);
    source.at++;
    this.#beginValue(sink);
    return undefined;
  }

  #begin(sink: Sink): void {
    if (this.#open) return;
    this.#open = true;
    this.#calls++;
    sink.call(this.#name);
  }

  #beginValue(sink: Sink): void {
    this.#begin(sink);
    const before = this.#parameters === 0 ? "{" : ",";
    this.#parameters++;
    sink.arguments(`${before}${JSON.stringify(this.#word)}:`);
    this.#value = new LooseValue();
    this.#place = "value";
  }

  #endCall(source: Source, sink: Sink): void {
    sink.arguments(this.#parameters === 0 ? "{}" : "}");
    sink.callEnd(true);
    source.settle("call");
    this.#open = false;
    this.#place = "after call";
  }

  #afterCall(source: Source, sink: Sink, char: string): Status | undefined {
    if (char !== "," && char !== "]") return this.#broken(source, sink);
    source.at++;
    if (char === "]") {
      source.settle("call");
      return DONE;
    }
    this.#place = "call";
    return undefined;
  }
}
