/**
 * Which of llama.cpp's pre-tokenizers a `tokenizer.json` means: found by the exact patterns in it,
 * so that a pattern nobody has compared is refused instead of taken for a similar one.
 */
import { VocabError } from "./vocab.ts";

type Json = Readonly<Record<string, unknown>>;

const CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
/** The same without inline flags, as files for old libraries spell it. */
const SPELLED_OUT = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";
const WORD = String.raw`[^\r\n\p{L}\p{N}]?\p{L}+`;
const SYMBOLS = String.raw` ?[^\s\p{L}\p{N}]+[\r\n]*`;
const SYMBOLS_AND_SLASHES = String.raw` ?[^\s\p{L}\p{N}]+[\r\n/]*`;
const BREAKS = String.raw`\s*[\r\n]+`;
const SPACES = String.raw`\s+(?!\S)|\s+`;
const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const LEAD = String.raw`[^\r\n\p{L}\p{N}]?`;
const cased = (suffix: string): string =>
  `${LEAD}${UPPER}*${LOWER}+${suffix}|${LEAD}${UPPER}+${LOWER}*${suffix}`;
const joined = (...alternatives: readonly string[]): string => alternatives.join("|");

/** What `ByteLevel` does by itself: GPT-2's pattern. */
const BYTE_LEVEL = "ByteLevel";
/** `Digits` with each digit alone. */
const DIGITS = "Digits";

/** Steps in order, by the name of the pre-tokenizer. */
const STEPS: Readonly<Record<string, readonly string[]>> = {
  "gpt-2": [BYTE_LEVEL],
  starcoder: [DIGITS, BYTE_LEVEL],
  qwen2: [joined(CONTRACTION, WORD, String.raw`\p{N}`, SYMBOLS, BREAKS, SPACES)],
  qwen35: [
    joined(
      CONTRACTION,
      String.raw`[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+`,
      String.raw`\p{N}`,
      String.raw` ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`,
      BREAKS,
      SPACES,
    ),
  ],
  "llama-bpe": [joined(CONTRACTION, WORD, String.raw`\p{N}{1,3}`, SYMBOLS, BREAKS, SPACES)],
  "gpt-4o": [
    joined(cased(`${CONTRACTION}?`), String.raw`\p{N}{1,3}`, SYMBOLS_AND_SLASHES, BREAKS, SPACES),
  ],
  tekken: [joined(cased(""), String.raw`\p{N}`, SYMBOLS_AND_SLASHES, BREAKS, SPACES)],
  "deepseek-v3": [
    String.raw`\p{N}{1,3}`,
    "[一-龥぀-ゟ゠-ヿ]+",
    joined(
      String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+`,
      String.raw`[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+`,
      String.raw` ?[\p{P}\p{S}]+[\r\n]*`,
      BREAKS,
      SPACES,
    ),
  ],
};

const NAMES = new Map(Object.entries(STEPS).map(([name, steps]) => [keyOf(steps), name]));

/**
 * The name under which pre-tokenizers.ts knows it; `ignore_merges` tells apart models that share a
 * pattern. Throws VocabError "vocab_unsupported" that shows what is not known.
 */
export function preTokenizerOfJson(pre_tokenizer: unknown, ignore_merges: boolean): string {
  const steps = flatten(pre_tokenizer).map(stepOf);
  // A ByteLevel without its pattern only spells bytes, which byte-level vocabularies always do.
  const cutting = steps.filter((step) => step !== "");
  const spells = flatten(pre_tokenizer).some((step) => step["type"] === "ByteLevel");
  if (!spells) throw unsupported("no ByteLevel step", describe(pre_tokenizer));
  const name = NAMES.get(keyOf(cutting));
  if (name === undefined) throw unsupported("the pattern", cutting.join(" then "));
  return name === "llama-bpe" && !ignore_merges ? "dbrx" : name;
}

function flatten(pre_tokenizer: unknown): Json[] {
  if (typeof pre_tokenizer !== "object" || pre_tokenizer === null) return [];
  const step = pre_tokenizer as Json;
  if (step["type"] !== "Sequence") return [step];
  const inner = step["pretokenizers"];
  return Array.isArray(inner) ? inner.flatMap(flatten) : [];
}

/** Its pattern, or empty when it cuts nothing. */
function stepOf(step: Json): string {
  switch (step["type"]) {
    case "ByteLevel":
      if (step["add_prefix_space"] === true) {
        throw unsupported("a space before the first word", describe(step));
      }
      return step["use_regex"] === false ? "" : BYTE_LEVEL;
    case "Digits":
      if (step["individual_digits"] === true) return DIGITS;
      break;
    case "Split": {
      const pattern = (step["pattern"] as Json | null | undefined)?.["Regex"];
      const isolated = step["behavior"] === "Isolated" && step["invert"] !== true;
      // Keeping only the matches is the same where the pattern matches everything, as all here do.
      const kept = step["behavior"] === "Removed" && step["invert"] === true;
      if (typeof pattern === "string" && (isolated || kept)) return pattern;
      break;
    }
  }
  throw unsupported("the step", describe(step));
}

function keyOf(steps: readonly string[]): string {
  return JSON.stringify(steps.map((step) => step.replaceAll(SPELLED_OUT, CONTRACTION)));
}

function describe(step: unknown): string {
  return JSON.stringify(step ?? null);
}

function unsupported(what: string, found: string): VocabError {
  const shown = found.length > 200 ? `${found.slice(0, 200)}…` : found;
  const advice = "take a GGUF of the model, or another model";
  const message = `tokenizer.json: unknown pre-tokenizer, ${what} ${shown}: ${advice}`;
  return new VocabError("vocab_unsupported", message);
}
