import { Markers } from "../scan/markers.ts";
import { type CallReader, MORE, TEXT } from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import type { Source } from "../scan/source.ts";
import { isCutMarker, type Machine } from "../scan/tagged-machine.ts";

/** Where a message goes. */
export type Route =
  | { readonly kind: "content" | "reasoning" | "discard" }
  | {
      readonly kind: "call";
      /** Reads from the body's first unit; absent: the format's openers begin calls. */
      readonly reader?: CallReader;
      /** Where the body goes if it is no call. */
      readonly otherwise?: Route;
    };

/**
 * Formats in which the whole output is a row of messages, each with a header that says where it
 * goes:
 *
 *   <|start|>assistant<|channel|>final<|message|>text<|end|>
 *
 * The prompt ends with the first message's start, so the output begins inside its header.
 */
export type ChannelFormat = {
  /** A message's start. */
  readonly start: readonly string[];
  /** Markers inside of headers, each with what stands for it in the header's text. */
  readonly header: Readonly<Record<string, string>>;
  /** End the header; the body follows. */
  readonly body: readonly string[];
  /** End the body. */
  readonly end: readonly string[];
  /** Fits what a header's text can be so far, where the output begins in one. */
  readonly header_text: RegExp;
  /** A header that was cut at the output's end: no text. */
  readonly cut_header: RegExp;
  /** Begin calls in a message that is routed to calls. */
  readonly call_openers: readonly string[];
  readonly callReader?: () => CallReader;
  /** A prompt that ends like this opened a message of reasoning. */
  readonly opens_reasoning: string;
  /** Where that message goes. */
  readonly reasoning: Route;
  route(header: string, body_marker: string): Route;
};

/** All markers between messages. */
export const channelMarkers = (format: ChannelFormat): string[] => [
  ...format.start,
  ...Object.keys(format.header),
  ...format.body,
  ...format.end,
];

const MAX_HEADER_UNITS = 256;

type Place = "begin" | "between" | "header" | "body";

export class ChannelMachine implements Machine {
  readonly #format: ChannelFormat;
  readonly #markers: Markers;
  readonly #in_calls: Markers;
  #place: Place = "begin";
  /** The header's text so far; before the first message, what may be one. */
  #header = "";
  #route: Route = { kind: "content" };
  #reader: CallReader | undefined;

  /** @param inside the prompt ends inside a message of reasoning */
  constructor(format: ChannelFormat, inside: boolean) {
    this.#format = format;
    if (inside) {
      this.#place = "body";
      this.#route = format.reasoning;
    }
    const all = channelMarkers(format);
    this.#markers = new Markers(all);
    this.#in_calls = new Markers([...all, ...format.call_openers]);
  }

  get in_reasoning(): boolean {
    return this.#place === "body" && this.#route.kind === "reasoning";
  }

  run(source: Source, sink: Sink): void {
    for (;;) {
      if (this.#reader !== undefined) {
        const status = this.#reader.read(source, sink);
        if (status === MORE) return;
        this.#reader = undefined;
        if (status === TEXT) this.#noCall(source, sink);
        source.settle("call");
        continue;
      }
      if (this.#place === "begin" && !this.#begin(source, sink)) return;
      const in_calls = this.#place === "body" && this.#route.kind === "call";
      const found = source.until(in_calls ? this.#in_calls : this.#markers, this.#kind());
      if (source.run !== "") this.#text(source.run, sink);
      if (!found) return;
      this.#onMarker(source, sink, source.marker);
    }
  }

  end(source: Source, sink: Sink, finish: string): void {
    if (this.#reader !== undefined) {
      source.rest();
      if (this.#reader.end(finish) === TEXT) this.#noCall(source, sink);
      source.settle("call");
    } else {
      const waits = this.#place === "begin" || this.#place === "between";
      const is_header = waits && this.#format.cut_header.test(this.#header);
      source.settle(is_header ? "markup" : this.#kind());
      if (is_header) this.#header = "";
      else if (waits) this.#flushHeader(sink);
      const rest = source.rest();
      const dropped = isCutMarker(rest, finish);
      source.settle(dropped ? "markup" : this.#kind());
      if (!dropped && rest !== "") this.#text(rest, sink);
    }
    sink.end();
  }

  /** What the reader took is not the arguments that were promised. */
  #noCall(source: Source, sink: Sink): void {
    if (this.#route.kind !== "call" || this.#route.otherwise === undefined) return;
    this.#route = this.#route.otherwise;
    const text = source.unsettled();
    source.settle(this.#kind());
    this.#text(text, sink);
  }

  #kind(): "content" | "reasoning" | "call" | "markup" {
    if (this.#place === "header") return "markup";
    if (this.#place !== "body") return "content";
    return this.#route.kind === "discard" ? "markup" : this.#route.kind;
  }

  /** At the output's beginning, in what may be a header. False: more is needed. */
  #begin(source: Source, sink: Sink): boolean {
    for (;;) {
      const unit = source.peek();
      if (unit < 0) return false;
      const header = this.#header + source.buffer[source.at];
      if (header.length > MAX_HEADER_UNITS || !this.#format.header_text.test(header)) break;
      this.#header = header;
      source.at++;
    }
    this.#place = "between";
    if (source.buffer[source.at] === "<") return true;
    source.settle("content");
    this.#flushHeader(sink);
    return true;
  }

  #flushHeader(sink: Sink): void {
    const text = this.#header;
    this.#header = "";
    if (text !== "") sink.content(text);
  }

  #text(text: string, sink: Sink): void {
    if (this.#place === "header") {
      this.#header += text;
      return;
    }
    if (this.#place === "between") this.#flushHeader(sink);
    const kind = this.#place === "between" ? "content" : this.#route.kind;
    if (kind === "content") sink.content(text);
    else if (kind === "reasoning") sink.reasoning(text);
  }

  #onMarker(source: Source, sink: Sink, marker: string): void {
    const format = this.#format;
    if (format.call_openers.includes(marker)) {
      this.#reader = format.callReader?.();
      return;
    }
    const begins = Object.hasOwn(format.header, marker) || format.body.includes(marker);
    if (this.#place === "between" && !begins) {
      // Text that could have been a header was none.
      source.settle("content", marker.length);
      this.#flushHeader(sink);
    }
    source.settle("markup");
    if (format.start.includes(marker)) {
      this.#endBody(sink);
      this.#place = "header";
      this.#header = "";
    } else if (Object.hasOwn(format.header, marker)) {
      this.#endBody(sink);
      if (this.#place === "body") this.#header = "";
      this.#place = "header";
      this.#header += format.header[marker];
    } else if (format.body.includes(marker)) {
      // In a body this marker says nothing: the header is what counts.
      if (this.#place === "body") return;
      this.#route = format.route(this.#header, marker);
      this.#header = "";
      this.#place = "body";
      if (this.#route.kind === "call") this.#reader = this.#route.reader;
    } else {
      this.#endBody(sink);
      this.#place = "between";
      this.#header = "";
    }
  }

  #endBody(sink: Sink): void {
    if (this.#place === "body") sink.callEnd(false);
  }
}
