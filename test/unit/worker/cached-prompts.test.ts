import { expect, test } from "bun:test";
import { cachedPrefixes, cachedPrompts } from "../../../actors/worker/cache/cached-prompts.ts";
import { KvPublisher } from "../../../actors/worker/cache/kv-publisher.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

const hashes = (...all: readonly number[]) => BigUint64Array.from(all, BigInt);
const row = (pairs: Uint32Array) => [...pairs].filter((_, i) => i % 2 === 0);
const run = (parent: number | undefined, ...all: readonly number[]) => ({
  parent: parent === undefined ? undefined : BigInt(parent),
  hashes: hashes(...all),
});
const all = () => true;

test("a run goes on where another one is, also in its middle", () => {
  const runs = [run(undefined, 1, 2, 3), run(2, 4), run(4, 5, 6)];
  expect(cachedPrompts(runs, all).map(row)).toEqual([
    [1, 2, 3],
    [1, 2, 4],
    [1, 2, 4, 5, 6],
  ]);
});

test("what has given way, and what begins too long ago, is left out", () => {
  const runs = [run(undefined, 1), run(1, 2), run(99, 3)];
  expect(cachedPrompts(runs, (hash) => hash !== 2n).map(row)).toEqual([[1]]);
});

test("a publisher's last events are a tree, with the worker that has it", () => {
  const kv = new KvPublisher({ clock: new VirtualClock(), block_size: 16, publishes: true });
  const stored = (parent: bigint | undefined, start: number, ...names: number[]): KvEvent => ({
    ...{ kind: "stored", event_id: 1, dp_rank: 0, tier: "device", parent_hash: parent },
    ...{ start_block: start, sequence_hashes: hashes(...names), local_hashes: hashes(...names) },
  });
  kv.publish(stored(undefined, 0, 1, 2));
  kv.publish(stored(2n, 2, 3));
  kv.publish(stored(2n, 2, 4));
  kv.publish({
    ...{ kind: "removed", event_id: 2, dp_rank: 0, tier: "device", sequence_hashes: hashes(4) },
  });
  const { models } = cachedPrefixes("m", "w0", kv.prompts());
  expect(models[0]).toMatchObject({ model: "m", prompts: 2 });
  expect(models[0]?.nodes.map(({ blocks, hits, workers }) => [blocks, hits, workers])).toEqual([
    [2, 2, ["w0"]],
    [1, 1, ["w0"]],
  ]);
  kv.stop();
});
