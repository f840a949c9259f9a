/**
 * One measurement of each kind. Prefill: the time to the first token of a lone prompt. Decode: the
 * time between tokens while all of a number of answers are being made, and no prompt is computed.
 *
 *   answer 1  ──▪─▪─▪─▪─▪─▪─▪─▪─▪─▪
 *   answer 2     ──▪─▪─▪─▪─▪─▪─▪─▪─▪─▪
 *   counted         └─────────────┘  from the last one's first token to the first one's end
 */
import type { Answer } from "../http-client.ts";
import type { Asker } from "./asker.ts";
import type { KnownLengthPrompts } from "./known-length.ts";

export type PrefillSample = {
  /** The server's count. */
  readonly isl: number;
  readonly cached_tokens: number;
  readonly ttft_ms: number;
};

export type DecodeSample = {
  /** Mean of the server's counts. */
  readonly isl: number;
  readonly itl_ms: number;
  /** Mean tokens of an answer's context while it was counted. */
  readonly context_tokens: number;
  /** Of all answers, from their first to their last. */
  readonly made_tokens: number;
};

/** The answers were not all under way at one time. */
export class NeverTogetherError extends Error {
  readonly code = "never_together";
}

/** Of every stream, fewer than this in the counted time say nothing. */
const fewest_gaps = 3;
/** Prompts computed at a time before their answers are measured. */
const warmed_at_once = 8;

export async function measurePrefill(
  asker: Asker,
  prompts: KnownLengthPrompts,
  id: number,
  isl: number,
): Promise<PrefillSample> {
  const answer = await asker.ask(prompts.text(id, isl), 1);
  prompts.correct(isl, answer.prompt_tokens);
  return {
    isl: answer.prompt_tokens,
    cached_tokens: answer.cached_tokens,
    // A token of no text makes no event; the answer's end is then as near.
    ttft_ms: answer.ttft_ms < 0 ? answer.total_ms : answer.ttft_ms,
  };
}

/** Computes prompts `ids`, so that the engine has them in its cache. */
export async function warmPrompts(
  asker: Asker,
  prompts: KnownLengthPrompts,
  ids: readonly number[],
  isl: number,
): Promise<void> {
  let next = 0;
  let tokens = 0;
  const one = async () => {
    while (next < ids.length) {
      const id = ids[next++] ?? 0;
      const { prompt_tokens } = await asker.ask(prompts.text(id, isl), 1);
      tokens += prompt_tokens;
    }
  };
  await Promise.all(Array.from({ length: Math.min(warmed_at_once, ids.length) }, one));
  // All at once, as their ends change with it.
  if (ids.length > 0) prompts.correct(isl, tokens / ids.length);
}

/** Throws NeverTogetherError when an engine does not make so many answers at a time. */
export async function measureDecode(
  asker: Asker,
  prompts: KnownLengthPrompts,
  ids: readonly number[],
  isl: number,
  osl: number,
): Promise<DecodeSample> {
  const answers = await Promise.all(ids.map((id) => asker.ask(prompts.text(id, isl), osl)));
  return decodeSample(answers);
}

/** Exported for its test. */
export function decodeSample(answers: readonly Answer[]): DecodeSample {
  const streams = answers.filter(({ event_ms }) => event_ms.length > 0);
  const from_ms = Math.max(...streams.map(({ event_ms }) => event_ms[0] ?? 0));
  const to_ms = Math.min(...streams.map(({ event_ms }) => event_ms.at(-1) ?? 0));
  let [tokens, time_ms, context, isl] = [0, 0, 0, 0];
  const made_tokens = answers.reduce((sum, each) => sum + each.completion_tokens, 0);
  for (const { event_ms, events, completion_tokens, prompt_tokens } of streams) {
    const first = event_ms.findIndex((at_ms) => at_ms >= from_ms);
    const last = event_ms.findLastIndex((at_ms) => at_ms <= to_ms);
    if (first < 0 || last - first < fewest_gaps) {
      throw new NeverTogetherError(
        `${answers.length} answers of ${completion_tokens} tokens were not made at one time`,
      );
    }
    // Some tokens have no text of their own, and some events have several.
    const tokens_per_event = Math.max(1, completion_tokens) / events;
    tokens += (last - first) * tokens_per_event;
    time_ms += (event_ms[last] ?? 0) - (event_ms[first] ?? 0);
    context += prompt_tokens + ((first + last) / 2) * tokens_per_event;
    isl += prompt_tokens;
  }
  if (streams.length === 0) throw new NeverTogetherError("no answer had any text");
  return {
    isl: isl / streams.length,
    itl_ms: time_ms / tokens,
    context_tokens: context / streams.length,
    made_tokens,
  };
}
