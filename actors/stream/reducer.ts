/**
 * One answer from admission to its end, as data: an `AnswerInput` comes in, a list of
 * `AnswerEffect` comes out. There is no actor, clock or sink here, so that tests can try every
 * order of events.
 *
 *   routing ─plan─▶ starting ─accepted─▶ live ─last choice ended─▶ settling ─▶ ended
 *      ▲               │                  │
 *      └── refused, or the worker lost: on at another one, behind the tokens that are here
 *
 * Exactly one `done` or `failed` comes out, and nothing after it.
 */
import type { Detach, PlanLeg } from "../../proto/index.ts";
import { cancel, closeAccount, done, fail, leave } from "./ending.ts";
import { failure, TOO_LONG } from "./failures.ts";
import type { AnswerEffect, AnswerInput } from "./inputs-and-effects.ts";
import { moveTo, nextPlace, onGenerateRefused, onWorkerLost, seekPlace } from "./migration.ts";
import { askRouter, onRouteRefused, onRouterLost, startAt, takeUp } from "./placement.ts";
import { onPrefillBatch, onPrefillLost, onPrefillPlanned } from "./prefill/prefill-leg.ts";
import { type AnswerState, isSettled, workerRequest } from "./state.ts";
import { explainDeaths } from "./suspicion.ts";
import { credit, onBatch, onBroken, onMissing } from "./token-intake.ts";
import type { AnswerFailure } from "./types.ts";

/** Changes `state` and returns the effects to carry out, in order. */
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
      return onPlanned(state, input.leg, input.prefill);
    case "prefill_planned":
      return onPrefillPlanned(state, input.leg);
    case "prefill_lost":
      return settledBy(state, onPrefillLost(state, input));
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
      return onGenerateRefused(state, input);
    case "worker_lost":
      return onWorkerLost(state, input);
    case "explained":
      if (state.phase !== "routing") return [];
      explainDeaths(state.suspicion, input.crashes);
      return nextPlace(state);
    case "tokens_missing":
      return state.fetching || state.phase === "routing" ? [] : onMissing(state, input.detail);
    case "fetched":
      if (input.reader === state.reader) state.fetching = false;
      return [];
    case "fetch_failed":
      return input.reader === state.reader ? onBroken(state, input.detail) : [];
    case "token_batch":
      if (input.request === state.prefill?.id) {
        return settledBy(state, onPrefillBatch(state, input));
      }
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
      return state.phase === "settling" ? [...cancel(state), ...done(state)] : [];
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

/** An answer that has all its tokens ends when its prefill leg, too, is over. */
function settledBy(state: AnswerState, effects: readonly AnswerEffect[]): readonly AnswerEffect[] {
  const last = state.phase === "settling" && state.prefill === undefined && isSettled(state);
  return last ? [...effects, ...done(state)] : effects;
}

function onPlanned(
  state: AnswerState,
  leg: PlanLeg,
  prefill: PlanLeg | undefined,
): readonly AnswerEffect[] {
  if (state.moving !== undefined) return moveTo(state, leg, prefill, state.moving);
  // The plan is not needed any more: the answer stays at its worker.
  if (state.phase !== "routing") return [closeAccount(state, "refused", 0, leg.worker)];
  return startAt(state, leg, prefill);
}

/** The worker keeps the answer and goes on with it for a while. */
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

function onLate(state: AnswerState): readonly AnswerEffect[] {
  if (state.phase === "settling") return [...cancel(state), ...done(state)];
  return fail(state, failure("deadline", TOO_LONG), "late");
}
