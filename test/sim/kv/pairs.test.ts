/**
 * Prompts computed by one worker and answered by another, while either of them is killed or cut
 * off: every answer is the one that a single worker makes, and no block is left without an owner.
 */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import type { RouterMode } from "../../../actors/router/router.ts";
import type { AnswerRequest } from "../../../actors/stream/stream.ts";
import type { Drain, KvKeeperMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { refOf, wireOf } from "../../../runtime/remote/node.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { Simulation } from "../../../runtime/simulation/simulation.ts";
import { SegmentTable, startKeeper } from "../../support/kv/kept-blocks.ts";
import { AnswerCluster, startRecorded } from "../../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../../support/worlds/recorded-answer.ts";
import { routeHints } from "../../support/worlds/route-hints.ts";

const BLOCK_SIZE = 16;
const drawable = { vocab_size: 256, tokens: Uint32Array.from({ length: 90 }, (_, i) => 33 + i) };

const requestOf = (number: number, tokens: number, choices = 1): AnswerRequest =>
  answerRequest(`r${number}`, {
    prompt: Uint32Array.from({ length: tokens }, (_, i) => (7 * number + i) % 250),
    choices,
    max_tokens: 24,
    ignore_eos: true,
  });

type Routing = { readonly mode?: RouterMode; readonly enforce_disagg?: boolean };
type World = { readonly cluster: AnswerCluster; readonly segments: SegmentTable };

/** Workers `p…` compute prompts, `d…` answer; `w…` do both. */
async function openWorld(
  simulation: Simulation,
  workers: readonly string[],
  { mode = "kv", enforce_disagg = false }: Routing = {},
): Promise<World> {
  const segments = new SegmentTable(simulation.clock);
  let keeper: Ref<KvKeeperMessage> | undefined;
  const cluster = await AnswerCluster.open(simulation, {
    workers,
    mode,
    policy: { name: "adaptive", conditional: { mode: "off" }, enforce_disagg },
    network: { delay_ms_min: 0, delay_ms_max: 3 },
    openEngine: () =>
      new MockerEngine({ block_size: BLOCK_SIZE }, { drawable, memory: segments.memory }),
    before: async (opening) => {
      const { system } = await opening.joinOther("kv");
      keeper = await startKeeper(system, segments, { bytes: 4 * 1024 * 1024 });
      const wire = wireOf(system, keeper);
      keeperOf = (other) => refOf<KvKeeperMessage>(other, wire);
    },
    workerOf: (worker, system) => ({
      role: worker.startsWith("p") ? "prefill" : worker.startsWith("d") ? "decode" : "aggregated",
      tiers: {
        keeper: () => keeperOf?.(system),
        map: segments.map,
        identity: async () => ({ model: "m", engine: "mocker", library: "", cache_type: "" }),
        pid: 0,
      },
    }),
  });
  return { cluster, segments };
}

let keeperOf: ((system: Parameters<typeof refOf>[0]) => Ref<KvKeeperMessage>) | undefined;

async function answersOf(
  seed: number,
  workers: readonly string[],
  requests: readonly AnswerRequest[],
  disturb: (world: World, simulation: Simulation) => void = () => {},
  routing: Routing = {},
) {
  const simulation = new Simulation(seed);
  const world = await openWorld(simulation, workers, routing);
  const { cluster } = world;
  await simulation.run(3_000);
  disturb(world, simulation);
  const sinks = requests.map((request, i) => {
    const sink = new RecordingSink();
    simulation.clock.after(20 * i, () => startRecorded(cluster, request, sink));
    return sink;
  });
  await simulation.run(40_000);
  const texts = sinks.map((sink, i) =>
    Array.from({ length: requests[i]!.choices }, (_, choice) => sink.text(choice)),
  );
  const failures = sinks.flatMap((sink) => sink.failures);
  const { models, workers: all } = cluster.snapshot("/router") as {
    models?: { workers: { in_flight: number; backlog_tokens?: number }[] }[];
    workers: { in_flight: number; backlog_tokens?: number }[];
  };
  const left = models?.[0]?.workers ?? all;
  const metrics = cluster.front.system.metrics.render();
  const count = (outcome: string) => {
    const found = new RegExp(`^troupe_stream_prefills_total.*"${outcome}".* (\\d+)$`, "m");
    return Number(found.exec(metrics)?.[1] ?? 0);
  };
  const tiers = [...cluster.workers].map(([, node]) => {
    const { kv_tiers } = cluster.snapshot("/worker", node) as { kv_tiers?: Tiers };
    return kv_tiers;
  });
  const computed = Object.fromEntries(
    [...cluster.workers].map(([worker, node]) => {
      const { prompt_tokens_total } = cluster.snapshot("/worker", node) as Record<string, number>;
      return [worker, prompt_tokens_total ?? 0];
    }),
  );
  await cluster.close();
  return {
    texts,
    failures,
    left,
    tiers,
    computed,
    finished: count("finished"),
    lost: count("lost"),
  };
}

type Tiers = { readonly sending: number; readonly waiting: number; readonly onboarded: number };

const asked = [
  ...[400, 700, 90, 16, 33, 1_000].map((tokens, i) => requestOf(i, tokens)),
  requestOf(6, 500, 3),
  requestOf(7, 15),
];
const plain = await answersOf(1, ["w0"], asked);

function expectWhole(run: Awaited<ReturnType<typeof answersOf>>): void {
  expect(run.failures).toEqual([]);
  expect(run.texts).toEqual(plain.texts);
  for (const { in_flight, backlog_tokens = 0 } of run.left) {
    expect([in_flight, backlog_tokens]).toEqual([0, 0]);
  }
  for (const each of run.tiers) expect(each).toMatchObject({ sending: 0, waiting: 0 });
}

test("a pair answers as one worker does, and every prompt of a block or more is handed over", async () => {
  expect(plain.failures).toEqual([]);
  const run = await answersOf(2, ["p0", "d0"], asked);
  expectWhole(run);
  // 15 and 16 tokens have no block to hand over that leaves a token.
  expect(run.finished).toBe(6);
  const onboarded = run.tiers.reduce((sum, each) => sum + (each?.onboarded ?? 0), 0);
  expect(onboarded).toBe(24 + 43 + 5 + 2 + 62 + 31);
});

for (const mode of ["round-robin", "random", "least-loaded", "power-of-two"] as const) {
  test(`mode ${mode} pairs workers too`, async () => {
    const run = await answersOf(3, ["p0", "p1", "d0", "d1"], asked, undefined, { mode });
    expectWhole(run);
    expect(run.finished).toBe(6);
  });
}

for (const mode of ["kv", "round-robin"] as const) {
  test(`mode ${mode}: without a prefill worker requests are refused where that is wanted`, async () => {
    const run = await answersOf(4, ["d0"], [requestOf(0, 100)], undefined, {
      ...{ mode, enforce_disagg: true },
    });
    expect(run.failures).toMatchObject([{ code: "no_worker", status: 503 }]);
    expect(run.failures[0]?.message).toContain("--enforce-disagg");
    const alone = await answersOf(4, ["d0"], asked, undefined, { mode });
    expectWhole(alone);
    expect(alone.finished).toBe(0);
  });
}

for (const mode of ["kv", "round-robin"] as const) {
  test(`mode ${mode}: a client names who computes its prompt, and hears when that one is away`, async () => {
    const named = (prefill_worker: string) =>
      asked.map((request) => ({ ...request, hints: routeHints({ prefill_worker }) }));
    const run = await answersOf(5, ["p0", "p1", "d0"], named("p1"), undefined, { mode });
    expectWhole(run);
    expect(run.finished).toBe(6);
    // Beside its canary.
    expect(run.computed["p0"]).toBeLessThan(50);
    expect(run.computed["p1"]).toBeGreaterThan(2_000);
    const away = await answersOf(6, ["p0", "d0"], named("p7").slice(0, 1), undefined, { mode });
    expect(away.failures).toMatchObject([{ code: "no_worker", status: 503 }]);
    expect(away.failures[0]?.message).toContain("'p7'");
    const itself = await answersOf(7, ["p0", "d0", "d1"], named("d1"), undefined, { mode });
    expectWhole(itself);
    expect(itself.finished).toBe(0);
    expect(itself.computed["d0"]).toBeLessThan(50);
  });
}

test("clients that leave at any moment of a hand-over leave nothing behind", async () => {
  for (let moment = 0; moment < 20; moment++) {
    const simulation = new Simulation(50 + moment);
    const { cluster } = await openWorld(simulation, ["p0", "d0"]);
    await simulation.run(3_000);
    const sinks = asked.map((request, i) => {
      const sink = new RecordingSink();
      const handle = startRecorded(cluster, request, sink);
      const kind = i % 2 === 0 ? "abandon" : "leave";
      simulation.clock.after(8 * moment + i, () => handle.tell({ kind, reason: "it left" }));
      return sink;
    });
    await simulation.run(5_000);
    for (const sink of sinks) expect(sink.outcomes).toBe(1);
    for (const [, node] of cluster.workers) {
      const { kv_tiers, answers } = cluster.snapshot("/worker", node) as {
        kv_tiers: Tiers;
        answers: number;
      };
      expect([kv_tiers.sending, kv_tiers.waiting, answers]).toEqual([0, 0, 0]);
    }
    const { models } = cluster.snapshot("/router") as { models: { workers: object[] }[] };
    for (const each of models[0]!.workers) {
      expect(each).toMatchObject({ in_flight: 0, active_blocks: 0, backlog_tokens: 0 });
    }
    await cluster.close();
  }
});

const faults: readonly (readonly [string, (world: World, random: SeededRandom) => void])[] = [
  ["kill -9 of a prefill worker", ({ cluster }) => void cluster.kill("p0")],
  ["kill -9 of a worker that answers", ({ cluster }) => void cluster.kill("d0")],
  ["a broken connection to a prefill worker", ({ cluster }) => cluster.cut("p0", false)],
  ["a prefill worker that is not heard of", ({ cluster }) => cluster.cut("p0", true)],
  ["a worker that answers and is not heard of", ({ cluster }) => cluster.cut("d0", true)],
];
for (const [what, fault] of faults) {
  test(`${what}, at 20 moments of a hand-over`, async () => {
    let lost = 0;
    for (let moment = 0; moment < 20; moment++) {
      const random = new SeededRandom(moment);
      const workers = moment % 2 === 0 ? ["p0", "d0", "d1"] : ["p0", "p1", "d0", "d1"];
      const run = await answersOf(100 + moment, workers, asked, (world, { clock }) => {
        clock.after(2 + 9 * moment, () => fault(world, random));
      });
      expectWhole(run);
      lost += run.lost;
    }
    if (what.includes("kill -9 of a prefill")) expect(lost).toBeGreaterThan(0);
  }, 60_000);
}

test("a drained worker's long answer goes on from blocks of its prompt and of itself", async () => {
  const simulation = new Simulation(5);
  const { cluster } = await openWorld(simulation, ["w0", "w1"]);
  await simulation.run(3_000);
  const request = { ...requestOf(0, 320), max_tokens: 1_500 };
  const sink = new RecordingSink();
  startRecorded(cluster, request, sink);
  await simulation.run(1_500);
  const made = sink.tokens().length;
  expect(made).toBeGreaterThan(64);
  const onboardedBy = (worker: string) => {
    const { kv_tiers } = cluster.snapshot("/worker", cluster.workers.get(worker)) as {
      kv_tiers: Tiers;
    };
    return kv_tiers.onboarded;
  };
  const [from, to] =
    cluster.snapshot("/worker", cluster.workers.get("w0"))["answers"] === 1
      ? (["w0", "w1"] as const)
      : (["w1", "w0"] as const);
  const node = cluster.workers.get(from)!;
  const drain = { kind: "drain", budget_ms: 20_000, nobody_follows: false } as const;
  void node.system.ask(node.actor as Ref<Drain>, drain, { deadline_ms: 30_000 });
  await simulation.run(30_000);
  expect(sink.failures).toEqual([]);
  expect(sink.usages).toMatchObject([{ completion_tokens: 1_500 }]);
  // All full blocks of the prompt, and those of the answer but for the newest.
  expect(onboardedBy(to)).toBeGreaterThanOrEqual(Math.floor((320 + made) / BLOCK_SIZE) - 2);
  await cluster.close();
});

for (const killed of [false, true]) {
  const then = killed ? ", also when that one is killed" : "";
  test(`prompts wait in the router for a busy prefill worker, in order of priority${then}`, async () => {
    const simulation = new Simulation(9);
    const { cluster } = await openWorld(simulation, ["p0", "d0"]);
    await simulation.run(3_000);
    const order: string[] = [];
    const sinks: RecordingSink[] = [];
    const start = (number: number, name: string, strict_priority: number) => {
      const sink = new RecordingSink();
      sink.done = () => order.push(name);
      sinks.push(sink);
      const hints = routeHints({ strict_priority });
      startRecorded(cluster, { ...requestOf(number, 400), hints }, sink);
    };
    for (let i = 0; i < 8; i++) start(i, `low-${i}`, 0);
    await simulation.run(1);
    const waiting = () => (cluster.snapshot("/router") as { waiting: number }).waiting;
    // The card says 512 tokens a pass, and a half of that may be before a prompt.
    expect(waiting()).toBeGreaterThan(4);
    start(8, "high", 5);
    if (killed) void cluster.kill("p0");
    await simulation.run(20_000);
    expect(sinks.flatMap(({ failures }) => failures)).toEqual([]);
    expect(order).toHaveLength(9);
    if (!killed) expect(order.indexOf("high")).toBeLessThanOrEqual(3);
    expect(waiting()).toBe(0);
    await cluster.close();
  });
}

test("many faults in any order", async () => {
  for (let seed = 0; seed < 30; seed++) {
    const workers = ["p0", "p1", "d0", "d1"];
    const run = await answersOf(1_000 + seed, workers, asked, (world, { clock }) => {
      const random = new SeededRandom(seed);
      for (let i = 0; i < 4; i++) {
        const worker = workers[Math.floor(random.unit() * workers.length)]!;
        const kind = Math.floor(random.unit() * 3);
        clock.after(random.unit() * 600, () => {
          if (kind === 0) world.cluster.kill(worker);
          else world.cluster.cut(worker, kind === 1);
        });
      }
    });
    expectWhole(run);
  }
}, 120_000);
