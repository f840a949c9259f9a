import { ArgumentWriter } from "../scan/argument-writer.ts";
import { JsonScan, parseJson } from "../scan/json-scan.ts";
import { Markers } from "../scan/markers.ts";
import { DONE, MORE, type ReadContext } from "../scan/reader.ts";
import { BOOLEAN, LIST, NULL, NUMBER, OBJECT, STRING, type Types } from "../scan/schema-types.ts";
import type { Sink } from "../scan/sink.ts";
import type { Source } from "../scan/source.ts";
import { isCutMarker, type Machine } from "../scan/tagged-machine.ts";

/**
 * Kimi K3's markup: every element between special tokens, channels side by side.
 *
 *   <|open|>think<|sep|>…<|close|>think<|sep|><|open|>response<|sep|>…<|close|>response<|sep|>
 *   <|open|>tools<|sep|><|open|>call tool="f" index="1"<|sep|>
 *   <|open|>argument key="k" type="string"<|sep|>v<|close|>argument<|sep|><|close|>call<|sep|>…
 */
export const KIMI_K3_OPENS_REASONING = "<|open|>think<|sep|>";
const OPEN = "<|open|>";
const CLOSE = "<|close|>";
const SEP = "<|sep|>";
const END = "<|end_of_msg|>";
export const KIMI_K3_MARKERS = [OPEN, CLOSE, SEP, END];
const ALL = new Markers(KIMI_K3_MARKERS);
const TAG_END = new Markers([SEP]);

const TYPES: Readonly<Record<string, Types>> = {
  string: STRING,
  number: NUMBER,
  integer: NUMBER,
  boolean: BOOLEAN,
  null: NULL,
  array: LIST,
  object: OBJECT,
};

/** What the text that comes belongs to; "value" and "json" are in a call. */
type Channel = "text" | "think" | "tools" | "value" | "json";

export class KimiK3Machine implements Machine {
  readonly #context: ReadContext;
  readonly #reasons: boolean;
  #channel: Channel;
  /** In `<|open|>…` or `<|close|>…`: which, and its text so far. */
  #tag: typeof OPEN | typeof CLOSE | undefined;
  #tag_text = "";
  #arguments: ArgumentWriter | undefined;
  #json: JsonScan | undefined;
  #whole = "";
  /** Text before the first marker: reasoning if that closes the reasoning. */
  #undecided: string | undefined;

  /** @param begins where the output begins; "unknown": the first marker says */
  constructor(reasons: boolean, begins: "inside" | "outside" | "unknown", context: ReadContext) {
    this.#reasons = reasons;
    this.#context = context;
    this.#channel = begins === "inside" ? "think" : "text";
    this.#undecided = begins === "unknown" ? "" : undefined;
  }

  get in_reasoning(): boolean {
    return this.#reasons && this.#channel === "think";
  }

  run(source: Source, sink: Sink): void {
    for (;;) {
      if (this.#tag !== undefined) {
        const found = source.until(TAG_END, "markup");
        this.#tag_text += source.run;
        if (!found) return;
        this.#onTag(sink);
        source.settle("markup");
        continue;
      }
      if (this.#json !== undefined && !this.#readJson(source, sink, this.#json)) return;
      const found = source.until(ALL, this.#kind());
      if (source.run !== "") this.#text(source.run, sink);
      if (!found) return;
      const { marker } = source;
      source.settle("markup");
      if (marker === OPEN || marker === CLOSE) {
        this.#tag = marker;
        this.#tag_text = "";
      } else if (marker === END) this.#channel = "text";
    }
  }

  end(source: Source, sink: Sink, finish: string): void {
    const rest = source.rest();
    const dropped = this.#tag !== undefined || isCutMarker(rest, finish);
    source.settle(dropped ? "markup" : this.#kind());
    if (!dropped && rest !== "") this.#text(rest, sink);
    this.#decide(sink, "content");
    sink.end();
  }

  #kind(): "content" | "reasoning" | "call" | "markup" {
    if (this.#channel === "think") return this.#reasons ? "reasoning" : "content";
    if (this.#channel === "text") return "content";
    return this.#channel === "tools" ? "markup" : "call";
  }

  #text(text: string, sink: Sink): void {
    if (this.#channel === "value") this.#arguments?.text(text);
    else if (this.#channel === "think") {
      if (this.#reasons) sink.reasoning(text);
      else sink.content(text);
    } else if (this.#channel !== "text") return;
    else if (this.#undecided !== undefined) this.#undecided += text;
    else sink.content(text);
  }

  #decide(sink: Sink, kind: "content" | "reasoning"): void {
    const text = this.#undecided ?? "";
    this.#undecided = undefined;
    if (text === "") return;
    if (kind === "reasoning" && this.#reasons) sink.reasoning(text);
    else sink.content(text);
  }

  #onTag(sink: Sink): void {
    const text = this.#tag_text.trim();
    const element = /^\S*/.exec(text)?.[0] ?? "";
    const opens = this.#tag === OPEN;
    this.#tag = undefined;
    this.#decide(sink, !opens && element === "think" ? "reasoning" : "content");
    if (element === "call" && opens) {
      const name = attribute(text, "tool");
      const index = attribute(text, "index");
      sink.callEnd(false);
      this.#arguments = undefined;
      if (name !== "") {
        sink.call(name, index === "" ? undefined : `${name}:${index}`);
        this.#arguments = new ArgumentWriter(sink, this.#context.tools.get(name), "raw", "json");
      }
      this.#whole = "";
      this.#channel = "tools";
    } else if (element === "call") this.#endCall(sink);
    else if (element === "argument") this.#argument(opens, text);
    else if (element === "json" && this.#arguments !== undefined) {
      this.#channel = opens ? "json" : "tools";
      this.#json = opens ? new JsonScan() : undefined;
    } else {
      if (this.#arguments !== undefined) sink.callEnd(false);
      this.#arguments = undefined;
      const inside = opens && (element === "think" || element === "tools");
      this.#channel = inside ? (element as "think" | "tools") : "text";
    }
  }

  #argument(opens: boolean, text: string): void {
    if (this.#arguments === undefined) return;
    if (opens) {
      const type = attribute(text, "type");
      const types = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
      this.#arguments.begin(attribute(text, "key"), types);
      this.#channel = "value";
    } else if (this.#channel === "value") {
      this.#arguments.end();
      this.#channel = "tools";
    }
  }

  #endCall(sink: Sink): void {
    if (this.#arguments === undefined) return;
    const raw = this.#whole !== "";
    if (!raw) this.#arguments.close();
    sink.callEnd(!raw || parseJson(this.#whole) !== undefined);
    this.#arguments = undefined;
    this.#channel = "tools";
  }

  /** All arguments at once as JSON. False: more text is needed. */
  #readJson(source: Source, sink: Sink, scan: JsonScan): boolean {
    if (this.#whole === "" && !source.skipSpace()) return false;
    const status = scan.read(source);
    this.#whole += scan.text;
    sink.arguments(scan.text);
    source.settle("call");
    if (status === MORE) return false;
    if (status !== DONE) sink.callEnd(false);
    this.#json = undefined;
    this.#channel = "tools";
    return true;
  }
}

/** A name's value in `call tool="f" index="1"`; quotes in it are written as `&quot;`. */
function attribute(text: string, name: string): string {
  const value = new RegExp(`\\s${name}="([^"]*)"`).exec(text)?.[1] ?? "";
  return value.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&amp;", "&");
}
