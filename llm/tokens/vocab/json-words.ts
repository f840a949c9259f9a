/** How a `tokenizer.json` cuts text into words, in the steps that word-splitter.ts takes. */

import {
  matchesAll,
  PatternError,
  type SplitPattern,
  splitPattern,
} from "../words/split-pattern.ts";
import type { Cut, SplitStep } from "../words/word-splitter.ts";
import { type Json, objectOf } from "./json-values.ts";

export type JsonWords = {
  readonly steps: readonly SplitStep[];
  /** Words are spelled in GPT-2's byte alphabet. */
  readonly byte_level: boolean;
  /** A piece of text that does not begin with a space gets one. */
  readonly space_prefix: boolean;
};

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** The same without inline flags, as files for old libraries spell it. */
const SPELLED_OUT = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const BEHIND_WORDS = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const WORD = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const LLAMA3 = { kind: "llama3", digits: 3, marks: false, long_s: true } as const;

/** Patterns that have a scanner written by hand: several times as fast, with the same words. */
const SCANNERS: ReadonlyMap<string, SplitStep> = new Map(
  (
    [
      [String.raw`|${WORD}|\p{N}{1,3}|${BEHIND_WORDS}`, LLAMA3],
      [String.raw`|${WORD}|\p{N}|${BEHIND_WORDS}`, { ...LLAMA3, digits: 1 }],
      [
        String.raw`|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|${BEHIND_WORDS.replace(
          String.raw`\p{L}`,
          String.raw`\p{L}\p{M}`,
        )}`,
        { ...LLAMA3, digits: 1, marks: true },
      ],
    ] as const
  ).flatMap(([rest, step]): [string, SplitStep][] => [
    [CONTRACTION + rest, step],
    [SPELLED_OUT + rest, { ...step, long_s: false }],
  ]),
);

const CUTS: Readonly<Record<string, Cut>> = {
  Isolated: "both",
  MergedWithPrevious: "behind",
  MergedWithNext: "before",
};

/** Or what in it is not known here. */
export function jsonWords(pre_tokenizer: unknown): JsonWords | string {
  const parts = flatten(pre_tokenizer);
  const steps: SplitStep[] = [];
  let byte_level = false;
  let space_prefix = false;
  for (const part of parts) {
    if (byte_level) return "a step behind ByteLevel";
    if (part["type"] === "ByteLevel") {
      byte_level = true;
      space_prefix = part["add_prefix_space"] === true;
      if (space_prefix && parts.length > 1) return "ByteLevel with a space before every word";
      if (part["use_regex"] !== false) steps.push({ kind: "gpt2" });
      continue;
    }
    const step = stepOf(part);
    if (typeof step === "string") return step;
    steps.push(step);
  }
  return { steps, byte_level, space_prefix };
}

function flatten(pre_tokenizer: unknown): Json[] {
  const step = objectOf(pre_tokenizer);
  if (step["type"] === undefined) return [];
  if (step["type"] !== "Sequence") return [step];
  const inner = step["pretokenizers"];
  return Array.isArray(inner) ? inner.flatMap(flatten) : [];
}

function stepOf(part: Json): SplitStep | string {
  const { type } = part;
  if (type === "Digits") {
    const source = part["individual_digits"] === true ? String.raw`\p{N}` : String.raw`\p{N}+`;
    return { kind: "pattern", source, cut: "both" };
  }
  if (type !== "Split") return `the pre-tokenizer ${String(type)}`;
  const { Regex: regex, String: text } = objectOf(part["pattern"]);
  const source = typeof regex === "string" ? regex : escaped(text);
  try {
    const cut = cutOf(part, splitPattern(source));
    if (cut === undefined) return `a Split that is ${String(part["behavior"])}`;
    const scanner = cut === "both" ? SCANNERS.get(source) : undefined;
    return scanner ?? { kind: "pattern", source, cut };
  } catch (thrown) {
    if (!(thrown instanceof PatternError)) throw thrown;
    return `${thrown.message} in the pattern ${clipped(source)}`;
  }
}

function cutOf(part: Json, pattern: SplitPattern): Cut | undefined {
  const behavior = String(part["behavior"]);
  if (part["invert"] !== true) return Object.hasOwn(CUTS, behavior) ? CUTS[behavior] : undefined;
  if (behavior === "Isolated") return "both";
  // Keeping only what matches is the same where everything does.
  return behavior === "Removed" && matchesAll(pattern) ? "both" : undefined;
}

function escaped(text: unknown): string {
  return String(text).replace(/[\\^$.*+?()[\]{}|&-]/g, "\\$&");
}

function clipped(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
