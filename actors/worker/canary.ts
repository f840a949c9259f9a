/**
 * A worker is ready when it has answered, not when it has loaded. So it makes a few tokens before
 * it registers, which also warms the engine up.
 */
import type { Clock } from "../../runtime/capabilities.ts";
import type { Engine, EngineDescription, EngineRefusal, EngineRequest } from "../engine/engine.ts";

export type CanaryOptions = {
  readonly prompt: Uint32Array;
  readonly max_tokens: number;
  readonly deadline_ms: number;
};

export class CanaryError extends Error {
  readonly code = "canary_failed";
  override readonly name = "CanaryError";
}

/** Time between two looks at an engine that has a thread of its own. */
const LOOK_MS = 2;

/** Resolves when the engine has made every token; throws CanaryError when it does not in time. */
export async function runCanary(
  engine: Engine,
  clock: Clock,
  options: CanaryOptions,
): Promise<void> {
  const give_up_ms = clock.now_ms() + options.deadline_ms;
  const refusal = startCanary(engine, options);
  if (refusal !== undefined) {
    throw new CanaryError(`the engine refused a first request: ${refusal.message}`);
  }
  let made = 0;
  while (clock.now_ms() < give_up_ms) {
    const next_ms = engine.step(clock.now_ms());
    for (const event of engine.poll(64)) {
      if (event.kind === "tokens") made += event.tokens.length;
      if (event.kind === "embedding") return;
      if (event.kind !== "finished") continue;
      if (event.reason === "length" && made === options.max_tokens) return;
      const why = event.error ?? `it ended with "${event.reason}" after ${made} tokens`;
      throw new CanaryError(`a first generation of ${options.max_tokens} tokens failed: ${why}`);
    }
    await pause(clock, next_ms ?? LOOK_MS);
  }
  engine.cancel(CANARY_HANDLE);
  throw new CanaryError(`a first generation was not done within ${options.deadline_ms} ms`);
}

/**
 * The same with a prompt that fills a block: only then some engines know how large their blocks are
 * outside.
 */
export function fillingABlock(
  canary: CanaryOptions,
  { block_size, context_length }: Pick<EngineDescription, "block_size" | "context_length">,
): CanaryOptions {
  const { prompt, max_tokens } = canary;
  const length = block_size + 1;
  if (length <= prompt.length || length + max_tokens > context_length) return canary;
  return { ...canary, prompt: Uint32Array.from({ length }, (_, i) => prompt[i % prompt.length]!) };
}

/** One answer, or what the model makes of an input where it gives no answers. */
export function startCanary(engine: Engine, options: CanaryOptions): EngineRefusal | undefined {
  const { generates, pools } = engine.describe().capabilities;
  if (generates) return engine.submit(canaryRequest(options));
  return engine.embed(CANARY_HANDLE, options.prompt, pools[0] ?? "vector");
}

/** Answers have handles from 1. */
export const CANARY_HANDLE = 0;

function canaryRequest(options: CanaryOptions): EngineRequest {
  return {
    handle: CANARY_HANDLE,
    tokens: options.prompt,
    prompt_tokens: options.prompt.length,
    choice: 0,
    sampling: {
      temperature: 0,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      typical_p: 1,
      repetition_penalty: 1,
      frequency_penalty: 0,
      presence_penalty: 0,
      logit_bias: [],
      seed: 0n,
    },
    max_tokens: options.max_tokens,
    min_tokens: 0,
    stop_tokens: [],
    ignore_eos: true,
    logprobs: -1,
  };
}

function pause(clock: Clock, delay_ms: number): Promise<void> {
  return new Promise((resolve) => clock.after(delay_ms, resolve));
}
