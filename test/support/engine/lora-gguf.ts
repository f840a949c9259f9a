/**
 * LoRA adapters of random weights as GGUF files, and the same adapters merged into their model
 * (W + alpha / rank · B · A): what an engine makes with one has to be what it makes of the other.
 * Format: llama.cpp's convert_lora_to_gguf.py.
 */
import { type GgufHeader, parseGguf } from "../../../llm/model/gguf.ts";
import { type WriteTensor, type WriteValue, writeGguf } from "./gguf-writer.ts";
import { values } from "./random-gguf.ts";

export type LoraShape = {
  readonly seed: number;
  readonly rank?: number;
  readonly alpha?: number;
  /** Scale of the random values of A and B. */
  readonly scale?: number;
  /** Added to the inputs of every matrix: a file that belongs to another model. */
  readonly odd_rows?: number;
};

const ADAPTED = /^blk\.\d+\.(attn_q|attn_v|attn_output|ffn_down)\.weight$/;
const F32 = 0;

type Pair = {
  readonly name: string;
  readonly shape: readonly number[];
  a: Float32Array;
  b: Float32Array;
};

function pairsOf(
  header: GgufHeader,
  { seed, rank = 4, scale = 0.3, odd_rows = 0 }: LoraShape,
): Pair[] {
  const adapted = header.tensors.filter(({ name }) => ADAPTED.test(name));
  return adapted.map(({ name, shape }, i) => {
    const [from = 0, to = 0] = shape;
    const inputs = from + odd_rows;
    return {
      name,
      shape: [inputs, to],
      a: values(inputs * rank, scale, seed * 1_000 + 2 * i),
      b: values(to * rank, scale, seed * 1_000 + 2 * i + 1),
    };
  });
}

export function headerOf(model: Uint8Array): GgufHeader {
  const parsed = parseGguf(model, model.length);
  if (parsed.kind !== "header") throw new Error("the model is no GGUF");
  return parsed.header;
}

/** The adapter's file for the model of these bytes. */
export function loraGguf(model: Uint8Array, lora: LoraShape): Uint8Array {
  const header = headerOf(model);
  const { rank = 4, alpha = 8 } = lora;
  const text = (value: string): WriteValue => ({ type: "string", value });
  const architecture = header.metadata.get("general.architecture");
  const metadata: Record<string, WriteValue> = {
    "general.type": text("adapter"),
    "general.architecture": text(String(architecture)),
    "adapter.type": text("lora"),
    "adapter.lora.alpha": { type: "f32", value: alpha },
  };
  const tensor = (name: string, shape: readonly number[], data: Float32Array): WriteTensor => ({
    ...{ name, shape, type: F32 },
    data: new Uint8Array(data.buffer),
  });
  const tensors = pairsOf(header, lora).flatMap(({ name, shape: [from = 0, to = 0], a, b }) => [
    tensor(`${name}.lora_a`, [from, rank], a),
    tensor(`${name}.lora_b`, [rank, to], b),
  ]);
  return writeGguf(metadata, tensors);
}

/** The model with the adapter in its weights; all adapted weights must be 32-bit floats. */
export function mergedGguf(model: Uint8Array, lora: LoraShape): Uint8Array {
  const merged = model.slice();
  const header = headerOf(model);
  const { rank = 4, alpha = 8 } = lora;
  for (const {
    name,
    shape: [from = 0, to = 0],
    a,
    b,
  } of pairsOf(header, lora)) {
    const { offset, type } = header.tensors.find((tensor) => tensor.name === name)!;
    if (type !== F32) throw new Error(`${name} is not of 32-bit floats`);
    const weights = new Float32Array(merged.buffer, merged.byteOffset + offset, from * to);
    for (let o = 0; o < to; o++) {
      for (let i = 0; i < from; i++) {
        let sum = 0;
        for (let r = 0; r < rank; r++) sum += b[o * rank + r]! * a[r * from + i]!;
        weights[o * from + i]! += (alpha / rank) * sum;
      }
    }
  }
  return merged;
}
