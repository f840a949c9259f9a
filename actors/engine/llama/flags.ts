/** The settings of the llama engine, and contradictions between them. */
import type { SettingsOf } from "../../../runtime/setting.ts";
import type { CommonEngineSettings } from "../flags.ts";

export const llamaFlags = {
  /** Cells of a worker's cache; 0 = by free memory. */
  kv_tokens: {
    name: "kv-tokens",
    type: "whole",
    min: 0,
    max: 16_777_216,
    default: 0,
    help: "llama: tokens that a worker's cache holds, of all its answers together; 0 = by free memory, at least one context",
  },
  /** -1 = all, 0 = none. */
  gpu_layers: {
    name: "gpu-layers",
    type: "whole",
    min: -1,
    max: 65_536,
    default: -1,
    help: "llama: layers on the GPU, where there is one; -1 = all, 0 = none",
  },
  /** Tokens of one step; 0 = 512. */
  batch_size: {
    name: "batch-size",
    type: "whole",
    min: 0,
    max: 65_536,
    default: 0,
    help: "llama: tokens of one step, decoding and prompts together; 0 = 512",
  },
  /** Prompt tokens of one step; 0 = about 100 ms of work. */
  prefill_chunk: {
    name: "prefill-chunk",
    type: "whole",
    min: 0,
    max: 65_536,
    default: 0,
    help: "llama: prompt tokens of one step, which running answers wait for; 0 = about 100 ms of work",
  },
} as const;

export type LlamaSettings = SettingsOf<typeof llamaFlags>;

const SEQS_MAX = 64;
/** As native/load.c has it: each sequence's next token, and a piece of a prompt. */
const PROMPT_ROOM = 16;
const BATCH_DEFAULT = 512;

/** One line on settings that contradict each other, and what to give; undefined: none do. */
export function llamaContradiction(
  { kv_tokens, batch_size, prefill_chunk }: LlamaSettings,
  { context_length: context, max_num_seqs: seqs }: CommonEngineSettings,
): string | undefined {
  if (seqs > SEQS_MAX) return `--max-num-seqs is at most ${SEQS_MAX} for the llama engine`;
  if (kv_tokens > 0 && kv_tokens < context) {
    return (
      `--kv-tokens ${kv_tokens} cannot hold one answer of --context-length ${context}: ` +
      `give at least ${context}, or a shorter context`
    );
  }
  const batch_least = (seqs || SEQS_MAX) + PROMPT_ROOM;
  if (batch_size > 0 && batch_size < batch_least) {
    return (
      `--batch-size ${batch_size} is less than a step of --max-num-seqs ${seqs || SEQS_MAX} ` +
      `takes: give at least ${batch_least}, or fewer sequences`
    );
  }
  const batch = batch_size || Math.max(BATCH_DEFAULT, batch_least);
  if (prefill_chunk > batch) {
    return (
      `--prefill-chunk ${prefill_chunk} is more than one step of --batch-size ${batch} holds: ` +
      "give less, or a larger batch"
    );
  }
  return undefined;
}
