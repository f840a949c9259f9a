/**
 * Ends of choices and of the answer, and the messages about them to worker and router. Exactly one
 * of `done` and `fail` ends an answer.
 */
import type { Cancel, Finished, RouteEnded, RouteOutcome } from "../../proto/index.ts";
import { finishText, tokenLogprob } from "./choice-text.ts";
import { failure } from "./failures.ts";
import type { AnswerEffect } from "./inputs-and-effects.ts";
import { leavePrefill } from "./prefill/prefill-leg.ts";
import { type AnswerState, answerTokens, workerRequest } from "./state.ts";
import { quarantineMessage } from "./suspicion.ts";
import type { AnswerEnd, AnswerFailure, AnswerUsage } from "./types.ts";

/** Of a worker's `Finished`: how the choice ended, and the token that ended it, if one did. */
type EngineEnd = Pick<Finished, "reason" | "stop_token" | "stop_logprob">;

/** The choice has all its tokens. */
export function finish(
  state: AnswerState,
  number: number,
  { reason, stop_token, stop_logprob }: EngineEnd,
  effects: AnswerEffect[],
): void {
  const { text } = state.choices[number]!;
  const out = finishText(text);
  if (out.piece !== undefined) effects.push({ kind: "piece", piece: out.piece });
  // The client is told a stop token that it asked for, and not the model's own end token.
  const asked = state.request.stop_tokens.includes(stop_token);
  const by_token = asked ? stop_token : undefined;
  const stop_reason = out.stopped ?? by_token;
  const told = out.stopped === undefined && reason === "length" ? "length" : "stop";
  const drawn = out.stopped === undefined && stop_logprob !== undefined && stop_token >= 0;
  const end: Omit<AnswerEnd, "choice"> = {
    reason: told,
    ...(stop_reason === undefined ? {} : { stop_reason }),
    ...(drawn ? { logprob: tokenLogprob(text.tokenizer, stop_token, stop_logprob) } : {}),
  };
  endChoice(state, number, end, effects);
}

export function endChoice(
  state: AnswerState,
  number: number,
  end: Omit<AnswerEnd, "choice">,
  effects: AnswerEffect[],
): void {
  state.choices[number]!.ended = true;
  effects.push({ kind: "end", end: { choice: number, ...end } });
}

/** The client has all it wants of this choice; only its end is waited for. */
export function endAtWorker(state: AnswerState, number: number): readonly AnswerEffect[] {
  const request = workerRequest(state);
  const message: Cancel = { kind: "cancel", request, choices: [number] };
  return [{ kind: "tell_worker", message }];
}

/** Ends choices that have all their tokens, and whose worker was lost before it said so. */
export function endSpent(state: AnswerState): readonly AnswerEffect[] {
  const effects: AnswerEffect[] = [];
  for (const [number, choice] of state.choices.entries()) {
    if (choice.ended) choice.settled = true;
    const most = choice.scored + state.request.max_tokens;
    if (choice.ended || choice.tokens.length < most) continue;
    choice.settled = true;
    finish(state, number, { reason: "length", stop_token: -1 }, effects);
  }
  return effects;
}

export function cancel(state: AnswerState): readonly AnswerEffect[] {
  if (state.leg === undefined) return [];
  // The worker may not know the reader's newest name yet, so the name before it is cancelled too.
  const readers = state.reader === 0 ? [0] : [state.reader, state.reader - 1];
  return readers.map((reader) => {
    const request = workerRequest(state, reader);
    const message: Cancel = { kind: "cancel", request, choices: [] };
    return { kind: "tell_worker", message };
  });
}

export function leave(
  state: AnswerState,
  outcome: RouteOutcome,
  output_tokens = 0,
): readonly AnswerEffect[] {
  const closed = closeAccount(state, outcome, output_tokens);
  return [...leavePrefill(state), { kind: "leave_worker" }, closed];
}

export function closeAccount(
  state: AnswerState,
  outcome: RouteOutcome,
  output_tokens = 0,
  worker = state.leg?.worker ?? "",
): AnswerEffect {
  const { request } = state.request;
  const message: RouteEnded = { kind: "route_ended", request, worker, outcome, output_tokens };
  return { kind: "tell_router", message };
}

export function done(state: AnswerState): readonly AnswerEffect[] {
  state.phase = "ended";
  let completion_tokens = 0;
  for (const choice of state.choices) completion_tokens += answerTokens(choice);
  const prompt_tokens = state.request.prompt.length;
  // How many guesses a step has follows the clock, so only who predicts is told what came of it.
  const drafts = state.request.predicted === undefined ? undefined : state.drafts;
  const usage: AnswerUsage = {
    ...{ prompt_tokens, completion_tokens, ...cachedIn(state) },
    ...(drafts === undefined ? {} : { drafts }),
  };
  return [...leave(state, "finished", completion_tokens), { kind: "done", usage }];
}

/** Tokens of the prompt that nobody computed for this answer. */
function cachedIn(state: AnswerState): Pick<AnswerUsage, "cached_tokens" | "cached_by_tier"> {
  const { cached_tokens, cached_from, prefill_cached, prefill_cached_from } = state;
  // What one worker computed and another one took over was not cached.
  const elsewhere = prefill_cached < cached_tokens;
  const tokens = elsewhere ? prefill_cached : cached_tokens;
  const from = elsewhere ? prefill_cached_from : cached_from;
  if (!Number.isFinite(tokens)) return { cached_tokens: 0 };
  if (from === undefined) return { cached_tokens: tokens };
  // What came in may have given way again before it was used.
  const g4 = Math.min(from.remote, tokens);
  const g3 = Math.min(from.disk, tokens - g4);
  const g2 = Math.min(from.host, tokens - g4 - g3);
  const g1 = tokens - g4 - g3 - g2;
  return { cached_tokens: tokens, cached_by_tier: { g1, g2, g3, g4 } };
}

export function fail(
  state: AnswerState,
  failure: AnswerFailure,
  outcome: RouteOutcome,
): readonly AnswerEffect[] {
  const cancelled = outcome === "refused" ? [] : cancel(state);
  state.phase = "ended";
  return [...cancelled, ...leave(state, outcome), { kind: "failed", failure }];
}

export function quarantine(state: AnswerState, outcome: RouteOutcome): readonly AnswerEffect[] {
  return fail(state, failure("quarantined", quarantineMessage), outcome);
}
