/**
 * Takes batches of tokens from the worker: checks their indices and turns them into pieces of text.
 * Lost tokens are fetched, or made again at another worker. Credit follows.
 */
import type { ChoiceTokens, Credit, Drafts, Finished, TokenBatch } from "../../proto/index.ts";
import { promptScore, pushToken } from "./choice-text.ts";
import { done, endAtWorker, endChoice, fail, finish } from "./ending.ts";
import { failure, TOO_LONG } from "./failures.ts";
import { fetchMissing } from "./fetch.ts";
import type { AnswerEffect } from "./inputs-and-effects.ts";
import { migrate, onLateRefusal, onWorkerLost, stayReached } from "./migration.ts";
import { type AnswerState, type Choice, isSettled, windowOf, workerRequest } from "./state.ts";
import { clearSuspicion } from "./suspicion.ts";
import type { PromptScore } from "./types.ts";

export function onBatch(state: AnswerState, batch: TokenBatch): readonly AnswerEffect[] {
  if (state.phase === "routing" || batch.request !== workerRequest(state)) return [];
  // Tokens may overtake the reply that says they will come.
  if (state.phase === "starting") state.phase = "live";
  state.fetching = false;
  const effects: AnswerEffect[] = [...stayReached(state)];
  const first = !state.has_output && batch.choices.length > 0;
  if (first) {
    state.has_output = true;
    state.cut_off = "";
    clearSuspicion(state.suspicion);
  }
  if (first && batch.finished.length < state.choices.length && state.moving === undefined) {
    const { request } = state.request;
    effects.push({ kind: "tell_router", message: { kind: "route_first", request } });
  }
  if (first && state.attempt > 1) effects.push({ kind: "wait_steady", attempt: state.attempt });
  for (const part of batch.choices) {
    const broken = takeTokens(state, part, effects);
    if (broken !== undefined) return [...effects, ...onMissing(state, broken)];
  }
  for (const finished of batch.finished) {
    const stop = takeFinished(state, finished, effects);
    if (stop !== undefined) return stop;
  }
  // The prefill leg says what was cached of the prompt, perhaps a step behind the answer's end.
  if (state.prefill === undefined && isSettled(state)) return [...effects, ...done(state)];
  if (state.phase === "live" && state.choices.every((choice) => choice.ended)) {
    state.phase = "settling";
    state.moving = undefined;
    effects.push({ kind: "wait_settled" });
  }
  effects.push(...credit(state));
  return effects;
}

/** Adds the pieces to `effects`. Returns what is wrong with the tokens; undefined: nothing. */
function takeTokens(
  state: AnswerState,
  part: ChoiceTokens,
  effects: AnswerEffect[],
): string | undefined {
  const choice = state.choices[part.choice];
  if (choice === undefined) return `tokens of choice ${part.choice}, which there is not`;
  state.received += part.tokens.length;
  if (choice.ended) return undefined;
  const { tokens, text } = choice;
  if (part.first_index > tokens.length) {
    return `token ${tokens.length} of choice ${part.choice} is missing`;
  }
  if (part.first_index + part.tokens.length > tokens.length) state.fetches = 0;
  if (tokens.length < choice.scored) takeScores(choice, part, effects);
  for (let i = tokens.length - part.first_index; i < part.tokens.length; i++) {
    if (choice.ended) return undefined;
    const token = part.tokens[i]!;
    tokens.push(token);
    const logprob = part.logprobs[i];
    if (logprob !== undefined) choice.logprobs?.push(logprob);
    const out = pushToken(text, token, logprob);
    if (out.piece !== undefined) effects.push({ kind: "piece", piece: out.piece });
    if (out.stopped !== undefined) {
      endChoice(state, part.choice, { reason: "stop", stop_reason: out.stopped }, effects);
      effects.push(...endAtWorker(state, part.choice));
    }
  }
  return undefined;
}

/** Takes the part's scores of the prompt; tokens of the answer may follow them. */
function takeScores(choice: Choice, part: ChoiceTokens, effects: AnswerEffect[]): void {
  const { tokens, text, scored } = choice;
  const scores: PromptScore[] = [];
  for (let i = tokens.length - part.first_index; i < part.tokens.length; i++) {
    if (tokens.length === scored) break;
    const token = part.tokens[i]!;
    const logprob = part.logprobs[i];
    tokens.push(token);
    if (logprob !== undefined) choice.logprobs?.push(logprob);
    scores.push(promptScore(text.tokenizer, token, logprob));
  }
  if (scores.length === 0) return;
  text.delivered += scores.length;
  const { delivered } = text;
  const last = delivered === scored;
  effects.push({ kind: "scores", scores: { choice: part.choice, scores, delivered, last } });
}

/** The worker has the missing tokens. */
export function onMissing(state: AnswerState, what: string): readonly AnswerEffect[] {
  const fetch = fetchMissing(state);
  return fetch === undefined ? onBroken(state, what) : [fetch];
}

/** Another worker makes the lost tokens again. */
export function onBroken(state: AnswerState, what: string): readonly AnswerEffect[] {
  return onWorkerLost(state, { how: "silent", detail: what });
}

/** Returns other effects if the answer cannot go on at this worker. */
function takeFinished(
  state: AnswerState,
  finished: Finished,
  effects: AnswerEffect[],
): readonly AnswerEffect[] | undefined {
  const choice = state.choices[finished.choice];
  if (choice === undefined || choice.settled) return undefined;
  // All choices share their prompt: it was cached as far as the one that met it first had it.
  if (finished.cached_tokens < state.cached_tokens) {
    state.cached_tokens = finished.cached_tokens;
    state.cached_from = finished.cached_from;
  }
  const { reason, drafts } = finished;
  if (drafts !== undefined) state.drafts = bothDrafts(state.drafts, drafts);
  if (choice.ended || reason === "stop" || reason === "length") {
    if (!choice.ended && finished.total_tokens !== choice.tokens.length) {
      const missing = `tokens of choice ${finished.choice} after ${choice.tokens.length} are missing`;
      return [...effects, ...onMissing(state, missing)];
    }
    choice.settled = true;
    if (!choice.ended) choice.finished = finished;
    if (!choice.ended) finish(state, finished.choice, finished, effects);
    return undefined;
  }
  if (reason === "deadline") {
    return [...effects, ...fail(state, failure("deadline", TOO_LONG), "late")];
  }
  const { refusal } = finished;
  if (refusal !== undefined) {
    return [...effects, ...onLateRefusal(state, refusal, finished.error)];
  }
  const why =
    finished.error === "" ? `The engine ended this answer with "${reason}".` : finished.error;
  return [...effects, ...migrate(state, "failed", true, failure("engine_error", why))];
}

/** Grants more credit when half of the window is used up and the sink has room. */
export function credit(state: AnswerState): readonly AnswerEffect[] {
  if (state.phase !== "live" && state.phase !== "starting") return [];
  if (state.full) return [];
  const window_tokens = windowOf(state);
  if (state.granted >= state.wanted) return [];
  if (state.granted - state.received > window_tokens / 2) return [];
  state.granted = state.received + window_tokens;
  const request = workerRequest(state);
  const message: Credit = { kind: "credit", request, tokens_total: state.granted };
  return [{ kind: "tell_worker", message }];
}

const bothDrafts = (a: Drafts | undefined, b: Drafts): Drafts =>
  a === undefined ? b : { right: a.right + b.right, wrong: a.wrong + b.wrong };
