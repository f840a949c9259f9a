/**
 * Finds out whether words end before a single space between two ASCII letters. Splitters look
 * ahead, never back, and no word of theirs has a blank behind a letter. So a test of every pair of
 * letters holds for all texts.
 */
import { TextBuffer } from "../text-buffer.ts";
import type { WordSplitter } from "./word-splitter.ts";

const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"];

export function endsBeforeSpaces(splitter: WordSplitter): boolean {
  const pairs = letters.flatMap((left) => letters.map((right) => `${left} ${right}`));
  // Each line "x y": the pair stands at its beginning, a break behind it.
  const text = new TextBuffer();
  text.fill(pairs.map((pair) => `${pair}\n`).join(""));
  const { ends, count } = splitter.split(text);
  const found = new Set(ends.subarray(0, count));
  return pairs.every((_, i) => found.has(4 * i + 1) && !found.has(4 * i + 2));
}
