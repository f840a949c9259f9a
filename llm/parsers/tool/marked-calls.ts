import { JsonScan, parseJson } from "../scan/json-scan.ts";
import { Markers } from "../scan/markers.ts";
import { type CallReader, DONE, MORE, type Status, type ToolFormat } from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import { MAYBE_ANY, type Source } from "../scan/source.ts";

/**
 * JSON arguments between special tokens, the calls in one section:
 *
 *   <section><call>NAME<arguments>{…}</call><call>…</call></section>     deepseek_v3_1, kimi_k2
 *   <call>function<arguments>NAME\n```json\n{…}\n```</call>              deepseek_v3
 */
export type MarkedFormat = {
  readonly section_open: readonly string[];
  readonly section_close: readonly string[];
  readonly call_open: string;
  readonly arguments_open: string;
  readonly call_close: string;
  /** Behind `arguments_open` the name follows, and this before the arguments. */
  readonly fence?: string;
  /** What stands for the name → name and id. */
  header(text: string): { readonly name: string; readonly id?: string };
};

type Place = "section" | "header" | "fenced name" | "arguments" | "tail";

const OPEN_OBJECT = 123;

export function markedCalls(format: MarkedFormat): ToolFormat {
  return {
    openers: [...format.section_open, format.call_open],
    strays: [...format.section_close, format.call_close, format.arguments_open],
    inner: [],
    reader: (opener) => new MarkedCalls(format, opener === format.call_open),
  };
}

class MarkedCalls implements CallReader {
  readonly #format: MarkedFormat;
  readonly #header_end: Markers;
  readonly #fence: Markers;
  readonly #call_close: Markers;
  readonly #in_section: readonly string[];
  #place: Place;
  #header = "";
  #scan = new JsonScan();
  #whole = "";
  #valid = false;

  constructor(format: MarkedFormat, in_call: boolean) {
    this.#format = format;
    this.#header_end = new Markers([format.arguments_open, format.call_close]);
    this.#fence = new Markers([format.fence ?? format.call_close, format.call_close]);
    this.#call_close = new Markers([format.call_close]);
    this.#in_section = [format.call_open, ...format.section_close, ...format.section_open];
    this.#place = in_call ? "header" : "section";
  }

  read(source: Source, sink: Sink): Status {
    for (;;) {
      const status = this.#step(source, sink);
      if (status !== undefined) return status;
    }
  }

  end(): typeof DONE {
    return DONE;
  }

  #step(source: Source, sink: Sink): Status | undefined {
    if (this.#place === "section") return this.#readSection(source);
    if (this.#place === "header" || this.#place === "fenced name") {
      return this.#readHeader(source, sink);
    }
    if (this.#place === "arguments") return this.#readArguments(source, sink);
    if (!source.until(this.#call_close, "call")) return MORE;
    sink.callEnd(this.#valid);
    source.settle("call");
    this.#place = "section";
    return undefined;
  }

  #readSection(source: Source): Status | undefined {
    if (!source.skipSpace()) return MORE;
    const found = source.matchAny(this.#in_section);
    if (found === MAYBE_ANY) return MORE;
    if (found < 0) return DONE;
    if (found === 0) {
      this.#header = "";
      this.#place = "header";
      return undefined;
    }
    return found <= this.#format.section_close.length ? DONE : undefined;
  }

  #readHeader(source: Source, sink: Sink): Status | undefined {
    const fenced = this.#place === "fenced name";
    const found = source.until(fenced ? this.#fence : this.#header_end, "call");
    this.#header += source.run;
    if (!found) return MORE;
    if (source.marker === this.#format.call_close) {
      source.settle("call");
      this.#place = "section";
      return undefined;
    }
    if (this.#format.fence !== undefined && !fenced) {
      this.#header = "";
      this.#place = "fenced name";
      return undefined;
    }
    const { name, id } = this.#format.header(this.#header.trim());
    sink.call(name, id);
    source.settle("call");
    this.#scan = new JsonScan();
    this.#whole = "";
    this.#valid = false;
    this.#place = "arguments";
    return undefined;
  }

  #readArguments(source: Source, sink: Sink): Status | undefined {
    if (this.#whole === "") {
      if (!source.skipSpace()) return MORE;
      if (source.peek() !== OPEN_OBJECT) return this.#withoutArguments(source, sink);
    }
    const status = this.#scan.read(source);
    this.#whole += this.#scan.text;
    sink.arguments(this.#scan.text);
    source.settle("call");
    if (status === MORE) return MORE;
    const value = status === DONE ? parseJson(this.#whole) : undefined;
    this.#valid = typeof value === "object" && value !== null;
    this.#place = "tail";
    return undefined;
  }

  /** Nothing at all stands for no arguments; anything else than an object is broken. */
  #withoutArguments(source: Source, sink: Sink): Status | undefined {
    const close = source.matchAny(this.#call_close.texts);
    if (close === MAYBE_ANY) return MORE;
    if (close === 0) {
      sink.arguments("{}");
      sink.callEnd(true);
      source.settle("call");
      this.#place = "section";
    } else this.#place = "tail";
    return undefined;
  }
}

const withoutPrefix = (text: string): string =>
  text.startsWith("functions.") ? text.slice("functions.".length) : text;

/** `functions.NAME:INDEX`: the whole of it is the call's id, as the model wants to see it again. */
export const KIMI_K2_CALLS = markedCalls({
  section_open: ["<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"],
  section_close: ["<|tool_calls_section_end|>", "<|tool_call_section_end|>"],
  call_open: "<|tool_call_begin|>",
  arguments_open: "<|tool_call_argument_begin|>",
  call_close: "<|tool_call_end|>",
  header: (text) => ({ name: withoutPrefix(text).replace(/:\d+$/, ""), id: text }),
});

const DEEPSEEK_MARKS = {
  section_open: ["<｜tool▁calls▁begin｜>"],
  section_close: ["<｜tool▁calls▁end｜>"],
  call_open: "<｜tool▁call▁begin｜>",
  arguments_open: "<｜tool▁sep｜>",
  call_close: "<｜tool▁call▁end｜>",
} as const;

export const DEEPSEEK_V3_CALLS = markedCalls({
  ...DEEPSEEK_MARKS,
  fence: "```json",
  header: (text) => ({ name: text }),
});

export const DEEPSEEK_V3_1_CALLS = markedCalls({
  ...DEEPSEEK_MARKS,
  header: (text) => ({ name: text }),
});
