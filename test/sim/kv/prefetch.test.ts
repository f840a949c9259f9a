/**
 * A request waits in the router while its blocks lie on disk: when it starts they are in memory, so
 * that it waits for no file.
 */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import type { ActorRef, KvKeeperMessage } from "../../../proto/index.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { Simulation } from "../../../runtime/simulation/simulation.ts";
import { SegmentTable, startKeeper } from "../../support/kv/kept-blocks.ts";
import { AnswerCluster, startRecorded } from "../../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../../support/worlds/recorded-answer.ts";
import { absent } from "../../support/worlds/test-system.ts";
import { memoryFiles } from "../world/files.ts";

const BLOCK_SIZE = 16;
/** Slow enough that a request that has to wait for its files is seen to. */
const FILE_MS = 100;

type Keeper = {
  readonly prefetches: { readonly live: number; readonly begun: number };
  readonly spaces: readonly {
    readonly registered: number;
    readonly held: number;
    readonly unaccounted: number;
    readonly disk: { readonly loaded: number; readonly registered: number };
  }[];
};

const promptOf = (story: number, blocks: number) =>
  Uint32Array.from({ length: blocks * BLOCK_SIZE + 5 }, (_, i) => (story * 41 + i * 7) % 250);

async function openWorld(seed: number) {
  const simulation = new Simulation(seed);
  const segments = new SegmentTable(simulation.clock);
  let keeper: ActorRef | undefined;
  let view = (): Keeper => ({ prefetches: { live: 0, begun: 0 }, spaces: [] });
  const drawable = { vocab_size: 256, tokens: Uint32Array.from({ length: 90 }, (_, i) => 33 + i) };
  const shape = { block_size: BLOCK_SIZE, num_gpu_blocks: 192, max_num_batched_tokens: 512 };
  const cluster = await AnswerCluster.open(simulation, {
    workers: 1,
    mode: "kv",
    openEngine: () => new MockerEngine(shape, { drawable, memory: segments.memory }),
    before: async (opening) => {
      const { system } = await opening.joinOther("kv", {
        files: memoryFiles(new Map()),
        spawn: {
          start: absent<() => never>("start"),
          ...{ self: [], pid: 1, isAlive: () => true, resident_bytes: () => 0 },
        },
      });
      const disk = { folder: "/kv", bytes: 1e9 };
      keeper = wireOf(system, await startKeeper(system, segments, { bytes: 4096 * 96, disk }));
      view = () => system.snapshot("/keeper") as unknown as Keeper;
    },
    workerOf: (_worker, system) => ({
      tiers: {
        keeper: () => keeper && refOf<KvKeeperMessage>(system, keeper),
        map: segments.map,
        identity: async () => ({ model: "m", engine: "mocker", library: "", cache_type: "" }),
        // With a process of its own it follows what the keeper has.
        pid: 2,
      },
    }),
  });
  await simulation.run(3_000);
  const ask = (name: string, story: number, blocks: number, max_tokens = 4) => {
    const sink = new RecordingSink();
    const prompt = promptOf(story, blocks);
    startRecorded(cluster, answerRequest(name, { prompt, max_tokens, ignore_eos: true }), sink);
    return sink;
  };
  const queued = () => {
    const { models } = cluster.snapshot("/router") as unknown as { models: { queued: number }[] };
    return models[0]!.queued;
  };
  return { simulation, cluster, segments, view: () => view(), ask, queued };
}

test.each([1, 2, 3])(
  "who waits in the router finds its blocks in memory, seed %d",
  async (seed) => {
    const { simulation, cluster, segments, view, ask, queued } = await openWorld(seed);
    const story = ask("first", 1, 20);
    await simulation.run(3_000);
    for (let i = 0; i < 8; i++) {
      ask(`other-${i}`, 100 + i, 30);
      await simulation.run(3_000);
    }
    segments.files!.delay_ms = FILE_MS;
    const before = view().spaces[0]!;
    expect(before.disk.registered).toBeGreaterThanOrEqual(20);
    // Enough work that the next request has to wait for its turn.
    for (let i = 0; i < 8; i++) ask(`busy-${i}`, 200 + i, 30);
    await simulation.run(20);
    const again = ask("again", 1, 20);
    await simulation.run(5);
    expect(queued()).toBeGreaterThan(0);
    let loaded = before.disk.loaded;
    while (queued() > 0 && again.outcomes === 0) {
      loaded = view().spaces[0]!.disk.loaded;
      await simulation.run(1);
    }
    expect(view().prefetches.begun).toBe(1);
    expect(loaded - before.disk.loaded).toBe(20);
    await simulation.run(20_000);
    expect(again.text()).toBe(story.text());
    expect(again.usages[0]?.cached_tokens).toBe(20 * BLOCK_SIZE);
    const { spaces, prefetches } = view();
    // Nothing came from disk after it had begun.
    expect(spaces[0]).toMatchObject({ held: 0, unaccounted: 0, disk: { loaded } });
    expect(prefetches.live).toBe(0);
    await cluster.close();
  },
);
