/**
 * Small tokenizer.json files, one for each thing such a file may ask for. Their merges were learned
 * over whole texts, so that they join whatever stands side by side: only what the file says of
 * words and added tokens keeps it apart, and ids tell where that is.
 */
import { BYTE_TO_CODE_POINT } from "../../../llm/tokens/vocab/byte-alphabet.ts";
import { fuzzText } from "./fuzz-texts.ts";
import { LLAMA3_PATTERN, QWEN2_PATTERN, splitBy } from "./small-tokenizer.ts";

type Json = Record<string, unknown>;

const MERGES = 300;
const CORPUS = Array.from({ length: 60 }, (_, i) =>
  fuzzText(70_000 + i, [])
    .toWellFormed()
    .replaceAll("<0x", ""),
);
const encoder = new TextEncoder();

const added = (id: number, content: string, flags: Json = {}): Json => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
  ...flags,
});

/** Pairs that stand side by side most often, joined one after the other. */
function learn(texts: readonly string[][]): [string, string][] {
  const merges: [string, string][] = [];
  const known = new Set(texts.flat());
  while (merges.length < MERGES) {
    const counts = new Map<string, number>();
    for (const text of texts) {
      for (let i = 1; i < text.length; i++) {
        const pair = `${text[i - 1]}\n${text[i]}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    let best = "";
    let most = 0;
    for (const [pair, count] of counts) {
      if (count < most || (count === most && pair > best)) continue;
      if (known.has(pair.replace("\n", ""))) continue;
      [best, most] = [pair, count];
    }
    if (best === "") break;
    const [left, right] = best.split("\n") as [string, string];
    merges.push([left, right]);
    known.add(left + right);
    for (const text of texts) {
      for (let i = 1; i < text.length; i++) {
        if (text[i - 1] === left && text[i] === right) text.splice(i - 1, 2, left + right);
      }
    }
  }
  return merges;
}

const spelledBytes = (text: string): string[] =>
  Array.from(encoder.encode(text), (byte) => String.fromCodePoint(BYTE_TO_CODE_POINT[byte]!));

let byte_merges: [string, string][] | undefined;

function byteLevel(changes: Json = {}, model: Json = {}): Json {
  byte_merges ??= learn(CORPUS.map(spelledBytes));
  const merges = byte_merges;
  const texts = Array.from(BYTE_TO_CODE_POINT, (point) => String.fromCodePoint(point));
  for (const pair of merges) texts.push(pair.join(""));
  const vocab = Object.fromEntries(texts.map((text, id) => [text, id]));
  const first = texts.length;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [added(first, "<|im_end|>"), added(first + 1, "<think>", { special: false })],
    normalizer: null,
    pre_tokenizer: splitBy(QWEN2_PATTERN),
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab, merges, ...model },
    ...changes,
  };
}

/** SentencePiece's kind: characters, and tokens for the bytes of those that are none. */
function sentencePieces(changes: Json = {}, model: Json = {}): Json {
  const learned = CORPUS.map((text) => [...text.replaceAll(" ", "▁").replaceAll("\n", "")]);
  const texts = ["<unk>", "<s>", "</s>"];
  for (let byte = 0; byte < 256; byte++) {
    texts.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  }
  const chars = [...new Set(learned.flat())].filter((_, i) => i % 5 !== 0);
  const known = new Set(chars);
  const rows = learned.map((row) => row.filter((char) => known.has(char)));
  texts.push(...chars);
  const merges = learn(rows);
  for (const pair of merges) texts.push(pair.join(""));
  const vocab = Object.fromEntries(texts.map((text, id) => [text, id]));
  const steps = [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
  ];
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")],
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: null,
    post_processor: null,
    decoder: { type: "Sequence", decoders: steps },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges,
      ...model,
    },
    ...changes,
  };
}

/** Words, their beginnings and their ends, as often as they come; for models that merge nothing. */
function pieces(prefix: string): string[] {
  const counts = new Map<string, number>();
  for (const text of CORPUS) {
    for (const word of text.toLowerCase().split(/\s+/)) {
      const chars = [...word].slice(0, 12);
      for (let from = 0; from < chars.length; from++) {
        for (const to of [from + 1, from + 2, from + 3, chars.length]) {
          const piece = (from === 0 ? "" : prefix) + chars.slice(from, to).join("");
          counts.set(piece, (counts.get(piece) ?? 0) + to - from);
        }
      }
    }
  }
  const order = (a: [string, number], b: [string, number]): number =>
    b[1] - a[1] || (a[0] < b[0] ? -1 : 1);
  return [...counts]
    .sort(order)
    .slice(0, 900)
    .map(([piece]) => piece);
}

function wholePieces(model: Json, changes: Json, unknown: string, prefix: string): Json {
  const texts = [unknown, "<s>", "</s>", ...pieces(prefix)];
  const listed = new Set(["▁", ...texts]);
  const unigram = model["type"] === "Unigram";
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [added(0, unknown), added(1, "<s>"), added(2, "</s>")],
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: {
      ...model,
      vocab: unigram
        ? [...texts, ...["▁"].filter((text) => listed.has(text))].map((text, id) => [
            text,
            -id / 64,
          ])
        : Object.fromEntries(texts.map((text, id) => [text, id])),
    },
    ...changes,
  };
}

const METASPACE = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: true };
const BERT = { clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true };

const LLAMA2_CHANGES = {
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Prepend", prepend: "▁" },
      { type: "Replace", pattern: { String: " " }, content: "▁" },
    ],
  },
  decoder: {
    type: "Sequence",
    decoders: [
      { type: "Replace", pattern: { String: "▁" }, content: " " },
      { type: "ByteFallback" },
      { type: "Fuse" },
      { type: "Strip", content: " ", start: 1, stop: 0 },
    ],
  },
};

const UPPER = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const LOWER = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const LEAD = String.raw`[^\r\n\p{L}\p{N}]?`;
const SHORT = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?";
const GPT4O = [
  `${LEAD}${UPPER}*${LOWER}+${SHORT}|${LEAD}${UPPER}+${LOWER}*${SHORT}`,
  String.raw`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
].join("|");
const POSSESSIVE = [
  String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+`,
  String.raw` ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
].join("|");
const QWEN35 = QWEN2_PATTERN.replace(String.raw`?\p{L}+`, String.raw`?[\p{L}\p{M}]+`).replace(
  String.raw`[^\s\p{L}`,
  String.raw`[^\s\p{L}\p{M}`,
);
const DEEPSEEK = [
  String.raw`\p{N}{1,3}`,
  "[一-龥぀-ゟ゠-ヿ]+",
  [
    String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+`,
    String.raw`[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*`,
    String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`,
  ].join("|"),
];

const split = (pattern: Json, behavior: string, invert = false): Json => ({
  type: "Split",
  pattern,
  behavior,
  invert,
});
const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
const sequence = (...pretokenizers: Json[]): Json => ({ type: "Sequence", pretokenizers });
const normalizers = (...steps: Json[]): Json => ({ type: "Sequence", normalizers: steps });

/** Added tokens of every kind, none of them at the place that its number says. */
const ADDED = [
  added(900, "<|im_start|>"),
  added(901, "<|im_end|>", { rstrip: true, normalized: true }),
  added(902, "<think>", { special: false }),
  added(903, "<l>", { lstrip: true, special: false }),
  added(904, "<x y>", { lstrip: true, rstrip: true }),
  added(905, "word", { single_word: true, special: false, normalized: true }),
  added(906, "é", { special: false, normalized: true }),
  added(907, "<th", { special: false, single_word: true }),
  added(908, "<|im", { normalized: true }),
  added(909, "Ġñ", { special: false }),
  added(910, "<think>x", { special: true }),
];

/** By name; the texts to try each on are made of its added tokens, too. */
export const SMALL_VOCABULARIES: Readonly<Record<string, () => Json>> = {
  qwen2: () => byteLevel(),
  "qwen2 NFC": () => byteLevel({ normalizer: { type: "NFC" } }),
  qwen35: () => byteLevel({ pre_tokenizer: splitBy(QWEN35) }),
  "llama3 whole words": () =>
    byteLevel({ pre_tokenizer: splitBy(LLAMA3_PATTERN) }, { ignore_merges: true }),
  "gpt-4o": () => byteLevel({ pre_tokenizer: splitBy(GPT4O) }),
  "gpt-4o matches alone": () =>
    byteLevel({ pre_tokenizer: sequence(split({ Regex: GPT4O }, "Removed", true), BYTES) }),
  "cl100k possessive": () => byteLevel({ pre_tokenizer: splitBy(POSSESSIVE) }),
  "deepseek-v3": () =>
    byteLevel({
      pre_tokenizer: sequence(...DEEPSEEK.map((Regex) => split({ Regex }, "Isolated")), BYTES),
    }),
  "gpt-2 NFKC": () =>
    byteLevel({ normalizer: { type: "NFKC" }, pre_tokenizer: { ...BYTES, use_regex: true } }),
  "gpt-2 space first": () =>
    byteLevel({ pre_tokenizer: { ...BYTES, add_prefix_space: true, use_regex: true } }),
  "digits, cuts": () =>
    byteLevel({
      pre_tokenizer: sequence(
        { type: "Digits", individual_digits: false },
        split({ String: "a" }, "MergedWithPrevious"),
        split({ Regex: String.raw`[\r\n ]` }, "MergedWithNext"),
        BYTES,
      ),
    }),
  "lower, strip": () =>
    byteLevel({
      added_tokens: ADDED,
      normalizer: normalizers(
        { type: "NFD" },
        { type: "Lowercase" },
        { type: "Strip", strip_left: true, strip_right: true },
      ),
    }),
  "added tokens": () => byteLevel({ added_tokens: ADDED }),
  "added tokens NFKD": () => byteLevel({ added_tokens: ADDED, normalizer: { type: "NFKD" } }),
  gemma: () => sentencePieces(),
  "gemma cut": () =>
    sentencePieces({ pre_tokenizer: split({ String: " " }, "MergedWithPrevious") }),
  llama2: () => sentencePieces(LLAMA2_CHANGES),
  metaspace: () =>
    sentencePieces({
      normalizer: null,
      pre_tokenizer: METASPACE,
      decoder: LLAMA2_CHANGES.decoder,
    }),
  wordpiece: () =>
    wholePieces(
      {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
      },
      {
        normalizer: { type: "BertNormalizer", ...BERT },
        pre_tokenizer: { type: "BertPreTokenizer" },
        decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      },
      "[UNK]",
      "##",
    ),
  wordlevel: () =>
    wholePieces(
      { type: "WordLevel", unk_token: "<unk>" },
      { normalizer: { type: "Lowercase" }, pre_tokenizer: { type: "Whitespace" } },
      "<unk>",
      "",
    ),
  unigram: () =>
    wholePieces(
      { type: "Unigram", unk_id: 0, byte_fallback: false },
      {
        normalizer: normalizers({ type: "NFKC" }, { type: "Lowercase" }),
        pre_tokenizer: METASPACE,
        decoder: METASPACE,
      },
      "<unk>",
      "▁",
    ),
};
