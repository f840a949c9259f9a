/** How long a simulated pass takes, and sums over passes from which routers learn rates. */
import type { WirePassSums as PassSums } from "../../../proto/index.ts";
import type { MockerOptions } from "./options.ts";
import type { DecodeLoad, MockerTiming } from "./timing.ts";

/** In ms. `prompt_tokens`: of those that the pass computes, which no cache had. */
export function passMs(
  options: MockerOptions,
  timing: MockerTiming,
  prompt_tokens: number,
  load: DecodeLoad,
): number {
  const { speedup_ratio, decode_speedup_ratio, worker_type } = options;
  if (speedup_ratio === 0) return 0;
  const prefill_ms = timing.prefillMs(prompt_tokens) / speedup_ratio;
  // A prefill worker draws its one token within the prefill.
  if (worker_type === "prefill" || decode_speedup_ratio === 0) return prefill_ms;
  return prefill_ms + timing.decodeMs(load) / (speedup_ratio * decode_speedup_ratio);
}

export type MutablePassSums = { -readonly [Name in keyof PassSums]: PassSums[Name] };

export const noPasses = (): MutablePassSums => ({
  prefill_passes: 0,
  prefill_tokens: 0,
  prefill_tokens_squared: 0,
  decode_passes: 0,
  decode_share: 0,
  busy_ms: 0,
});

/**
 * @param drawing sequences that draw a token in it
 * @param share of the blocks in use, 0 to 1
 */
export function addPass(
  sums: MutablePassSums,
  prompt_tokens: number,
  drawing: number,
  share: number,
  duration_ms: number,
): void {
  if (prompt_tokens > 0) {
    sums.prefill_passes++;
    sums.prefill_tokens += prompt_tokens;
    sums.prefill_tokens_squared += prompt_tokens * prompt_tokens;
  }
  if (drawing > 0) {
    sums.decode_passes++;
    sums.decode_share += share;
  }
  sums.busy_ms += duration_ms;
}

/** Adds the sums of another rank. */
export function addSums(sums: MutablePassSums, more: PassSums): void {
  sums.prefill_passes += more.prefill_passes;
  sums.prefill_tokens += more.prefill_tokens;
  sums.prefill_tokens_squared += more.prefill_tokens_squared;
  sums.decode_passes += more.decode_passes;
  sums.decode_share += more.decode_share;
  sums.busy_ms += more.busy_ms;
}
