/**
 * `bun run bench indexer`: the router's index of what each worker's cache holds, on one core.
 *
 * 128 workers hold 320 prompts of 32 blocks each: the first 8 blocks are one of 64 shared prefixes,
 * the rest is the prompt's own, so a million distinct blocks. "mixed" is the life of a full cache:
 * a worker drops its oldest prompt's own blocks, stores a new prompt, and a prompt is looked up
 * (one of three already there, one sharing its prefix only, one like the newest). A block operation
 * is one block stored, removed or found.
 *
 * Other work on the machine shows in wall time and not in CPU time: both are printed.
 */
import { CacheIndex } from "../../../actors/router/index/cache-index.ts";
import { CacheMatches } from "../../../actors/router/index/cache-matches.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import type { Report } from "../bench.ts";
import { median, quantile, rounded } from "../statistics.ts";

const workers = 128;
const prompts_a_worker = 320;
const prompt_blocks = 32;
const shared_blocks = 8;
const prefixes = 64;
const rounds = 7;
const mixed_steps = 30_000;
const lookups = 20_000;

type Prompts = {
  /** Hash pairs of all prompts, one after the other. */
  readonly hashes: Uint32Array;
  readonly count: number;
};

function makePrompts(random: SeededRandom, count: number, prefix_seed: Uint32Array): Prompts {
  const words = prompt_blocks * 2;
  const hashes = new Uint32Array(count * words);
  for (let i = 0; i < hashes.length; i++) hashes[i] = random.u32();
  for (let prompt = 0; prompt < count; prompt++) {
    const from = (random.u32() % prefixes) * shared_blocks * 2;
    hashes.set(prefix_seed.subarray(from, from + shared_blocks * 2), prompt * words);
  }
  return { hashes, count };
}

/** Views made before the clock runs: whole prompt, and its own blocks without the prefix. */
function views({ hashes, count }: Prompts) {
  const words = prompt_blocks * 2;
  const whole = Array.from({ length: count }, (_, i) =>
    hashes.subarray(i * words, (i + 1) * words),
  );
  return { whole, own: whole.map((each) => each.subarray(shared_blocks * 2)) };
}

type Timing = { readonly per_s: number; readonly per_cpu_s: number };

function timed(operations: () => number): Timing {
  const cpu = process.cpuUsage();
  const began = Bun.nanoseconds();
  const count = operations();
  const wall_s = (Bun.nanoseconds() - began) / 1e9;
  const used = process.cpuUsage(cpu);
  return { per_s: count / wall_s, per_cpu_s: count / ((used.user + used.system) / 1e6) };
}

function summary(timings: readonly Timing[]) {
  return {
    block_ops_per_s: Math.round(median(timings.map((each) => each.per_s))),
    block_ops_per_cpu_s: Math.round(median(timings.map((each) => each.per_cpu_s))),
    best_block_ops_per_s: Math.round(Math.max(...timings.map((each) => each.per_s))),
  };
}

export async function benchIndexer(report: Report): Promise<void> {
  const random = new SeededRandom(1);
  const seed = new Uint32Array(prefixes * shared_blocks * 2).map(() => random.u32());
  const held = views(makePrompts(random, workers * prompts_a_worker, seed));
  const fresh = views(makePrompts(random, mixed_steps, seed));
  const out = new CacheMatches();

  const stores: Timing[] = [];
  let index = new CacheIndex();
  let empty_bytes = 0;
  for (let round = 0; round < rounds; round++) {
    index = new CacheIndex();
    empty_bytes = index.bytes;
    for (let worker = 0; worker < workers; worker++) addWorker(index);
    stores.push(timed(() => fill(index, held.whole)));
  }
  report({ case: "store", ...summary(stores) });

  const searches = Array.from({ length: rounds }, () =>
    timed(() => lookAll(index, held.whole, out)),
  );
  report({
    case: "lookup of 32, all there",
    ...summary(searches),
    ...latencies(index, held.whole),
  });

  const mixed = Array.from({ length: rounds }, () => timed(() => mix(index, held, fresh, out)));
  report({ case: "mixed", ...summary(mixed), ...latencies(index, mixedLookups(held, fresh)) });

  let entries = 0;
  for (let slot = 0; slot < workers; slot++) entries += index.blocksOf(slot);
  report({
    case: "memory",
    blocks: entries,
    bytes_per_block: rounded(index.bytes / entries, 1),
    ...purged(index, empty_bytes),
  });
  report({ case: "lookup of 32, shared by 128", ...sharedByAll(held.whole[0]!) });
}

function addWorker(index: CacheIndex): void {
  index.addWorker("events");
}

function fill(index: CacheIndex, whole: readonly Uint32Array[]): number {
  for (let i = 0; i < whole.length; i++) index.stored(i % workers, 0, 0, whole[i]!);
  return whole.length * prompt_blocks;
}

function found(index: CacheIndex, prompt: Uint32Array, out: CacheMatches): number {
  index.match(prompt, prompt_blocks, out, 0);
  let most = 0;
  for (let row = 0; row < out.count; row++) most = Math.max(most, out.blocks[row]!);
  return most;
}

function lookAll(index: CacheIndex, prompts: readonly Uint32Array[], out: CacheMatches): number {
  let blocks = 0;
  // 7,919 is prime to their number: all of them once, in no order of memory.
  for (let i = 0; i < prompts.length; i++) {
    blocks += found(index, prompts[(i * 7_919) % prompts.length]!, out);
  }
  return blocks;
}

type Views = ReturnType<typeof views>;

/** Each call leaves the index as full as before: what it stores it takes away in the end. */
function mix(index: CacheIndex, held: Views, fresh: Views, out: CacheMatches): number {
  let blocks = 0;
  const searched = mixedLookups(held, fresh);
  for (let step = 0; step < mixed_steps; step++) {
    const slot = step % workers;
    index.removed(slot, 0, 0, held.own[step]!);
    index.stored(slot, 0, 0, fresh.whole[step]!);
    blocks += 2 * prompt_blocks - shared_blocks + found(index, searched[step]!, out);
  }
  for (let step = 0; step < mixed_steps; step++) {
    const slot = step % workers;
    index.removed(slot, 0, 0, fresh.own[step]!);
    index.stored(slot, 0, 0, held.whole[step]!);
    blocks += 2 * prompt_blocks - shared_blocks + found(index, searched[step]!, out);
  }
  return blocks;
}

function mixedLookups(held: Views, fresh: Views): Uint32Array[] {
  return Array.from({ length: mixed_steps }, (_, step) => {
    const any = (step * 7_919) % held.whole.length;
    if (step % 3 === 0) return held.whole[any]!;
    return fresh.whole[step % 3 === 1 ? Math.max(0, step - 100) : (step + 100) % mixed_steps]!;
  });
}

function latencies(index: CacheIndex, prompts: readonly Uint32Array[]) {
  const out = new CacheMatches();
  const samples_us = new Float64Array(lookups);
  const p50: number[] = [];
  const p99: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < lookups; i++) {
      const prompt = prompts[(i * 7_919) % prompts.length]!;
      const began = Bun.nanoseconds();
      index.match(prompt, prompt_blocks, out, 0);
      samples_us[i] = (Bun.nanoseconds() - began) / 1e3;
    }
    const samples = [...samples_us];
    p50.push(quantile(samples, 0.5));
    p99.push(quantile(samples, 0.99));
  }
  return { lookup_p50_us: rounded(median(p50)), lookup_p99_us: rounded(median(p99)) };
}

function purged(index: CacheIndex, empty_bytes: number) {
  const full_bytes = index.bytes;
  const began = Bun.nanoseconds();
  let slice_ms_max = 0;
  for (let slot = 0; slot < workers; slot++) index.removeWorker(slot);
  for (let more = true; more; ) {
    const slice = Bun.nanoseconds();
    more = index.sweep();
    slice_ms_max = Math.max(slice_ms_max, (Bun.nanoseconds() - slice) / 1e6);
  }
  return {
    full_bytes,
    purged_bytes: index.bytes,
    empty_bytes,
    at_baseline: index.bytes === empty_bytes,
    purge_ms: rounded((Bun.nanoseconds() - began) / 1e6),
    purge_slice_ms_max: rounded(slice_ms_max),
  };
}

/** The worst case for a walk over owners: everybody has all of it, then not quite all. */
function sharedByAll(prompt: Uint32Array) {
  const index = new CacheIndex();
  for (let slot = 0; slot < workers; slot++) {
    addWorker(index);
    index.stored(slot, 0, 0, prompt);
  }
  const same = latencies(index, [prompt]);
  for (let block = 0; block < prompt_blocks; block++) {
    index.removed(block, 0, 0, prompt.subarray(2 * block, 2 * block + 2));
  }
  const ragged = latencies(index, [prompt]);
  return { ...same, ragged_p50_us: ragged.lookup_p50_us, ragged_p99_us: ragged.lookup_p99_us };
}
