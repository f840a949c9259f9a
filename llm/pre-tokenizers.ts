import type { SplitStep } from "./word-splitter.ts";

/**
 * The pre-tokenizers of llama.cpp by the name in `tokenizer.ggml.pre`, with the tokenizer flags that
 * hang on that name. Source: `llama_vocab::impl::load` and `llm_tokenizer_bpe` in llama.cpp's
 * `src/llama-vocab.cpp` (MIT). Lookaheads that only intersect two classes are written out.
 */
export type PreTokenizer = {
  readonly steps: readonly SplitStep[];
  /** A whole word that is a token is taken before any merge. */
  readonly ignore_merges?: boolean;
  /** Default of "put the begin token first"; the file's own flag wins. */
  readonly add_bos?: boolean;
  /** The vocabulary spells a space as U+2581 and holds raw UTF-8 instead of the byte alphabet. */
  readonly raw?: boolean;
};

const re = (source: string): SplitStep => ({ kind: "regex", source });

const GPT2: SplitStep = { kind: "gpt2" };
const LLAMA3: SplitStep = { kind: "llama3", digits: 3, marks: false };
const QWEN2: SplitStep = { kind: "llama3", digits: 1, marks: false };
const QWEN35: SplitStep = { kind: "llama3", digits: 1, marks: true };
const LINES: SplitStep = { kind: "lines" };
const DIGIT_GROUPS: SplitStep = { kind: "digit_groups" };

const CONTRACTION = String.raw`(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])`;
const BLANKS = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
/** In the collapsed text every letter beyond ASCII is U+00D2 and every mark is U+00D4. */
const NOT_LOWER = String.raw`[\xD2A-Z]`;
const NOT_UPPER = String.raw`[\xD2a-z]`;
const LETTER_OR_MARK = String.raw`[\p{L}\p{M}]`;
/** Digits, then symbols that may end in line breaks or slashes, then blanks. */
const O200K_REST = String.raw`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${BLANKS}`;
const LEAD = String.raw`[^\r\n\p{L}\p{N}]?`;

const casePairs = (lower: string, upper: string, suffix: string): string =>
  `${LEAD}${upper}*${lower}+${suffix}|${LEAD}${upper}+${lower}*${suffix}`;

const GPT4O = re(`${casePairs(NOT_UPPER, NOT_LOWER, `${CONTRACTION}?`)}|${O200K_REST}`);
const TEKKEN = re(
  String.raw`${casePairs(NOT_UPPER, NOT_LOWER, "")}|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${BLANKS}`,
);
const AYA_WORDS = re(
  `${casePairs(LETTER_OR_MARK, LETTER_OR_MARK, `${CONTRACTION}?`)}|${O200K_REST}`,
);
const ASCII_SYMBOL_WORD = String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_${"`"}{|}~][A-Za-z]+`;
const DEEPSEEK3_WORDS = re(
  String.raw`${ASCII_SYMBOL_WORD}|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${BLANKS}`,
);
const HAN_KANA = re("[一-龥぀-ゟ゠-ヿ]+");
const DIGITS_3 = re(String.raw`\p{N}{1,3}`);
const DIGIT = re(String.raw`\p{N}`);
const DEEPSEEK3 = [DIGITS_3, HAN_KANA, DEEPSEEK3_WORDS];
const DEEPSEEK_LETTERS =
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕ" +
  "ἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛ" +
  "Ꜣ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";
const DEEPSEEK_HAN = re("[一-龥ࠀ-一가-퟿]+");
const BLOOM = re(String.raw` ?[^(\t-\r |.,!?…。，、।۔،)]+`);

const gpt2Like: PreTokenizer = { steps: [GPT2] };
const llama3: PreTokenizer = { steps: [LLAMA3], ignore_merges: true, add_bos: true };
const llama3Plain: PreTokenizer = { steps: [LLAMA3] };
const qwen2: PreTokenizer = { steps: [QWEN2] };
const gpt4o: PreTokenizer = { steps: [GPT4O] };
const digitsThenGpt2: PreTokenizer = { steps: [DIGIT, GPT2] };
const deepseek3: PreTokenizer = { steps: DEEPSEEK3 };
const rawLines: PreTokenizer = { steps: [LINES], raw: true };
const aya: PreTokenizer = { steps: [DIGIT_GROUPS, AYA_WORDS] };
const bloom: PreTokenizer = { steps: [BLOOM] };
const bailing: PreTokenizer = {
  steps: [
    re(
      String.raw`'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|${LEAD}\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`,
    ),
  ],
};

const fallback: PreTokenizer = {
  steps: [
    re(String.raw`[\p{P}\$\+<=>\^~\|]+`),
    GPT2,
    re(String.raw`\p{N}+`),
    re("[0-9][0-9][0-9]"),
  ],
};

const jais2Blanks = [512, 256, 128, 64, 32, 16, 8, 4]
  .map((count) => String.raw`\s{${count}}(?!\S)`)
  .join("|");

const TABLE: Record<string, PreTokenizer> = {
  default: fallback,
  "gpt-2": gpt2Like,
  "llama-bpe": llama3,
  qwen2,
  qwen35: { steps: [QWEN35] },
  gemma4: { ...rawLines, add_bos: true },
  "deepseek-llm": {
    steps: [
      re("[\r\n]"),
      re(`[\\t-\\r ]?[${DEEPSEEK_LETTERS}]+`),
      re("[\\t-\\r ]?[!-/:-~！-／：-～‘-‟　-。]+"),
      re("[\\t-\\r ]+$"),
      DEEPSEEK_HAN,
      re(String.raw`\p{N}+`),
    ],
  },
  "deepseek-coder": {
    steps: [
      re("[\r\n]"),
      re(String.raw`\s?\p{L}+`),
      re(String.raw`\s?\p{P}+`),
      DEEPSEEK_HAN,
      DIGIT,
    ],
  },
  "deepseek-v3": deepseek3,
  falcon: {
    steps: [re(String.raw`[\p{P}\$\+<=>\^~\|${"`"}]+`), GPT2, re("[0-9][0-9][0-9]")],
  },
  starcoder: digitsThenGpt2,
  "gpt-4o": gpt4o,
  tekken: { steps: [TEKKEN], ignore_merges: true, add_bos: true },
  "granite-embed-multi-97m": {
    steps: [
      re(
        `${casePairs(String.raw`[\xD2\xD4a-z]`, String.raw`[\xD2\xD4A-Z]`, `${CONTRACTION}?`)}|${O200K_REST}`,
      ),
    ],
    ignore_merges: true,
  },
  tiny_aya: aya,
  superbpe: { steps: [re(String.raw`\p{N}+`), re(String.raw`(?=(\d{3})+(?!\d))`)] },
  youtu: {
    steps: [
      re("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"),
      re(
        String.raw`${casePairs(LETTER_OR_MARK, LETTER_OR_MARK, `${CONTRACTION}?`)}|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${BLANKS}`,
      ),
    ],
    ignore_merges: true,
  },
  spark2_5: {
    steps: [
      DIGITS_3,
      HAN_KANA,
      re(
        String.raw`${ASCII_SYMBOL_WORD}|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+`,
      ),
      DIGIT,
    ],
  },
  bloom,
  viking: { steps: [BLOOM, DIGIT] },
  bailingmoe: bailing,
  "seed-coder": {
    steps: [
      re(String.raw`${CONTRACTION}|${LEAD}\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|${BLANKS}`),
    ],
  },
  ufakzeka: {
    steps: [re(String.raw`${LEAD}\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|${BLANKS}`)],
  },
  afmoe: {
    steps: [
      DIGIT_GROUPS,
      re("[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"),
      DEEPSEEK3_WORDS,
    ],
  },
  laguna: { steps: [LINES, QWEN2] },
  "exaone-moe": {
    steps: [
      re(
        String.raw`${CONTRACTION}|${LEAD}(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+`,
      ),
    ],
  },
  minicpm5: {
    steps: [
      DIGITS_3,
      re(
        String.raw`${CONTRACTION}|${LEAD}\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|${BLANKS}`,
      ),
    ],
    ignore_merges: true,
  },
  "jais-2": {
    steps: [
      re(
        String.raw`${CONTRACTION}|${LEAD}\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|${jais2Blanks}|\s{1,2}(?!\S)|\s{1}`,
      ),
    ],
  },
  chameleon: {
    steps: [
      re("<sentinel:[0-9]+>"),
      re("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
      re(String.raw`([\t\n]|    |  )`),
      DIGIT,
      re(String.raw`[\p{P}!-/:-@\[-${"`"}{-~]`),
      GPT2,
    ],
    add_bos: true,
  },
};

/** Further names of the rows above, as llama.cpp groups them. */
const SAME_AS: Record<string, readonly string[]> = {
  "llama-bpe": [
    ..."llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano".split(" "),
  ],
  "gpt-2": [
    ..."phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert".split(" "),
    ..."jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling".split(" "),
    "exaone4",
  ],
  qwen2: [
    ..."deepseek-r1-qwen kormo f2llmv2 stablelm2 hunyuan solar-open megrez grok-2".split(" "),
  ],
  starcoder: [
    ..."refact command-r smollm codeshell exaone minerva-7b mellum2".split(" "),
  ],
  "gpt-4o": ["llama4", "kanana2", "talkie", "minimax-m2"],
  "deepseek-v3": ["hunyuan-dense", "hy_v4", "joyai-llm"],
  tiny_aya: ["cohere2moe"],
  bloom: ["poro-chat", "gpt3-finnish"],
  bailingmoe: ["bailingmoe2", "llada-moe"],
  gemma4: ["granite-embed-multi-311m"],
};

/** Named like llama3's, but without its flags. */
const LLAMA3_PLAIN = ["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"];

/** The pre-tokenizer of that name; undefined when this reader does not know it. */
export function preTokenizer(name: string): PreTokenizer | undefined {
  if (Object.hasOwn(TABLE, name)) return TABLE[name];
  if (LLAMA3_PLAIN.includes(name)) return llama3Plain;
  if (name === "sarvam-moe") return rawLines;
  for (const [row, names] of Object.entries(SAME_AS)) {
    if (names.includes(name)) return TABLE[row];
  }
  return undefined;
}
