/**
 * Migration: an answer moves to another worker, behind the tokens that are here. Either its worker
 * cannot go on (`onWorkerLost`, `onGenerateRefused`, `migrate`), or it goes on while another place
 * is sought (`seekPlace`, then `moveTo`).
 */
import type { PlanLeg, RefusalCode } from "../../proto/index.ts";
import { processKey, workerKey } from "../names/names.ts";
import { refusalsElsewhere } from "./elsewhere.ts";
import { cancel, closeAccount, done, endSpent, fail, leave, quarantine } from "./ending.ts";
import { failure } from "./failures.ts";
import type { AnswerEffect, AnswerInput, MoveReason, SeekReason } from "./inputs-and-effects.ts";
import { askRouter, startAt } from "./placement.ts";
import { leavePrefill } from "./prefill/prefill-leg.ts";
import { type AnswerState, allEnded, hasBegun, isBehind, tokensHere } from "./state.ts";
import { addDeath, decide, isSuspect } from "./suspicion.ts";
import type { AnswerFailure } from "./types.ts";

/**
 * The worker ends soon, or is out of reach or full, and goes on until there is another place. So
 * what it makes meanwhile is not lost, and without another place it may even finish.
 */
export function seekPlace(state: AnswerState, why: SeekReason): readonly AnswerEffect[] {
  const live = state.phase === "live" || state.phase === "starting";
  if (!live || state.moving !== undefined) return [];
  if (state.limits.migrations === 0 || state.leg === undefined || isBehind(state)) return [];
  state.moving = why;
  state.router_retries = 0;
  const key = workerKey(state.leg.worker, state.leg.ref);
  if (!state.excluded.includes(key)) state.excluded.push(key);
  return [closeAccount(state, why), askRouter(state)];
}

/** The worker sends again (it was out of reach or starved), so the search for another one ends. */
export function stayReached(state: AnswerState): readonly AnswerEffect[] {
  const { moving } = state;
  if (moving === undefined || moving === "handed_over") return [];
  state.moving = undefined;
  state.excluded = [];
  return [closeAccount(state, moving)];
}

/** The router named another worker: the answer goes there with all tokens that came. */
export function moveTo(
  state: AnswerState,
  leg: PlanLeg,
  prefill: PlanLeg | undefined,
  why: SeekReason,
): readonly AnswerEffect[] {
  state.moving = undefined;
  const cancelled = cancel(state);
  const ends = endSpent(state);
  if (allEnded(state)) return [...cancelled, ...ends, ...done(state)];
  const moves = movesNow(state, why);
  state.phase = "routing";
  state.attempt++;
  const left = [...leavePrefill(state), { kind: "leave_worker" }] as const;
  return [...cancelled, ...ends, moves, ...left, ...startAt(state, leg, prefill)];
}

type GenerateRefused = Omit<Extract<AnswerInput, { kind: "generate_refused" }>, "kind" | "attempt">;

export function onGenerateRefused(
  state: AnswerState,
  { code, message, not_yet = false }: GenerateRefused,
): readonly AnswerEffect[] {
  if (state.phase !== "starting") return [];
  // A form that one worker held already is none that no worker can hold.
  const was_held = code === "bad_request" && state.request.constraint !== undefined;
  const outcome = was_held && hasBegun(state) ? "refused" : refusalsElsewhere[code];
  if (outcome === undefined) return fail(state, refused(state, code, message), "refused");
  const refusal = failure("overloaded", message);
  if (!hasBegun(state) && state.attempt >= state.limits.attempts) {
    return fail(state, refusal, outcome);
  }
  // Another worker may be less busy; where there is none, this one is asked again.
  state.may_answer ||= not_yet;
  return goElsewhere(state, outcome, true, refusal);
}

/** The worker had accepted the answer, and does not take it after all: nothing is wrong with it. */
export function onLateRefusal(
  state: AnswerState,
  code: RefusalCode,
  message: string,
): readonly AnswerEffect[] {
  const outcome = refusalsElsewhere[code];
  if (outcome === undefined) return fail(state, refused(state, code, message), "refused");
  const cause = failure(outcome === "lost" ? "worker_lost" : "overloaded", message);
  const spent = hasBegun(state)
    ? state.migrations >= state.limits.migrations
    : state.attempt >= state.limits.attempts;
  if (spent) return fail(state, cause, outcome);
  if (hasBegun(state)) state.migrations++;
  return goElsewhere(state, outcome, true, cause);
}

/** What a worker says of a request at fault is mostly said of its constraint. */
function refused({ request }: AnswerState, code: RefusalCode, message: string): AnswerFailure {
  const { constraint_param: param } = request;
  const why = failure(code, message);
  const isAbout = code === "bad_request" || code === "not_supported";
  return param === undefined || !isAbout ? why : { ...why, param };
}

type WorkerLost = Omit<Extract<AnswerInput, { kind: "worker_lost" }>, "kind" | "attempt">;

export function onWorkerLost(state: AnswerState, lost: WorkerLost): readonly AnswerEffect[] {
  if (state.phase === "routing") return [];
  if (state.phase === "settling") return done(state);
  const { how, death = "killed", at_ms = 0, detail } = lost;
  const avoid = how === "silent";
  const words = `The worker of this answer was lost (${detail}). Send the request again.`;
  const cause = failure("worker_lost", words);
  state.may_answer ||= avoid;
  if (avoid || death === "unknown") avoidProcess(state);
  // A suspect that was not accepted yet waited outside of the engine.
  const inside = state.accepted || !isSuspect(state.suspicion);
  if (inside && !state.has_output) addDeath(state.suspicion, death, state.leg?.worker ?? "", at_ms);
  return migrate(state, death === "crash" ? "crashed" : "lost", avoid, cause);
}

/**
 * The worker is out of reach, perhaps for this process alone: a router in another process goes on
 * naming workers behind the same broken connection. The second time in a row all workers of that
 * process are left out, until no other worker is found.
 */
function avoidProcess(state: AnswerState): void {
  const process = processKey(state.leg?.ref);
  if (state.cut_off === process && !state.excluded.includes(process)) {
    state.excluded.push(process);
    state.may_answer = true;
  }
  state.cut_off = process;
}

/**
 * The worker cannot finish the answer, so another one goes on with the tokens that came. Without
 * any token the answer begins anew.
 */
export function migrate(
  state: AnswerState,
  outcome: "lost" | "crashed" | "failed",
  avoid: boolean,
  cause: AnswerFailure,
): readonly AnswerEffect[] {
  if (isBehind(state)) return fail(state, cause, outcome);
  if (decide(state.suspicion) === "quarantined") return quarantine(state, outcome);
  const begun = hasBegun(state);
  const spent = begun ? state.migrations : state.attempt - 1;
  const most = begun ? state.limits.migrations : state.limits.attempts - 1;
  if (spent >= most) return fail(state, cause, outcome);
  if (begun) state.migrations++;
  // The lost worker may live behind a broken connection, and would go on without a reader.
  const cancelled = cancel(state);
  const ends = endSpent(state);
  if (allEnded(state)) return [...cancelled, ...ends, ...done(state)];
  return [...cancelled, ...ends, ...goElsewhere(state, outcome, avoid, cause)];
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

/** Asks the router for another place, unless the answer may have crashed its last workers. */
export function nextPlace(state: AnswerState): readonly AnswerEffect[] {
  const { attempt, suspicion } = state;
  const decision = decide(suspicion);
  if (decision === "quarantined") return quarantine(state, "crashed");
  if (decision === "free") return [askRouter(state)];
  return [{ kind: "ask_deaths", attempt, deaths: suspicion.unexplained }];
}

function movesNow(state: AnswerState, why: MoveReason): AnswerEffect {
  return { kind: "moves", why, worker: state.leg?.worker ?? "", tokens: tokensHere(state) };
}
