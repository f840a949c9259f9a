/**
 * Router, feed and simulated workers with small caches under the virtual clock: requests of a few
 * prefix groups, evictions, killed workers, broken connections. Afterwards what the router knows
 * of each cache is what is in it.
 */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import { pickIndex } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import {
  AnswerCluster,
  type ClusterOptions,
  startRecorded,
} from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";
import { routeHints } from "../support/worlds/route-hints.ts";

const BLOCK = 16;
const BLOCKS = 64;

type Cache = { worker: string; state: string; fault: string; blocks: number; suspect: boolean };
type RouterView = { caches: Cache[]; waiting: number; models: { workers: unknown[] }[] };

function openCluster(simulation: Simulation, more: Partial<ClusterOptions> = {}) {
  const engines = new Map<string, MockerEngine>();
  const shape = { block_size: BLOCK, num_gpu_blocks: BLOCKS, speedup_ratio: 20 };
  const openEngine = (worker: string): MockerEngine => {
    const engine = new MockerEngine(shape, { drawable: { vocab_size: 256 } });
    engines.set(worker, engine);
    return engine;
  };
  const options = { workers: 3, mode: "kv", openEngine, restart_ms: 700, ...more } as const;
  return { engines, opened: AnswerCluster.open(simulation, options) };
}

function promptOf(group: number, own: number): Uint32Array {
  const prefix = Array.from({ length: 10 * BLOCK }, (_, i) => (group * 37 + i) % 256);
  const rest = Array.from({ length: 2 * BLOCK }, (_, i) => (own * 53 + i * 7 + 1) % 256);
  return Uint32Array.from([...prefix, ...rest]);
}

const blocksIn = (engine: MockerEngine): number =>
  [...engine.kvDump().blocks].reduce((sum, run) => sum + run.sequence_hashes.length, 0);

test.each([1, 2, 3, 4, 5, 6])("what is known is what is cached, seed %d", async (seed) => {
  const simulation = new Simulation(seed);
  const { random } = simulation;
  const { engines, opened } = openCluster(simulation);
  const cluster = await opened;
  const sinks: RecordingSink[] = [];
  for (let i = 0; i < 80; i++) {
    const sink = new RecordingSink();
    sinks.push(sink);
    const prompt = promptOf(pickIndex(random, 6), i);
    const request = answerRequest(`r${i}`, { prompt, max_tokens: 1 + pickIndex(random, 20) });
    startRecorded(cluster, request, sink);
    await simulation.run(random.unit() * 60);
    const worker = `w${pickIndex(random, 3)}`;
    if (random.unit() < 0.03) cluster.kill(worker);
    if (random.unit() < 0.05) cluster.cut(worker, random.unit() < 0.5);
  }
  await simulation.run(60_000);
  expect(sinks.map((sink) => sink.outcomes)).toEqual(sinks.map(() => 1));
  const view = cluster.snapshot("/router") as unknown as RouterView;
  expect(view.waiting).toBe(0);
  expect(view.models.flatMap(({ workers }) => workers)).toMatchObject(
    Array.from({ length: 3 }, () => ({ in_flight: 0, active_blocks: 0, backlog_tokens: 0 })),
  );
  const known = view.caches.map(({ worker, state, fault, blocks }) => [
    worker,
    state,
    fault,
    blocks,
  ]);
  const cached = ["w0", "w1", "w2"].map((worker) => {
    return [worker, "live", "", blocksIn(engines.get(worker)!)];
  });
  expect(known.sort()).toEqual(cached);
  expect(cached.some(([, , , blocks]) => Number(blocks) > 10)).toBe(true);
  await cluster.close();
});

test("requests of one group meet in one cache, groups spread", async () => {
  const simulation = new Simulation(7);
  const { engines, opened } = openCluster(simulation);
  const cluster = await opened;
  let cached_tokens = 0;
  for (let i = 0; i < 30; i++) {
    const sink = new RecordingSink();
    startRecorded(cluster, answerRequest(`r${i}`, { prompt: promptOf(i % 3, i) }), sink);
    await simulation.run(200);
    cached_tokens += sink.usages[0]?.cached_tokens ?? 0;
  }
  // All but the first of each group.
  expect(cached_tokens).toBe(27 * 10 * BLOCK);
  expect([...engines.values()].filter((engine) => blocksIn(engine) >= 10).length).toBeGreaterThan(
    0,
  );
  await cluster.close();
});

test("requests that no worker has room for wait, in order of priority, and are all answered", async () => {
  const simulation = new Simulation(8);
  const { opened } = openCluster(simulation, {
    workers: 1,
    openEngine: () => new MockerEngine({ block_size: BLOCK, num_gpu_blocks: 4_096 }),
  });
  const cluster = await opened;
  const order: string[] = [];
  let started = 0;
  const start = (name: string, strict_priority: number) => {
    const sink = new RecordingSink();
    const prompt = promptOf(started, started++);
    const hints = routeHints({ strict_priority });
    sink.done = () => order.push(name);
    startRecorded(cluster, answerRequest(name, { prompt, max_tokens: 1, hints }), sink);
  };
  // The card says 512 tokens a pass; a half of that is the most that goes to a worker at once.
  for (let i = 0; i < 6; i++) start(`low-${i}`, 0);
  await simulation.run(1);
  const { waiting } = cluster.snapshot("/router") as unknown as RouterView;
  expect(waiting).toBeGreaterThan(2);
  start("high", 5);
  await simulation.run(5_000);
  expect(order).toHaveLength(7);
  expect(order.indexOf("high")).toBeLessThanOrEqual(2);
  await cluster.close();
});
