/** How far a sweep goes: what was asked, else what the server says, else a guess that is named. */
import type { EngineFacts } from "./facts.ts";
import type { ProfileOptions } from "./options.ts";
import type { SweepLimits } from "./sweep-plan.ts";

const usual_context = 16_384;
const unknown_context = 4096;
const usual_concurrency = 256;
const unknown_concurrency = 16;
const unknown_block = 16;

type Asked = Pick<ProfileOptions, "context" | "kv_tokens" | "max_concurrency" | "decode_tokens">;

export function limitsOf(
  asked: Asked,
  facts: EngineFacts,
): { readonly limits: SweepLimits; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const usual = Math.min(usual_context, facts.context_length ?? unknown_context);
  if (asked.context === undefined && usual < (facts.context_length ?? Number.POSITIVE_INFINITY)) {
    const whole = facts.context_length ?? "unknown";
    notes.push(`contexts are swept up to ${usual} tokens (the model's: ${whole}; --context)`);
  }
  const context = Math.min(asked.context ?? usual, facts.context_length ?? 2 ** 30);
  const most = Math.min(
    asked.max_concurrency ?? usual_concurrency,
    facts.max_seqs ?? (asked.max_concurrency === undefined ? unknown_concurrency : 2 ** 30),
  );
  let max_kv_tokens = asked.kv_tokens ?? facts.max_kv_tokens;
  if (max_kv_tokens === undefined) {
    max_kv_tokens = context * most;
    notes.push(
      `the server does not say what its KV cache holds: ${max_kv_tokens} tokens are assumed, ` +
        `${most} answers at once (--kv-tokens, --max-concurrency)`,
    );
  }
  const block_size = facts.block_size ?? unknown_block;
  // An answer takes at most half of a context, or a short one would have no room for a prompt.
  const osl = Math.min(asked.decode_tokens, Math.max(1, context >> 1));
  return { limits: { context, max_kv_tokens, block_size, max_concurrency: most, osl }, notes };
}
