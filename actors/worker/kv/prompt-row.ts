/** The blocks that a request will read or make, by name. */
import { blockHashes, blockSeed } from "../../../llm/blocks/block-hash.ts";
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type { Generate } from "../../../proto/index.ts";

export type PromptRow = { readonly tokens: Uint32Array; readonly hashes: BigUint64Array };

/**
 * @param of "read": without the block of the last token, which is always computed, as the answer's
 *   first one is drawn from it; "whole": all that are full
 */
export function rowOf(generate: Generate, block_size: number, of: "read" | "whole"): PromptRow {
  const tokens = promptOf(generate);
  const count = of === "whole" ? tokens.length : Math.max(0, tokens.length - 1);
  const within = tokens.subarray(0, Math.floor(count / block_size) * block_size);
  const hashes = blockHashes(within, block_size, blockSeed(generate)).sequence_hashes;
  return { tokens, hashes };
}

/** What all choices have in common; of a single one also what is delivered of it. */
function promptOf({ prompt, choices }: Generate): Uint32Array {
  const own = tokensOf(prompt);
  const [only] = choices;
  // Prompts that are scored are computed.
  if (choices.some(({ scores }) => scores === true)) return new Uint32Array(0);
  if (choices.length !== 1 || only === undefined || only.delivered.length === 0) return own;
  const delivered = tokensOf(only.delivered);
  const both = new Uint32Array(own.length + delivered.length);
  both.set(own);
  both.set(delivered, own.length);
  return both;
}
