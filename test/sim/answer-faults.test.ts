/**
 * The way of answers under seeded delivery, delays, slow clients, hang-ups, short deadlines, full
 * engines and dying workers. Whatever happens: one end each, nothing wrong or twice, nothing left.
 */
import { expect, test } from "bun:test";
import type { RouterMode } from "../../actors/router/router.ts";
import type { AnswerRequest } from "../../actors/stream/stream.ts";
import type { WorkerMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { pickIndex, type SeededRandom } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { expectedChoice } from "../support/expected-answer.ts";
import { AnswerCluster, startRecorded } from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

type Client = {
  readonly request: AnswerRequest;
  readonly sink: RecordingSink;
  readonly abandoned: boolean;
};

type Faults = {
  readonly kills: boolean;
  readonly cuts: boolean;
  readonly full: boolean;
  /** Every worker in turn is drained and then ended. */
  readonly rolling?: boolean;
};

const modes: readonly RouterMode[] = [
  "kv",
  "least-loaded",
  "round-robin",
  "random",
  "power-of-two",
];
const stops = ["stream", "字", "and", "e", ", tree", "🌿 "];

function chance(random: SeededRandom, of: number): boolean {
  return random.unit() < of;
}

function drawRequest(random: SeededRandom, name: string): AnswerRequest {
  const prompt = Uint32Array.from({ length: 1 + pickIndex(random, 6) }, () => random.u32() % 256);
  return answerRequest(name, {
    prompt,
    choices: chance(random, 0.3) ? 1 + pickIndex(random, 3) : 1,
    max_tokens: 1 + pickIndex(random, 40),
    stop_strings: chance(random, 0.4) ? [stops[pickIndex(random, stops.length)]!] : [],
    include_stop: chance(random, 0.5),
    ignore_eos: chance(random, 0.5),
    logprobs: chance(random, 0.2) ? 2 : -1,
    deadline_ms: chance(random, 0.1) ? 1 + pickIndex(random, 40) : 20_000,
  });
}

function launch(cluster: AnswerCluster, random: SeededRandom, name: string): Client {
  const { clock } = cluster.simulation;
  const request = drawRequest(random, name);
  const sink = new RecordingSink(
    chance(random, 0.3) ? 1 + pickIndex(random, 6) : Number.POSITIVE_INFINITY,
  );
  const abandoned = chance(random, 0.15);
  const abandon_ms = random.unit() * 60;
  clock.after(random.unit() * 80, () => {
    const handle = startRecorded(cluster, request, sink, random.unit() * 20);
    if (!abandoned) return;
    clock.after(abandon_ms, () => handle.tell({ kind: "abandon", reason: "hung up" }));
  });
  return { request, sink, abandoned };
}

/** How answers ended, over all seeds of a test: a fault that never struck would test nothing. */
type Tally = Map<string, number>;

async function runSeed(seed: number, faults: Faults, tally: Tally): Promise<void> {
  const simulation = new Simulation(seed);
  const { random, clock } = simulation;
  const workers = 1 + pickIndex(random, 3);
  const cluster = await AnswerCluster.open(simulation, {
    workers,
    mode: modes[pickIndex(random, modes.length)]!,
    engine: {
      step_ms: chance(random, 0.3) ? 0 : random.unit() * 4,
      max_num_seqs: 1 + pickIndex(random, 6),
      max_queue: faults.full ? 1 + pickIndex(random, 3) : 1_000,
    },
    restart_ms: 200 + random.unit() * 300,
    answers: { window_tokens: 1 + pickIndex(random, 24) },
    network: { delay_ms_min: 0, delay_ms_max: random.unit() * 2 },
  });
  const clients = Array.from({ length: 10 }, (_, i) => launch(cluster, random, `r${i}`));
  let killed = false;
  if (faults.kills) {
    clock.after(random.unit() * 100, () => {
      killed = cluster.kill(`w${pickIndex(random, workers)}`);
    });
  }
  if (faults.cuts) {
    for (let i = 0; i < 3; i++) {
      const half_open = chance(random, 0.3);
      const worker = `w${pickIndex(random, workers)}`;
      clock.after(random.unit() * 150, () => cluster.cut(worker, half_open));
    }
  }
  if (faults.rolling === true) roll(cluster, workers, random);
  await simulation.run(faults.cuts || faults.rolling === true ? 9_000 : 3_000);
  for (const client of clients) {
    checkClient(client, killed || faults.cuts || faults.rolling === true, faults);
    const outcome = client.sink.failures[0]?.code ?? "done";
    tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
  }
  checkNothingLeft(cluster);
  await cluster.close();
}

/** One after the other, each with a budget that may be too short for all that it has. */
function roll(cluster: AnswerCluster, workers: number, random: SeededRandom): void {
  const { clock } = cluster.simulation;
  for (let i = 0; i < workers; i++) {
    const worker = `w${i}`;
    const budget_ms = 5 + random.unit() * 300;
    clock.after(20 + 700 * i + random.unit() * 60, () => {
      const node = cluster.workers.get(worker);
      if (node === undefined) return;
      const end = () => void cluster.kill(worker);
      cluster.front.system
        .ask(
          node.actor as Ref<WorkerMessage>,
          { kind: "drain", budget_ms, nobody_follows: false },
          { deadline_ms: budget_ms + 50 },
        )
        .then(end, end);
    });
  }
}

function checkClient({ request, sink, abandoned }: Client, killed: boolean, faults: Faults): void {
  expect(sink.outcomes).toBe(1);
  const expected = Array.from({ length: request.choices }, (_, c) => expectedChoice(request, c));
  for (const [choice, whole] of expected.entries()) {
    const tokens = sink.tokens(choice);
    expect(tokens).toEqual(whole.tokens.slice(0, tokens.length));
    expect(whole.text.startsWith(sink.text(choice))).toBe(true);
    const delivered = sink.pieces.filter((piece) => piece.choice === choice).at(-1)?.delivered;
    expect(delivered ?? 0).toBe(tokens.length);
  }
  if (request.logprobs >= 0) {
    for (const piece of sink.pieces) expect(piece.logprobs?.length).toBe(piece.tokens.length);
  }
  const failed = sink.failures[0];
  if (failed !== undefined) {
    const allowed = new Set<string>();
    if (abandoned) allowed.add("cancelled");
    if (request.deadline_ms < 1_000) allowed.add("deadline");
    // Once a client has a part of its answer, it gets the rest.
    if (faults.full && sink.pieces.length + sink.ends.length === 0) allowed.add("overloaded");
    expect([...allowed]).toContain(failed.code);
    return;
  }
  expect(expected.map((_, choice) => sink.text(choice))).toEqual(expected.map((e) => e.text));
  const ends = [...sink.ends].sort((a, b) => a.choice - b.choice);
  expect(ends).toEqual(expected.map((each) => each.end));
  const completion_tokens = expected.reduce((sum, each) => sum + each.completion_tokens, 0);
  expect(sink.usages[0]?.completion_tokens).toBe(completion_tokens);
  expect(sink.usages[0]?.prompt_tokens).toBe(request.prompt.length);
  if (!killed) expect(sink.usages[0]?.cached_tokens).toBe(2);
}

function checkNothingLeft(cluster: AnswerCluster): void {
  expect(cluster.snapshot("/streams")).toMatchObject({ answers: 0, orphans: 0 });
  const router = cluster.snapshot("/router");
  expect(router).toMatchObject({ waiting: 0, orphans: 0 });
  for (const worker of router["workers"] as { in_flight: number; suspect: boolean }[]) {
    expect(worker).toMatchObject({ in_flight: 0, suspect: false });
  }
  for (const node of cluster.workers.values()) {
    expect(node.engine.live).toBe(0);
    const nothing = { answers: 0, running: 0, waiting: 0, orphans: 0 };
    expect(cluster.snapshot("/worker", node)).toMatchObject(nothing);
  }
  const unexpected = cluster.log.lines.filter((line) => line.level === "error");
  expect(unexpected.filter((line) => !line.message.includes("killed"))).toEqual([]);
}

async function runSeeds(from: number, count: number, faults: Faults): Promise<Tally> {
  const tally: Tally = new Map();
  for (let seed = from; seed < from + count; seed++) {
    try {
      await runSeed(seed, faults, tally);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`);
    }
  }
  return tally;
}

test("without faults every answer is whole, over seeds", async () => {
  const tally = await runSeeds(1, 60, { kills: false, full: false, cuts: false });
  expect([...tally.keys()].sort()).toEqual(["cancelled", "deadline", "done"]);
}, 60_000);

test("a worker dies at any moment, over seeds", async () => {
  const tally = await runSeeds(1_000, 100, { kills: true, full: false, cuts: false });
  expect([...tally.keys()].sort()).toEqual(["cancelled", "deadline", "done"]);
}, 60_000);

test("connections break while both ends live, over seeds", async () => {
  const tally = await runSeeds(3_000, 40, { kills: false, full: false, cuts: true });
  expect([...tally.keys()].sort()).toEqual(["cancelled", "deadline", "done"]);
}, 60_000);

test("every worker in turn is drained and ended, over seeds", async () => {
  const tally = await runSeeds(4_000, 60, {
    kills: false,
    full: false,
    cuts: false,
    rolling: true,
  });
  expect([...tally.keys()].sort()).toEqual(["cancelled", "deadline", "done"]);
}, 60_000);

test("engines that refuse and a worker that dies, over seeds", async () => {
  const tally = await runSeeds(2_000, 60, { kills: true, full: true, cuts: false });
  expect(tally.get("overloaded")).toBeGreaterThan(0);
  expect(tally.has("worker_lost")).toBe(false);
}, 60_000);

test("the same seed gives the same run", async () => {
  const hashes = [];
  for (let run = 0; run < 2; run++) {
    const simulation = new Simulation(77);
    const cluster = await AnswerCluster.open(simulation, { workers: 2 });
    const clients = Array.from({ length: 5 }, (_, i) =>
      launch(cluster, simulation.random, `r${i}`),
    );
    await simulation.run(1_000);
    hashes.push(simulation.trace_hash);
    expect(clients.every((client) => client.sink.outcomes === 1)).toBe(true);
    await cluster.close();
  }
  expect(hashes[0]).toBe(hashes[1]);
});
