/**
 * A BERT of random weights as a GGUF, and the same forward pass written out in doubles: what
 * llama.cpp says of a text is compared with a computation that shares no code with it.
 */

import { type WriteTensor, type WriteValue, writeGguf } from "./gguf-writer.ts";
import { VOCAB, values, vocabulary } from "./random-gguf.ts";

export const HIDDEN = 32;
const HEADS = 2;
const LAYERS = 2;
const FEED_FORWARD = 64;
const POSITIONS = 256;
const EPSILON = 1e-12;

export type BertHead =
  | { readonly pooling: "none" | "mean" | "cls" | "last" }
  | { readonly pooling: "rank"; readonly labels: readonly string[] };

const POOLING = { none: 0, mean: 1, cls: 2, last: 3, rank: 4 } as const;

type Weights = ReadonlyMap<string, Float32Array>;

/** Name → shape, fastest dimension first, and the scale of the values around `base`. */
function shapes(head: BertHead): readonly (readonly [string, readonly number[], number, number])[] {
  const norm = (name: string) =>
    [
      [`${name}.weight`, [HIDDEN], 0.1, 1],
      [`${name}.bias`, [HIDDEN], 0.1, 0],
    ] as const;
  const linear = (name: string, from: number, to: number) =>
    [
      [`${name}.weight`, [from, to], 0.2, 0],
      [`${name}.bias`, [to], 0.1, 0],
    ] as const;
  const layer = (i: number) => [
    ...["attn_q", "attn_k", "attn_v", "attn_output"].flatMap((name) =>
      linear(`blk.${i}.${name}`, HIDDEN, HIDDEN),
    ),
    ...norm(`blk.${i}.attn_output_norm`),
    ...linear(`blk.${i}.ffn_up`, HIDDEN, FEED_FORWARD),
    ...linear(`blk.${i}.ffn_down`, FEED_FORWARD, HIDDEN),
    ...norm(`blk.${i}.layer_output_norm`),
  ];
  return [
    ["token_embd.weight", [HIDDEN, VOCAB], 0.5, 0],
    ["token_types.weight", [HIDDEN, 1], 0.2, 0],
    ["position_embd.weight", [HIDDEN, POSITIONS], 0.2, 0],
    ...norm("token_embd_norm"),
    ...Array.from({ length: LAYERS }, (_, i) => layer(i)).flat(),
    ...(head.pooling === "rank"
      ? [...linear("cls", HIDDEN, HIDDEN), ...linear("cls.output", HIDDEN, head.labels.length)]
      : []),
  ];
}

export function bertWeights(head: BertHead): Weights {
  return new Map(
    shapes(head).map(([name, shape, scale, base], i) => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      return [name, values(count, scale, i + 101).map((value) => value + base)];
    }),
  );
}

/** The file's bytes; `without` leaves tensors out, `more` adds metadata. */
export function bertGguf(
  head: BertHead,
  more: Readonly<Record<string, WriteValue>> = {},
  without: readonly string[] = [],
): Uint8Array {
  const u32 = (value: number): WriteValue => ({ type: "u32", value });
  const text = (value: string): WriteValue => ({ type: "string", value });
  const types = Array.from({ length: VOCAB }, (_, i) => (i < 256 ? 1 : i < VOCAB - 3 ? 4 : 3));
  const metadata: Record<string, WriteValue> = {
    "general.architecture": text("bert"),
    "general.name": text("random-bert"),
    "bert.context_length": u32(POSITIONS),
    "bert.embedding_length": u32(HIDDEN),
    "bert.block_count": u32(LAYERS),
    "bert.feed_forward_length": u32(FEED_FORWARD),
    "bert.attention.head_count": u32(HEADS),
    "bert.attention.layer_norm_epsilon": { type: "f32", value: EPSILON },
    "bert.attention.causal": { type: "bool", value: false },
    "bert.pooling_type": u32(POOLING[head.pooling]),
    ...(head.pooling === "rank"
      ? { "bert.classifier.output_labels": { type: "strings", value: head.labels } as const }
      : {}),
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("gpt-2"),
    "tokenizer.ggml.token_type_count": u32(1),
    "tokenizer.ggml.bos_token_id": u32(VOCAB - 2),
    "tokenizer.ggml.eos_token_id": u32(VOCAB - 1),
    "tokenizer.ggml.seperator_token_id": u32(VOCAB - 3),
    "tokenizer.ggml.add_bos_token": { type: "bool", value: true },
    "tokenizer.ggml.add_eos_token": { type: "bool", value: true },
    "tokenizer.ggml.add_sep_token": { type: "bool", value: true },
    "tokenizer.ggml.tokens": { type: "strings", value: vocabulary() },
    "tokenizer.ggml.token_type": { type: "i32s", value: types },
    "tokenizer.ggml.merges": { type: "strings", value: ["a b"] },
    ...more,
  };
  const weights = bertWeights(head);
  const tensors = shapes(head)
    .filter(([name]) => !without.includes(name))
    .map(([name, shape]): WriteTensor => {
      const data = new Uint8Array(weights.get(name)!.buffer);
      return { name, shape, type: 0, data };
    });
  return writeGguf(metadata, tensors);
}

type Row = readonly number[];

/** The last hidden state of each token. */
export function bertHidden(weights: Weights, tokens: readonly number[]): readonly Row[] {
  const row = (name: string, i: number): Row => [
    ...weights.get(name)!.subarray(i * HIDDEN, (i + 1) * HIDDEN),
  ];
  let rows = tokens.map((token, i) => {
    const sum = add(row("token_embd.weight", token), row("position_embd.weight", i));
    return normed(weights, "token_embd_norm", add(sum, row("token_types.weight", 0)));
  });
  for (let layer = 0; layer < LAYERS; layer++) {
    const name = (part: string) => `blk.${layer}.${part}`;
    const of = (part: string) => rows.map((x) => linear(weights, name(part), x));
    const attended = attention(of("attn_q"), of("attn_k"), of("attn_v"));
    rows = rows.map((x, i) => {
      const mixed = add(x, linear(weights, name("attn_output"), attended[i]!));
      const y = normed(weights, name("attn_output_norm"), mixed);
      const up = linear(weights, name("ffn_up"), y).map(gelu);
      return normed(
        weights,
        name("layer_output_norm"),
        add(y, linear(weights, name("ffn_down"), up)),
      );
    });
  }
  return rows;
}

/** What the classification head says of the first token. */
export function bertClasses(weights: Weights, tokens: readonly number[]): Row {
  const [first] = bertHidden(weights, tokens);
  return linear(weights, "cls.output", linear(weights, "cls", first!).map(Math.tanh));
}

function attention(q: readonly Row[], k: readonly Row[], v: readonly Row[]): readonly Row[] {
  const size = HIDDEN / HEADS;
  return q.map((query) => {
    const out = new Array<number>(HIDDEN).fill(0);
    for (let head = 0; head < HEADS; head++) {
      const part = (x: Row) => x.slice(head * size, (head + 1) * size);
      const weights = softmax(k.map((key) => dot(part(query), part(key)) / Math.sqrt(size)));
      for (const [i, weight] of weights.entries()) {
        for (const [d, value] of part(v[i]!).entries()) out[head * size + d]! += weight * value;
      }
    }
    return out;
  });
}

function linear(weights: Weights, name: string, x: Row): Row {
  const matrix = weights.get(`${name}.weight`)!;
  const bias = weights.get(`${name}.bias`)!;
  return Array.from(
    bias,
    (b, o) => b + dot(x, [...matrix.subarray(o * x.length, (o + 1) * x.length)]),
  );
}

function normed(weights: Weights, name: string, x: Row): Row {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const scale = weights.get(`${name}.weight`)!;
  const bias = weights.get(`${name}.bias`)!;
  return x.map(
    (value, i) => ((value - mean) / Math.sqrt(variance + EPSILON)) * scale[i]! + bias[i]!,
  );
}

const gelu = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

const add = (a: Row, b: Row): Row => a.map((value, i) => value + b[i]!);
const dot = (a: Row, b: Row): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

function softmax(x: Row): Row {
  const most = Math.max(...x);
  const powers = x.map((value) => Math.exp(value - most));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}
