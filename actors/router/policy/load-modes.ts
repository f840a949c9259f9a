/**
 * Which worker gets a request. The way is always the same three steps, and a mode is a choice of
 * them: filters say who may (`eligible`), a scorer says what each would cost, a picker takes one.
 *
 *   all workers ── filters ──▶ candidates ── scorer ──▶ costs ── picker ──▶ one
 *
 * Everything here is pure but for `random` and the small `PolicyState` that the router keeps.
 */
import type { Route } from "../../../proto/index.ts";
import type { Random } from "../../../runtime/capabilities.ts";
import { type Candidate, requestsOn } from "../candidate.ts";
import { includesAll, tolerates } from "./filters.ts";

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

export function isRouterMode(text: string): text is RouterMode {
  return (routerModes as readonly string[]).includes(text);
}

/** What a policy remembers between two requests; one per router. */
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
export type Filter = (candidate: Candidate, request: Route) => boolean;

export const servesModel: Filter = (candidate, request) =>
  candidate.record.card?.name === request.model;
const isPinned: Filter = (candidate, request) =>
  request.pin === "" || candidate.record.worker === request.pin;
const isTrusted: Filter = (candidate) => !candidate.suspect;
const notExcluded: Filter = (candidate, request) => !request.exclude.includes(candidate.key);

/** Nothing waits there. */
const hasSpare: Filter = ({ load }, { spare }) => !spare || load?.waiting === 0;

const isAllowed: Filter = ({ record: { worker } }, { hints }) =>
  hints === undefined ||
  hints.allowed_workers.length === 0 ||
  hints.allowed_workers.includes(worker);
const hasRequired: Filter = ({ record: { labels, taints } }, { hints }) =>
  hints === undefined || includesAll([...labels, ...taints], hints.required_taints);
const isTolerated: Filter = ({ record: { taints } }, { hints }) =>
  taints.length === 0 || tolerates(taints, hints?.tolerated_taints, hints?.required_taints);

const wishes: readonly Filter[] = [isPinned, isAllowed, hasRequired, isTolerated];

/** What client and operator want of each other, whatever happens there now. */
export const mayTake: Filter = (candidate, request) =>
  wishes.every((fits) => fits(candidate, request));

/** Workers that could serve this request if it came fresh. */
const capableFilters: readonly Filter[] = [servesModel, mayTake, isTrusted];

export type Eligible = {
  readonly candidates: readonly Candidate[];
  /** Capable workers that this request must not go to again. */
  readonly excluded: number;
};

/** Workers whose engine failed lately are among them when there is no other. */
export function eligible(workers: readonly Candidate[], request: Route, now_ms: number): Eligible {
  const capable = workers.filter((worker) => capableFilters.every((fits) => fits(worker, request)));
  if (request.exclude.length === 0) {
    return { candidates: withoutFailing(capable, now_ms), excluded: 0 };
  }
  const candidates = capable.filter(
    (worker) => notExcluded(worker, request) && hasSpare(worker, request),
  );
  const excluded = capable.length - candidates.length;
  return { candidates: withoutFailing(candidates, now_ms), excluded };
}

function withoutFailing(candidates: readonly Candidate[], now_ms: number): readonly Candidate[] {
  if (!candidates.some(({ avoid_until_ms }) => avoid_until_ms > now_ms)) return candidates;
  const sound = candidates.filter(({ avoid_until_ms }) => avoid_until_ms <= now_ms);
  return sound.length > 0 ? sound : candidates;
}

const leastLoaded = pickLowest(requestsOn);

export const policies: Readonly<Record<LoadMode, Choose>> = {
  "round-robin": chooseNextTurn,
  random: (candidates, _request, random) => chosen(anyOf(candidates, random)),
  "least-loaded": leastLoaded,
  "power-of-two": chooseOfTwo,
  direct: chooseDirect,
};

/** The picker of least cost; equals share by chance, so that several routers do not herd. */
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

/** By name and not by number, so that a worker that comes or goes costs nobody a turn. */
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

/** Two at random, the less loaded of them: nearly least-loaded, and old news do not herd. */
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

/** Somebody outside has chosen already; guessing for them would hide their mistake. */
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
