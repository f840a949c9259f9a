/**
 * Blanks between the parts of JSON. A grammar allows any number of them, and small models go on
 * with them until their tokens are spent. So a run of blanks has at most one line feed, and an end.
 */
import { inAlphabet } from "./grammar-vocab.ts";

/** The blanks at the end of a text: how many bytes, and whether a line feed is among them. */
export type BlankRun = { readonly length: number; readonly line_feed: boolean };

export const NO_BLANKS: BlankRun = { length: 0, line_feed: false };

/** In bytes: as many as JSON has that is indented by four in nine levels. */
const RUN_MOST = 40;

/** In the byte alphabet, as all texts here. */
const LINE_FEED = inAlphabet("\n");
const BLANKS = [" ", "\t", "\r"].map(inAlphabet).concat(LINE_FEED);

/** The run behind `text`, which came behind `run`. */
export function afterBlanks(run: BlankRun, text: string): BlankRun {
  let { length, line_feed } = NO_BLANKS;
  for (let at = text.length - 1; at >= 0 && BLANKS.includes(text[at]!); at--) {
    length++;
    line_feed ||= text[at] === LINE_FEED;
  }
  if (length < text.length) return length === 0 ? NO_BLANKS : { length, line_feed };
  return { length: run.length + length, line_feed: run.line_feed || line_feed };
}

/** Bits of the tokens that may not come behind a run of blanks, by the kind of run. */
export class BlankLimit {
  readonly #two_line_feeds: Uint32Array;
  readonly #another_line_feed: Uint32Array;
  readonly #another_blank: Uint32Array;

  constructor(texts: readonly string[]) {
    const bits = (wrong: (text: string) => boolean) => {
      const words = new Uint32Array(Math.ceil(texts.length / 32));
      for (const [token, text] of texts.entries()) {
        if (wrong(text)) words[token >>> 5]! |= 1 << (token & 31);
      }
      return words;
    };
    const blank = `[${BLANKS.join("")}]*`;
    const two = new RegExp(`${LINE_FEED}${blank}${LINE_FEED}`);
    const begins = new RegExp(`^${blank}${LINE_FEED}`);
    this.#two_line_feeds = bits((text) => two.test(text));
    this.#another_line_feed = bits((text) => begins.test(text) || two.test(text));
    this.#another_blank = bits((text) => BLANKS.includes(text[0] ?? "") || two.test(text));
  }

  /** Takes the tokens out of a mask that make too many blanks, unless no other may come. */
  limit(run: BlankRun, mask: Uint32Array): void {
    const wrong =
      run.length >= RUN_MOST
        ? this.#another_blank
        : run.line_feed
          ? this.#another_line_feed
          : this.#two_line_feeds;
    let left = 0;
    for (let i = 0; i < mask.length; i++) left |= mask[i]! & ~wrong[i]!;
    if (left === 0) return;
    for (let i = 0; i < mask.length; i++) mask[i]! &= ~wrong[i]!;
  }
}
