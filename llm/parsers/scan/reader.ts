import type { Sink } from "./sink.ts";
import type { Source } from "./source.ts";

/** A reader needs more text. */
export const MORE = 0;
/** The reader is through; what follows is text again. */
export const DONE = 1;
/** It was no call: what is not settled yet is text. */
export const TEXT = 2;
export type Status = typeof MORE | typeof DONE | typeof TEXT;

/** Reads a call, or a block of calls, from behind its opener. */
export interface CallReader {
  read(source: Source, sink: Sink): Status;
  /** The output ended inside. TEXT: what is not settled is text; DONE: it is a cut call. */
  end(finish: string): typeof DONE | typeof TEXT;
}

/** A tool of the request, as far as parsing wants to know. */
export type ToolShape = { readonly name: string; readonly parameters: unknown };

export type ReadContext = {
  readonly tools: ReadonlyMap<string, ToolShape>;
};

/** A format whose calls stand in free text. */
export type ToolFormat = {
  readonly openers: readonly string[];
  /** Markers that close something: without their opener they are dropped. */
  readonly strays: readonly string[];
  /** Markers inside of calls. */
  readonly inner: readonly string[];
  /** White space around calls goes with them. */
  readonly trim?: boolean;
  /** An opener that counts only as the first thing of the content. */
  readonly first?: string;
  /** @param before the UTF-16 unit before the opener, −1 at the beginning */
  reader(opener: string, context: ReadContext, before: number): CallReader;
};

/** Longest name of a tool or a parameter in a tag. */
export const MAX_TAG_UNITS = 256;

const NAME = /^[\p{L}\p{N}_.:/$-]+$/u;

/** Whether this may be the name of a tool. */
export const isToolName = (text: string): boolean =>
  text.length <= MAX_TAG_UNITS && NAME.test(text);
