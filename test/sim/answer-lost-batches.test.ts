/** A batch of tokens that is lost on the way costs a fetch, wherever it was in the answer. */
import { expect, test } from "bun:test";
import type { FaultRule } from "../../actors/fault/fault.ts";
import type { AnswerRequest } from "../../actors/stream/stream.ts";
import { pickIndex } from "../../runtime/simulation/random.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { expectedChoice } from "../support/expected-answer.ts";
import { AnswerCluster, startRecorded } from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

const resumable = { answer: "r", context: new Uint8Array(0) };

type Lossy = {
  readonly request: AnswerRequest;
  readonly faults: readonly FaultRule[];
  readonly seed: number;
  /** The sink takes so many pieces, and pauses. */
  readonly full_after?: number;
};

async function answered({ request, faults, seed, full_after }: Lossy) {
  const simulation = new Simulation(seed);
  const cluster = await AnswerCluster.open(simulation, {
    workers: 2,
    engine: { step_ms: 4 },
    answers: { window_tokens: 12 },
    network: { delay_ms_min: 0, delay_ms_max: 2 },
    faults,
  });
  const sink = new RecordingSink(full_after);
  startRecorded(cluster, request, sink);
  await simulation.run(20_000);
  const metrics = cluster.front.system.metrics.render();
  const count = (name: string) =>
    metrics
      .split("\n")
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  const fetches = count("troupe_stream_fetches_total");
  const moves = count("dynamo_frontend_model_migration_total");
  for (const node of cluster.workers.values()) {
    expect(node.engine.live).toBe(0);
    expect(cluster.snapshot("/worker", node)).toMatchObject({ answers: 0, orphans: 0 });
  }
  expect(cluster.snapshot("/streams")).toMatchObject({ answers: 0, orphans: 0 });
  await cluster.close();
  return { sink, fetches, moves };
}

function expectWhole(request: AnswerRequest, sink: RecordingSink): void {
  expect(sink.failures).toEqual([]);
  let completion_tokens = 0;
  for (let choice = 0; choice < request.choices; choice++) {
    const expected = expectedChoice(request, choice);
    expect(sink.text(choice)).toBe(expected.text);
    expect(sink.ends.filter((end) => end.choice === choice)).toEqual([expected.end]);
    completion_tokens += expected.completion_tokens;
  }
  expect(sink.usages).toMatchObject([{ completion_tokens }]);
}

const dropping = (changes: Partial<FaultRule>): FaultRule => ({
  point: "step.deliver",
  match: "/r token_batch",
  do: "drop",
  ...changes,
});

const request = answerRequest("r", { max_tokens: 24, ignore_eos: true, resumable });

test("each batch of an answer in turn, the first and the last too: no migration, equal bytes", async () => {
  let lost = 0;
  for (let nth = 1; nth <= 30; nth++) {
    const { sink, fetches, moves } = await answered({
      request,
      seed: nth,
      faults: [dropping({ nth })],
    });
    expectWhole(request, sink);
    expect([nth, moves]).toEqual([nth, 0]);
    expect(fetches).toBeLessThanOrEqual(1);
    lost += fetches;
  }
  // An answer of 24 tokens comes in 24 or more batches, if its engine makes one a step.
  expect(lost).toBeGreaterThanOrEqual(20);
}, 60_000);

test("the same of an answer that nobody can resume, its end too", async () => {
  const { resumable: _, ...alone } = request;
  let lost = 0;
  for (let nth = 1; nth <= 30; nth++) {
    const { sink, fetches, moves } = await answered({
      request: alone,
      seed: nth,
      faults: [dropping({ nth })],
    });
    expectWhole(alone, sink);
    expect([nth, moves]).toEqual([nth, 0]);
    expect(fetches).toBeLessThanOrEqual(1);
    // With a batch a step the last one that is lost is the last one that there is.
    if (nth > 1 && fetches > 0) expect(lost).toBe(nth - 1);
    lost += fetches;
  }
  expect(lost).toBeGreaterThanOrEqual(20);
}, 60_000);

test("every third batch lost, with several choices, stop strings and a slow client", async () => {
  let fetched = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const { random } = new Simulation(seed);
    const several = answerRequest("r", {
      choices: 1 + pickIndex(random, 3),
      max_tokens: 10 + pickIndex(random, 30),
      stop_strings: random.unit() < 0.5 ? ["stream", "and"] : [],
      logprobs: random.unit() < 0.3 ? 2 : -1,
      resumable,
    });
    const { sink, fetches } = await answered({
      request: several,
      seed,
      faults: [dropping({ chance: 1 / 3 })],
      ...(random.unit() < 0.4 ? { full_after: 1 + pickIndex(random, 4) } : {}),
    });
    expectWhole(several, sink);
    for (const piece of sink.pieces) {
      if (several.logprobs >= 0) expect(piece.logprobs?.length).toBe(piece.tokens.length);
    }
    fetched += fetches;
  }
  expect(fetched).toBeGreaterThan(40);
}, 60_000);

test("a way that loses everything is left for another worker", async () => {
  const { sink, fetches, moves } = await answered({
    request,
    seed: 1,
    faults: [dropping({ after_ms: 0, for_ms: 8_000 })],
  });
  expectWhole(request, sink);
  expect(fetches).toBeGreaterThanOrEqual(3);
  expect(moves).toBeGreaterThanOrEqual(1);
}, 60_000);
