/**
 * Two routers over the same workers: each counts what the other sends, a session is at one worker
 * whichever frontend its turns meet, and no lost message leaves anything behind.
 */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import type { ModelBusy, RouterMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { pickIndex } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import {
  AnswerCluster,
  type ClusterOptions,
  type FrontNode,
} from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";
import { routeHints } from "../support/worlds/route-hints.ts";

type View = {
  sent_by_other_routers: number;
  waiting: number;
  routers: { listens: boolean }[];
  models: {
    workers: { worker: string; in_flight: number; active_blocks: number; backlog_tokens: number }[];
    last: { request: string; worker: string }[];
  }[];
};

const openEngine = () =>
  new MockerEngine({ block_size: 16, num_gpu_blocks: 1_000 }, { drawable: { vocab_size: 256 } });
const policy = { name: "adaptive", affinity: { mode: "hard", ttl_ms: 600_000 } } as const;

async function pair(simulation: Simulation, more: Partial<ClusterOptions> = {}) {
  const options = { workers: 4, fronts: 2, mode: "kv", policy, openEngine, ...more } as const;
  const cluster = await AnswerCluster.open(simulation, options);
  await simulation.run(1_500);
  const [a, b] = cluster.fronts as [FrontNode, FrontNode];
  const view = (front: FrontNode) => cluster.snapshot("/router", front) as unknown as View;
  return { cluster, a, b, view };
}

let made = 0;

/** Nothing of a prompt is in another one. */
function strange(tokens: number): Uint32Array {
  made++;
  return Uint32Array.from({ length: tokens }, (_, i) => (made * 7_919 + i * i * 31 + i) % 256);
}

function send(front: FrontNode, request: string, session = "", max_tokens = 8): RecordingSink {
  const sink = new RecordingSink();
  const hints = routeHints({ session });
  front.start(answerRequest(request, { prompt: strange(160), max_tokens, hints }), sink);
  return sink;
}

test("each counts what the other sends, from the moment it is sent until it is over", async () => {
  const simulation = new Simulation(1);
  const { cluster, a, b, view } = await pair(simulation);
  expect(view(a).routers).toMatchObject([{ listens: true }]);
  const sinks = Array.from({ length: 12 }, (_, i) => send(a, `a${i}`, "", 200));
  await simulation.run(5);
  const placed = view(a).models[0]!.workers;
  expect(placed.reduce((sum, { in_flight }) => sum + in_flight, 0)).toBeGreaterThanOrEqual(4);
  // The load reports of the workers are told apart from it: they know nothing of block names.
  expect(
    view(b).models[0]!.workers.map(({ in_flight, active_blocks }) => [in_flight, active_blocks]),
  ).toEqual(placed.map(({ in_flight, active_blocks }) => [in_flight, active_blocks]));
  await simulation.run(60_000);
  expect(sinks.map((sink) => sink.outcomes)).toEqual(sinks.map(() => 1));
  expect(view(b).sent_by_other_routers).toBe(0);
  for (const { in_flight, active_blocks } of view(b).models[0]!.workers) {
    expect([in_flight, active_blocks]).toEqual([0, 0]);
  }
  await cluster.close();
});

test("bursts that meet two frontends at once spread as one", async () => {
  const simulation = new Simulation(2);
  const { cluster, a, b, view } = await pair(simulation);
  for (let i = 0; i < 4; i++) {
    send(a, `a${i}`, "", 400);
    await simulation.run(1);
    send(b, `b${i}`, "", 400);
    await simulation.run(1);
  }
  await simulation.run(500);
  const counts = view(a).models[0]!.workers.map(({ in_flight }) => in_flight);
  expect(counts).toEqual([2, 2, 2, 2]);
  await cluster.close();
});

test("a router that comes late is told everything that is live, however much that is", async () => {
  const simulation = new Simulation(4);
  const many = () =>
    new MockerEngine(
      { block_size: 16, num_gpu_blocks: 16_000, max_num_seqs: 600 },
      { drawable: { vocab_size: 256 } },
    );
  const dynamo = { name: "dynamo", affinity: policy.affinity } as const;
  const { cluster, a, b, view } = await pair(simulation, { openEngine: many, policy: dynamo });
  for (let i = 0; i < 300; i++) send(a, `a${i}`, `s${i}`, 1_500);
  await simulation.run(50);
  cluster.cutNode(b, false);
  await simulation.run(1_500);
  const live = view(a).models[0]!.workers.reduce((sum, { in_flight }) => sum + in_flight, 0);
  expect(live).toBe(300);
  expect(view(b).sent_by_other_routers).toBe(300);
  expect(view(b).routers).toMatchObject([{ listens: true }]);
  await cluster.close();
}, 30_000);

test("busy thresholds reach the other routers, and one that was away when they were set", async () => {
  const simulation = new Simulation(5);
  const { cluster, a, b } = await pair(simulation);
  const busyOf = async (front: FrontNode, busy?: Partial<ModelBusy>) => {
    const router = front.system.lookup("/router") as Ref<RouterMessage>;
    const change = busy && { model: "toy", set_ms: 0, ...busy };
    const message = { kind: "set_busy", ...(change && { busy: change }) } as const;
    const asked = front.system.ask(router, message, { deadline_ms: 1_000 });
    await simulation.run(20);
    return (await asked).busy.slice(1).map(({ set_ms: _, ...set }) => set);
  };
  expect(await busyOf(a, { decode_blocks: 0.5 })).toEqual([{ model: "toy", decode_blocks: 0.5 }]);
  expect(await busyOf(b)).toEqual([{ model: "toy", decode_blocks: 0.5 }]);
  cluster.cutNode(b, false);
  await busyOf(a, { prefill_tokens: 70 });
  await simulation.run(3_000);
  const both = [{ model: "toy", decode_blocks: 0.5, prefill_tokens: 70 }];
  expect([await busyOf(a), await busyOf(b)]).toEqual([both, both]);
  await cluster.close();
});

test("a router that the registry forgot for a moment hears the others again", async () => {
  const simulation = new Simulation(6);
  const { cluster, a, b, view } = await pair(simulation);
  cluster.forgetRouters(0);
  await simulation.run(3_000);
  for (let i = 0; i < 4; i++) send(a, `a${i}`, "", 400);
  await simulation.run(50);
  expect(view(b).sent_by_other_routers).toBe(4);
  for (let i = 0; i < 4; i++) send(b, `b${i}`, "", 400);
  await simulation.run(50);
  expect(view(a).sent_by_other_routers).toBe(4);
  await cluster.close();
});

test("a session stays at its worker, whichever frontend its turns meet", async () => {
  const simulation = new Simulation(3);
  const { cluster, a, b, view } = await pair(simulation);
  const where = new Map<string, Set<string>>();
  for (let turn = 0; turn < 6; turn++) {
    for (let session = 0; session < 6; session++) {
      const front = (turn + session) % 2 === 0 ? a : b;
      const request = `s${session}-${turn}`;
      send(front, request, `s${session}`);
      await simulation.run(300);
      const last = view(front).models[0]!.last.find((each) => each.request === request);
      const seen = where.get(`s${session}`) ?? new Set();
      where.set(`s${session}`, seen.add(last!.worker));
    }
  }
  expect([...where.values()].map((workers) => workers.size)).toEqual([1, 1, 1, 1, 1, 1]);
  // All on one worker would prove nothing.
  expect(new Set([...where.values()].flatMap((workers) => [...workers])).size).toBeGreaterThan(1);
  await cluster.close();
});

test.each([11, 12, 13, 14, 15, 16])(
  "lost connections and workers leave nothing behind, seed %d",
  async (seed) => {
    const simulation = new Simulation(seed);
    const { random } = simulation;
    const { cluster, a, b, view } = await pair(simulation, { restart_ms: 700 });
    const sinks: RecordingSink[] = [];
    for (let i = 0; i < 80; i++) {
      const front = random.unit() < 0.5 ? a : b;
      const session = `s${pickIndex(random, 10)}`;
      sinks.push(send(front, `r${i}`, session, 1 + pickIndex(random, 40)));
      await simulation.run(random.unit() * 60);
      if (random.unit() < 0.06) cluster.cutNode(front, random.unit() < 0.5);
      if (random.unit() < 0.03) cluster.kill(`w${pickIndex(random, 4)}`);
    }
    await simulation.run(60_000);
    expect(sinks.map((sink) => sink.outcomes)).toEqual(sinks.map(() => 1));
    for (const front of [a, b]) {
      const { sent_by_other_routers, waiting, routers, models } = view(front);
      expect({ sent_by_other_routers, waiting }).toEqual({ sent_by_other_routers: 0, waiting: 0 });
      expect(routers).toMatchObject([{ listens: true }]);
      for (const { in_flight, active_blocks } of models[0]!.workers) {
        expect([in_flight, active_blocks]).toEqual([0, 0]);
      }
    }
    // Once more round each, and both agree about every session.
    const places: string[][] = [];
    for (const [turn, front] of [a, b, a, b].entries()) {
      const row: string[] = [];
      for (let session = 0; session < 10; session++) {
        const request = `last${turn}-${session}`;
        send(front, request, `s${session}`);
        await simulation.run(300);
        const last = view(front).models[0]!.last.find((each) => each.request === request);
        row.push(last!.worker);
      }
      places.push(row);
    }
    expect(places[2]).toEqual(places[3]!);
    await cluster.close();
  },
);

test("the router may live on a node of its own", async () => {
  const simulation = new Simulation(5);
  const options = { fronts: 2, router_alone: true } as const;
  const { cluster, a, b } = await pair(simulation, options);
  const sinks = Array.from({ length: 20 }, (_, i) => send(i % 2 === 0 ? a : b, `r${i}`, "", 20));
  await simulation.run(30_000);
  expect(sinks.map((sink) => sink.usages.length)).toEqual(sinks.map(() => 1));
  const view = cluster.snapshot("/router", cluster.alone!) as unknown as View & {
    routed_total: number;
  };
  expect(view.routed_total).toBe(20);
  expect(view.models[0]!.workers).toMatchObject(
    Array.from({ length: 4 }, () => ({ in_flight: 0, active_blocks: 0 })),
  );
  await cluster.close();
});
