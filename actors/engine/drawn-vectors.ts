/**
 * Vectors of engines without a model. Each token has a vector that its id alone decides; a text's is
 * their mean, so texts that share tokens are alike.
 */
import type { PoolKind } from "../../proto/index.ts";
import type { EngineEvent, EngineRefusal } from "./engine.ts";

/** Values of one vector. */
export const DRAWN_SIZE = 64;

export const DRAWN_POOLS: readonly PoolKind[] = ["vector", "raw", "tokens"];

const U32 = 2 ** 32;
const GOLDEN = 0x9e37_79b9;

/** The event that answers an embed, or why there is none. */
export function drawnEmbedding(
  handle: number,
  tokens: Uint32Array,
  pool: PoolKind,
  limits: { readonly context_length: number; readonly vocab_size: number },
): EngineEvent | EngineRefusal {
  const { context_length, vocab_size } = limits;
  if (pool === "classes") {
    return { code: "not_supported", message: "without a model there is no classification head" };
  }
  if (tokens.length > context_length) {
    const message = `${tokens.length} tokens are more than the context of ${context_length}`;
    return { code: "context_overflow", message };
  }
  if (tokens.length === 0 || tokens.some((token) => token >= vocab_size)) {
    const message = `tokens must be 1 or more ids of 0..${vocab_size - 1}`;
    return { code: "bad_request", message };
  }
  return { kind: "embedding", handle, values: drawn(tokens, pool), prompt_tokens: tokens.length };
}

function drawn(tokens: Uint32Array, pool: PoolKind): Float32Array {
  if (pool === "tokens") {
    const all = new Float32Array(tokens.length * DRAWN_SIZE);
    for (const [i, token] of tokens.entries()) all.set(vectorOf(token), i * DRAWN_SIZE);
    return all;
  }
  const mean = new Float32Array(DRAWN_SIZE);
  for (const token of tokens) {
    const vector = vectorOf(token);
    for (let i = 0; i < DRAWN_SIZE; i++) mean[i]! += vector[i]! / tokens.length;
  }
  if (pool === "raw") return mean;
  const length = Math.hypot(...mean);
  return mean.map((value) => value / length);
}

/** Values in -1..1. */
function vectorOf(token: number): Float32Array {
  let state = Math.imul(token + 1, GOLDEN) >>> 0;
  return Float32Array.from({ length: DRAWN_SIZE }, () => {
    // xorshift32, by Marsaglia
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) / U32) * 2 - 1;
  });
}
