import { type GgufHeader, ggufNumber, ggufString } from "./gguf.ts";
import { type GenerationDefaults, generationDefaultsFromGguf } from "./sampling-params.ts";
import { createTokenizer, type Tokenizer } from "./tokenizer.ts";
import { decodeVocab, encodeVocab } from "./vocab-blob.ts";
import { vocabFromGguf } from "./vocab-from-gguf.ts";

/** What a model file says about itself; the worker completes it to the ModelCard on the wire. */
export type ModelFacts = {
  /** As the file names itself; the caller may serve it under another name. */
  readonly name: string;
  readonly architecture: string;
  /** The longest the model was trained for, in tokens. */
  readonly context_length: number;
  readonly embedding_size: number;
  readonly vocab_size: number;
  readonly layer_count: number;
  /** Keys of `blobs`; empty where the model has none. */
  readonly tokenizer_blob: string;
  readonly template_blob: string;
  readonly defaults_blob: string;
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
  const blobs = new Map<string, Uint8Array>();
  const put = (bytes: Uint8Array): string => {
    const hash = hashBlob(bytes);
    blobs.set(hash, bytes);
    return hash;
  };
  const vocab = vocabFromGguf(header);
  const template = ggufString(metadata, "tokenizer.chat_template") ?? "";
  const defaults = generationDefaultsFromGguf(metadata);
  return {
    name: ggufString(metadata, "general.name") ?? fallback_name,
    architecture,
    context_length: of("context_length"),
    embedding_size: of("embedding_length"),
    vocab_size: vocab.token_count,
    layer_count: of("block_count"),
    tokenizer_blob: put(encodeVocab(vocab)),
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
export function tokenizerFromBlob(bytes: Uint8Array): Tokenizer {
  return createTokenizer(decodeVocab(bytes));
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
