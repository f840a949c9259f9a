/** The native engine's refusals (native/troupe.h) as the interface has them. */
import { TR } from "../../../native/index.ts";
import type { EngineDescription, EngineRefusal } from "../engine.ts";

const REFUSALS: Readonly<Record<number, EngineRefusal["code"]>> = {
  [TR.ERR_QUEUE_FULL]: "queue_full",
  [TR.ERR_CONTEXT_OVERFLOW]: "context_overflow",
  [TR.ERR_NOT_SUPPORTED]: "not_supported",
  [TR.ERR_CLOSED]: "closed",
  [TR.ERR_NOT_READY]: "closed",
};

export function refusal(
  native_code: number,
  n_tokens: number,
  max_tokens: number,
  { context_length, vocab_size, max_num_seqs }: EngineDescription,
): EngineRefusal {
  const code = REFUSALS[native_code] ?? "bad_request";
  const message = {
    queue_full: `the queue behind ${max_num_seqs} running sequences is full: try again later`,
    context_overflow:
      `${n_tokens} tokens and ${max_tokens} to make are more than ` +
      `the context of ${context_length}: shorten the prompt or lower max_tokens`,
    bad_request: `tokens must be 1 or more ids of 0..${vocab_size - 1}, within the limits`,
    not_supported: "this model does not support the request",
    closed: "the engine is closed",
  }[code];
  return { code, message };
}
