import type { FolderRules } from "./folder-rules.ts";
import { TokenTable } from "./token-table.ts";
import { type SpecialIds, type Vocab, VocabError, type VocabFlags } from "./vocab.ts";

/**
 * The stored form of a vocabulary, from which any process builds the tokenizer without the model:
 *
 *   "TRPVOCAB" | u32 header bytes | header (JSON) | padding to 4 | sections, each padded to 4
 *
 * Sections in order: token bytes, ends (u32), attributes (u16), scores (f32), merges (u32). Numbers
 * are little-endian, as on every machine that runs this.
 */
const MAGIC = new TextEncoder().encode("TRPVOCAB");
const VERSION = 1;
/** With rules of tokenizer.json, which a reader of version 1 would pass over. */
const FOLDER_VERSION = 2;

type Header = {
  readonly version: number;
  readonly kind: "bpe" | "spm";
  readonly pre: string;
  readonly token_count: number;
  readonly flags: VocabFlags;
  readonly folder?: FolderRules;
  readonly special: { readonly [Key in keyof SpecialIds]: SpecialIds[Key] | null };
  /** Length of each section in bytes. */
  readonly sections: readonly number[];
};

export function encodeVocab(vocab: Vocab): Uint8Array {
  const sections = [
    vocab.table.bytes,
    bytesOf(vocab.table.ends),
    bytesOf(vocab.attrs),
    bytesOf(vocab.scores),
    bytesOf(vocab.merges),
  ];
  const { bos, eos, eot, unk, pad, sep, eog, ...fim } = vocab.special;
  const header: Header = {
    version: vocab.folder === undefined ? VERSION : FOLDER_VERSION,
    kind: vocab.kind,
    pre: vocab.pre,
    token_count: vocab.token_count,
    flags: vocab.flags,
    ...(vocab.folder === undefined ? {} : { folder: vocab.folder }),
    special: {
      bos: bos ?? null,
      eos: eos ?? null,
      eot: eot ?? null,
      unk: unk ?? null,
      pad: pad ?? null,
      sep: sep ?? null,
      eog,
      ...fim,
    },
    sections: sections.map((section) => section.length),
  };
  const json = new TextEncoder().encode(JSON.stringify(header));
  let size = padded(MAGIC.length + 4 + json.length);
  for (const section of sections) size += padded(section.length);
  const blob = new Uint8Array(size);
  blob.set(MAGIC);
  new DataView(blob.buffer).setUint32(MAGIC.length, json.length, true);
  blob.set(json, MAGIC.length + 4);
  let at = padded(MAGIC.length + 4 + json.length);
  for (const section of sections) {
    blob.set(section, at);
    at += padded(section.length);
  }
  return blob;
}

/** Throws VocabError "vocab_corrupt" when the bytes are no such blob. */
export function decodeVocab(blob: Uint8Array): Vocab {
  const aligned = blob.byteOffset % 4 === 0 ? blob : Uint8Array.from(blob);
  const header = readHeader(aligned);
  const [bytes, ends, attrs, scores, merges] = readSections(aligned, header);
  const table = new TokenTable(bytes!, new Uint32Array(...arrayOf(ends!)));
  const { bos, eos, eot, unk, pad, sep, eog, fim_pre, fim_suf, fim_mid } = header.special;
  const vocab: Vocab = {
    kind: header.kind,
    pre: header.pre,
    table,
    token_count: header.token_count,
    attrs: new Uint16Array(attrs!.buffer, attrs!.byteOffset, attrs!.length / 2),
    scores: new Float32Array(...arrayOf(scores!)),
    merges: new Uint32Array(...arrayOf(merges!)),
    flags: header.flags,
    folder: header.folder,
    special: {
      bos: bos ?? undefined,
      eos: eos ?? undefined,
      eot: eot ?? undefined,
      unk: unk ?? undefined,
      pad: pad ?? undefined,
      sep: sep ?? undefined,
      eog: eog ?? [],
      ...(fim_pre == null ? {} : { fim_pre }),
      ...(fim_suf == null ? {} : { fim_suf }),
      ...(fim_mid == null ? {} : { fim_mid }),
    },
  };
  if (vocab.attrs.length !== vocab.token_count || table.count < vocab.token_count) {
    throw corrupt("its sections do not fit together");
  }
  return vocab;
}

function readHeader(blob: Uint8Array): Header {
  if (blob.length < 16 || MAGIC.some((byte, at) => blob[at] !== byte)) {
    throw corrupt("it does not begin like one");
  }
  const length = new DataView(blob.buffer, blob.byteOffset).getUint32(MAGIC.length, true);
  const start = MAGIC.length + 4;
  if (start + length > blob.length) throw corrupt("its header is cut");
  let header: Header;
  try {
    header = JSON.parse(new TextDecoder().decode(blob.subarray(start, start + length))) as Header;
  } catch {
    throw corrupt("its header is no JSON");
  }
  if (header.version !== VERSION && header.version !== FOLDER_VERSION) {
    throw corrupt(`it has version ${header.version} and this program reads ${FOLDER_VERSION}`);
  }
  return header;
}

function readSections(blob: Uint8Array, header: Header): Uint8Array[] {
  const length = new DataView(blob.buffer, blob.byteOffset).getUint32(MAGIC.length, true);
  let at = padded(MAGIC.length + 4 + length);
  return header.sections.map((size) => {
    if (at + size > blob.length) throw corrupt("a section is cut");
    const section = blob.subarray(at, at + size);
    at += padded(size);
    return section;
  });
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4;
}

function bytesOf(view: Uint32Array | Uint16Array | Float32Array): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** Arguments for a view of 4-byte elements over the same memory. */
function arrayOf(bytes: Uint8Array): [ArrayBufferLike, number, number] {
  return [bytes.buffer, bytes.byteOffset, bytes.length / 4];
}

function corrupt(what: string): VocabError {
  return new VocabError("vocab_corrupt", `this is no usable tokenizer blob, ${what}`);
}
