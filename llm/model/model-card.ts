import { libraryTokenizer } from "../tokens/library-tokenizer.ts";
import type { PrefixCacheOptions } from "../tokens/prefix-cache.ts";
import type { Tokenizer } from "../tokens/tokenizer.ts";
import type { TokenizerSettings } from "../tokens/vocab/json-named-tokens.ts";
import { configNumber, type Json, objectOf } from "../tokens/vocab/json-values.ts";
import {
  decodeLibraryVocab,
  encodeLibraryVocab,
  type LibraryVocab,
  libraryVocab,
} from "../tokens/vocab/library-vocab.ts";
import { VocabError } from "../tokens/vocab/vocab.ts";
import { decodeVocab, encodeVocab } from "../tokens/vocab/vocab-blob.ts";
import { vocabFromGguf } from "../tokens/vocab/vocab-from-gguf.ts";
import { vocabFromTokenizerJson } from "../tokens/vocab/vocab-from-json.ts";
import { wordPiecesFromGguf } from "../tokens/vocab/word-pieces-from-gguf.ts";
import { createTokenizer } from "../tokens/vocab-tokenizer.ts";
import {
  type GgufHeader,
  ggufArray,
  ggufBoolean,
  ggufNumber,
  ggufString,
  ggufStringSpans,
} from "./gguf.ts";
import {
  type GenerationDefaults,
  generationDefaultsFromGguf,
  generationDefaultsFromJson,
} from "./sampling-params.ts";

/** Facts in a model file; the worker completes them to the ModelCard on the wire. */
export type ModelFacts = {
  /** As the file names itself; the caller may serve it under another name. */
  readonly name: string;
  readonly architecture: string;
  /** The longest the model was trained for, in tokens. */
  readonly context_length: number;
  readonly embedding_size: number;
  readonly vocab_size: number;
  readonly layer_count: number;
  /** The part of a tokenizer.json that needs a slower library; absent: none does. */
  readonly slow_tokenizer?: string;
  /** Keys of `blobs`; empty where the model has none. */
  readonly tokenizer_blob: string;
  readonly template_blob: string;
  readonly defaults_blob: string;
  /** Names of what its classification head tells apart, in order; empty without. */
  readonly labels: readonly string[];
  /** How it wants a question and a document, with `{query}` and `{document}`; empty without. */
  readonly rerank_template: string;
  /** Its separator token stands between two texts. */
  readonly separates_pairs: boolean;
  /** Content by sha256 in hex: what a frontend on another host fetches. */
  readonly blobs: ReadonlyMap<string, Uint8Array>;
};

const encoder = new TextEncoder();

/**
 * Facts and blobs out of a GGUF header. `fallback_name` is used when the file has no name.
 * Throws VocabError when the model's tokenizer cannot be rebuilt here.
 */
export function modelFactsFromGguf(header: GgufHeader, fallback_name: string): ModelFacts {
  const { metadata } = header;
  const architecture = ggufString(metadata, "general.architecture") ?? "unknown";
  const of = (key: string): number => ggufNumber(metadata, `${architecture}.${key}`) ?? 0;
  const pieces = wordPiecesFromGguf(header);
  const vocab = pieces ?? vocabFromGguf(header);
  return {
    name: ggufString(metadata, "general.name") ?? fallback_name,
    architecture,
    context_length: of("context_length"),
    embedding_size: of("embedding_length"),
    vocab_size: "json" in vocab ? vocab.vocab_size : vocab.token_count,
    layer_count: of("block_count"),
    labels: ggufStrings(metadata, `${architecture}.classifier.output_labels`),
    rerank_template: ggufString(metadata, "tokenizer.chat_template.rerank") ?? "",
    // Of word pieces the end token, which is the separator, stands there already.
    separates_pairs:
      pieces === undefined && (ggufBoolean(metadata, "tokenizer.ggml.add_sep_token") ?? false),
    ...blobsOf(
      "json" in vocab ? encodeLibraryVocab(vocab) : encodeVocab(vocab),
      ggufString(metadata, "tokenizer.chat_template") ?? "",
      generationDefaultsFromGguf(metadata),
    ),
  };
}

/** Empty when there is no such list. */
function ggufStrings(metadata: GgufHeader["metadata"], key: string): readonly string[] {
  const array = ggufArray(metadata, key);
  const spans = array === undefined ? undefined : ggufStringSpans(array);
  if (array === undefined || spans === undefined) return [];
  const decoder = new TextDecoder();
  return Array.from({ length: array.count }, (_, i) =>
    decoder.decode(array.bytes.subarray(spans[2 * i], spans[2 * i + 1])),
  );
}

/** The files of a model folder as they are on disk; all but the first may be missing. */
export type FolderParts = {
  readonly tokenizer_json: Uint8Array;
  readonly tokenizer_config?: Uint8Array | undefined;
  readonly config?: Uint8Array | undefined;
  readonly generation_config?: Uint8Array | undefined;
  readonly chat_template?: Uint8Array | undefined;
  /** How processors of Hugging Face kept it before. */
  readonly chat_template_json?: Uint8Array | undefined;
};

/**
 * Facts and blobs out of a Hugging Face folder, for engines that need no weights.
 * Throws VocabError when a file is damaged or the tokenizer cannot be rebuilt here.
 */
export function modelFactsFromFolder(parts: FolderParts, fallback_name: string): ModelFacts {
  const tokenizer_config = readJson(parts.tokenizer_config, "tokenizer_config.json");
  const config = readJson(parts.config, "config.json");
  const generation_config = readJson(parts.generation_config, "generation_config.json");
  const settings = { tokenizer_config, config, generation_config };
  const found = vocabFromTokenizerJson(parts.tokenizer_json, settings);
  const tokenizer = found.kind === "own" ? found.vocab : libraryOf(parts.tokenizer_json, settings);
  const { model_type } = config;
  return {
    name: fallback_name,
    architecture: typeof model_type === "string" ? model_type : "unknown",
    context_length:
      configNumber(config, "max_position_embeddings") ??
      configNumber(config, "n_positions") ?? // as GPT-2 calls it
      configNumber(tokenizer_config, "model_max_length") ?? // beyond 2^53 it means unknown
      0,
    embedding_size: configNumber(config, "hidden_size") ?? configNumber(config, "n_embd") ?? 0,
    vocab_size: "json" in tokenizer ? tokenizer.vocab_size : tokenizer.token_count,
    ...{ labels: [], rerank_template: "", separates_pairs: false },
    layer_count: configNumber(config, "num_hidden_layers") ?? configNumber(config, "n_layer") ?? 0,
    ...(found.kind === "own" ? {} : { slow_tokenizer: found.reason }),
    ...blobsOf(
      "json" in tokenizer ? encodeLibraryVocab(tokenizer) : encodeVocab(tokenizer),
      folderTemplate(parts, tokenizer_config),
      generationDefaultsFromJson(generation_config),
    ),
  };
}

/** Throws VocabError "vocab_unsupported" for what the library does not know either. */
function libraryOf(tokenizer_json: Uint8Array, settings: TokenizerSettings): LibraryVocab {
  const vocab = libraryVocab(tokenizer_json, settings);
  libraryTokenizer(vocab); // now, and not when the first frontend asks for the model
  return vocab;
}

/** The template's own file goes before tokenizer_config.json, as in transformers. */
function folderTemplate(parts: FolderParts, tokenizer_config: Json): string {
  if (parts.chat_template !== undefined) return templateFromBlob(parts.chat_template);
  const own = templateIn(tokenizer_config);
  return own === "" ? templateIn(readJson(parts.chat_template_json, "chat_template.json")) : own;
}

/** Which part of a folder its template is read from, where it has one. */
export function templatePart(parts: FolderParts): keyof FolderParts {
  if (parts.chat_template !== undefined) return "chat_template";
  const config = readJson(parts.tokenizer_config, "tokenizer_config.json");
  return templateIn(config) === "" ? "chat_template_json" : "tokenizer_config";
}

/** A text, or a list of named ones: then the one named "default", else the first. */
function templateIn({ chat_template }: Json): string {
  if (typeof chat_template === "string") return chat_template;
  const named = Array.isArray(chat_template)
    ? chat_template.map(objectOf)
    : Object.entries(objectOf(chat_template)).map(([name, template]) => ({ name, template }));
  const { template } = named.find((entry) => entry["name"] === "default") ?? named[0] ?? {};
  return typeof template === "string" ? template : "";
}

/** The same model with another chat template. */
export function withTemplate(facts: ModelFacts, template: string): ModelFacts {
  const bytes = encoder.encode(template);
  const template_blob = hashBlob(bytes);
  return { ...facts, template_blob, blobs: new Map([...facts.blobs, [template_blob, bytes]]) };
}

/** Whether the tokenizer has one token of exactly this spelling. */
export function tokenFinder(tokenizer: Tokenizer): (spelling: string) => boolean {
  return (spelling) => {
    const ids = tokenizer.encode(spelling, { add_special: false, parse_special: true });
    const [only] = ids;
    if (only === undefined || ids.length !== 1) return false;
    return new TextDecoder().decode(tokenizer.tokenBytes(only)) === spelling;
  };
}

function readJson(bytes: Uint8Array | undefined, name: string): Json {
  if (bytes === undefined) return {};
  try {
    return objectOf(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    const message = `${name} is no JSON: get the model's files again`;
    throw new VocabError("vocab_corrupt", message);
  }
}

type Blobs = Pick<ModelFacts, "tokenizer_blob" | "template_blob" | "defaults_blob" | "blobs">;

function blobsOf(tokenizer: Uint8Array, template: string, defaults: GenerationDefaults): Blobs {
  const blobs = new Map<string, Uint8Array>();
  const put = (bytes: Uint8Array): string => {
    const hash = hashBlob(bytes);
    blobs.set(hash, bytes);
    return hash;
  };
  return {
    tokenizer_blob: put(tokenizer),
    template_blob: template === "" ? "" : put(encoder.encode(template)),
    defaults_blob: put(encoder.encode(JSON.stringify(defaults))),
    blobs,
  };
}

/** sha256 in hex: the name of a blob. */
export function hashBlob(bytes: Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
}

/** Throws VocabError when the bytes are no tokenizer blob. */
export function tokenizerFromBlob(bytes: Uint8Array, prefixes?: PrefixCacheOptions): Tokenizer {
  const library = decodeLibraryVocab(bytes);
  if (library !== undefined) return libraryTokenizer(library);
  return createTokenizer(decodeVocab(bytes), prefixes);
}

/** The template's source. */
export function templateFromBlob(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** Nothing when the bytes are no such blob: defaults are a courtesy. */
export function defaultsFromBlob(bytes: Uint8Array): GenerationDefaults {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null ? (value as GenerationDefaults) : {};
  } catch {
    return {};
  }
}
