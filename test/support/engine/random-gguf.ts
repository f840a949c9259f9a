/**
 * A Llama-shaped model of about 0.15 M random weights, written here byte by byte: fast enough for
 * thousands of tokens a test, and small enough to be cut and corrupted in every place.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

const U32 = 4;
const F32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
const ALIGNMENT = 32;

export const VOCAB = 512;
const HIDDEN = 64;
const LAYERS = 2;
const FEED_FORWARD = 128;

class Writer {
  #chunks: Uint8Array[] = [];
  length = 0;

  bytes(chunk: Uint8Array): this {
    this.#chunks.push(chunk);
    this.length += chunk.length;
    return this;
  }
  u32(value: number): this {
    return this.bytes(new Uint8Array(Uint32Array.of(value).buffer));
  }
  u64(value: number): this {
    return this.bytes(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }
  string(text: string): this {
    const encoded = new TextEncoder().encode(text);
    return this.u64(encoded.length).bytes(encoded);
  }
  pad(): this {
    return this.bytes(new Uint8Array((ALIGNMENT - (this.length % ALIGNMENT)) % ALIGNMENT));
  }
  end(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#chunks)); // a Buffer slices without copying
  }
}

/** GPT-2's printable stand-ins for the 256 bytes, then words no text has. */
export function vocabulary(): readonly string[] {
  const printable = (b: number) => (b >= 33 && b <= 126) || (b >= 161 && b !== 173);
  let extra = 0;
  const bytes = Array.from({ length: 256 }, (_, b) =>
    String.fromCodePoint(printable(b) ? b : 256 + extra++),
  );
  return Array.from({ length: VOCAB }, (_, i) => bytes[i] ?? `<unused ${i}>`);
}

type Metadata = readonly (readonly [key: string, type: number, value: number | string])[];

const METADATA: Metadata = [
  ["general.architecture", STRING, "llama"],
  ["general.name", STRING, "random"],
  ["llama.context_length", U32, 2048],
  ["llama.embedding_length", U32, HIDDEN],
  ["llama.block_count", U32, LAYERS],
  ["llama.feed_forward_length", U32, FEED_FORWARD],
  ["llama.attention.head_count", U32, 1],
  ["llama.attention.head_count_kv", U32, 1],
  ["llama.attention.layer_norm_rms_epsilon", F32, 1e-5],
  ["llama.rope.dimension_count", U32, 64],
  ["llama.vocab_size", U32, VOCAB],
  ["tokenizer.ggml.model", STRING, "gpt2"],
  ["tokenizer.ggml.pre", STRING, "gpt-2"],
  ["tokenizer.ggml.bos_token_id", U32, VOCAB - 2],
  ["tokenizer.ggml.eos_token_id", U32, VOCAB - 1],
  ["tokenizer.ggml.add_bos_token", BOOL, 0],
];

const GEMMA_NORMS = ["post_attention_norm", "post_ffw_norm", "attn_q_norm", "attn_k_norm"];

type Shape = {
  /** A model with a sliding window is Gemma-3-shaped: more norms, and keys of its own name. */
  readonly window?: number;
  /** So much of other random values is in its values: 0 = the same model, 1 = another one. */
  readonly drift?: number;
  /** Its token i is token order[i] of the model without; the last two stay where they are. */
  readonly order?: readonly number[];
  /** What token i writes, where it is not what the vocabulary says. */
  readonly spelling?: ReadonlyMap<number, string>;
};

function metadataOf({ window }: Shape): Metadata {
  if (window === undefined) return METADATA;
  return [
    ...METADATA.map(([key, type, value]) => {
      const renamed = key.replace(/^llama\./, "gemma3.");
      return [renamed, type, key === "general.architecture" ? "gemma3" : value] as const;
    }),
    ["gemma3.attention.key_length", U32, HIDDEN],
    ["gemma3.attention.value_length", U32, HIDDEN],
    ["gemma3.attention.sliding_window", U32, window],
    ["gemma3.attention.sliding_window_pattern", U32, 2],
  ];
}

/** name and shape, fastest dimension first; scale of its random values, 0 for all ones. */
function tensors({
  window,
}: Shape): readonly (readonly [name: string, shape: readonly number[], scale: number])[] {
  const norms = window === undefined ? [] : GEMMA_NORMS;
  const layer = (i: number) =>
    [
      ...norms.map((name) => [`blk.${i}.${name}.weight`, [HIDDEN], 0] as const),
      [`blk.${i}.attn_norm.weight`, [HIDDEN], 0],
      [`blk.${i}.attn_q.weight`, [HIDDEN, HIDDEN], 0.15],
      [`blk.${i}.attn_k.weight`, [HIDDEN, HIDDEN], 0.15],
      [`blk.${i}.attn_v.weight`, [HIDDEN, HIDDEN], 0.15],
      [`blk.${i}.attn_output.weight`, [HIDDEN, HIDDEN], 0.15],
      [`blk.${i}.ffn_norm.weight`, [HIDDEN], 0],
      [`blk.${i}.ffn_gate.weight`, [HIDDEN, FEED_FORWARD], 0.12],
      [`blk.${i}.ffn_up.weight`, [HIDDEN, FEED_FORWARD], 0.12],
      [`blk.${i}.ffn_down.weight`, [FEED_FORWARD, HIDDEN], 0.1],
    ] as const;
  return [
    ["token_embd.weight", [HIDDEN, VOCAB], 1],
    ["output_norm.weight", [HIDDEN], 0],
    ["output.weight", [HIDDEN, VOCAB], 0.5],
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
  ];
}

export function values(count: number, scale: number, seed: number): Float32Array {
  let state = Math.imul(seed, 2654435761) >>> 0;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
  // The sum of three uniforms is normal enough, and has variance 1.
  return Float32Array.from({ length: count }, () =>
    scale === 0 ? 1 : scale * (uniform() + uniform() + uniform()),
  );
}

const rowOf = (all: Float32Array, row: number) => all.subarray(row * HIDDEN, (row + 1) * HIDDEN);

/** The same length on average. */
function drifted(own: Float32Array, scale: number, seed: number, drift: number): Float32Array {
  if (drift === 0 || scale === 0) return own;
  const other = values(own.length, scale, seed + 1_000);
  const kept = Math.sqrt(1 - drift * drift);
  return own.map((value, i) => kept * value + drift * other[i]!);
}

/** The file's bytes; the same every time. `metadata` entries replace the ones above, or are more. */
export function randomGguf(metadata: Metadata = [], shape: Shape = {}): Uint8Array {
  const list = tensors(shape);
  const stated = list.map(([name, extents]) => ({ name, shape: extents, type: 0, bytes: 4 }));
  const order = shape.order ?? Array.from({ length: VOCAB }, (_, i) => i);
  const entries = replaced(metadataOf(shape), metadata);
  const writer = new Writer().bytes(ggufHead(entries, stated, order, shape.spelling));
  for (const [i, [, extents, scale]] of list.entries()) {
    const own = drifted(values(elements(extents), scale, i + 1), scale, i + 1, shape.drift ?? 0);
    const placed = extents[1] === VOCAB ? order.map((t) => rowOf(own, t)) : [own];
    for (const part of placed) writer.bytes(new Uint8Array(part.slice().buffer));
  }
  return writer.end();
}

/** `bytes`: of a block of `block` numbers (1 where it is left out). */
export type StatedTensor = {
  readonly name: string;
  readonly shape: readonly number[];
  /** ggml's number. */
  readonly type: number;
  readonly bytes: number;
  readonly block?: number;
};

const elements = (shape: readonly number[]) =>
  shape.reduce((product, extent) => product * extent, 1);

/** A multiple of the alignment where shapes are those of a model. */
export const tensorBytes = ({ shape, bytes, block = 1 }: StatedTensor): number =>
  (elements(shape) / block) * bytes;

const replaced = (own: Metadata, metadata: Metadata): Metadata => [
  ...own.map((entry) => metadata.find(([key]) => key === entry[0]) ?? entry),
  ...metadata.filter(([key]) => !own.some((entry) => entry[0] === key)),
];

/** The entries of a Llama-shaped model with the vocabulary above, some of them replaced. */
export const randomMetadata = (metadata: Metadata): Metadata => replaced(METADATA, metadata);

/** All that stands before the tensors' data, which follows in the order of the list. */
export function ggufHead(
  entries: Metadata,
  list: readonly StatedTensor[],
  order: readonly number[] = Array.from({ length: VOCAB }, (_, i) => i),
  spelling?: ReadonlyMap<number, string>,
): Uint8Array {
  const writer = new Writer();
  writer
    .u32(0x46554747)
    .u32(3)
    .u64(list.length)
    .u64(entries.length + 3);
  for (const [key, type, value] of entries) {
    writer.string(key).u32(type);
    if (type === STRING) writer.string(String(value));
    else if (type === F32) writer.bytes(new Uint8Array(Float32Array.of(Number(value)).buffer));
    else if (type === BOOL) writer.bytes(Uint8Array.of(Number(value)));
    else writer.u32(Number(value));
  }
  const words = vocabulary();
  writer.string("tokenizer.ggml.tokens").u32(ARRAY).u32(STRING).u64(VOCAB);
  for (const [i, t] of order.entries()) writer.string(spelling?.get(i) ?? words[t] ?? "");
  writer.string("tokenizer.ggml.token_type").u32(ARRAY).u32(5).u64(VOCAB);
  for (const t of order) writer.u32(t < 256 ? 1 : t < VOCAB - 2 ? 4 : 3);
  writer.string("tokenizer.ggml.merges").u32(ARRAY).u32(STRING).u64(1).string("a b");
  let offset = 0;
  for (const tensor of list) {
    writer.string(tensor.name).u32(tensor.shape.length);
    for (const extent of tensor.shape) writer.u64(extent);
    writer.u32(tensor.type).u64(offset);
    offset += tensorBytes(tensor);
  }
  return writer.pad().end();
}
