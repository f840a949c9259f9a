/**
 * The second leg of an answer: another worker computes the prompt, and its blocks go to the worker
 * that answers by way of their keepers. Both legs begin at once. The answering leg waits for the
 * blocks and computes what did not come, so the end of this leg never fails an answer.
 *
 *   planned ─▶ asked ─┬─ its token, which the answering leg goes on behind ─▶ over
 *                     └─ lost, refused, failed ─▶ another worker, if there is one; else the
 *                                                 answering leg is told that nothing more comes
 */
import { bytesOf } from "../../../llm/tokens/token-bytes.ts";
import type {
  ChoiceTokens,
  Generate,
  HandOff,
  PlanLeg,
  Route,
  RouteEnded,
  RouteOutcome,
  TokenBatch,
} from "../../../proto/index.ts";
import { workerKey } from "../../names/names.ts";
import type { AnswerEffect, AnswerInput } from "../inputs-and-effects.ts";
import {
  type AnswerState,
  type PrefillLeg,
  promptToPlace,
  tokensToMake,
  workerRequest,
} from "../state.ts";
import { addDeath, isSuspect } from "../suspicion.ts";

/** Prefill workers that an attempt may lose before its prompt is computed where the answer is. */
const PREFILLS = 2;

/** For the answering leg: whose blocks it waits for. */
export function handOffOf({ id, leg }: PrefillLeg): HandOff {
  const { worker, ref, keeper } = leg;
  const from_worker = workerKey(worker, ref);
  return { id, send: false, from_worker, ...(keeper === undefined ? {} : { from_keeper: keeper }) };
}

/** Asks the worker to compute the prompt, as far as its blocks are handed over. */
export function startPrefill(state: AnswerState, leg: PlanLeg): readonly AnswerEffect[] {
  const { request } = state;
  const number = state.prefills === 0 ? "" : `${state.prefills}`;
  const id = `${workerRequest(state, 0)}^${number}`;
  state.prefills++;
  const drawn = firstToDraw(state);
  state.prefill = { id, leg, draws: drawn?.index };
  const generate: Omit<Generate, "consumer" | "deadline_ms"> = {
    kind: "generate",
    request: id,
    model: request.model,
    ...(drawn?.generate ?? blocksOf(state, leg)),
    logprobs: -1,
    window_tokens: 1,
    alone: false,
    ...(request.adapter === undefined ? {} : { adapter: request.adapter }),
    ...(request.salt === undefined ? {} : { salt: request.salt }),
    hand_off: { id, send: true, from_worker: "" },
  };
  return [{ kind: "ask_prefill", attempt: state.attempt, leg, generate }];
}

type Drawn = Pick<
  Generate,
  "prompt" | "sampling" | "choices" | "min_tokens" | "stop_tokens" | "ignore_eos"
>;

/**
 * A draw follows from seed, choice, index and logits, so whoever has computed the prompt can draw
 * the answer's next token. Undefined: not of several choices, nor with a form or log probabilities,
 * nor when no other token follows.
 */
function firstToDraw(state: AnswerState): { index: number; generate: Drawn } | undefined {
  const { request, choices, prompt_bytes } = state;
  const [choice] = choices;
  if (choice === undefined || choices.length > 1 || choice.scored > 0) return undefined;
  if (request.constraint !== undefined || request.logprobs >= 0) return undefined;
  if (tokensToMake(state) < 2) return undefined;
  const delivered = bytesOf(Uint32Array.from(choice.tokens));
  const { sampling, min_tokens, stop_tokens, ignore_eos } = request;
  const generate = {
    ...{ prompt: prompt_bytes, sampling, min_tokens, stop_tokens, ignore_eos },
    choices: [{ choice: 0, delivered, max_tokens: 1 }],
  };
  return { index: choice.tokens.length, generate };
}

/** As many tokens as are handed over, and one that nobody needs. */
const blocksOf = (state: AnswerState, leg: PlanLeg): Drawn => ({
  prompt: promptToPlace(state).subarray(0, 4 * (leg.tokens ?? 0)),
  sampling: { ...state.request.sampling, temperature: 0 },
  choices: [{ choice: 0, delivered: new Uint8Array(0), max_tokens: 1 }],
  ...{ min_tokens: 0, stop_tokens: [], ignore_eos: true },
});

/** The answer ends, or goes elsewhere: nobody needs the prompt any more. */
export function leavePrefill(state: AnswerState): readonly AnswerEffect[] {
  const { prefill } = state;
  state.prefills = 0;
  state.prefill_cached = Number.POSITIVE_INFINITY;
  if (prefill === undefined) return [];
  state.prefill = undefined;
  const message = { kind: "cancel", request: prefill.id, choices: [] } as const;
  return [{ kind: "tell_prefill", message }, { kind: "leave_prefill" }];
}

export function onPrefillBatch(
  state: AnswerState,
  { choices, finished }: TokenBatch,
): readonly AnswerEffect[] {
  const drawn = choices.flatMap((part) => tellFirst(state, part));
  const [end] = finished;
  if (end === undefined) return drawn;
  if (end.reason === "stop" || end.reason === "length") {
    state.prefill_cached = end.cached_tokens;
    state.prefill_cached_from = end.cached_from;
    return [...drawn, ...over(state, "finished")];
  }
  return [...drawn, ...goOn(state, "failed")];
}

/** The answering leg need not draw this token, if it has not yet. */
function tellFirst(state: AnswerState, { first_index, tokens }: ChoiceTokens): AnswerEffect[] {
  const [token] = tokens;
  if (token === undefined || state.has_output || state.prefill?.draws !== first_index) return [];
  const request = workerRequest(state, 0);
  return [{ kind: "tell_worker", message: { kind: "first_drawn", request, token } }];
}

type PrefillLost = Extract<AnswerInput, { kind: "prefill_lost" }>;

/** It goes on elsewhere, or here. */
export function onPrefillLost(state: AnswerState, lost: PrefillLost): readonly AnswerEffect[] {
  const { prefill } = state;
  if (prefill === undefined || prefill.id !== lost.id) return [];
  const { how, death = "killed", at_ms = 0 } = lost;
  if (how === "refused") return goOn(state, "refused");
  const { worker } = prefill.leg;
  if (how === "ended" && !state.has_output) addDeath(state.suspicion, death, worker, at_ms);
  const cancel = { kind: "cancel", request: prefill.id, choices: [] } as const;
  const outcome = death === "crash" ? "crashed" : "lost";
  return [{ kind: "tell_prefill", message: cancel }, ...goOn(state, outcome)];
}

function goOn(state: AnswerState, outcome: RouteOutcome): readonly AnswerEffect[] {
  const { prefill, leg } = state;
  const ended = over(state, outcome);
  // With a token of the answer here, or its end, its prompt is computed.
  const computed = state.has_output || state.phase === "settling";
  if (prefill === undefined || leg === undefined || computed) return ended;
  state.prefills_lost.push(workerKey(prefill.leg.worker, prefill.leg.ref));
  if (state.prefills >= PREFILLS || isSuspect(state.suspicion)) {
    return [...ended, tellHandOff(state)];
  }
  const { request, model, hints, adapter, salt } = state.request;
  const route: Route = {
    ...{ kind: "route", request, model, prompt: promptToPlace(state) },
    max_tokens: tokensToMake(state),
    exclude: [...state.excluded, ...state.prefills_lost],
    ...{ pin: "", continued: false, spare: false },
    ...(hints === undefined ? {} : { hints }),
    ...(adapter === undefined ? {} : { adapter }),
    ...(salt === undefined ? {} : { salt }),
    prefill_for: workerKey(leg.worker, leg.ref),
  };
  return [...ended, { kind: "ask_router_prefill", attempt: state.attempt, route }];
}

/** The router names another worker, or none. */
export function onPrefillPlanned(
  state: AnswerState,
  leg: PlanLeg | undefined,
): readonly AnswerEffect[] {
  const waits = state.phase === "starting" || state.phase === "live";
  if (!waits || state.has_output || state.prefill !== undefined) {
    return leg === undefined ? [] : [endedAt(state, leg, "refused")];
  }
  if (leg === undefined) return [tellHandOff(state)];
  const asks = startPrefill(state, leg);
  return [...asks, tellHandOff(state)];
}

/** Whose blocks the answering leg waits for now; of nobody: it computes what is missing. */
function tellHandOff(state: AnswerState): AnswerEffect {
  const request = workerRequest(state, 0);
  const { prefill } = state;
  const hand_off = prefill === undefined ? {} : { hand_off: handOffOf(prefill) };
  return { kind: "tell_worker", message: { kind: "hand_off_is", request, ...hand_off } };
}

/** The leg is over; the answer may not be. */
function over(state: AnswerState, outcome: RouteOutcome): readonly AnswerEffect[] {
  const { prefill } = state;
  if (prefill === undefined) return [];
  state.prefill = undefined;
  return [{ kind: "leave_prefill" }, endedAt(state, prefill.leg, outcome)];
}

function endedAt(state: AnswerState, { worker }: PlanLeg, outcome: RouteOutcome): AnswerEffect {
  const { request } = state.request;
  const ended = { request, worker, outcome, output_tokens: 0, prefill: true };
  const message: RouteEnded = { kind: "route_ended", ...ended };
  return { kind: "tell_router", message };
}
