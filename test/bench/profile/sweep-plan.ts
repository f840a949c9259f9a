/**
 * Which points a sweep measures and in what order: the ends of each axis first, then the middles of
 * what is open, so that a sweep cut short still covers its whole range. Tokens and counts.
 */

export type SweepLimits = {
  /** Prompt and answer together. */
  readonly context: number;
  /** Tokens that the KV cache of one engine holds. */
  readonly max_kv_tokens: number;
  /** Blocks are taken as a whole. */
  readonly block_size: number;
  /** Requests at once. */
  readonly max_concurrency: number;
  /** Tokens of an answer in the decode sweep. */
  readonly osl: number;
};

export type DecodePoint = { readonly isl: number; readonly in_flight: number };

/** Dynamo's: shorter prompts say little. */
const shortest_isl = 100;
/** Of the KV cache: prompts are longer than planned by a token or two. */
const usable_share = 0.98;
/** Of the context, for the same reason: one token beyond it is refused. */
const context_share = 0.97;

/**
 * `count` whole numbers from `low` to `high`, closer to each other near `low`: requests are mostly
 * much shorter than the longest, and the cost of a prompt bends near its beginning.
 */
export function lengthsBetween(low: number, high: number, count: number): readonly number[] {
  if (high <= low || count < 2) return [Math.max(1, high)];
  const at = (i: number) => Math.round(low + (high - low) * (i / (count - 1)) ** 2);
  return distinct(Array.from({ length: count }, (_, i) => at(i)));
}

/** Evenly from `low` to `high`. */
export function countsBetween(low: number, high: number, count: number): readonly number[] {
  if (high <= low || count < 2) return [Math.max(1, high)];
  const at = (i: number) => Math.round(low + ((high - low) * i) / (count - 1));
  return distinct(Array.from({ length: count }, (_, i) => at(i)));
}

/** Prompt lengths of the prefill sweep, each with room for one token of answer. */
export function prefillLengths(limits: SweepLimits, granularity: number): readonly number[] {
  const longest = longestContext(limits) - 1;
  return endsFirst(lengthsBetween(Math.min(shortest_isl, longest), longest, granularity));
}

/** For each context length, counts in flight up to what the KV cache holds. */
export function decodePoints(limits: SweepLimits, granularity: number): readonly DecodePoint[] {
  const longest = Math.max(1, longestContext(limits) - limits.osl);
  const lengths = lengthsBetween(Math.min(shortest_isl, longest), longest, granularity);
  return endsFirst(lengths).flatMap((isl) => {
    const most = mostInFlight(isl, limits);
    return endsFirst(countsBetween(1, most, granularity)).map((in_flight) => ({ isl, in_flight }));
  });
}

function longestContext({ context, max_kv_tokens, block_size }: SweepLimits): number {
  return Math.min(Math.floor(context_share * context), max_kv_tokens - block_size);
}

/** How many answers fit at once; a request has one block more than its tokens fill. */
export function mostInFlight(isl: number, limits: SweepLimits): number {
  const fit = Math.floor((usable_share * limits.max_kv_tokens) / tokensOf(isl, limits));
  return Math.max(1, Math.min(limits.max_concurrency, fit));
}

/** Tokens of an answer with which `in_flight` of them still fit, at most `wanted`. */
export function longestAnswer(point: DecodePoint, limits: SweepLimits, wanted: number): number {
  const { block_size, max_kv_tokens, context } = limits;
  const each = Math.floor((usable_share * max_kv_tokens) / point.in_flight);
  return Math.min(wanted, context - point.isl, each - block_size - point.isl);
}

function tokensOf(isl: number, { block_size, osl }: SweepLimits): number {
  return (Math.ceil((isl + osl) / block_size) + 1) * block_size;
}

/** The first, the last, the middle, the middles of both halves, … */
export function endsFirst<Item>(items: readonly Item[]): readonly Item[] {
  const order: Item[] = [];
  const taken = new Set<number>();
  const take = (i: number) => {
    const item = items[i];
    if (item === undefined || taken.has(i)) return;
    taken.add(i);
    order.push(item);
  };
  take(0);
  take(items.length - 1);
  let open: readonly (readonly [number, number])[] = [[0, items.length - 1]];
  while (open.length > 0) {
    open = open.flatMap(([low, high]) => {
      if (high - low < 2) return [];
      const middle = (low + high) >> 1;
      take(middle);
      return [[low, middle] as const, [middle, high] as const];
    });
  }
  return order;
}

const distinct = (ascending: readonly number[]) => [...new Set(ascending)];
