/**
 * One answer from admission to its end, as data: what comes in is an `AnswerInput`, what has to be
 * done about it is a list of `AnswerEffect`. No actor, clock or sink here, so that every order of
 * events can be tried.
 *
 *   routing ─plan─▶ starting ─accepted─▶ live ─last choice ended─▶ settling ─▶ ended
 *      ▲               │                  │
 *      └── refused, or the worker lost: on another one, behind the tokens that are here
 *
 * Exactly one `done` or `failed` comes out, always, and nothing after it.
 */
import type {
  Cancel,
  ChoiceTokens,
  Credit,
  Detach,
  Finished,
  PlanLeg,
  Route,
  RouteEnded,
  TokenBatch,
} from "../../proto/index.ts";
import { workerKey } from "../names/names.ts";
import { accuse, acquit, explain, isSuspect, quarantineMessage, verdictOf } from "./blame.ts";
import { finishText, pushToken } from "./choice-text.ts";
import { failure } from "./failures.ts";
import { fetchMissing } from "./fetch.ts";
import type { AnswerEffect, AnswerInput, MoveReason, SeekReason } from "./inputs-and-effects.ts";
import {
  type AnswerState,
  allEnded,
  hasBegun,
  isBehind,
  promptToPlace,
  resumableOf,
  startsOf,
  tokensHere,
  tokensToMake,
  windowOf,
  workerRequest,
} from "./state.ts";
import type { AnswerEnd, AnswerFailure, HeldAttempt } from "./types.ts";

const TOO_LONG =
  "This answer took longer than a request may. Ask for fewer tokens, or try again when less is to do.";

/** Changes `state` and says what to do, in order. */
export function advance(state: AnswerState, input: AnswerInput): readonly AnswerEffect[] {
  if (state.phase === "ended") return [];
  if ("attempt" in input && input.attempt !== state.attempt) return [];
  switch (input.kind) {
    case "begin":
      return state.request.held === undefined
        ? [askRouter(state)]
        : takeUp(state, state.request.held);
    case "route_again": {
      const seeks = state.phase === "routing" || state.moving !== undefined;
      return seeks ? [askRouter(state)] : [];
    }
    case "planned":
      return onPlanned(state, input.leg);
    case "route_refused":
      return onRouteRefused(state, failure(input.code, input.message, input.retry_after_ms));
    case "router_lost":
      return onRouterLost(state);
    case "accepted":
      if (state.phase === "starting") state.phase = "live";
      state.accepted = true;
      state.router_retries = 0;
      return [];
    case "generate_refused":
      return onGenerateRefused(state, input.code, input.message);
    case "worker_lost":
      return onWorkerLost(state, input);
    case "explained":
      if (state.phase !== "routing") return [];
      explain(state.blame, input.crashes);
      return nextPlace(state);
    case "tokens_missing":
      return state.fetching || state.phase === "routing" ? [] : onMissing(state, input.detail);
    case "fetched":
      if (input.reader === state.reader) state.fetching = false;
      return [];
    case "fetch_failed":
      return input.reader === state.reader ? onBroken(state, input.detail) : [];
    case "token_batch":
      return onBatch(state, input);
    case "hand_over":
      return input.request === workerRequest(state) ? seekPlace(state, "handed_over") : [];
    case "away":
    case "starved":
      return seekPlace(state, input.kind);
    case "steady":
      state.migrations = 0;
      state.excluded = [];
      return [];
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
    case "leave":
      return onLeave(state, failure("interrupted", input.reason));
  }
}

/** It is at a worker already, with all its tokens: they come from the first one on. */
function takeUp(state: AnswerState, held: HeldAttempt): readonly AnswerEffect[] {
  const { request, worker, ref } = held;
  const leg: PlanLeg = { role: "aggregated", worker, ref };
  place(state, leg, request);
  const attach = {
    kind: "attach" as const,
    request,
    alias: workerRequest(state),
    window_tokens: state.granted,
    from: [],
    instead_of: "",
  };
  return [{ kind: "attach", attempt: state.attempt, leg, attach }];
}

/** Its worker keeps what there is, and goes on for a while. */
function onLeave(state: AnswerState, left: AnswerFailure): readonly AnswerEffect[] {
  const placed = state.phase !== "routing";
  if (state.request.resumable === undefined || !placed) return fail(state, left, "cancelled");
  const message: Detach = { kind: "detach", request: workerRequest(state) };
  state.phase = "ended";
  return [
    { kind: "tell_worker", message },
    ...leave(state, "cancelled"),
    { kind: "failed", failure: left },
  ];
}

function askRouter(state: AnswerState): AnswerEffect {
  const { request, model, pin, hints } = state.request;
  const route: Route = {
    kind: "route",
    request,
    model,
    prompt: promptToPlace(state),
    max_tokens: tokensToMake(state),
    exclude: [...state.excluded],
    pin,
    continued: hasBegun(state),
    spare: state.moving === "starved",
    ...(hints === undefined ? {} : { hints }),
  };
  return { kind: "ask_router", attempt: state.attempt, route };
}

function onRouterLost(state: AnswerState): readonly AnswerEffect[] {
  const { moving } = state;
  if (state.phase !== "routing" && moving === undefined) return [];
  state.router_retries++;
  if (state.router_retries > state.limits.router_retries) {
    if (moving !== undefined) return stay(state);
    const message =
      "The router is being restarted and does not answer. Try again in a few seconds.";
    return fail(state, failure("no_worker", message), "failed");
  }
  return [{ kind: "ask_router_later", attempt: state.attempt, tries: 1 }];
}

/** Refusals that may be over soon. The router itself waits a while before it says the first. */
const passing: readonly string[] = ["no_worker", "overloaded", "rate_limited"];

/** A client that has a part of its answer waits for the rest, within reason. */
function onRouteRefused(state: AnswerState, refusal: AnswerFailure): readonly AnswerEffect[] {
  if (state.moving !== undefined) return stay(state);
  if (state.phase !== "routing") return [];
  if (!hasBegun(state)) {
    const { cause } = state;
    // That no other worker is left says less than why the last one failed.
    const why = cause?.code === "engine_error" ? cause : refusal;
    if (!state.silence) return fail(state, why, "failed");
    // Nobody else is there: the one that was out of reach may be within it again.
    state.silence = false;
    state.excluded = [];
    return [{ kind: "ask_router_later", attempt: state.attempt, tries: 1 }];
  }
  state.router_retries += refusal.code === "no_worker" ? NO_WORKER_RETRIES : 1;
  const patient = state.router_retries <= state.limits.router_retries;
  if (!patient || !passing.includes(refusal.code)) {
    return fail(state, state.cause ?? refusal, "failed");
  }
  // Better one that failed it before than none.
  state.excluded = [];
  return [{ kind: "ask_router_later", attempt: state.attempt, tries: state.router_retries }];
}

/** The router has waited 10 s before it says so: as often as this fits into its retries. */
const NO_WORKER_RETRIES = 16;

/**
 * The worker is to end soon, or cannot be reached, but it goes on until there is another place:
 * what it makes meanwhile is not lost, and with no other place it may even finish.
 */
function seekPlace(state: AnswerState, why: SeekReason): readonly AnswerEffect[] {
  const live = state.phase === "live" || state.phase === "starting";
  if (!live || state.moving !== undefined) return [];
  if (state.limits.migrations === 0 || state.leg === undefined || isBehind(state)) return [];
  state.moving = why;
  state.router_retries = 0;
  const key = workerKey(state.leg.worker, state.leg.ref);
  if (!state.excluded.includes(key)) state.excluded.push(key);
  return [closeAccount(state, why), askRouter(state)];
}

/** There is no other place now; whoever wanted one will ask again. */
function stay(state: AnswerState): readonly AnswerEffect[] {
  // Nothing is wrong with a worker that has much to do.
  if (state.moving === "starved") state.excluded = [];
  state.moving = undefined;
  return [];
}

/** What was out of reach, or its turn, is here again, and the router need not look any further. */
function stayReached(state: AnswerState): readonly AnswerEffect[] {
  const { moving } = state;
  if (moving === undefined || moving === "handed_over") return [];
  state.moving = undefined;
  state.excluded = [];
  return [closeAccount(state, moving)];
}

/** The other place is there: what came until now goes along. */
function moveTo(state: AnswerState, leg: PlanLeg, why: SeekReason): readonly AnswerEffect[] {
  state.moving = undefined;
  const cancelled = cancel(state, why);
  const ends = endSpent(state);
  if (allEnded(state)) return [...cancelled, ...ends, ...done(state)];
  const moves = movesNow(state, why);
  state.phase = "routing";
  state.attempt++;
  return [...cancelled, ...ends, moves, { kind: "leave_worker" }, ...onPlanned(state, leg)];
}

function onPlanned(state: AnswerState, leg: PlanLeg): readonly AnswerEffect[] {
  if (state.moving !== undefined) return moveTo(state, leg, state.moving);
  // It stayed where it is meanwhile.
  if (state.phase !== "routing") return [closeAccount(state, "refused", 0, leg.worker)];
  const { request } = state;
  place(state, leg, workerRequest(state, 0));
  const generate = {
    kind: "generate" as const,
    request: workerRequest(state),
    model: request.model,
    prompt: state.prompt_bytes,
    sampling: request.sampling,
    choices: startsOf(state),
    min_tokens: request.min_tokens,
    stop_tokens: request.stop_tokens,
    ignore_eos: request.ignore_eos,
    logprobs: request.logprobs,
    window_tokens: state.granted,
    alone: isSuspect(state.blame),
    ...resumableOf(state),
  };
  return [{ kind: "ask_worker", attempt: state.attempt, leg, generate }];
}

/** From here on its tokens come from that worker. */
function place(state: AnswerState, leg: PlanLeg, made_as: string): void {
  state.phase = "starting";
  state.made_as = made_as;
  state.reader = 0;
  state.fetching = false;
  state.fetches = 0;
  state.has_output = false;
  state.accepted = false;
  state.leg = leg;
  state.received = 0;
  state.granted = windowOf(state);
  state.wanted = tokensToMake(state);
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
  const refusal = failure("overloaded", message);
  if (!hasBegun(state) && state.attempt >= state.limits.attempts) {
    return fail(state, refusal, outcome);
  }
  return goElsewhere(state, outcome, true, refusal);
}

type WorkerLost = Omit<Extract<AnswerInput, { kind: "worker_lost" }>, "kind" | "attempt">;

function onWorkerLost(state: AnswerState, lost: WorkerLost): readonly AnswerEffect[] {
  if (state.phase === "routing") return [];
  if (state.phase === "settling") return done(state);
  const { how, death = "killed", at_ms = 0, detail } = lost;
  const avoid = how === "silent";
  const words = `The worker of this answer was lost (${detail}). Send the request again.`;
  const cause = failure("worker_lost", words);
  state.silence ||= avoid;
  // A suspect that was not accepted yet waited outside of the engine.
  const inside = state.accepted || !isSuspect(state.blame);
  if (inside && !state.has_output) accuse(state.blame, death, state.leg?.worker ?? "", at_ms);
  return migrate(state, death === "crash" ? "crashed" : "lost", avoid, cause);
}

/**
 * The worker cannot finish it, but another one can: what is here goes along. An answer of which
 * nothing is here begins anew.
 */
function migrate(
  state: AnswerState,
  outcome: "lost" | "crashed" | "failed",
  avoid: boolean,
  cause: AnswerFailure,
): readonly AnswerEffect[] {
  if (isBehind(state)) return fail(state, cause, outcome);
  if (verdictOf(state.blame) === "quarantined") return quarantine(state, outcome);
  const begun = hasBegun(state);
  const spent = begun ? state.migrations : state.attempt - 1;
  const most = begun ? state.limits.migrations : state.limits.attempts - 1;
  if (spent >= most) return fail(state, cause, outcome);
  if (begun) state.migrations++;
  // It may live, behind a broken connection, and go on for nobody.
  const cancelled = cancel(state, outcome);
  const ends = endSpent(state);
  if (allEnded(state)) return [...cancelled, ...ends, ...done(state)];
  return [...cancelled, ...ends, ...goElsewhere(state, outcome, avoid, cause)];
}

/** Choices that have all their tokens, but whose worker did not come to say so. */
function endSpent(state: AnswerState): readonly AnswerEffect[] {
  const effects: AnswerEffect[] = [];
  for (const [number, choice] of state.choices.entries()) {
    if (choice.ended) choice.settled = true;
    if (choice.ended || choice.tokens.length < state.request.max_tokens) continue;
    choice.settled = true;
    finish(state, number, "length", undefined, effects);
  }
  return effects;
}

function movesNow(state: AnswerState, why: MoveReason): AnswerEffect {
  return { kind: "moves", why, worker: state.leg?.worker ?? "", tokens: tokensHere(state) };
}

function goElsewhere(
  state: AnswerState,
  outcome: MoveReason,
  avoid: boolean,
  cause: AnswerFailure,
): readonly AnswerEffect[] {
  const left = [movesNow(state, outcome), ...leave(state, outcome)];
  if (avoid && state.leg !== undefined) {
    state.excluded.push(workerKey(state.leg.worker, state.leg.ref));
  }
  state.cause = cause;
  state.moving = undefined;
  state.phase = "routing";
  state.leg = undefined;
  state.attempt++;
  return [...left, ...nextPlace(state)];
}

/** Unless it is what its last workers died of. */
function nextPlace(state: AnswerState): readonly AnswerEffect[] {
  const { attempt, blame } = state;
  const verdict = verdictOf(blame);
  if (verdict === "quarantined") return quarantine(state, "crashed");
  if (verdict === "free") return [askRouter(state)];
  return [{ kind: "ask_deaths", attempt, deaths: blame.unexplained }];
}

function quarantine(state: AnswerState, outcome: string): readonly AnswerEffect[] {
  return fail(state, failure("quarantined", quarantineMessage), outcome);
}

function onLate(state: AnswerState): readonly AnswerEffect[] {
  if (state.phase === "settling") return [...cancel(state, "late"), ...done(state)];
  return fail(state, failure("deadline", TOO_LONG), "late");
}

function onBatch(state: AnswerState, batch: TokenBatch): readonly AnswerEffect[] {
  if (state.phase === "routing" || batch.request !== workerRequest(state)) return [];
  // Tokens may overtake the reply that says they will come.
  if (state.phase === "starting") state.phase = "live";
  state.fetching = false;
  const effects: AnswerEffect[] = [...stayReached(state)];
  const first = !state.has_output && batch.choices.length > 0;
  if (first) {
    state.has_output = true;
    acquit(state.blame);
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
  if (state.choices.every((choice) => choice.settled)) return [...effects, ...done(state)];
  if (state.phase === "live" && state.choices.every((choice) => choice.ended)) {
    state.phase = "settling";
    state.moving = undefined;
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
  const { tokens, text } = choice;
  if (part.first_index > tokens.length) {
    return `token ${tokens.length} of choice ${part.choice} is missing`;
  }
  if (part.first_index + part.tokens.length > tokens.length) state.fetches = 0;
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

/** The worker has what is missing. */
function onMissing(state: AnswerState, what: string): readonly AnswerEffect[] {
  const fetch = fetchMissing(state);
  return fetch === undefined ? onBroken(state, what) : [fetch];
}

/** Another worker makes the lost tokens again. */
function onBroken(state: AnswerState, what: string): readonly AnswerEffect[] {
  return onWorkerLost(state, { how: "silent", detail: what });
}

/** Returns the effects that follow instead, when the answer cannot go on here. */
function takeFinished(
  state: AnswerState,
  finished: Finished,
  effects: AnswerEffect[],
): readonly AnswerEffect[] | undefined {
  const choice = state.choices[finished.choice];
  if (choice === undefined || choice.settled) return undefined;
  if (finished.cached_tokens > state.cached_tokens) state.cached_tokens = finished.cached_tokens;
  const { reason } = finished;
  if (choice.ended || reason === "stop" || reason === "length") {
    if (!choice.ended && finished.total_tokens !== choice.tokens.length) {
      const missing = `tokens of choice ${finished.choice} after ${choice.tokens.length} are missing`;
      return [...effects, ...onMissing(state, missing)];
    }
    choice.settled = true;
    if (!choice.ended) choice.finished = finished;
    if (!choice.ended) finish(state, finished.choice, reason, finished.stop_token, effects);
    return undefined;
  }
  if (finished.error === "deadline") {
    return [...effects, ...fail(state, failure("deadline", TOO_LONG), "late")];
  }
  const why =
    finished.error === "" ? `The engine ended this answer with "${reason}".` : finished.error;
  return [...effects, ...migrate(state, "failed", true, failure("engine_error", why))];
}

/** The choice has all its tokens. `stop_token`: what ended it; -1 or undefined: none did. */
function finish(
  state: AnswerState,
  number: number,
  reason: string,
  stop_token: number | undefined,
  effects: AnswerEffect[],
): void {
  const out = finishText(state.choices[number]!.text);
  if (out.piece !== undefined) effects.push({ kind: "piece", piece: out.piece });
  // The model's own end token is not told; one that the client asked for is.
  const asked = stop_token !== undefined && state.request.stop_tokens.includes(stop_token);
  const by_token = asked ? stop_token : undefined;
  const stop_reason = out.stopped ?? by_token;
  const told = out.stopped === undefined && reason === "length" ? "length" : "stop";
  const end: Omit<AnswerEnd, "choice"> = { reason: told };
  endChoice(state, number, stop_reason === undefined ? end : { ...end, stop_reason }, effects);
}

function endChoice(
  state: AnswerState,
  number: number,
  end: Omit<AnswerEnd, "choice">,
  effects: AnswerEffect[],
): void {
  state.choices[number]!.ended = true;
  effects.push({ kind: "end", end: { choice: number, ...end } });
}

/** The client has all it wants of this choice; only its end is waited for. */
function endAtWorker(state: AnswerState, number: number): readonly AnswerEffect[] {
  const request = workerRequest(state);
  const message: Cancel = { kind: "cancel", request, reason: "stop_string", choices: [number] };
  return [{ kind: "tell_worker", message }];
}

/** More credit when half of the window is used up, and the sink takes what comes. */
function credit(state: AnswerState): readonly AnswerEffect[] {
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

function cancel(state: AnswerState, reason: string): readonly AnswerEffect[] {
  if (state.leg === undefined) return [];
  // Should the worker not have heard that it is read by another name now, the last one counts.
  const readers = state.reader === 0 ? [0] : [state.reader, state.reader - 1];
  return readers.map((reader) => {
    const request = workerRequest(state, reader);
    const message: Cancel = { kind: "cancel", request, reason, choices: [] };
    return { kind: "tell_worker", message };
  });
}

function leave(state: AnswerState, outcome: string, output_tokens = 0): readonly AnswerEffect[] {
  return [{ kind: "leave_worker" }, closeAccount(state, outcome, output_tokens)];
}

function closeAccount(
  state: AnswerState,
  outcome: string,
  output_tokens = 0,
  worker = state.leg?.worker ?? "",
): AnswerEffect {
  const { request } = state.request;
  const message: RouteEnded = { kind: "route_ended", request, worker, outcome, output_tokens };
  return { kind: "tell_router", message };
}

function done(state: AnswerState): readonly AnswerEffect[] {
  state.phase = "ended";
  let completion_tokens = 0;
  for (const choice of state.choices) completion_tokens += choice.tokens.length;
  const { cached_tokens } = state;
  const usage = { prompt_tokens: state.request.prompt.length, completion_tokens, cached_tokens };
  return [...leave(state, "finished", completion_tokens), { kind: "done", usage }];
}

function fail(
  state: AnswerState,
  failure: AnswerFailure,
  outcome: string,
): readonly AnswerEffect[] {
  const cancelled = outcome === "refused" ? [] : cancel(state, failure.code);
  state.phase = "ended";
  return [...cancelled, ...leave(state, outcome), { kind: "failed", failure }];
}
