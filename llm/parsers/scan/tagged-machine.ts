import { Markers } from "./markers.ts";
import { type CallReader, DONE, MORE, type ReadContext, TEXT, type ToolFormat } from "./reader.ts";
import type { Sink } from "./sink.ts";
import { MAYBE, type Source, YES } from "./source.ts";

/** How a model writes its reasoning into free text. */
export type ThinkTags = {
  readonly open: readonly string[];
  readonly close: readonly string[];
  /**
   * Where the output begins: in the reasoning, outside, or unknown, which the first marker then
   * decides; what stands before it waits.
   */
  readonly begins: "inside" | "outside" | "unknown";
  /** A call in the reasoning: is text, ends it, or stands in it and it goes on. */
  readonly calls: "text" | "end" | "within";
  /** What may follow the opener and belongs to it. */
  readonly label?: string;
  /** What may follow a closer that closes nothing and belongs to it. */
  readonly after_lone_close?: string;
};

/** What reads the whole output; the parser around it gives it text and takes deltas. */
export interface Machine {
  readonly in_reasoning: boolean;
  /** Reads all that can be decided. */
  run(source: Source, sink: Sink): void;
  /** The output ended: everything left is decided now. */
  end(source: Source, sink: Sink, finish: string): void;
}

/** From here on, the beginning of a marker at a cut end is taken for one and not for text. */
const MIN_CUT_MARKER = 3;

export const isCutMarker = (rest: string, finish: string): boolean =>
  finish === "length" && rest.length >= MIN_CUT_MARKER;

/** Openers that are no text of users: nothing comes through of them, whatever follows. */
const CONTROL_OPENER = /^(?:<[|｜]|\]<\]|\[TOOL_CALLS\]$)/;

/** Free text with reasoning between tags and calls behind openers. */
export class TaggedMachine implements Machine {
  readonly #tags: ThinkTags | undefined;
  readonly #format: ToolFormat | undefined;
  readonly #context: ReadContext;
  readonly #in_content: Markers;
  readonly #in_reasoning: Markers;
  #inside: boolean;
  /** Text that turns out to be reasoning if a closer follows; undefined: nothing waits. */
  #undecided: string | undefined;
  /** A marker of the reasoning came. */
  #marked = false;
  #reader: CallReader | undefined;
  /** What the reader was made for. */
  #opener = "";
  /** Looked for next: text that belongs to the marker before. */
  #label: string | undefined;
  /** The content's last UTF-16 unit, −1 at the beginning. */
  #before = -1;
  /** The opener that counts only as the first thing of the content, while nothing came. */
  #first: string | undefined;

  constructor(tags: ThinkTags | undefined, format: ToolFormat | undefined, context: ReadContext) {
    this.#tags = tags;
    this.#format = format;
    this.#context = context;
    const think = tags === undefined ? [] : [...tags.open, ...tags.close];
    const calls = format === undefined ? [] : [...format.openers, ...format.strays];
    this.#in_content = new Markers([...think, ...calls]);
    this.#in_reasoning = new Markers([...think, ...(tags?.calls === "text" ? [] : calls)]);
    this.#inside = tags?.begins === "inside";
    this.#undecided = tags?.begins === "unknown" ? "" : undefined;
    this.#first = format?.first;
  }

  get in_reasoning(): boolean {
    return this.#inside && this.#reader === undefined;
  }

  run(source: Source, sink: Sink): void {
    for (;;) {
      if (this.#reader !== undefined) {
        if (!this.#readCall(source, sink, this.#reader)) return;
        continue;
      }
      if (this.#label !== undefined) {
        if (source.empty) return;
        const match = source.match(this.#label);
        if (match === MAYBE) return;
        this.#label = undefined;
        if (match === YES) source.settle("markup");
      }
      if (this.#first !== undefined && !this.#inside) {
        if (!this.#lookFirst(source, sink, this.#first)) return;
        if (this.#reader !== undefined) continue;
      }
      const found = source.until(
        this.#inside ? this.#in_reasoning : this.#in_content,
        this.#inside ? "reasoning" : "content",
      );
      if (source.run !== "") this.#text(source.run, sink);
      if (!found) return;
      this.#onMarker(source, sink, source.marker);
    }
  }

  end(source: Source, sink: Sink, finish: string): void {
    if (this.#reader !== undefined) {
      const is_text = this.#reader.end(finish) === TEXT;
      source.rest();
      if (is_text) this.#noCall(source, sink);
      else source.settle("call");
    } else {
      const rest = source.rest();
      const dropped = this.#label !== undefined || isCutMarker(rest, finish);
      source.settle(dropped ? "markup" : this.#inside ? "reasoning" : "content");
      if (!dropped && rest !== "") this.#text(rest, sink);
    }
    this.#decide(sink, "content");
    sink.end();
  }

  /** False: more text is needed. */
  #readCall(source: Source, sink: Sink, reader: CallReader): boolean {
    const status = reader.read(source, sink);
    if (status === MORE) return false;
    this.#reader = undefined;
    if (status === DONE) {
      source.settle("call");
      if (this.#inside && this.#tags?.calls === "end") this.#inside = false;
      return true;
    }
    this.#noCall(source, sink);
    return true;
  }

  /** What the reader took is text after all, but for openers that are never text. */
  #noCall(source: Source, sink: Sink): void {
    const opener = this.#opener;
    if (CONTROL_OPENER.test(opener) && source.unsettled().startsWith(opener)) {
      source.settleFirst("markup", opener.length);
    }
    const text = source.unsettled();
    source.settle(this.#inside ? "reasoning" : "content");
    this.#text(text, sink);
  }

  /** Takes an opener that counts only as the first thing of the content. False: nothing to see. */
  #lookFirst(source: Source, sink: Sink, opener: string): boolean {
    const some = source.skipSpace();
    const space = source.unsettled();
    source.settle("content");
    this.#text(space, sink);
    if (some && source.buffer[source.at] === opener) {
      source.at++;
      this.#first = undefined;
      this.#opener = opener;
      this.#reader = this.#format?.reader(opener, this.#context, -1);
    }
    return some;
  }

  #text(text: string, sink: Sink): void {
    if (text === "") return;
    if (this.#inside) sink.reasoning(text);
    else if (this.#undecided !== undefined) this.#undecided += text;
    else sink.content(text);
    if (this.#inside) return;
    this.#before = text.charCodeAt(text.length - 1);
    if (this.#first !== undefined && text.trim() !== "") this.#first = undefined;
  }

  #onMarker(source: Source, sink: Sink, marker: string): void {
    const tags = this.#tags;
    if (tags?.open.includes(marker)) {
      source.settle("markup");
      this.#decide(sink, "content");
      this.#inside = true;
      this.#marked = true;
      this.#label = tags.label;
    } else if (tags?.close.includes(marker)) {
      source.settle("markup");
      this.#decide(sink, "reasoning");
      if (!this.#inside) this.#label = tags.after_lone_close;
      this.#inside = false;
      this.#marked = true;
      if (tags.begins === "unknown") this.#undecided = "";
    } else if (this.#format?.openers.includes(marker)) {
      this.#decide(sink, this.#marked ? "content" : "reasoning");
      this.#opener = marker;
      this.#reader = this.#format.reader(marker, this.#context, this.#inside ? -1 : this.#before);
    } else source.settle("markup");
  }

  #decide(sink: Sink, kind: "content" | "reasoning"): void {
    const text = this.#undecided;
    this.#undecided = undefined;
    if (text === undefined || text === "") return;
    if (kind === "reasoning") sink.reasoning(text);
    else sink.content(text);
  }
}
