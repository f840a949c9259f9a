/** What the llama engine takes beside context and sequences, and what of it contradicts itself. */
import type { FlagName } from "./flags.ts";
import { SettingsError } from "./settings-error.ts";

export type LlamaSettings = {
  /** Cells of a worker's cache; 0 = by free memory. */
  readonly kv_tokens: number;
  /** -1 = all, 0 = none. */
  readonly gpu_layers: number;
  /** Tokens of one step; 0 = 512. */
  readonly batch_size: number;
  /** Prompt tokens of one step; 0 = about 100 ms of work. */
  readonly prefill_chunk: number;
};

export const LLAMA_SEQS_MAX = 64;
/** As native/load.c has it: each sequence's next token, and a piece of a prompt. */
const PROMPT_ROOM = 16;
const BATCH_DEFAULT = 512;

const own = {
  kv_tokens: "kv-tokens",
  gpu_layers: "gpu-layers",
  batch_size: "batch-size",
  prefill_chunk: "prefill-chunk",
} as const satisfies Record<keyof LlamaSettings, FlagName>;

/** Throws SettingsError when they cannot all hold, or when another engine was asked for. */
export function llamaSettings(
  engine: string,
  number: (name: FlagName) => number,
  isGiven: (name: FlagName) => boolean,
): LlamaSettings {
  const settings = {
    kv_tokens: number(own.kv_tokens),
    gpu_layers: number(own.gpu_layers),
    batch_size: number(own.batch_size),
    prefill_chunk: number(own.prefill_chunk),
  };
  if (engine !== "llama") {
    const stray = Object.values(own).find(isGiven);
    if (stray === undefined) return settings;
    throw new SettingsError(`--${stray} is for --engine llama, not ${engine}: leave it away`);
  }
  const seqs = number("max-num-seqs");
  if (seqs > LLAMA_SEQS_MAX) {
    throw new SettingsError(`--max-num-seqs is at most ${LLAMA_SEQS_MAX} for the llama engine`);
  }
  const { kv_tokens, batch_size, prefill_chunk } = settings;
  const context = number("context-length");
  if (kv_tokens > 0 && kv_tokens < context) {
    throw new SettingsError(
      `--kv-tokens ${kv_tokens} cannot hold one answer of --context-length ${context}: ` +
        `give at least ${context}, or a shorter context`,
    );
  }
  const batch_least = (seqs || LLAMA_SEQS_MAX) + PROMPT_ROOM;
  if (batch_size > 0 && batch_size < batch_least) {
    throw new SettingsError(
      `--batch-size ${batch_size} is less than a step of --max-num-seqs ${seqs || LLAMA_SEQS_MAX} ` +
        `takes: give at least ${batch_least}, or fewer sequences`,
    );
  }
  const batch = batch_size || Math.max(BATCH_DEFAULT, batch_least);
  if (prefill_chunk > batch) {
    throw new SettingsError(
      `--prefill-chunk ${prefill_chunk} is more than one step of --batch-size ${batch} holds: ` +
        "give less, or a larger batch",
    );
  }
  return settings;
}

/** For `--dump-config`. */
export const llamaConfig = (settings: LlamaSettings): Record<string, number> => ({
  [own.kv_tokens]: settings.kv_tokens,
  [own.gpu_layers]: settings.gpu_layers,
  [own.batch_size]: settings.batch_size,
  [own.prefill_chunk]: settings.prefill_chunk,
});
