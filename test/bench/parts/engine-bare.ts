/** The floor of `bun run bench engine`: llama.cpp's own decode loop, nothing around it. */

import type { Sampling } from "../../../actors/engine/engine.ts";
import { type LlamaOptions, openLlama } from "../../../actors/engine/llama/llama.ts";

export type BareRun = {
  readonly parallel: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly tokens_per_s: number;
};

/**
 * Decodes `n_tokens` after each of the first `parallel` prompts (1..8) together, for each entry of
 * `parallels`, in C without a line of JavaScript between two steps; the time of the prompts does
 * not count. Waits meanwhile: nothing else runs in this process. Sampling as the engine samples,
 * logit biases excepted.
 */
export async function measureBare(
  options: LlamaOptions,
  parallels: readonly number[],
  prompts: readonly Uint32Array[],
  n_tokens: number,
  sampling: Sampling,
): Promise<readonly BareRun[]> {
  const engine = await openLlama({ ...options, context_length: 512, kv_tokens: 512 });
  try {
    return parallels.map((parallel) => {
      const some = prompts.slice(0, parallel);
      if (some.length < parallel) throw new Error(`${parallel} prompts are needed`);
      const seconds = engine.bareSeconds(some, n_tokens, {
        handle: 0,
        tokens: some[0]!,
        prompt_tokens: some[0]!.length,
        choice: 0,
        sampling,
        max_tokens: n_tokens,
        min_tokens: 0,
        stop_tokens: [],
        ignore_eos: true,
        logprobs: -1,
      });
      const tokens = parallel * n_tokens;
      return { parallel, tokens, seconds, tokens_per_s: tokens / seconds };
    });
  } finally {
    await engine.close();
  }
}
