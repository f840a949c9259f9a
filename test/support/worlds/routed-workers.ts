/** Workers and requests for tests of the routing policies. */
import { CacheIndex } from "../../../actors/router/index/cache-index.ts";
import { KvDispatcher } from "../../../actors/router/policy/dispatcher.ts";
import type { KvPolicyOptions } from "../../../actors/router/policy/kv-policies.ts";
import type { Place } from "../../../actors/router/policy/place.ts";
import { TIER_COUNT } from "../../../actors/router/policy/place.ts";
import type { PlaceRequest } from "../../../actors/router/policy/place-request.ts";
import { newRoutedWorker, type RoutedWorker } from "../../../actors/router/policy/worker-state.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import { TraceBlocks } from "../../../llm/blocks/trace-blocks.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";

export const BLOCK = 16;
export const limits = { block_size: BLOCK, total_blocks: 1_000, batch_tokens: 512 };

export function worker(name: string, slot = 0, labels: readonly string[] = []): RoutedWorker {
  return newRoutedWorker({ ...limits, key: `${name}@1`, worker: name, slot, labels });
}

let requests = 0;

/** `ids`: the content of each full block; same ids, same blocks. */
export function placeRequest(
  ids: readonly number[],
  more: Partial<PlaceRequest> = {},
): PlaceRequest {
  const prompt_tokens = more.prompt_tokens ?? ids.length * BLOCK;
  const names = new TraceBlocks(ids, BLOCK, ids.length * BLOCK, BLOCK, requests);
  const hashes = pairsOf(names.hashes().sequence_hashes);
  return { request: `r${requests++}`, hashes, ...more, prompt_tokens };
}

/** `device`: leading blocks that each worker has. */
export function placeOf(
  request: PlaceRequest,
  workers: readonly RoutedWorker[],
  device: readonly number[] = [],
  queued = 0,
): Place {
  const cached_blocks = new Int32Array(workers.length * TIER_COUNT);
  for (const [at, blocks] of device.entries()) cached_blocks[TIER_COUNT * at] = blocks;
  return { request, workers, cached_blocks, queued, now_ms: 0 };
}

/** A dispatcher over workers w0, w1, … with an index that their slots are in. */
export function dispatcherOf(policy: KvPolicyOptions, workers: number, seed = 1) {
  const index = new CacheIndex();
  const dispatcher = new KvDispatcher({ policy, index, random: new SeededRandom(seed) });
  const all = Array.from({ length: workers }, (_, number) => {
    const slot = index.addWorker("events");
    return worker(`w${number}`, slot);
  });
  for (const each of all) dispatcher.workerUp(each, 0);
  return { dispatcher, index, workers: all };
}

/** Indexes from 0 to below `count`. */
export const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);
