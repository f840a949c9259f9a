/** Requests that are outside the limits on any number of workers. */
import type { MockerOptions } from "../../../../actors/engine/mocker/options.ts";
import type { MockerTiming } from "../../../../actors/engine/mocker/timing.ts";
import type { GoodputLimits } from "../../goodput.ts";
import type { TraceRequest } from "../trace.ts";

/**
 * Share of the requests whose prompt alone takes longer than a first token may, on an idle worker
 * whose cache has all that any request before it had.
 */
export function outOfReach(
  trace: readonly TraceRequest[],
  trace_block_size: number,
  mocker: MockerOptions,
  timing: MockerTiming,
  { ttft_ms }: GoodputLimits,
): number {
  if (ttft_ms === undefined || trace.length === 0) return 0;
  const seen = new Set<number>();
  let lost = 0;
  for (const { input_length, hash_ids } of trace) {
    let known = 0;
    while (known < hash_ids.length && seen.has(hash_ids[known]!)) known++;
    for (const id of hash_ids) seen.add(id);
    // The last token is always computed.
    const cached = Math.min(known * trace_block_size, input_length - 1);
    const blocks = Math.floor(cached / mocker.block_size);
    const tokens = input_length - blocks * mocker.block_size;
    if (aloneMs(tokens, input_length, mocker, timing) > ttft_ms) lost++;
  }
  return lost / trace.length;
}

/** The share that can be asked for: where all is not to be had, that share of what is. */
export function withinReach(share: number, out_of_reach: number): number {
  const reachable = 1 - out_of_reach;
  return reachable < share ? share * reachable : share;
}

/** Passes of one prompt, of which the last draws its first token. */
function aloneMs(
  tokens: number,
  context_tokens: number,
  mocker: MockerOptions,
  timing: MockerTiming,
): number {
  let sum_ms = 0;
  for (let left = tokens; left > 0; left -= mocker.max_num_batched_tokens) {
    sum_ms += timing.prefillMs(Math.min(left, mocker.max_num_batched_tokens));
  }
  const { block_size, num_gpu_blocks } = mocker;
  return (
    sum_ms +
    timing.decodeMs({
      ...{ sequences: 1, context_tokens },
      used_kv_tokens: Math.ceil(context_tokens / block_size) * block_size,
      total_kv_tokens: num_gpu_blocks * block_size,
    })
  );
}
