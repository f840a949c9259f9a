/**
 * Engines that fail: a prompt that every engine crashes on, and a worker whose engine fails at each
 * step. The others' answers are all made, exactly; the poison ends with its own error after two
 * workers, and the failing worker does not attract what the others could make.
 */
import { expect, test } from "bun:test";
import { FaultInjector, type FaultRule, FaultyEngine } from "../../actors/fault/fault.ts";
import { type RouterMode, routerModes } from "../../actors/router/router.ts";
import type { AnswerRequest } from "../../actors/stream/stream.ts";
import { pickIndex } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { FakeEngine } from "../support/engine/fake-engine.ts";
import { expectedChoice } from "../support/expected-answer.ts";
import { AnswerCluster, startRecorded } from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

const modes = routerModes.filter((mode) => mode !== "direct");
/** In no other prompt. */
const POISON = [251, 252, 253];

type Plan = {
  readonly seed: number;
  readonly mode: RouterMode;
  readonly workers: number;
  readonly rules: (worker: string) => readonly FaultRule[];
  readonly poisons: number;
  readonly others: number;
  readonly over_ms?: number;
  readonly step_ms?: number;
};

async function run({ seed, mode, workers, rules, poisons, others, ...rest }: Plan) {
  const { over_ms = 400, step_ms = 2 } = rest;
  const simulation = new Simulation(seed);
  const { clock, random } = simulation;
  const cluster: AnswerCluster = await AnswerCluster.open(simulation, {
    workers,
    mode,
    restart_ms: 300,
    network: { delay_ms_min: 0, delay_ms_max: random.unit() * 2 },
    openEngine: (worker) => {
      const exit = () => void cluster.crash(worker);
      const injector = new FaultInjector(
        { node: worker, clock, exit },
        { seed, rules: rules(worker) },
      );
      const inner = new FakeEngine({ step_ms, max_num_seqs: 6 });
      return new FaultyEngine(inner, injector);
    },
  });
  const launch = (request: AnswerRequest) => {
    const sink = new RecordingSink();
    const at_ms = random.unit() * over_ms;
    let placed = 0;
    clock.after(at_ms, () => {
      startRecorded(
        cluster,
        request,
        Object.assign(sink, {
          placed: () => {
            placed++;
          },
        }),
      );
    });
    return { request, sink, placed: () => placed };
  };
  const poisoned = Array.from({ length: poisons }, (_, i) =>
    launch(answerRequest(`p${i}`, { prompt: Uint32Array.from([1, ...POISON, i]) })),
  );
  const innocents = Array.from({ length: others }, (_, i) => {
    const length = 1 + pickIndex(random, 6);
    const prompt = Uint32Array.from({ length }, () => pickIndex(random, 200));
    return launch(answerRequest(`r${i}`, { prompt, max_tokens: 1 + pickIndex(random, 30) }));
  });
  await simulation.run(25_000);
  const again = new RecordingSink();
  if (poisons > 0) {
    startRecorded(cluster, { ...poisoned[0]!.request, request: "again" }, again);
    await simulation.run(100);
  }
  await cluster.close();
  return { poisoned, innocents, again };
}

function checkWhole({ innocents }: Awaited<ReturnType<typeof run>>): void {
  for (const { request, sink } of innocents) {
    expect(sink.failures).toEqual([]);
    const { tokens, text } = expectedChoice(request, 0);
    expect(sink.tokens()).toEqual([...tokens]);
    expect(sink.text()).toBe(text);
  }
}

test.each(["crash", "abort"] as const)("a prompt that engines %s on", async (deed) => {
  for (let seed = 1; seed <= 25; seed++) {
    const mode = modes[seed % modes.length]!;
    const rule = { point: "engine.prompt", match: POISON.join(" "), do: deed } as const;
    const done = await run({
      ...{ seed, mode, workers: 4, poisons: 1, others: 40 },
      rules: () => [rule],
    });
    checkWhole(done);
    const [poison] = done.poisoned;
    expect(poison!.sink.failures).toMatchObject([{ code: "quarantined", status: 422 }]);
    expect(poison!.placed()).toBe(2);
    // Sent again it costs nobody anything.
    expect(done.again.failures).toMatchObject([{ code: "quarantined" }]);
  }
});

test("in a crowd that has no token yet nobody else is blamed, however often they meet", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const mode = modes[seed % modes.length]!;
    const rule = { point: "engine.prompt", match: POISON.join(" "), do: "abort" } as const;
    const done = await run({
      ...{ seed, mode, workers: 3, poisons: 1, others: 30, over_ms: 4, step_ms: 40 },
      rules: () => [rule],
    });
    checkWhole(done);
    expect(done.poisoned[0]!.sink.failures).toMatchObject([{ code: "quarantined" }]);
  }
});

test("who was killed from outside, however often, is not to blame", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const simulation = new Simulation(seed);
    const cluster = await AnswerCluster.open(simulation, {
      workers: 4,
      mode: modes[seed % modes.length]!,
      engine: { step_ms: 400 },
      restart_ms: 300,
      answers: { attempts: 9 },
    });
    const sink = new RecordingSink();
    startRecorded(cluster, answerRequest("r", { max_tokens: 3 }), sink);
    for (let kills = 0; kills < 5; kills++) {
      await simulation.run(60);
      const rows = cluster.snapshot("/router")["workers"] as {
        readonly worker: string;
        readonly in_flight: number;
      }[];
      const busy = rows.find(({ in_flight }) => in_flight > 0);
      if (busy !== undefined) cluster.kill(busy.worker);
      await simulation.run(700);
    }
    await simulation.run(10_000);
    await cluster.close();
    expect(sink.failures).toEqual([]);
    expect(sink.usages).toHaveLength(1);
  }
});

test.each(["fail", "crash", "abort"] as const)(
  "an engine that %ss each step gets little, and what it gets is made elsewhere",
  async (deed) => {
    for (let seed = 1; seed <= 15; seed++) {
      const mode = modes[seed % modes.length]!;
      const rule = { point: "engine.step", do: deed } as const;
      const done = await run({
        ...{ seed, mode, workers: 4, poisons: 0, others: 60, over_ms: 8_000 },
        rules: (worker) => (worker === "w1" ? [rule] : []),
      });
      checkWhole(done);
      // It would have a share of 15, and being empty most of the 60.
      const moved = done.innocents.filter(({ placed }) => placed() > 1).length;
      expect(moved).toBeLessThanOrEqual(4);
    }
  },
);
