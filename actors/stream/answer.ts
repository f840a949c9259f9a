/**
 * One answer from admission to its end, as data: what comes in is an `AnswerInput`, what has to be
 * done about it is a list of `AnswerEffect`. No actor, clock or sink here, so that every order of
 * events can be tried.
 *
 *   routing ─plan─▶ starting ─accepted─▶ live ─last choice ended─▶ settling ─▶ ended
 *      ▲               │                  │
 *      └── refused, or lost with nothing delivered: another worker
 *
 * Exactly one `done` or `failed` comes out, always, and nothing after it.
 */
import { bytesOf } from "../../llm/token-bytes.ts";
import type { Tokenizer } from "../../llm/tokenizer.ts";
import type {
  Cancel,
  ChoiceTokens,
  Credit,
  Finished,
  Plan,
  Route,
  RouteEnded,
  TokenBatch,
} from "../../proto/index.ts";
import { workerKey } from "../router/router.ts";
import type { AnswerEffect, AnswerInput } from "./answer-events.ts";
import { type ChoiceText, finishText, newChoiceText, pushToken } from "./choice-text.ts";
import { failure } from "./failures.ts";
import type { AnswerEnd, AnswerFailure, AnswerRequest } from "./stream.ts";

export type AnswerLimits = {
  /** Workers tried before an answer that has delivered nothing fails. */
  readonly attempts: number;
  /** Tokens that may be on their way from the worker. */
  readonly window_tokens: number;
  /** How often a router that is not there is asked again. */
  readonly router_retries: number;
};

type Choice = {
  readonly text: ChoiceText;
  /** Answer index of the next token. */
  next_index: number;
  /** The client was told its end, or ended it by a stop string. */
  ended: boolean;
  /** The worker has told its end; of a choice ended by a stop string this comes later. */
  settled: boolean;
};

export type AnswerState = {
  readonly request: AnswerRequest;
  readonly prompt_bytes: Uint8Array;
  readonly tokenizer: Tokenizer;
  readonly limits: AnswerLimits;
  phase: "routing" | "starting" | "live" | "settling" | "ended";
  /** From 1; replies to an earlier attempt are told apart by it. */
  attempt: number;
  router_retries: number;
  /** Starts of workers that this answer must not go to again. */
  excluded: string[];
  plan: Plan | undefined;
  choices: Choice[];
  /** The client has something of this answer: it cannot begin anew. */
  begun: boolean;
  /** Tokens that came from the current worker, and how many it may send in all. */
  received: number;
  granted: number;
  /** The sink's buffer is full. */
  full: boolean;
  cached_tokens: number;
};

export function newAnswer(
  request: AnswerRequest,
  tokenizer: Tokenizer,
  limits: AnswerLimits,
): AnswerState {
  return {
    request,
    prompt_bytes: bytesOf(request.prompt),
    tokenizer,
    limits,
    phase: "routing",
    attempt: 1,
    router_retries: 0,
    excluded: [],
    plan: undefined,
    choices: [],
    begun: false,
    received: 0,
    granted: 0,
    full: false,
    cached_tokens: 0,
  };
}

/** Changes `state` and says what to do, in order. */
export function advance(state: AnswerState, input: AnswerInput): readonly AnswerEffect[] {
  if (state.phase === "ended") return [];
  if ("attempt" in input && input.attempt !== state.attempt) return [];
  switch (input.kind) {
    case "begin":
    case "route_again":
      return [askRouter(state)];
    case "planned":
      return onPlanned(state, input.plan);
    case "route_refused":
      return fail(state, failure(input.code, input.message, input.retry_after_ms), "failed");
    case "router_lost":
      return onRouterLost(state);
    case "accepted":
      if (state.phase === "starting") state.phase = "live";
      return [];
    case "generate_refused":
      return onGenerateRefused(state, input.code, input.message);
    case "worker_lost":
      return onWorkerLost(state, input.how === "silent", input.detail);
    case "token_batch":
      return onBatch(state, input);
    case "settle_late":
      return state.phase === "settling" ? [...cancel(state, "settle_late"), ...done(state)] : [];
    case "late":
      return onLate(state);
    case "filled":
      state.full = true;
      return [];
    case "drained":
      state.full = false;
      return credit(state);
    case "abandon":
      return fail(state, failure("cancelled", input.reason), "cancelled");
  }
}

function askRouter(state: AnswerState): AnswerEffect {
  const { request, model, pin, hints, choices, max_tokens } = state.request;
  const route: Route = {
    kind: "route",
    request,
    model,
    prompt: state.prompt_bytes,
    max_tokens: choices * max_tokens,
    exclude: [...state.excluded],
    pin,
    ...(hints === undefined ? {} : { hints }),
  };
  return { kind: "ask_router", attempt: state.attempt, route };
}

function onRouterLost(state: AnswerState): readonly AnswerEffect[] {
  if (state.phase !== "routing") return [];
  state.router_retries++;
  if (state.router_retries > state.limits.router_retries) {
    return fail(state, failure("no_worker", "the router does not answer"), "failed");
  }
  return [{ kind: "ask_router_later", attempt: state.attempt }];
}

function onPlanned(state: AnswerState, plan: Plan): readonly AnswerEffect[] {
  if (state.phase !== "routing") return [];
  const { request, tokenizer } = state;
  state.phase = "starting";
  state.plan = plan;
  state.received = 0;
  state.granted = windowOf(state);
  state.choices = Array.from({ length: request.choices }, (_, choice) => ({
    text: newChoiceText(choice, request, tokenizer),
    next_index: 0,
    ended: false,
    settled: false,
  }));
  const generate = {
    kind: "generate" as const,
    request: workerRequest(state),
    model: request.model,
    prompt: state.prompt_bytes,
    sampling: request.sampling,
    choices: state.choices.map((_, choice) => ({
      choice,
      delivered: new Uint8Array(0),
      max_tokens: request.max_tokens,
    })),
    min_tokens: request.min_tokens,
    stop_tokens: request.stop_tokens,
    ignore_eos: request.ignore_eos,
    logprobs: request.logprobs,
    window_tokens: state.granted,
  };
  return [{ kind: "ask_worker", attempt: state.attempt, plan, generate }];
}

/** Each attempt has its own name at its worker, so that late tokens of a lost one are known. */
function workerRequest(state: AnswerState): string {
  const { request } = state.request;
  return state.attempt === 1 ? request : `${request}~${state.attempt}`;
}

/** Refusals that another worker may not share: of one that is busy, or of no use any more. */
const elsewhere: Readonly<Record<string, "refused" | "lost">> = {
  queue_full: "refused",
  draining: "lost",
  model_mismatch: "lost",
  closed: "lost",
};

function onGenerateRefused(
  state: AnswerState,
  code: string,
  message: string,
): readonly AnswerEffect[] {
  if (state.phase !== "starting") return [];
  const outcome = elsewhere[code];
  if (outcome === undefined) return fail(state, failure(code, message), "refused");
  return tryElsewhere(state, outcome, true, failure("overloaded", message));
}

/**
 * An answer whose client has nothing of it yet begins anew on another worker. One that has begun
 * ends here; to go on, it would ask for a plan with the tokens that were delivered.
 */
function onWorkerLost(state: AnswerState, avoid: boolean, detail: string): readonly AnswerEffect[] {
  if (state.phase === "routing") return [];
  if (state.phase === "settling") return done(state);
  const lost = failure("worker_lost", `the worker of this answer was lost: ${detail}`);
  if (state.begun) return fail(state, lost, "lost");
  return tryElsewhere(state, "lost", avoid, lost);
}

function tryElsewhere(
  state: AnswerState,
  outcome: string,
  avoid: boolean,
  otherwise: AnswerFailure,
): readonly AnswerEffect[] {
  if (state.attempt >= state.limits.attempts) return fail(state, otherwise, outcome);
  const left = leave(state, outcome);
  if (avoid && state.plan !== undefined) {
    state.excluded.push(workerKey(state.plan.worker, state.plan.ref));
  }
  state.phase = "routing";
  state.plan = undefined;
  state.choices = [];
  state.attempt++;
  return [...left, askRouter(state)];
}

function onLate(state: AnswerState): readonly AnswerEffect[] {
  if (state.phase === "settling") return [...cancel(state, "late"), ...done(state)];
  return fail(state, failure("deadline", "the answer took longer than it may"), "failed");
}

function onBatch(state: AnswerState, batch: TokenBatch): readonly AnswerEffect[] {
  if (state.phase === "routing" || batch.request !== workerRequest(state)) return [];
  // Tokens may overtake the reply that says they will come.
  if (state.phase === "starting") state.phase = "live";
  const effects: AnswerEffect[] = [];
  const first = state.received === 0 && batch.choices.length > 0;
  if (first && batch.finished.length < state.choices.length) {
    const { request } = state.request;
    effects.push({ kind: "tell_router", message: { kind: "route_first", request } });
  }
  for (const part of batch.choices) {
    const broken = takeTokens(state, part, effects);
    if (broken !== undefined) return [...effects, ...onBroken(state, broken)];
  }
  for (const finished of batch.finished) {
    const stop = takeFinished(state, finished, effects);
    if (stop !== undefined) return stop;
  }
  if (state.choices.every((choice) => choice.settled)) return [...effects, ...done(state)];
  if (state.phase === "live" && state.choices.every((choice) => choice.ended)) {
    state.phase = "settling";
    effects.push({ kind: "wait_settled" });
  }
  effects.push(...credit(state));
  return effects;
}

/** Adds the pieces to `effects`; returns what is wrong with the tokens, if anything. */
function takeTokens(
  state: AnswerState,
  part: ChoiceTokens,
  effects: AnswerEffect[],
): string | undefined {
  const choice = state.choices[part.choice];
  if (choice === undefined) return `tokens of choice ${part.choice}, which there is not`;
  state.received += part.tokens.length;
  if (choice.ended) return undefined;
  if (part.first_index > choice.next_index) {
    return `token ${choice.next_index} of choice ${part.choice} is missing`;
  }
  for (let i = choice.next_index - part.first_index; i < part.tokens.length; i++) {
    if (choice.ended) return undefined;
    choice.next_index++;
    const out = pushToken(choice.text, part.tokens[i]!, part.logprobs[i]);
    if (out.piece !== undefined) {
      state.begun = true;
      effects.push({ kind: "piece", piece: out.piece });
    }
    if (out.stopped !== undefined) {
      endChoice(state, part.choice, { reason: "stop", stop_reason: out.stopped }, effects);
      effects.push(...endAtWorker(state, part.choice));
    }
  }
  return undefined;
}

/** A lost token would be asked for again here; without it the answer cannot go on. */
function onBroken(state: AnswerState, what: string): readonly AnswerEffect[] {
  return [...cancel(state, what), ...onWorkerLost(state, true, what)];
}

/** Returns the effects that end the answer instead, when it cannot go on. */
function takeFinished(
  state: AnswerState,
  finished: Finished,
  effects: AnswerEffect[],
): readonly AnswerEffect[] | undefined {
  const choice = state.choices[finished.choice];
  if (choice === undefined || choice.settled) return undefined;
  choice.settled = true;
  if (finished.cached_tokens > state.cached_tokens) state.cached_tokens = finished.cached_tokens;
  if (choice.ended) return undefined;
  const { reason } = finished;
  if (reason !== "stop" && reason !== "length") {
    const code = finished.error === "deadline" ? "deadline" : "engine_error";
    const why = finished.error === "" ? `the engine ended it with "${reason}"` : finished.error;
    return [...effects, ...fail(state, failure(code, why), "failed")];
  }
  if (finished.total_tokens !== choice.next_index) {
    const missing = `tokens of choice ${finished.choice} after ${choice.next_index} are missing`;
    return [...effects, ...onBroken(state, missing)];
  }
  const out = finishText(choice.text);
  if (out.piece !== undefined) effects.push({ kind: "piece", piece: out.piece });
  const stop_reason = out.stopped ?? (finished.stop_token < 0 ? undefined : finished.stop_token);
  const told = out.stopped === undefined ? reason : "stop";
  endChoice(
    state,
    finished.choice,
    stop_reason === undefined ? { reason: told } : { reason: told, stop_reason },
    effects,
  );
  return undefined;
}

function endChoice(
  state: AnswerState,
  number: number,
  end: Omit<AnswerEnd, "choice">,
  effects: AnswerEffect[],
): void {
  state.choices[number]!.ended = true;
  state.begun = true;
  effects.push({ kind: "end", end: { choice: number, ...end } });
}

/** The client has all it wants of this choice; only its end is waited for. */
function endAtWorker(state: AnswerState, number: number): readonly AnswerEffect[] {
  const request = workerRequest(state);
  const message: Cancel = { kind: "cancel", request, reason: "stop_string", choices: [number] };
  return [{ kind: "tell_worker", message }];
}

/** Choices share a window, but many of them would starve in that of one. */
function windowOf(state: AnswerState): number {
  const { window_tokens } = state.limits;
  return window_tokens + Math.ceil(window_tokens / 8) * (state.request.choices - 1);
}

/** More credit when half of the window is used up, and the sink takes what comes. */
function credit(state: AnswerState): readonly AnswerEffect[] {
  if (state.phase !== "live" && state.phase !== "starting") return [];
  if (state.full) return [];
  const window_tokens = windowOf(state);
  const most = state.request.choices * state.request.max_tokens;
  if (state.granted >= most || state.granted - state.received > window_tokens / 2) return [];
  state.granted = state.received + window_tokens;
  const request = workerRequest(state);
  const message: Credit = { kind: "credit", request, tokens_total: state.granted };
  return [{ kind: "tell_worker", message }];
}

function cancel(state: AnswerState, reason: string): readonly AnswerEffect[] {
  if (state.plan === undefined) return [];
  const request = workerRequest(state);
  const message: Cancel = { kind: "cancel", request, reason, choices: [] };
  return [{ kind: "tell_worker", message }];
}

function leave(state: AnswerState, outcome: string, output_tokens = 0): readonly AnswerEffect[] {
  const { request } = state.request;
  const worker = state.plan?.worker ?? "";
  const message: RouteEnded = { kind: "route_ended", request, worker, outcome, output_tokens };
  return [{ kind: "leave_worker" }, { kind: "tell_router", message }];
}

function done(state: AnswerState): readonly AnswerEffect[] {
  state.phase = "ended";
  let completion_tokens = 0;
  for (const choice of state.choices) completion_tokens += choice.next_index;
  const { cached_tokens } = state;
  const usage = { prompt_tokens: state.request.prompt.length, completion_tokens, cached_tokens };
  return [...leave(state, "finished", completion_tokens), { kind: "done", usage }];
}

function fail(
  state: AnswerState,
  failure: AnswerFailure,
  outcome: string,
): readonly AnswerEffect[] {
  const cancelled = outcome === "lost" || outcome === "refused" ? [] : cancel(state, failure.code);
  state.phase = "ended";
  return [...cancelled, ...leave(state, outcome), { kind: "failed", failure }];
}
