/**
 * A Llama-shaped model of random weights and of any size, written piece by piece: for figures that
 * follow from bytes and shapes alone. What it says is noise.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import {
  ggufHead,
  randomMetadata,
  type StatedTensor,
  tensorBytes,
  VOCAB,
} from "../../support/engine/random-gguf.ts";

const U32 = 4;
const HIDDEN = 2_048;
const FEED_FORWARD = 8_192;
const HEADS = 16;
const KV_HEADS = 4;
const CONTEXT = 32_768;
const PIECE = 64 * 1_024;

/** ggml's numbers, and a block of 32 numbers: a scale of 16 bits, then the numbers. */
const QUANTS = { q4_0: { type: 2, bytes: 18 }, q8_0: { type: 8, bytes: 34 } } as const;
export type LargeQuant = keyof typeof QUANTS;

/** Writes a model of at least `bytes`; gives the number of bytes that it has. */
export function writeLargeGguf(path: string, bytes: number, quant: LargeQuant = "q8_0"): number {
  const one = layer(0, quant).reduce((sum, tensor) => sum + tensorBytes(tensor), 0);
  const layers = Math.ceil(bytes / one);
  const list = [
    weights("token_embd.weight", [HIDDEN, VOCAB], quant),
    norm("output_norm.weight"),
    weights("output.weight", [HIDDEN, VOCAB], quant),
    ...Array.from({ length: layers }, (_, i) => layer(i, quant)).flat(),
  ];
  const entries = randomMetadata([
    ["llama.context_length", U32, CONTEXT],
    ["llama.embedding_length", U32, HIDDEN],
    ["llama.block_count", U32, layers],
    ["llama.feed_forward_length", U32, FEED_FORWARD],
    ["llama.attention.head_count", U32, HEADS],
    ["llama.attention.head_count_kv", U32, KV_HEADS],
    ["llama.rope.dimension_count", U32, HIDDEN / HEADS],
  ]);
  const file = openSync(path, "w");
  try {
    const head = ggufHead(entries, list);
    let written = writeSync(file, head);
    const ones = new Uint8Array(new Float32Array(HIDDEN).fill(1).buffer);
    const noise = randomBlocks(QUANTS[quant].bytes);
    for (const tensor of list) {
      const source = tensor.type === 0 ? ones : noise;
      for (let left = tensorBytes(tensor); left > 0; left -= source.length)
        written += writeSync(file, source, 0, Math.min(left, source.length));
    }
    return written;
  } finally {
    closeSync(file);
  }
}

function layer(i: number, quant: LargeQuant): StatedTensor[] {
  const kv = (HIDDEN / HEADS) * KV_HEADS;
  const of = (name: string, shape: readonly number[]) =>
    weights(`blk.${i}.${name}.weight`, shape, quant);
  return [
    norm(`blk.${i}.attn_norm.weight`),
    of("attn_q", [HIDDEN, HIDDEN]),
    of("attn_k", [HIDDEN, kv]),
    of("attn_v", [HIDDEN, kv]),
    of("attn_output", [HIDDEN, HIDDEN]),
    norm(`blk.${i}.ffn_norm.weight`),
    of("ffn_gate", [HIDDEN, FEED_FORWARD]),
    of("ffn_up", [HIDDEN, FEED_FORWARD]),
    of("ffn_down", [FEED_FORWARD, HIDDEN]),
  ];
}

const weights = (name: string, shape: readonly number[], quant: LargeQuant): StatedTensor => ({
  ...{ name, shape, block: 32 },
  ...QUANTS[quant],
});

const norm = (name: string): StatedTensor => ({ name, shape: [HIDDEN], type: 0, bytes: 4 });

/** Whole blocks, each with the same small scale, so that no sum overflows. */
function randomBlocks(bytes: number): Uint8Array {
  const scale = new Uint8Array(new Float16Array([2 ** -12]).buffer);
  const blocks = new Uint8Array(PIECE * bytes);
  let state = 1;
  for (let at = 0; at < blocks.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    blocks[at] = scale[at % bytes] ?? state >>> 24;
  }
  return blocks;
}
