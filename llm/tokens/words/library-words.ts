/**
 * Pre-tokenizers that hand words to a library's model, as Hugging Face's `tokenizers` cuts them.
 * The library has them, too, but with JavaScript's blanks and newer Unicode tables.
 */
import { isWordChar } from "../added-tokens.ts";
import { type Json, objectOf } from "../vocab/json-values.ts";
import { CATEGORY, unicodeCategories } from "./unicode-categories.ts";

/** Words of the words so far. `at_start`: the first of them begins the whole text. */
export type WordStep = (words: readonly string[], at_start: boolean) => string[];

const BLANKS = /\p{White_Space}+/u;
/** The steps of a pre-tokenizer; undefined when one of them is not known here. */
export function wordSteps(pre_tokenizer: unknown): WordStep[] | undefined {
  const json = objectOf(pre_tokenizer);
  if (json["type"] === undefined) return [];
  if (json["type"] !== "Sequence") {
    const step = stepOf(json);
    return step === undefined ? undefined : [step];
  }
  const steps: WordStep[] = [];
  const inner = json["pretokenizers"];
  for (const one of Array.isArray(inner) ? inner : []) {
    const found = wordSteps(one);
    if (found === undefined) return undefined;
    steps.push(...found);
  }
  return steps;
}

function stepOf(json: Json): WordStep | undefined {
  switch (json["type"]) {
    case "WhitespaceSplit":
      return each((word) => word.split(BLANKS));
    case "Whitespace":
      return each((word) => word.split(BLANKS).flatMap(inKinds));
    case "Punctuation":
      if ((json["behavior"] ?? "Isolated") !== "Isolated") return undefined;
      return each((word) => cutAt(word, isPunctuation));
    case "BertPreTokenizer":
      return each((word) => word.split(BLANKS).flatMap((part) => cutAt(part, isPunctuation)));
    case "Metaspace":
      return metaspace(json);
    default:
      return undefined;
  }
}

const each =
  (cut: (word: string) => readonly string[]): WordStep =>
  (words) =>
    words.flatMap(cut).filter((word) => word !== "");

function metaspace(json: Json): WordStep | undefined {
  const { replacement: mark, prepend_scheme: scheme = "always", split = true } = json;
  if (typeof mark !== "string" || mark === "") return undefined;
  return (words, at_start) =>
    words.flatMap((word, i) => {
      const spelled = word.replaceAll(" ", mark);
      const wants = scheme === "always" || (scheme === "first" && at_start && i === 0);
      const whole = wants && !spelled.startsWith(mark) ? mark + spelled : spelled;
      return split === true ? cutBefore(whole, mark) : [whole];
    });
}

function cutBefore(text: string, mark: string): string[] {
  const words: string[] = [];
  let from = 0;
  for (let at = text.indexOf(mark, 1); at >= 0; at = text.indexOf(mark, at + 1)) {
    words.push(text.slice(from, at));
    from = at;
  }
  words.push(text.slice(from));
  return words;
}

/** Each character that is `alone` by itself, and what stands between them. */
function cutAt(text: string, alone: (point: number) => boolean): string[] {
  const words: string[] = [];
  let word = "";
  for (const char of text) {
    if (alone(char.codePointAt(0)!)) {
      words.push(word, char);
      word = "";
    } else {
      word += char;
    }
  }
  words.push(word);
  return words;
}

/** Letters, digits and what belongs to words apart from all else. */
function inKinds(text: string): string[] {
  const words: string[] = [];
  let kind: boolean | undefined;
  for (const char of text) {
    if (isWordChar(char) !== kind) words.push("");
    kind = isWordChar(char);
    words[words.length - 1] += char;
  }
  return words;
}

function isPunctuation(point: number): boolean {
  if (unicodeCategories()[point] === CATEGORY.P) return true;
  return (
    (point >= 33 && point <= 47) ||
    (point >= 58 && point <= 64) ||
    (point >= 91 && point <= 96) ||
    (point >= 123 && point <= 126)
  );
}
