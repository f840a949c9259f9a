/** Scores of long prompts on their way from a worker: in bounded batches, and each one once. */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../../actors/engine/mocker/mocker.ts";
import type { AnswerScores } from "../../../actors/stream/stream.ts";
import { Simulation } from "../../../runtime/simulation/simulation.ts";
import { AnswerCluster } from "../../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../../support/worlds/recorded-answer.ts";

const PROMPT = Uint32Array.from({ length: 4_000 }, (_, i) => 33 + ((i * 31) % 90));
const SCORES = PROMPT.length - 1;
/** What may be on its way without new credit. */
const WINDOW = 256;
const drawable = { vocab_size: 256, tokens: Uint32Array.from({ length: 90 }, (_, i) => 33 + i) };

class WatchingSink extends RecordingSink {
  readonly #seen: (delivered: number) => void;

  constructor(seen: (delivered: number) => void) {
    super();
    this.#seen = seen;
  }

  override scores(scores: AnswerScores): void {
    super.scores(scores);
    this.#seen(scores.delivered);
  }
}

/** `kill_at`: scores at the client when the worker is killed; undefined: it lives. */
async function scored(max_tokens: number, kill_at: number | undefined, resumable = false) {
  const simulation = new Simulation(77 + (kill_at ?? 0));
  const engines: MockerEngine[] = [];
  const cluster = await AnswerCluster.open(simulation, {
    workers: 2,
    mode: "round-robin",
    restart_ms: 60_000,
    network: { delay_ms_min: 0, delay_ms_max: 3 },
    openEngine: () => {
      const engine = new MockerEngine({ block_size: 16, num_gpu_blocks: 1_024 }, { drawable });
      engines.push(engine);
      return engine;
    },
  });
  let kills = 0;
  const sink = new WatchingSink((delivered) => {
    if (kill_at === undefined || kills > 0 || delivered < kill_at) return;
    kills++;
    const workers = cluster.snapshot("/router")["workers"] as {
      worker: string;
      in_flight: number;
    }[];
    const busy = workers.find(({ in_flight }) => in_flight > 0);
    // After this turn: the actor is in the middle of it.
    if (busy !== undefined) simulation.clock.after(0, () => cluster.kill(busy.worker));
  });
  const asked = { prompt: PROMPT, max_tokens, ignore_eos: true, logprobs: 5, scored_choices: 1 };
  const kept = resumable ? { resumable: { answer: "a", context: new Uint8Array(0) } } : {};
  cluster.start(answerRequest("r", { ...asked, ...kept }), sink);
  await simulation.run(20_000);
  await cluster.close();
  const scores = sink.scores_told.flatMap((told) => [...told.scores]);
  return { sink, kills, scores };
}

test("4,000 tokens come in batches of at most a window, the last one marked", async () => {
  const { sink, scores } = await scored(3, undefined);
  expect(sink.failures).toEqual([]);
  expect(scores).toHaveLength(SCORES);
  expect(scores.map(({ id }) => id)).toEqual([...PROMPT.subarray(1)]);
  expect(scores.every(({ top }) => top.length === 5)).toBe(true);
  expect(sink.scores_told.length).toBeGreaterThan(SCORES / WINDOW);
  for (const told of sink.scores_told) expect(told.scores.length).toBeLessThanOrEqual(WINDOW);
  expect(sink.scores_told.map(({ last }) => last).indexOf(true)).toBe(sink.scores_told.length - 1);
  expect(sink.tokens()).toHaveLength(3);
  expect(sink.pieces.at(-1)?.delivered).toBe(SCORES + 3);
  const usage = { prompt_tokens: PROMPT.length, completion_tokens: 3, cached_tokens: 0 };
  expect(sink.usages).toEqual([usage]);
});

test("without an answer they end it", async () => {
  const { sink, scores } = await scored(0, undefined);
  expect(scores).toHaveLength(SCORES);
  expect(sink.ends).toEqual([{ choice: 0, reason: "length" }]);
  expect(sink.usages[0]?.completion_tokens).toBe(0);
  expect(sink.tokens()).toEqual([]);
});

test.each([
  ["an answer behind them", 40, false],
  ["no answer", 0, false],
  ["an answer that others may take up", 40, true],
])("killed in the middle, with %s: each score is told once, as undisturbed", async (...row) => {
  const [, max_tokens, resumable] = row;
  const whole = await scored(max_tokens, undefined, resumable);
  for (const kill_at of [1, 300, 1_500, SCORES - 1, SCORES]) {
    const { sink, kills, scores } = await scored(max_tokens, kill_at, resumable);
    expect([kill_at, kills, sink.failures]).toEqual([kill_at, 1, []]);
    expect(scores).toEqual(whole.scores);
    expect(sink.tokens()).toEqual(whole.sink.tokens());
    expect(sink.ends).toEqual(whole.sink.ends);
    expect(sink.usages[0]?.completion_tokens).toBe(max_tokens);
  }
});
