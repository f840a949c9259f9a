/**
 * Answers whose consumer dies at each moment of their life, under seeded delays: whoever takes
 * them up behind any cursor gets exactly the rest, whatever holds text back.
 */
import { expect, test } from "bun:test";
import type { AnswerRequest } from "../../actors/stream/stream.ts";
import type { HeldAnswer, WorkerMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { wireOf } from "../../runtime/remote/node.ts";
import { pickIndex } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { expectedChoice } from "../support/expected-answer.ts";
import { AnswerCluster, startRecorded } from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

const context = Uint8Array.of(1, 2, 3);

type Found = { readonly worker: string; readonly held: HeldAnswer };

/** As a door does it: every worker is asked, the latest attempt counts. */
async function find(cluster: AnswerCluster, answer: string): Promise<Found | undefined> {
  const found: Found[] = [];
  const asking = [...cluster.workers].map(async ([worker, { actor }]) => {
    const wire = wireOf(cluster.workers.get(worker)!.system, actor);
    const ref = cluster.front.remote.ref(wire) as Ref<WorkerMessage>;
    const message = { kind: "find_answer", answer } as const;
    const { items } = await cluster.front.system.ask(ref, message, { deadline_ms: 500 });
    for (const held of items) found.push({ worker, held });
  });
  await cluster.simulation.run(20);
  await Promise.all(asking);
  found.sort((a, b) => attemptOf(b) - attemptOf(a));
  return found[0];
}

const attemptOf = ({ held }: Found): number => held.generate?.resumable?.attempt ?? 0;

function resumedOf(
  cluster: AnswerCluster,
  request: AnswerRequest,
  { worker, held }: Found,
  have: readonly number[],
  name: string,
): AnswerRequest {
  const { actor, system } = cluster.workers.get(worker)!;
  const attempt = held.generate!.resumable!.attempt;
  const ref = wireOf(system, actor);
  return {
    ...request,
    request: name,
    deadline_ms: held.left_ms,
    held: { worker, ref, request: held.request, attempt, have },
  };
}

/** What a client has of each choice that saw these pieces, as `id:` counts it. */
const cursorOf = (sink: RecordingSink, choices: number): number[] =>
  Array.from({ length: choices }, (_, choice) => sink.tokens(choice).length);

/** The rest as a door shows it: pieces that the client has are passed over. */
function textBehind(sink: RecordingSink, choice: number, have: number): string {
  const rest = sink.pieces.filter((piece) => piece.choice === choice && piece.delivered > have);
  return rest.reduce((text, piece) => text + piece.text, "");
}

async function cutAt(seed: number, cut_ms: number): Promise<"whole" | "resumed"> {
  const simulation = new Simulation(seed);
  const { random } = simulation;
  const cluster = await AnswerCluster.open(simulation, {
    workers: 2,
    engine: { step_ms: 2 },
    answers: { window_tokens: 1 + pickIndex(random, 30) },
    network: { delay_ms_min: 0, delay_ms_max: random.unit() },
  });
  const stops = [[], ["stream"], ["字"], ["e"], ["🌿 "]][seed % 5]!;
  const request = answerRequest("a", {
    choices: 1 + (seed % 2),
    max_tokens: 24,
    ignore_eos: seed % 3 === 0,
    stop_strings: stops,
    logprobs: seed % 4 === 0 ? 1 : -1,
    resumable: { answer: "a", context },
  });
  const first = new RecordingSink();
  startRecorded(cluster, request, first);
  await simulation.run(cut_ms);
  const ended = first.usages.length === 1;
  cluster.front.system.control("/streams/a", "kill");
  await simulation.run(5);
  const have = cursorOf(first, request.choices);
  const expected = Array.from({ length: request.choices }, (_, c) => expectedChoice(request, c));
  const found = await find(cluster, "a");
  expect(found).toBeDefined();
  // Twice at once: each gets all of it.
  const readers = [have, have.map(() => 0)].map((from, i) => {
    const sink = new RecordingSink();
    startRecorded(cluster, resumedOf(cluster, request, found!, from, `a.${i}`), sink);
    return { sink, from };
  });
  await simulation.run(2_000);
  for (const { sink, from } of readers) {
    expect(sink.failures).toEqual([]);
    for (const [choice, whole] of expected.entries()) {
      const had = from[choice]! === 0 ? "" : first.text(choice);
      expect(had + textBehind(sink, choice, from[choice]!)).toBe(whole.text);
      expect(sink.ends.filter((end) => end.choice === choice)).toEqual([whole.end]);
    }
    const completion_tokens = expected.reduce((sum, each) => sum + each.completion_tokens, 0);
    expect(sink.usages).toMatchObject([{ completion_tokens }]);
    if (request.logprobs >= 0) {
      for (const piece of sink.pieces) expect(piece.logprobs?.length).toBe(piece.tokens.length);
    }
  }
  for (const node of cluster.workers.values()) expect(node.engine.live).toBe(0);
  await cluster.close();
  return ended ? "whole" : "resumed";
}

test("a consumer that dies at any moment: the rest is exactly the rest", async () => {
  const seen = { whole: 0, resumed: 0 };
  for (let seed = 1; seed <= 20; seed++) {
    for (const cut_ms of [4, 9, 16, 23, 31, 44, 60]) {
      try {
        seen[await cutAt(seed, cut_ms)]++;
      } catch (error) {
        throw new Error(`seed ${seed}, cut at ${cut_ms} ms: ${(error as Error).message}`);
      }
    }
  }
  expect(seen.resumed).toBeGreaterThan(50);
  expect(seen.whole).toBeGreaterThan(5);
}, 60_000);

test("a resumed answer whose worker dies goes on elsewhere, once it has what its client has", async () => {
  const simulation = new Simulation(5);
  const cluster = await AnswerCluster.open(simulation, { workers: 2, engine: { step_ms: 2 } });
  const request = answerRequest("a", {
    ...{ choices: 2, max_tokens: 60, ignore_eos: true, logprobs: 1 },
    resumable: { answer: "a", context },
  });
  const first = new RecordingSink();
  startRecorded(cluster, request, first);
  await simulation.run(30);
  cluster.front.system.control("/streams/a", "kill");
  await simulation.run(10);
  const have = cursorOf(first, 2);
  const found = (await find(cluster, "a"))!;
  const sink = new RecordingSink();
  startRecorded(cluster, resumedOf(cluster, request, found, have, "a.1"), sink);
  await simulation.run(20);
  expect(cluster.kill(found.worker)).toBe(true);
  await simulation.run(20);
  // Its next attempt is found as the first was, with all that went before.
  const moved = (await find(cluster, "a"))!;
  expect(attemptOf(moved)).toBe(2);
  const late = new RecordingSink();
  startRecorded(cluster, resumedOf(cluster, request, moved, [], "a.2"), late);
  await simulation.run(2_000);
  for (const reader of [sink, late]) {
    expect(reader.failures).toEqual([]);
    for (const choice of [0, 1]) {
      expect(reader.text(choice)).toBe(expectedChoice(request, choice).text);
      const logprobs = reader.pieces.flatMap((piece) => piece.logprobs ?? []);
      expect(new Set(logprobs.map((entry) => entry.logprob))).toEqual(new Set([-1]));
    }
  }
  await cluster.close();
});

test("worker and consumer die together: a clean end, nothing made up", async () => {
  const simulation = new Simulation(6);
  const cluster = await AnswerCluster.open(simulation, { workers: 2, engine: { step_ms: 2 } });
  const request = answerRequest("a", {
    ...{ max_tokens: 60, ignore_eos: true },
    resumable: { answer: "a", context },
  });
  const first = new RecordingSink();
  startRecorded(cluster, request, first);
  await simulation.run(30);
  const found = (await find(cluster, "a"))!;
  cluster.front.system.control("/streams/a", "kill");
  cluster.kill(found.worker);
  const sink = new RecordingSink();
  const have = cursorOf(first, 1);
  // The door was just told that the worker holds it.
  const { worker, held } = found;
  const ref = {
    node: worker,
    path: "/worker",
    incarnation: new Uint8Array(8),
    address: "memory:gone",
  };
  startRecorded(
    cluster,
    {
      ...request,
      request: "a.1",
      held: { worker, ref, request: held.request, attempt: 1, have },
    },
    sink,
  );
  await simulation.run(3_000);
  expect(sink.pieces).toEqual([]);
  expect(sink.failures).toMatchObject([{ code: "worker_lost", status: 503 }]);
  expect(await find(cluster, "a")).toBeUndefined();
  await cluster.close();
});

test("who leaves an answer that can be resumed ends it only for itself", async () => {
  const simulation = new Simulation(7);
  const cluster = await AnswerCluster.open(simulation, { workers: 1, engine: { step_ms: 2 } });
  for (const [i, kind] of (["leave", "abandon"] as const).entries()) {
    const name = `a${i}`;
    const request = answerRequest(name, {
      ...{ max_tokens: 200, ignore_eos: true },
      resumable: { answer: name, context },
    });
    const sink = new RecordingSink();
    const handle = startRecorded(cluster, request, sink);
    await simulation.run(20);
    handle.tell({ kind, reason: "hung up" });
    await simulation.run(100);
    expect(sink.failures).toHaveLength(1);
    const { engine } = cluster.workers.get("w0")!;
    expect(engine.live).toBe(kind === "leave" ? 1 : 0);
    expect((await find(cluster, name)) !== undefined).toBe(kind === "leave");
    await simulation.run(1_000);
  }
  await cluster.close();
});

/** Reads on behind what the clients before it have, for a while. */
async function readOn(cluster: AnswerCluster, request: AnswerRequest, had: number, name: string) {
  const found = (await find(cluster, request.request))!;
  const sink = new RecordingSink();
  const handle = startRecorded(cluster, resumedOf(cluster, request, found, [had], name), sink);
  await cluster.simulation.run(20);
  return { sink, handle };
}

test("a client that hangs up three times gets all of it, and one that ends it then ends it", async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const simulation = new Simulation(seed);
    const network = { delay_ms_min: 0, delay_ms_max: simulation.random.unit() };
    const grace_ms = 500;
    const cluster = await AnswerCluster.open(simulation, {
      ...{ workers: 1, engine: { step_ms: 2 }, network, worker: { keep: { grace_ms } } },
    });
    const { engine } = cluster.workers.get("w0")!;
    for (const end of ["read", "ended", "lost"] as const) {
      const request = answerRequest(end, {
        ...{ max_tokens: 150, ignore_eos: true },
        resumable: { answer: end, context },
      });
      const first = new RecordingSink();
      let handle = startRecorded(cluster, request, first);
      await simulation.run(30);
      let had = cursorOf(first, 1)[0]!;
      for (let times = 1; times <= 3; times++) {
        handle.tell({ kind: "leave", reason: "hung up" });
        await simulation.run(30);
        expect(engine.live).toBe(1);
        const reader = await readOn(cluster, request, had, `${end}.${times}`);
        ({ handle } = reader);
        had = Math.max(had, cursorOf(reader.sink, 1)[0]!);
        if (times < 3 || end !== "read") continue;
        await simulation.run(1_000);
        expect(reader.sink.text(0)).toBe(expectedChoice(request, 0).text);
        expect(reader.sink.usages).toMatchObject([{ completion_tokens: 150 }]);
      }
      if (end === "ended") {
        handle.tell({ kind: "abandon", reason: "not wanted any more" });
        await simulation.run(20);
        expect(engine.live).toBe(0);
        expect(await find(cluster, end)).toBeUndefined();
      } else if (end === "lost") {
        cluster.front.system.control("/streams/lost.3", "kill");
        await simulation.run(20);
        expect(engine.live).toBe(1);
      }
    }
    await cluster.close();
  }
}, 60_000);
