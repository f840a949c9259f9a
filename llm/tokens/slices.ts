/**
 * Long texts in slices, so that whoever has other things to do can do them in between. The tokens
 * are those of the whole text, as it is cut only where a word ends whatever stands around it.
 */
import type { EncodeOptions, Tokenizer } from "./tokenizer.ts";

export type Slicing = {
  /** UTF-16 units after which the next place is looked for. */
  readonly slice?: number;
  /** A text that has more tokens is given up: the tokens are then those of its beginning. */
  readonly tokens_max?: number;
};

const SLICE = 16_384;

/**
 * Yields between two slices. With a tokenizer that is not `sliceable`, or for a text without places
 * to cut, there is one slice.
 */
export function* encodeSliced(
  tokenizer: Tokenizer,
  text: string,
  options: EncodeOptions,
  { slice = SLICE, tokens_max = Number.POSITIVE_INFINITY }: Slicing = {},
): Generator<void, Uint32Array, void> {
  const first = tokenizer.sliceable === true ? placeAfter(text, slice) : -1;
  if (first < 0) return tokenizer.encode(text, options);
  const parts: Uint32Array[] = [];
  const { special, add_bos, add_eos } = tokenizer;
  const plain = { ...options, add_special: false };
  if (options.add_special && add_bos) parts.push(Uint32Array.of(special.bos!));
  let made = 0;
  for (let from = 0, to = first; from < text.length; ) {
    // The tokenizer puts its own space before the first word of a text.
    const own_space = from > 0 && tokenizer.add_space_prefix ? 1 : 0;
    const part = tokenizer.encode(text.slice(from + own_space, to), plain);
    parts.push(part);
    made += part.length;
    if (made > tokens_max) return joined(parts);
    from = to;
    const next = placeAfter(text, from + slice);
    to = next < 0 ? text.length : next;
    if (from < text.length) yield;
  }
  if (options.add_special && add_eos) parts.push(Uint32Array.of(special.eos!));
  return joined(parts);
}

/** True: a slice of `encodeSliced` is longer than `units`, with a `sliceable` tokenizer. */
export function hasLongPiece(text: string, units: number): boolean {
  for (let from = 0; text.length - from > units; ) {
    // No further than a piece may go: a text without any place is not searched to its end.
    const next = placeAfter(text.slice(from + SLICE, from + units + 2), 0);
    if (next < 0) return true;
    from += SLICE + next;
  }
  return false;
}

/**
 * Before a single space between two ASCII letters: a word may begin with it, but none has it inside
 * or at its end. -1: there is none from `at` on.
 */
function placeAfter(text: string, at: number): number {
  if (at >= text.length) return -1;
  PLACE.lastIndex = at;
  const found = PLACE.exec(text);
  return found === null ? -1 : found.index + 1;
}

const PLACE = /[A-Za-z] [A-Za-z]/g;

/** True: a cut or a join of texts at such places never breaks one of these spellings. */
export function outliveCuts(spellings: Iterable<string>): boolean {
  for (const text of spellings) if (AT_ODDS.test(text)) return false;
  return true;
}

const AT_ODDS = /^[A-Za-z]|[A-Za-z]$|[A-Za-z] [A-Za-z]/;

function joined(parts: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
