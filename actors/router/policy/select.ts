/**
 * The one small interface of a KV-aware policy:
 *
 *   workers ── filters ──▶ eligible ── scorers summed, × factors ──▶ costs ── picker ──▶ one
 *
 * A filter that leaves no worker gives the reason of the refusal. Costs are in any unit that all
 * scorers of a selection share; lower is better.
 */
import type { Random } from "../../../runtime/capabilities.ts";
import { admit, type RefusalCode } from "./filter.ts";
import { type KvFilter, NO_WORKERS } from "./filters.ts";
import type { Place } from "./place.ts";
import type { PlaceRequest } from "./place-request.ts";

export type Scorer = (place: Place, at: number) => number;

/** A factor on the sum of the costs. */
export type Factor = {
  /** False: it is 1 for every worker. */
  readonly concerns: (request: PlaceRequest) => boolean;
  readonly of: Scorer;
};

/**
 * Computes the sum of a selection's scorers for all workers in one pass. False: it cannot, and the
 * scorers are called for each worker.
 */
export type Scan = (place: Place, costs: Float64Array) => boolean;

/** Picks one of the first `count` costs, at least one; each is finite or +Infinity. */
export type Picker = (costs: Float64Array, count: number, random: Random) => number;

export type Selection = {
  readonly filters: readonly KvFilter[];
  readonly scorers: readonly Scorer[];
  readonly scan?: Scan | undefined;
  readonly factors: readonly Factor[];
  readonly picker: Picker;
};

export type Selected =
  | { readonly kind: "chosen"; readonly at: number; readonly cost: number }
  | { readonly kind: "refused"; readonly code: RefusalCode; readonly message: string };

let costs = new Float64Array(64);
let positions = new Int32Array(64);

/**
 * Fills in the costs of the workers that may get the request.
 * @returns how many they are, or the filter that left none; 0 when there are no workers
 */
export function compare(selection: Selection, place: Place): number | KvFilter {
  const { workers } = place;
  if (workers.length > costs.length) {
    costs = new Float64Array(2 * workers.length);
    positions = new Int32Array(2 * workers.length);
  }
  const count = admit(selection.filters, place, positions);
  if (typeof count !== "number" || count === 0) return count;
  if (selection.scan?.(place, costs) !== true) scoreEach(selection, place, count);
  else if (count < workers.length) {
    for (let i = 0; i < count; i++) costs[i] = costs[positions[i]!]!;
  }
  for (const factor of selection.factors) {
    if (!factor.concerns(place.request)) continue;
    for (let i = 0; i < count; i++) costs[i]! *= factor.of(place, positions[i]!);
  }
  return count;
}

/** What `compare` filled in: by rank its worker's place, and its cost. Valid until the next call. */
export const compared = () => ({ costs, positions });

export function select(selection: Selection, place: Place, random: Random): Selected {
  const count = compare(selection, place);
  if (count === 0) return { kind: "refused", code: "no_worker", message: NO_WORKERS };
  if (typeof count !== "number") {
    return { kind: "refused", code: count.code, message: count.message };
  }
  const picked = selection.picker(costs, count, random);
  return { kind: "chosen", at: positions[picked]!, cost: costs[picked]! };
}

function scoreEach({ scorers }: Selection, place: Place, count: number): void {
  for (let i = 0; i < count; i++) {
    let cost = 0;
    for (const scorer of scorers) cost += scorer(place, positions[i]!);
    costs[i] = cost;
  }
}

/**
 * Picks the least cost. Among equal ones chance decides, so that several routers do not all choose
 * the same worker. It draws once a decision, as in a large idle pool all workers are equal.
 */
export const pickLeast: Picker = (values, count, random) => {
  let best = 0;
  let least = values[0]!;
  let equals = 1;
  for (let i = 1; i < count; i++) {
    const value = values[i]!;
    if (value > least) continue;
    equals = value < least ? 1 : equals + 1;
    best = i;
    least = value;
  }
  if (equals === 1) return best;
  let later = Math.floor(random.unit() * equals);
  for (let i = best; ; i--) if (values[i] === least && later-- === 0) return i;
};

/**
 * Softmax over costs scaled to [0, 1]: a low temperature picks the least cost more often. As
 * Dynamo's `--router-temperature`; 0 is `pickLeast`.
 */
export function pickSoftly(temperature: number): Picker {
  if (temperature <= 0) return pickLeast;
  return (values, count, random) => {
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < count; i++) {
      low = Math.min(low, values[i]!);
      high = Math.max(high, values[i]!);
    }
    if (high === low) return pickLeast(values, count, random);
    const weight = (i: number) => Math.exp(-(values[i]! - low) / (high - low) / temperature);
    let total = 0;
    for (let i = 0; i < count; i++) total += weight(i);
    let left = random.unit() * total;
    for (let i = 0; i < count; i++) {
      left -= weight(i);
      if (left < 0) return i;
    }
    return count - 1;
  };
}
