/** What the native engine counts (native/troupe.h, TR_STAT_*) as the counts of every engine. */
import { DRAFT_SOURCES, type NativeStats } from "../../../native/index.ts";
import type { WirePassSums as PassSums } from "../../../proto/index.ts";
import type { DraftCounts, EngineStats } from "../engine.ts";

/** `own_waiting`: requests that wait before they come to the native engine. */
export function statsOf(
  stats: NativeStats,
  own_waiting: number,
  total_blocks: number,
): EngineStats {
  return {
    running: stats.running,
    waiting: stats.waiting + own_waiting,
    used_blocks: stats.used_blocks,
    cached_blocks: stats.cached_blocks,
    total_blocks,
    prompt_tokens_total: stats.prompt_tokens_total,
    cached_tokens_total: stats.cached_tokens_total,
    generated_tokens_total: stats.generated_tokens_total,
    steps_total: stats.steps_total,
    step_ms_last: stats.step_ms_last,
    waiting_prefill_tokens: stats.waiting_prefill_tokens,
  };
}

export function passSumsOf(stats: NativeStats): PassSums {
  return {
    prefill_passes: stats.prefill_passes,
    prefill_tokens: stats.prefill_tokens,
    prefill_tokens_squared: stats.prefill_tokens_squared,
    decode_passes: stats.decode_passes,
    decode_share: stats.decode_share,
    busy_ms: stats.busy_ms,
  };
}

export function draftCountsOf(stats: NativeStats): readonly DraftCounts[] {
  return DRAFT_SOURCES.map((source) => ({
    source,
    drafts: stats[`drafts_${source}`],
    tokens: stats[`drafted_${source}`],
    accepted: stats[`drafts_right_${source}`],
  }));
}
