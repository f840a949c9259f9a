/** What one pass of an engine takes, by what it computes; and what follows for whole prompts. */

export type Pass = {
  /** Prompt tokens that it computes. */
  readonly prefill_tokens: number;
  /** Requests that draw a token in it, and the tokens of all their contexts. */
  readonly requests: number;
  readonly kv_tokens: number;
};

export interface PassModel {
  /** More than 0. */
  passMs(pass: Pass): number;
}

/**
 * ms until `tokens` prompt tokens are computed, in passes of at most `max_batch_tokens` (0: no
 * limit) that also draw tokens for `kv_tokens` of running requests.
 */
export function drainMs(
  model: PassModel,
  tokens: number,
  max_batch_tokens: number,
  kv_tokens = 0,
): number {
  if (!(tokens > 0)) return 0;
  const chunk = max_batch_tokens > 0 ? Math.min(tokens, max_batch_tokens) : tokens;
  const passMs = (prefill_tokens: number) =>
    model.passMs({ prefill_tokens, requests: 0, kv_tokens });
  const full = Math.ceil(tokens / chunk) - 1;
  const last = tokens - full * chunk;
  return (full > 0 ? full * passMs(chunk) : 0) + passMs(last);
}
