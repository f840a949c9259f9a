/**
 * Placement: which worker makes the answer. The stream asks the router, waits out its refusals for
 * as long as that makes sense, and asks the worker that it names to begin.
 */
import { bytesOf } from "../../llm/tokens/token-bytes.ts";
import type { PlanLeg, Route } from "../../proto/index.ts";
import { fail } from "./ending.ts";
import { failure } from "./failures.ts";
import type { AnswerEffect } from "./inputs-and-effects.ts";
import { handOffOf, startPrefill } from "./prefill/prefill-leg.ts";
import {
  type AnswerState,
  hasBegun,
  promptToPlace,
  resumableOf,
  scoresToMake,
  startsOf,
  tokensToMake,
  windowOf,
  workerRequest,
} from "./state.ts";
import { isSuspect } from "./suspicion.ts";
import type { AnswerFailure, HeldAttempt } from "./types.ts";

/** Refusals that may be over soon. The router itself waits a while before it says the first. */
const passing: readonly string[] = ["no_worker", "overloaded", "rate_limited"];

/** Retries that one `no_worker` counts for: the router waits 10 s before it says that. */
const NO_WORKER_RETRIES = 16;

export function askRouter(state: AnswerState): AnswerEffect {
  const { request, model, pin, hints, adapter, salt } = state.request;
  const route: Route = {
    kind: "route",
    request,
    model,
    prompt: promptToPlace(state),
    max_tokens: tokensToMake(state),
    exclude: [...state.excluded, ...state.prefills_lost],
    pin,
    continued: hasBegun(state),
    spare: state.moving === "starved",
    // Scores need every token of the prompt, and a suspect is not given to two workers at a time.
    ...(scoresToMake(state) > 0 || isSuspect(state.suspicion) ? { whole: true } : {}),
    ...(hints === undefined ? {} : { hints }),
    ...(adapter === undefined ? {} : { adapter }),
    ...(salt === undefined ? {} : { salt }),
  };
  return { kind: "ask_router", attempt: state.attempt, route };
}

export function onRouterLost(state: AnswerState): readonly AnswerEffect[] {
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

/** A client that has a part of its answer waits for the rest, within reason. */
export function onRouteRefused(
  state: AnswerState,
  refusal: AnswerFailure,
): readonly AnswerEffect[] {
  if (state.moving !== undefined) return stay(state);
  if (state.phase !== "routing") return [];
  if (!hasBegun(state)) {
    const { cause } = state;
    // The last worker's error says more than that no other worker is left.
    const why = cause?.code === "engine_error" ? cause : refusal;
    if (!state.may_answer) return fail(state, why, "failed");
    // There is no other worker; the one that was out of reach may be in reach again.
    state.may_answer = false;
    state.excluded = [];
    return [{ kind: "ask_router_later", attempt: state.attempt, tries: 1 }];
  }
  state.router_retries += refusal.code === "no_worker" ? NO_WORKER_RETRIES : 1;
  const patient = state.router_retries <= state.limits.router_retries;
  if (!patient || !passing.includes(refusal.code)) {
    return fail(state, state.cause ?? refusal, "failed");
  }
  // A worker that failed this answer before is better than none.
  state.excluded = [];
  return [{ kind: "ask_router_later", attempt: state.attempt, tries: state.router_retries }];
}

/** There is no other place now, so the answer stays. A move that is still needed is asked again. */
function stay(state: AnswerState): readonly AnswerEffect[] {
  // A full worker is not faulty, so it may be chosen again later.
  if (state.moving === "starved") state.excluded = [];
  state.moving = undefined;
  return [];
}

/** Asks this worker for the answer, or for what is still to be made of it. */
export function startAt(
  state: AnswerState,
  leg: PlanLeg,
  prefill?: PlanLeg,
): readonly AnswerEffect[] {
  const { request } = state;
  place(state, leg, workerRequest(state, 0));
  const first = prefill === undefined ? [] : startPrefill(state, prefill);
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
    alone: isSuspect(state.suspicion),
    ...(request.adapter === undefined ? {} : { adapter: request.adapter }),
    ...(request.salt === undefined ? {} : { salt: request.salt }),
    ...(request.owner === undefined ? {} : { owner: request.owner }),
    ...(request.predicted === undefined ? {} : { predicted: bytesOf(request.predicted) }),
    ...(request.constraint === undefined ? {} : { constraint: request.constraint }),
    ...resumableOf(state),
    ...(state.prefill === undefined ? {} : { hand_off: handOffOf(state.prefill) }),
  };
  return [...first, { kind: "ask_worker", attempt: state.attempt, leg, generate }];
}

/** A worker has the answer already, with all its tokens, and sends them from the first one on. */
export function takeUp(state: AnswerState, held: HeldAttempt): readonly AnswerEffect[] {
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

/** From here on the answer's tokens come from this worker. */
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
  state.wanted = tokensToMake(state) + scoresToMake(state);
}
