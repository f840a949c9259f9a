import { expect, test } from "bun:test";
import type { WorkerMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { answerBytes } from "../support/engine/fake-engine.ts";
import { expectedChoice } from "../support/expected-answer.ts";
import { AnswerCluster, startRecorded } from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

test("an answer comes whole, in order, with its usage", async () => {
  const simulation = new Simulation(1);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const sink = new RecordingSink();
  startRecorded(cluster, answerRequest("r1", { max_tokens: 12, ignore_eos: true }), sink);
  await simulation.run(1_000);
  const bytes = answerBytes([1, 2, 3], 0, 12);
  expect(sink.failures).toEqual([]);
  expect(sink.text()).toBe(new TextDecoder().decode(bytes));
  expect(sink.tokens()).toEqual([...bytes]);
  expect(sink.ends).toEqual([{ choice: 0, reason: "length" }]);
  expect(sink.usages).toEqual([{ prompt_tokens: 3, completion_tokens: 12, cached_tokens: 2 }]);
  await cluster.close();
});

test("64 answers at once do not mix", async () => {
  const simulation = new Simulation(2);
  const cluster = await AnswerCluster.open(simulation, { workers: 2 });
  const clients = Array.from({ length: 64 }, (_, i) => {
    const request = answerRequest(`r${i}`, {
      prompt: Uint32Array.of(i, 2 * i, 7),
      choices: 1 + (i % 2),
      max_tokens: 30,
    });
    const sink = new RecordingSink();
    startRecorded(cluster, request, sink);
    return { request, sink };
  });
  await simulation.run(2_000);
  for (const { request, sink } of clients) {
    const expected = Array.from({ length: request.choices }, (_, c) => expectedChoice(request, c));
    expect(expected.map((_, choice) => sink.text(choice))).toEqual(expected.map((e) => e.text));
    const completion_tokens = expected.reduce((sum, each) => sum + each.completion_tokens, 0);
    expect(sink.usages).toEqual([{ prompt_tokens: 3, completion_tokens, cached_tokens: 2 }]);
  }
  await cluster.close();
});

test("a request that comes while the only worker is down is answered when it is back", async () => {
  const simulation = new Simulation(3);
  const cluster = await AnswerCluster.open(simulation, { workers: 1, restart_ms: 4_000 });
  cluster.kill("w0");
  await simulation.run(100);
  const sink = new RecordingSink();
  startRecorded(cluster, answerRequest("r1", { max_tokens: 4, ignore_eos: true }), sink);
  await simulation.run(3_800);
  expect(sink.outcomes).toBe(0);
  await simulation.run(1_100);
  expect(sink.usages).toHaveLength(1);
  await cluster.close();
});

test("a client that hangs up stops the engine within 100 ms", async () => {
  const simulation = new Simulation(4);
  const cluster = await AnswerCluster.open(simulation, {
    workers: 1,
    engine: { step_ms: 20 },
    network: { delay_ms_min: 1, delay_ms_max: 2 },
  });
  const request = answerRequest("r1", { choices: 3, max_tokens: 1_000, ignore_eos: true });
  const sink = new RecordingSink();
  const handle = startRecorded(cluster, request, sink);
  await simulation.run(500);
  const { engine } = cluster.workers.get("w0")!;
  expect(engine.live).toBe(3);
  handle.tell({ kind: "abandon", reason: "hung up" });
  await simulation.run(100);
  expect(engine.live).toBe(0);
  expect(sink.failures).toMatchObject([{ code: "cancelled", status: 499 }]);
  await cluster.close();
});

test("a client that stops reading holds up nobody, and gets all when it reads again", async () => {
  const simulation = new Simulation(5);
  const cluster = await AnswerCluster.open(simulation, {
    workers: 1,
    answers: { window_tokens: 8 },
  });
  const request = answerRequest("slow", { max_tokens: 200, ignore_eos: true });
  const slow = new RecordingSink(2);
  const handle = cluster.start(request, slow);
  let full = 0;
  slow.onFull = () => {
    full++;
  };
  const quick = new RecordingSink();
  startRecorded(cluster, { ...request, request: "quick" }, quick);
  await simulation.run(5_000);
  expect(quick.usages).toHaveLength(1);
  // The window that was granted before it was full, and nothing beyond.
  expect(slow.tokens().length).toBeLessThanOrEqual(2 + 8);
  expect(cluster.workers.get("w0")?.engine.live).toBe(0);
  for (let i = 0; i < 200 && slow.outcomes === 0; i++) {
    handle.tell({ kind: "drained" });
    await simulation.run(50);
  }
  expect(full).toBeGreaterThan(10);
  expect(slow.text()).toBe(expectedChoice(request, 0).text);
  await cluster.close();
});

test("a worker that drains gets nothing new while its answers finish", async () => {
  const simulation = new Simulation(6);
  const cluster = await AnswerCluster.open(simulation, { workers: 2, mode: "round-robin" });
  const start = (name: string) => {
    const sink = new RecordingSink();
    startRecorded(cluster, answerRequest(name, { max_tokens: 50, ignore_eos: true }), sink);
    return sink;
  };
  const before = [start("r1"), start("r2")];
  await simulation.run(10);
  const { actor, engine } = cluster.workers.get("w0")!;
  const drained = cluster.front.system.ask(
    actor as Ref<WorkerMessage>,
    { kind: "drain", budget_ms: 5_000, nobody_follows: false },
    { deadline_ms: 10_000 },
  );
  const during = ["r3", "r4", "r5"].map(start);
  await simulation.run(1_000);
  expect(await drained).toEqual({ kind: "drained", finished: 1, unfinished: 0 });
  for (const sink of [...before, ...during]) expect(sink.usages).toHaveLength(1);
  expect(engine.stats().generated_tokens_total).toBe(2 + 50);
  await cluster.close();
});

test("a stop string over many tokens ends the choice, the others go on", async () => {
  const simulation = new Simulation(7);
  const cluster = await AnswerCluster.open(simulation, { workers: 1 });
  const plain = answerRequest("r1", { choices: 3, max_tokens: 60, ignore_eos: true });
  const text = expectedChoice(plain, 1).text;
  const request = { ...plain, stop_strings: [text.slice(10, 18)] };
  const sink = new RecordingSink();
  startRecorded(cluster, request, sink);
  await simulation.run(1_000);
  for (const choice of [0, 1, 2]) {
    const expected = expectedChoice(request, choice);
    expect(sink.text(choice)).toBe(expected.text);
    expect(sink.ends).toContainEqual(expected.end);
  }
  expect(sink.text(1)).toBe(text.slice(0, 10));
  expect(cluster.workers.get("w0")?.engine.stats().generated_tokens_total).toBeLessThan(2 + 180);
  await cluster.close();
});
