/** Answers that leave their worker before it dies (drained, silent, stuck), and those that stay. */
import { expect, test } from "bun:test";
import type { AnswerRequest } from "../../actors/stream/stream.ts";
import type { WorkerMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { expectedChoice } from "../support/expected-answer.ts";
import { AnswerCluster, startRecorded } from "../support/worlds/answer-cluster.ts";
import { MODEL } from "../support/worlds/fake-registry.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

function expectWhole(sink: RecordingSink, request: AnswerRequest): void {
  expect(sink.failures).toEqual([]);
  expect(sink.usages).toHaveLength(1);
  const { text, tokens } = expectedChoice(request, 0);
  expect(sink.text()).toBe(text);
  expect(sink.tokens()).toEqual([...tokens]);
}

function moves(cluster: AnswerCluster, why: string): number {
  const metrics = cluster.front.system.metrics.render();
  const line = metrics.split("\n").find((each) => each.includes(`why="${why}"`));
  return Number(line?.split(" ").at(-1) ?? 0);
}

function drain(cluster: AnswerCluster, worker: string, budget_ms: number) {
  const { actor } = cluster.workers.get(worker)!;
  return cluster.front.system.ask(
    actor as Ref<WorkerMessage>,
    { kind: "drain", budget_ms, nobody_follows: false },
    { deadline_ms: budget_ms + 1_000 },
  );
}

/** The worker that has the only answer. */
function busyWorker(cluster: AnswerCluster): string {
  const found = [...cluster.workers].find(([, node]) => node.engine.live > 0);
  if (found === undefined) throw new Error("nobody works");
  return found[0];
}

const long = answerRequest("long", { max_tokens: 2_000, ignore_eos: true });

test("a drained worker is left at a token boundary, long before the answer would end", async () => {
  const simulation = new Simulation(21);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const sink = new RecordingSink();
  startRecorded(cluster, long, sink);
  await simulation.run(200);
  const worker = busyWorker(cluster);
  const drained = drain(cluster, worker, 10_000);
  await simulation.run(100);
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  const made = cluster.workers.get(worker)!.engine.stats().generated_tokens_total;
  expect(made).toBeLessThan(300);
  expect(busyWorker(cluster)).not.toBe(worker);
  await simulation.run(5_000);
  expectWhole(sink, long);
  expect(moves(cluster, "handed_over")).toBe(1);
  await cluster.close();
});

test("an answer that is nearly done is finished by the worker that is drained", async () => {
  const simulation = new Simulation(22);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const sink = new RecordingSink();
  const request = answerRequest("short", { max_tokens: 400, ignore_eos: true });
  startRecorded(cluster, request, sink);
  await simulation.run(200);
  const drained = drain(cluster, busyWorker(cluster), 5_000);
  await simulation.run(1_000);
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  expectWhole(sink, request);
  expect(moves(cluster, "handed_over")).toBe(0);
  await cluster.close();
});

test("with no other place the drained worker goes on, until one comes up", async () => {
  const simulation = new Simulation(23);
  const cluster = await AnswerCluster.open(simulation, { workers: 1, engine: { step_ms: 10 } });
  const sink = new RecordingSink();
  startRecorded(cluster, long, sink);
  await simulation.run(200);
  const drained = drain(cluster, "w0", 60_000);
  await simulation.run(3_000);
  // Nobody paused it.
  expect(sink.tokens().length).toBeGreaterThan(280);
  void cluster.startWorker("w1");
  await simulation.run(2_000);
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  expect(busyWorker(cluster)).toBe("w1");
  await simulation.run(20_000);
  expectWhole(sink, long);
  await cluster.close();
});

test("a worker that is stopped at its budget loses nothing", async () => {
  const simulation = new Simulation(24);
  const cluster = await AnswerCluster.open(simulation, {
    workers: 1,
    restart_ms: 1_000,
    engine: { step_ms: 5 },
  });
  const sink = new RecordingSink();
  startRecorded(cluster, long, sink);
  await simulation.run(200);
  const drained = drain(cluster, "w0", 2_000);
  await simulation.run(2_100);
  expect(await drained).toEqual({ kind: "drained", finished: 0, unfinished: 1 });
  cluster.kill("w0");
  await simulation.run(20_000);
  expectWhole(sink, long);
  await cluster.close();
});

test("a worker that is frozen in the middle of an answer is left within 2.5 s", async () => {
  const simulation = new Simulation(25);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const sink = new RecordingSink();
  startRecorded(cluster, long, sink);
  await simulation.run(200);
  const frozen = busyWorker(cluster);
  const before = sink.tokens().length;
  cluster.workers.get(frozen)!.system.control("/worker", "suspend");
  await simulation.run(2_500);
  expect(sink.tokens().length).toBeGreaterThan(before + 100);
  await simulation.run(3_000);
  expectWhole(sink, long);
  expect(moves(cluster, "lost")).toBe(1);
  // What it says when it thaws reaches nobody, and it makes the answer no more.
  cluster.workers.get(frozen)!.system.control("/worker", "resume");
  await simulation.run(500);
  expect(cluster.workers.get(frozen)!.engine.live).toBe(0);
  expectWhole(sink, long);
  await cluster.close();
});

test("an engine that makes no step any more is left, though its worker answers", async () => {
  const simulation = new Simulation(26);
  const stuck = { now: false };
  const cluster = await AnswerCluster.open(simulation, {
    workers: 2,
    engine: { isStuck: () => stuck.now },
  });
  const sink = new RecordingSink();
  startRecorded(cluster, long, sink);
  await simulation.run(200);
  stuck.now = true;
  await simulation.run(8_000);
  expect(moves(cluster, "lost")).toBe(0);
  await simulation.run(6_000);
  stuck.now = false;
  expect(moves(cluster, "lost")).toBe(1);
  await simulation.run(5_000);
  expectWhole(sink, long);
  await cluster.close();
});

test("a client that does not read for minutes is no stall", async () => {
  const simulation = new Simulation(27);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const sink = new RecordingSink(3);
  const request = { ...long, deadline_ms: 600_000 };
  const handle = cluster.start(request, sink);
  await simulation.run(120_000);
  expect(sink.outcomes).toBe(0);
  for (let i = 0; i < 1_000 && sink.outcomes === 0; i++) {
    handle.tell({ kind: "drained" });
    await simulation.run(20);
  }
  expectWhole(sink, request);
  expect(moves(cluster, "lost")).toBe(0);
  await cluster.close();
});

test("an answer that waits long for its turn in the engine is left there", async () => {
  const simulation = new Simulation(28);
  const cluster = await AnswerCluster.open(simulation, {
    workers: 2,
    mode: "round-robin",
    engine: { max_num_seqs: 1, step_ms: 10 },
  });
  const requests = Array.from({ length: 4 }, (_, i) =>
    answerRequest(`r${i}`, { max_tokens: 1_500, ignore_eos: true, deadline_ms: 120_000 }),
  );
  const sinks = requests.map((request) => {
    const sink = new RecordingSink();
    startRecorded(cluster, request, sink);
    return sink;
  });
  // Two of them wait 15 s for their first token.
  await simulation.run(40_000);
  for (const [i, sink] of sinks.entries()) expectWhole(sink, requests[i]!);
  expect(cluster.front.system.metrics.render()).not.toContain(`migration_total{model="${MODEL}"`);
  await cluster.close();
});

test("those that wait for a full worker go to one that comes up, those that run stay", async () => {
  const simulation = new Simulation(29);
  const engine = { max_num_seqs: 2, step_ms: 10 };
  const cluster = await AnswerCluster.open(simulation, {
    workers: 1,
    mode: "least-loaded",
    engine,
  });
  const requests = Array.from({ length: 4 }, (_, i) =>
    answerRequest(`r${i}`, { max_tokens: 3_000, ignore_eos: true, deadline_ms: 120_000 }),
  );
  const sinks = requests.map((request) => {
    const sink = new RecordingSink();
    startRecorded(cluster, request, sink);
    return sink;
  });
  await simulation.run(3_000);
  const begun = () => sinks.filter((sink) => sink.tokens().length > 0).length;
  expect(begun()).toBe(2);
  void cluster.startWorker("w1");
  await simulation.run(9_000);
  expect(begun()).toBe(4);
  expect(moves(cluster, "starved")).toBe(2);
  await simulation.run(60_000);
  for (const [i, sink] of sinks.entries()) expectWhole(sink, requests[i]!);
  await cluster.close();
});
