/**
 * Router modes that look at load alone, in three steps: filters select the workers that may get the
 * request (`eligible`), a scorer gives each a cost, a picker takes one.
 *
 *   all workers ── filters ──▶ candidates ── scorer ──▶ costs ── picker ──▶ one
 *
 * All functions here are pure but for `random` and the small `PolicyState` that the router keeps.
 */
import type { Route } from "../../../proto/index.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { type Candidate, modelName, requestsOn } from "../candidate.ts";
import { constraintsOf } from "./constraints.ts";
import { admit, type Filter, type Question, type RefusalCode } from "./filter.ts";
import { constraintFilters, NO_WORKERS, notExcluded, notFailing, nothingWaits } from "./filters.ts";

/** Modes that look at the workers' load alone. */
export const loadModes = [
  "round-robin",
  "random",
  "least-loaded",
  "power-of-two",
  "direct",
] as const;
export type LoadMode = (typeof loadModes)[number];

/** `--router-mode`, as users write it. */
export const routerModes = ["kv", ...loadModes] as const;
export type RouterMode = (typeof routerModes)[number];

export function isLoadMode(text: string): text is LoadMode {
  return (loadModes as readonly string[]).includes(text);
}

/** State of a policy between two requests; one per router. */
export type PolicyState = {
  /** Worker that had the last turn, by model. */
  readonly last_turn: Map<string, string>;
};

export function newPolicyState(): PolicyState {
  return { last_turn: new Map() };
}

export type Choice =
  | { readonly kind: "chosen"; readonly candidate: Candidate }
  /** `code` is stable; `message` is for the client. */
  | { readonly kind: "refused"; readonly code: "pin_required"; readonly message: string };

/** `candidates` are eligible, at least one, in order of worker name. */
export type Choose = (
  candidates: readonly Candidate[],
  request: Route,
  random: Random,
  state: PolicyState,
) => Choice;

/** Lower is better. */
export type Scorer = (candidate: Candidate, request: Route, state: PolicyState) => number;

type LoadQuestion = Question & {
  readonly model: string;
  readonly workers: readonly Candidate[];
};

const servesModel: Filter<Candidate, LoadQuestion> = {
  code: "no_worker",
  message: "No worker serves this model at the moment. Try again in a few seconds.",
  concerns: () => true,
  admits: (candidate, { model }) => modelName(candidate) === model,
};

const isTrusted: Filter<Candidate, LoadQuestion> = {
  code: "no_worker",
  message: NO_WORKERS,
  concerns: () => true,
  admits: ({ suspect }) => !suspect,
};

const loadFilters: readonly Filter<Candidate, LoadQuestion>[] = [
  servesModel,
  isTrusted,
  ...constraintFilters,
  notExcluded,
  nothingWaits,
  notFailing,
];

export type Eligible =
  | { readonly kind: "eligible"; readonly candidates: readonly Candidate[] }
  /** Refused by a filter, or because there are no workers. */
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly message: string };

let positions = new Int32Array(64);

/** The workers that may get this request, in the order given. */
export function eligible(workers: readonly Candidate[], route: Route, now_ms: number): Eligible {
  const question = { request: constraintsOf(route), model: route.model, workers, now_ms };
  if (workers.length > positions.length) positions = new Int32Array(2 * workers.length);
  const count = admit(loadFilters, question, positions);
  if (count === 0) return { kind: "refused", code: "no_worker", message: NO_WORKERS };
  if (typeof count !== "number") {
    return { kind: "refused", code: count.code, message: count.message };
  }
  if (count === workers.length) return { kind: "eligible", candidates: workers };
  const candidates: Candidate[] = [];
  for (let i = 0; i < count; i++) candidates.push(workers[positions[i]!]!);
  return { kind: "eligible", candidates };
}

const leastLoaded = pickLowest(requestsOn);

export const policies: Readonly<Record<LoadMode, Choose>> = {
  "round-robin": chooseNextTurn,
  random: (candidates, _request, random) => chosen(anyOf(candidates, random)),
  "least-loaded": leastLoaded,
  "power-of-two": chooseOfTwo,
  direct: chooseDirect,
};

/** Picks the least cost; among equal ones by chance, so that routers choose different workers. */
function pickLowest(score: Scorer): Choose {
  return (candidates, request, random, state) => {
    let best = candidates[0]!;
    let best_cost = Number.POSITIVE_INFINITY;
    let equals = 0;
    for (const candidate of candidates) {
      const cost = score(candidate, request, state);
      if (cost > best_cost) continue;
      equals = cost < best_cost ? 1 : equals + 1;
      // Keeps each of n equals with chance 1/n in one pass.
      if (equals === 1 || random.unit() * equals < 1) best = candidate;
      best_cost = cost;
    }
    return chosen(best);
  };
}

/** Round robin by name, so that no worker loses its turn when another one comes or goes. */
function chooseNextTurn(
  candidates: readonly Candidate[],
  request: Route,
  _random: Random,
  state: PolicyState,
): Choice {
  const last = state.last_turn.get(request.model) ?? "";
  const next = candidates.find((each) => each.record.worker > last) ?? candidates[0]!;
  state.last_turn.set(request.model, next.record.worker);
  return chosen(next);
}

/**
 * Draws two workers and takes the less loaded one: nearly as good as least-loaded, and an old
 * report does not send all requests to one worker.
 */
function chooseOfTwo(
  candidates: readonly Candidate[],
  request: Route,
  random: Random,
  state: PolicyState,
): Choice {
  if (candidates.length <= 2) return leastLoaded(candidates, request, random, state);
  const first = Math.floor(random.unit() * candidates.length);
  const step = 1 + Math.floor(random.unit() * (candidates.length - 1));
  const second = (first + step) % candidates.length;
  return leastLoaded([candidates[first]!, candidates[second]!], request, random, state);
}

/** The client has to name the worker; a guess would hide its mistake. */
function chooseDirect(candidates: readonly Candidate[], request: Route): Choice {
  if (request.pin !== "") return chosen(candidates[0]!);
  const names = candidates.map((each) => each.record.worker).join(", ");
  const message =
    "This server's router mode is 'direct': name the worker in the header " +
    `'x-dynamo-worker-instance-id', one of: ${names}.`;
  return { kind: "refused", code: "pin_required", message };
}

function anyOf(candidates: readonly Candidate[], random: Random): Candidate {
  return candidates[Math.floor(random.unit() * candidates.length)]!;
}

function chosen(candidate: Candidate): Choice {
  return { kind: "chosen", candidate };
}
