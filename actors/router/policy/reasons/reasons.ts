/**
 * Why a request went to the worker that got it: what each worker would have cost, of which parts,
 * and who could not be chosen at all. Made only for requests that ask for it, right after the
 * decision and from the same inputs, so that other decisions cost what they did.
 */
import type { RouteChoice, RouteCost } from "../../../../proto/index.ts";
import { concerning } from "../filter.ts";
import type { KvFilter } from "../filters.ts";
import { cachedBlocks, type Place } from "../place.ts";
import { compare, compared, type Selection } from "../select.ts";

/** What one worker's cost is made of. */
export type Explained = {
  readonly unit: string;
  readonly parts: Readonly<Record<string, number>>;
};
export type Explainer = (place: Place, at: number) => Explained;

/** Workers that are told of: those that cost least, and the chosen one. */
export const TOLD_MOST = 16;

/** A worker's place, and its cost. */
type Costed = { readonly at: number; readonly cost: number };

/** Undefined: nobody asks for it. Call it before the request counts at the worker. */
export function choiceOf(
  policy: { readonly name: string; readonly explain: Explainer },
  selection: Selection,
  place: Place,
  chosen: number,
  waited_ms: number,
): RouteChoice | undefined {
  if (place.request.explain !== true) return undefined;
  const costed = costsOf(selection, place);
  const told = costed.slice(0, TOLD_MOST);
  const own = costed.find(({ at }) => at === chosen) ?? { at: chosen, cost: 0 };
  if (!told.includes(own)) told.splice(TOLD_MOST - 1, 1, own);
  const { unit } = policy.explain(place, chosen);
  const rows = told.map((each) => rowOf(policy.explain, selection, place, each));
  const out = leftOut(selection.filters, place, costed).slice(0, TOLD_MOST - rows.length);
  return {
    prefill: false,
    mode: policy.name,
    chosen: place.workers[chosen]!.worker,
    why: whyOf(place, costed, own, unit),
    unit,
    waited_ms,
    count: place.workers.length,
    workers: [...rows, ...out],
  };
}

/** Of the workers that may get it, the cheapest first. */
function costsOf(selection: Selection, place: Place): Costed[] {
  const count = compare(selection, place);
  if (typeof count !== "number") return [];
  const { costs, positions } = compared();
  const costed: Costed[] = [];
  for (let i = 0; i < count; i++) costed.push({ at: positions[i]!, cost: costs[i]! });
  return costed.sort((one, other) => one.cost - other.cost);
}

function rowOf(
  explain: Explainer,
  { factors }: Selection,
  place: Place,
  { at, cost }: Costed,
): RouteCost {
  const parts = Object.entries(explain(place, at).parts).map(([name, value]) => ({ name, value }));
  for (const factor of factors) {
    if (!factor.concerns(place.request)) continue;
    parts.push({ name: "× preference", value: factor.of(place, at) });
  }
  const overlap_blocks = cachedBlocks(place, at);
  return { worker: place.workers[at]!.worker, cost, overlap_blocks, parts, left_out: "" };
}

/** The others, each with the first filter that it does not pass. */
function leftOut(
  filters: readonly KvFilter[],
  place: Place,
  costed: readonly Costed[],
): readonly RouteCost[] {
  const { workers, request } = place;
  if (costed.length === workers.length) return [];
  const may = new Set(costed.map(({ at }) => at));
  const asked = concerning(filters, request);
  const rows: RouteCost[] = [];
  for (let at = 0; at < workers.length && rows.length < TOLD_MOST; at++) {
    if (may.has(at)) continue;
    const worker = workers[at]!;
    const filter = asked.find((each) => !each.admits(worker, place));
    const left_out = filter?.word ?? filter?.code ?? "left out";
    const overlap_blocks = cachedBlocks(place, at);
    rows.push({ worker: worker.worker, cost: 0, overlap_blocks, parts: [], left_out });
  }
  return rows;
}

function whyOf(
  place: Place,
  costed: readonly Costed[],
  { at, cost }: Costed,
  unit: string,
): string {
  const { request } = place;
  if (request.pin !== undefined) return "the client named it";
  if (costed.length <= 1) return "the only worker that may take it";
  const blocks = request.hashes.length >>> 1;
  const cached = `${cachedBlocks(place, at)} of ${blocks} blocks cached there`;
  const least = costed[0]!.cost;
  if (cost > least) return `drawn by chance, at ${shown(cost)} ${unit}; ${cached}`;
  const equals = costed.filter((each) => each.cost === least).length;
  if (equals > 1)
    return `drawn among ${equals} that cost the same, ${shown(cost)} ${unit}; ${cached}`;
  return `costs least: ${shown(cost)} ${unit}, the next ${shown(costed[1]!.cost)}; ${cached}`;
}

const shown = (cost: number): string => `${Number(cost.toPrecision(3))}`;
