/** What an engine may take of its machine's memory, and what it took, as one line for a person. */
import { KV_TYPES, type NativeNumbers, type NativeOptions } from "../../../native/index.ts";
import { sizeText } from "../../../runtime/size-text.ts";
import type { EngineParts } from "../engine-kind.ts";
import type { LlamaSettings } from "./flags.ts";

const MIB = 2 ** 20;

type Options = Pick<NativeOptions, "memory_limit_mib" | "context_is_wish" | "weights">;

export function memoryOptions(
  { weights }: Pick<LlamaSettings, "weights">,
  { settings, fit, freeMemory }: Pick<EngineParts, "settings" | "fit" | "freeMemory">,
): Options {
  const free_bytes = freeMemory?.();
  return {
    ...(free_bytes === undefined
      ? {}
      : { memory_limit_mib: Math.max(1, Math.floor(free_bytes / MIB)) }),
    // Who says how long it is to be gets that, or an error.
    context_is_wish: settings.context_length === 0,
    weights: weights === "auto" ? (fit?.weights ?? "own") : weights,
  };
}

export type MemoryNumbers = Pick<
  NativeNumbers,
  | "weight_bytes"
  | "own_weight_bytes"
  | "gpu_weight_bytes"
  | "kv_bytes"
  | "kv_tokens"
  | "kv_type"
  | "buffer_bytes"
  | "free_bytes"
  | "context_length"
  | "trained_context"
  | "max_num_seqs"
>;

const size = (bytes: number) => sizeText(Math.round(bytes));
const tokens = (count: number) => count.toLocaleString("en");

export function memoryText(numbers: MemoryNumbers): string {
  const { weight_bytes, own_weight_bytes: own, gpu_weight_bytes: gpu } = numbers;
  const apart = [
    ...(gpu > 0 ? [`${size(gpu)} on the GPU`] : []),
    ...(own > 0 ? [`${size(own)} laid out in memory of its own`] : []),
  ];
  const shares = own + gpu < weight_bytes ? "in pages of the file, which workers share" : "";
  const places = [
    ...apart,
    ...(shares === "" ? [] : [apart.length === 0 ? shares : `the rest ${shares}`]),
  ];
  return [
    `${size(weight_bytes)} of weights (${places.join(", ")})`,
    ...(numbers.kv_bytes > 0 ? [cacheText(numbers)] : []),
    `buffers take ${size(numbers.buffer_bytes)}`,
    `${size(numbers.free_bytes)} stay free`,
  ].join("; ");
}

function cacheText(numbers: MemoryNumbers): string {
  const { kv_tokens, kv_type, kv_bytes, context_length: context, trained_context } = numbers;
  const type = Object.entries(KV_TYPES).find(([, number]) => number === kv_type)?.[0] ?? "f16";
  const longer = trained_context > context ? ` of the model's ${tokens(trained_context)}` : "";
  const answers = Math.min(numbers.max_num_seqs, Math.floor(kv_tokens / 64));
  const each = Math.floor(kv_tokens / Math.max(1, answers));
  return (
    `${tokens(kv_tokens)} tokens of KV in ${type} take ${size(kv_bytes)}: ` +
    `a context of ${tokens(context)}${longer}, or ${answers} answers of ${tokens(each)}`
  );
}
