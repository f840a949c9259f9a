/** The engine that a worker's boot asks for. */
import { EchoEngine } from "../actors/engine/echo/echo.ts";
import type { Engine } from "../actors/engine/engine.ts";
import { openLlama } from "../actors/engine/llama/llama.ts";
import { type MockerParts, openMocker } from "../actors/engine/mocker/mocker.ts";
import type { MockerOptions } from "../actors/engine/mocker/options.ts";
import { readProfile } from "../actors/engine/mocker/profile.ts";
import {
  type MockerTiming,
  polynomialTiming,
  profileTiming,
} from "../actors/engine/mocker/timing.ts";
import type { ModelFacts } from "../llm/model/model-card.ts";
import { textTokens } from "../llm/tokens/text-tokens.ts";
import type { Tokenizer } from "../llm/tokens/tokenizer.ts";
import type { Clock, Files } from "../runtime/capabilities.ts";
import type { WorkerBoot } from "./boot.ts";
import type { LlamaSettings } from "./settings/llama-settings.ts";

export type EngineParts = {
  readonly boot: WorkerBoot;
  readonly facts: ModelFacts;
  readonly tokenizer: Tokenizer;
  readonly clock: Clock;
  readonly files: Files;
  /** What simulated engines draw from and how long they take: the same for all of a process. */
  readonly mocker: () => Promise<MockerParts>;
};

/** A large vocabulary takes a tenth of a second to look through: once for all engines. */
export function mockerPartsOf(boot: WorkerBoot, tokenizer: Tokenizer, files: Files) {
  let parts: Promise<MockerParts> | undefined;
  return () => {
    parts ??= readMockerParts(boot, tokenizer, files);
    return parts;
  };
}

async function readMockerParts(
  { mocker: { profile } }: WorkerBoot,
  tokenizer: Tokenizer,
  files: Files,
): Promise<MockerParts> {
  const timing: MockerTiming =
    profile === "" ? polynomialTiming : profileTiming(await readProfile(files, profile));
  // Drawn tokens must read as text: every one of them alone is whole characters.
  const drawable = { vocab_size: tokenizer.vocab_size, tokens: textTokens(tokenizer) };
  return { timing, drawable };
}

/** The longest context that is taken without being asked for: more costs memory at once. */
const CONTEXT_DEFAULT = 8_192;

/** Rejects with the one line that says what to do. */
export async function openEngine(
  parts: EngineParts,
  progress: (fraction: number, detail: string) => void,
): Promise<Engine> {
  const { boot, facts } = parts;
  const own = facts.context_length > 0 ? facts.context_length : CONTEXT_DEFAULT;
  const longest = Math.min(own, CONTEXT_DEFAULT, boot.llama.kv_tokens || CONTEXT_DEFAULT);
  const context_length = boot.context_length > 0 ? boot.context_length : longest;
  const max_num_seqs = boot.max_num_seqs > 0 ? { max_num_seqs: boot.max_num_seqs } : {};
  switch (boot.engine) {
    case "echo":
      return new EchoEngine({ context_length, vocab_size: facts.vocab_size, ...max_num_seqs });
    case "mocker":
      return await openMockerOf(parts);
    case "llama":
      return await openLlama({
        model: boot.model_path,
        context_length,
        ...max_num_seqs,
        ...(boot.threads > 0 ? { threads: boot.threads } : {}),
        ...nativeOptions(boot.llama),
        sharers: boot.sharers,
        ...libraries(boot.assets_folder),
        cache_dir: boot.cache_folder,
        on_progress: (fraction) => progress(fraction, boot.model_path),
      });
  }
}

/** There 0 stands for the default, and -1 for no layer on a GPU. */
function nativeOptions({ kv_tokens, gpu_layers, batch_size, prefill_chunk }: LlamaSettings) {
  return {
    kv_tokens,
    gpu_layers: gpu_layers < 0 ? 0 : gpu_layers || -1,
    max_num_batched_tokens: batch_size,
    prefill_chunk,
  };
}

/** A compiled binary brings its own; the source tree finds them in node_modules. */
function libraries(assets_folder: string) {
  if (assets_folder === "") return {};
  const lib_dir = `${assets_folder}/lib`;
  return { lib_dir, shim_path: `${lib_dir}/libtroupe.so` };
}

async function openMockerOf({ boot, mocker, clock }: EngineParts): Promise<Engine> {
  const { workers_per_process: _shared, profile: _read, ...shape } = boot.mocker;
  const options: Partial<MockerOptions> = {
    ...shape,
    ...(boot.max_num_seqs > 0 ? { max_num_seqs: boot.max_num_seqs } : {}),
    ...(boot.context_length > 0 ? { max_model_len: boot.context_length } : {}),
  };
  return await openMocker(options, await mocker(), clock);
}
