/** A worker's load report. */
import type { WorkerLoad } from "../../../proto/index.ts";
import type { Engine } from "../../engine/engine.ts";

/** `own_waiting`: requests that wait in front of the engine. */
export function loadOf(
  worker: string,
  engine: Engine,
  own_waiting: number,
  event_loop_block_ms_max: number,
): WorkerLoad {
  const stats = engine.stats();
  const passes = engine.passSums?.();
  return {
    kind: "worker_load",
    subscription: 0,
    worker,
    running: stats.running,
    waiting: stats.waiting + own_waiting,
    used_blocks: stats.used_blocks,
    cached_blocks: stats.cached_blocks,
    total_blocks: stats.total_blocks,
    event_loop_block_ms_max,
    generated_tokens_total: stats.generated_tokens_total,
    prompt_tokens_total: stats.prompt_tokens_total,
    cached_tokens_total: stats.cached_tokens_total,
    // Waiting embeddings delay no prompt, so they count as requests and not as tokens.
    waiting_prefill_tokens: stats.waiting_prefill_tokens ?? 0,
    ...(passes === undefined ? {} : { passes }),
  };
}
