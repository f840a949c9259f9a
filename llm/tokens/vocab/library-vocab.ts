/**
 * The stored form of a tokenizer that only a library can run: its tokenizer.json with what the
 * files beside it say.
 *
 *   "TRPTJSON" | u32 header bytes | header (JSON) | tokenizer.json, compressed
 */
import type { AddedToken } from "../added-tokens.ts";
import { corrupt, FILE, folderSpecials, readAdded } from "./folder-tokens.ts";
import { namedTokens, type TokenizerSettings } from "./json-named-tokens.ts";
import { isTokenId, type Json, objectOf } from "./json-values.ts";
import { TextsById } from "./texts-by-id.ts";
import { type SpecialIds, VocabError } from "./vocab.ts";
import { vocabSize } from "./vocab-from-json.ts";

export type LibraryVocab = {
  readonly json: Json;
  readonly added: readonly AddedToken[];
  readonly vocab_size: number;
  readonly special: SpecialIds;
  readonly add_bos: boolean;
  readonly add_eos: boolean;
};

type Header = Omit<LibraryVocab, "json"> & { readonly version: number };

const MAGIC = new TextEncoder().encode("TRPTJSON");
const VERSION = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Throws VocabError when the file is damaged. */
export function libraryVocab(bytes: Uint8Array, settings: TokenizerSettings): LibraryVocab {
  const json = parsed(bytes);
  const texts = textsOf(objectOf(json["model"])["vocab"]);
  const added = readAdded(json["added_tokens"], texts.table(), texts.entries);
  for (const { id, content } of added) if (!texts.has(id)) texts.putText(id, content);
  const tokens = texts.table();
  const specials = namedTokens(objectOf(json["post_processor"]), settings, tokens);
  return {
    json,
    added,
    vocab_size: Math.max(tokens.count, vocabSize(settings.config)),
    special: folderSpecials(specials, tokens, added),
    add_bos: specials.add_bos ?? false,
    add_eos: specials.add_eos ?? false,
  };
}

/** Spellings by id: an object of ids, or a list of spellings with their scores. */
function textsOf(vocab: unknown): TextsById {
  const texts = new TextsById();
  const put = (text: unknown, id: unknown): void => {
    if (typeof text !== "string" || !isTokenId(id)) throw corrupt(`a token has the id ${id}`);
    if (texts.has(id)) throw corrupt(`two tokens have the id ${id}`);
    texts.putText(id, text);
  };
  const entries: (readonly [unknown, unknown])[] = Array.isArray(vocab)
    ? vocab.map((entry: unknown, id) => [Array.isArray(entry) ? entry[0] : entry, id])
    : Object.entries(objectOf(vocab));
  for (const [text, id] of entries) put(text, id);
  if (texts.entries > 0) return texts;
  throw new VocabError("vocab_missing", `${FILE} has no vocabulary: get the model's files again`);
}

export function encodeLibraryVocab(vocab: LibraryVocab): Uint8Array {
  const { json, ...rest } = vocab;
  const header = encoder.encode(JSON.stringify({ version: VERSION, ...rest }));
  const file = Bun.gzipSync(encoder.encode(JSON.stringify(json)));
  const blob = new Uint8Array(MAGIC.length + 4 + header.length + file.length);
  blob.set(MAGIC);
  new DataView(blob.buffer).setUint32(MAGIC.length, header.length, true);
  blob.set(header, MAGIC.length + 4);
  blob.set(file, MAGIC.length + 4 + header.length);
  return blob;
}

/** Undefined when the bytes are another kind of blob. Throws VocabError for a damaged one. */
export function decodeLibraryVocab(blob: Uint8Array): LibraryVocab | undefined {
  if (MAGIC.some((byte, at) => blob[at] !== byte)) return undefined;
  try {
    const start = MAGIC.length + 4;
    const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
    const end = start + view.getUint32(MAGIC.length, true);
    const header = JSON.parse(decoder.decode(blob.subarray(start, end))) as Header;
    if (header.version !== VERSION) throw new RangeError(`version ${header.version}`);
    const { version: _, ...rest } = header;
    return { ...rest, json: parsed(Bun.gunzipSync(Uint8Array.from(blob.subarray(end)))) };
  } catch (thrown) {
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    const message = `this is no usable tokenizer blob (${why})`;
    throw new VocabError("vocab_corrupt", message);
  }
}

function parsed(bytes: Uint8Array): Json {
  try {
    return objectOf(JSON.parse(decoder.decode(bytes)));
  } catch {
    throw corrupt("it is no JSON");
  }
}
