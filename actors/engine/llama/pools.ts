/** What a model can say of all its tokens at once, by llama.cpp's kind of pooling. */
import { type NativeNumbers, TR } from "../../../native/index.ts";
import type { PoolKind } from "../../../proto/index.ts";

export const POOLS: Readonly<Record<PoolKind, number>> = {
  vector: TR.POOL_UNIT,
  raw: TR.POOL_RAW,
  tokens: TR.POOL_TOKENS,
  classes: TR.POOL_CLASSES,
};

/** llama.h, LLAMA_POOLING_TYPE. */
const POOLING_NONE = 0;
const POOLING_RANK = 4;

/** A model that ranks has a classification head in place of vectors; see native/api.c. */
export function poolsOf({ pooling, embedding_size }: NativeNumbers): readonly PoolKind[] {
  if (pooling === POOLING_RANK) return ["classes"];
  if (embedding_size === 0) return [];
  return pooling === POOLING_NONE ? ["tokens"] : ["vector", "raw", "tokens"];
}
