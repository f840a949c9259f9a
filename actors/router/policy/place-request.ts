/** A request as the policies see it. */
import type { HashPairs } from "../../../llm/blocks/block-table.ts";
import type { Constraints } from "./constraints.ts";

export type PlaceRequest = Constraints & {
  /** Unique among live requests. */
  readonly request: string;
  readonly prompt_tokens: number;
  /** Sequence hashes of the prompt's full blocks. */
  readonly hashes: HashPairs;
  /** Higher tiers go strictly first. Default 0. */
  readonly strict_priority?: number;
  /** Within its class the request counts as if it had come that much earlier. Default 0. */
  readonly priority_jump_ms?: number;
  /** Name of a policy class; unknown or none is the default class. */
  readonly policy_class?: string;
  readonly session?: string;
  /** True: the client has a part of the answer, so a wait would be a pause in its middle. */
  readonly continued?: boolean;
  /** True: one worker computes the prompt and makes the answer. */
  readonly whole?: boolean;
  /** True: its placement says why it is as it is. */
  readonly explain?: boolean;
  /** Weight by label or taint: positive draws, negative repels. */
  readonly preferred_taints?: Readonly<Record<string, number>>;
};

/** True: the request cannot go to just any worker with room. */
export function isParticular(request: PlaceRequest): boolean {
  const { pin, allow, exclude, required_taints, session } = request;
  const named = pin ?? allow ?? exclude ?? required_taints ?? session;
  return named !== undefined || request.continued === true || request.spare === true;
}

export function promptBlocks(request: PlaceRequest, block_size: number): number {
  return Math.ceil(request.prompt_tokens / block_size);
}

/** 53 bits of the hash of block `index`: enough to tell active blocks apart, and no bigint. */
export function blockName(hashes: HashPairs, index: number): number {
  return (hashes[2 * index + 1]! & 0x1fffff) * 2 ** 32 + hashes[2 * index]!;
}
