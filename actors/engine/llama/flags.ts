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
    help: "llama: prompt tokens of one step, which running answers wait for; 0 = about 100 ms of work, and four times as much where none runs",
  },
  speculate: {
    name: "speculate",
    type: "choice",
    choices: ["off", "ngram"],
    default: "ngram",
    hint: "a model that guesses is given by --draft-model",
    help: "llama: tokens are guessed from what a prompt and its answer say already, and computed together where that is faster; answers stay the same; a model guesses as well with --draft-model",
  },
  draft_models: {
    name: "draft-model",
    type: "list",
    help: "llama: a smaller model, from the same sources as --model, that guesses where nothing else is guessed and it is faster; with several models MODEL=SOURCE, repeatable",
  },
  kv_type: {
    name: "kv-type",
    type: "choice",
    choices: ["f16", "q8_0", "q4_0"],
    default: "f16",
    help: "llama: numbers of the KV cache; q8_0 takes about half of the memory, q4_0 a good quarter and answers less exactly",
  },
  weights: {
    name: "weights",
    type: "choice",
    choices: ["auto", "own", "shared"],
    default: "auto",
    help: "llama: own = each worker has the weights in memory of its own, laid out as its processor computes fastest; shared = all workers of a machine read the pages of the file; auto = own where all copies fit into half of the free memory",
  },
  /** -1 = by what steps cost, 0 = none. */
  itl_target_ms: {
    name: "itl-target-ms",
    type: "whole",
    min: -1,
    max: 60_000,
    default: -1,
    help: "llama: while answers run, a step computes so much of a prompt that these wait at most about so many ms from token to token; -1 = by what steps cost on this machine, 0 = as much as --prefill-chunk says",
  },
} as const;

export type LlamaSettings = SettingsOf<typeof llamaFlags>;

const SEQS_MAX = 64;
/** As native/load.c has it. */
const BLOCK_SIZES: readonly number[] = [16, 32, 64];
/** As native/load.c has it: each sequence's next token, and a piece of a prompt. */
const PROMPT_ROOM = 16;
const BATCH_DEFAULT = 512;

/** One line on settings that contradict each other, and what to give; undefined: none do. */
export function llamaContradiction(
  { kv_tokens, batch_size, prefill_chunk, speculate, draft_models }: LlamaSettings,
  { context_length: context, max_num_seqs: seqs, block_size }: CommonEngineSettings,
): string | undefined {
  if (seqs > SEQS_MAX) return `--max-num-seqs is at most ${SEQS_MAX} for the llama engine`;
  if (block_size > 0 && !BLOCK_SIZES.includes(block_size)) {
    return `--block-size is one of ${BLOCK_SIZES.join(", ")} for the llama engine, not ${block_size}`;
  }
  if (kv_tokens > 0 && kv_tokens < context) {
    return (
      `--kv-tokens ${kv_tokens} cannot hold one answer of --context-length ${context}: ` +
      `give at least ${context}, or a shorter context`
    );
  }
  if (speculate === "off" && draft_models.length > 0) {
    return (
      `--draft-model ${draft_models[0]} guesses nothing with --speculate off: ` +
      "leave one of the two out"
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

/** Bytes of a number of the cache: ggml has blocks of 32 numbers, each with a scale. */
const NUMBER_BYTES = { f16: 2, q8_0: 34 / 32, q4_0: 18 / 32 } as const;

/** As native/load/fit.c has it where nobody says how many cells a cache has. */
const CELLS_A_SEQ = 256;
const CONTEXT_USUAL = 8_192;

/** A context as long as the cache, of which a longer one makes every step slower. */
export const memoryWishes = (
  { kv_type, kv_tokens, weights }: LlamaSettings,
  { max_num_seqs }: CommonEngineSettings,
) => ({
  number_bytes: NUMBER_BYTES[kv_type],
  context_most: kv_tokens || Math.max(CONTEXT_USUAL, CELLS_A_SEQ * (max_num_seqs || SEQS_MAX)),
  weights,
});

/** For the shim, where 0 stands for the default, and -1 for no layer on a GPU. */
export function nativeOptions(own: LlamaSettings) {
  const { kv_tokens, gpu_layers, batch_size, prefill_chunk, speculate, kv_type, itl_target_ms } =
    own;
  return {
    kv_tokens,
    gpu_layers: gpu_layers < 0 ? 0 : gpu_layers || -1,
    max_num_batched_tokens: batch_size,
    prefill_chunk,
    speculate,
    kv_type,
    itl_target_ms,
  };
}
