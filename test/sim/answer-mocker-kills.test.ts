/** The mocker's promise: whichever token its worker dies behind, the answer is the same one. */
import { expect, test } from "bun:test";
import { MockerEngine } from "../../actors/engine/mocker/mocker.ts";
import type { AnswerPiece, AnswerRequest } from "../../actors/stream/stream.ts";
import { Simulation } from "../../runtime/simulation/simulation.ts";
import { AnswerCluster } from "../support/worlds/answer-cluster.ts";
import { answerRequest, RecordingSink } from "../support/worlds/recorded-answer.ts";

const TOKENS = 64;

const plain = answerRequest("r", {
  prompt: Uint32Array.from({ length: 40 }, (_, i) => i),
  max_tokens: TOKENS,
  ignore_eos: true,
  logprobs: 2,
});

/** Whole characters, so that each token comes with an event of its own. */
const drawable = { vocab_size: 256, tokens: Uint32Array.from({ length: 90 }, (_, i) => 33 + i) };

/** With a stop token that is held back at first, and not drawn later. */
async function stoppingRequest(): Promise<AnswerRequest> {
  const { sink } = await answered(plain, undefined);
  const tokens = sink.tokens();
  const stop = tokens.slice(0, 20).find((token) => !tokens.slice(20).includes(token));
  if (stop === undefined) throw new Error("every token comes again");
  return { ...plain, min_tokens: 20, stop_tokens: [stop] };
}

/** Says when a token is there. */
class WatchingSink extends RecordingSink {
  readonly #seen: (tokens: number) => void;

  constructor(seen: (tokens: number) => void) {
    super();
    this.#seen = seen;
  }

  override piece(piece: AnswerPiece): boolean {
    const takes = super.piece(piece);
    this.#seen(this.tokens().length);
    return takes;
  }
}

/** `kill_at`: tokens at the client when its worker is killed; undefined: it lives. */
async function answered(asked: AnswerRequest, kill_at: number | undefined, options = {}) {
  const simulation = new Simulation(1_000 + (kill_at ?? 0));
  const cluster = await AnswerCluster.open(simulation, {
    workers: 2,
    mode: "round-robin",
    restart_ms: 60_000,
    network: { delay_ms_min: 0, delay_ms_max: 3 },
    openEngine: () => new MockerEngine({ block_size: 16, ...options }, { drawable }),
  });
  let kills = 0;
  const kill = () => {
    const workers = cluster.snapshot("/router")["workers"] as {
      worker: string;
      in_flight: number;
    }[];
    const busy = workers.find(({ in_flight }) => in_flight > 0);
    if (busy !== undefined && cluster.kill(busy.worker)) kills++;
  };
  let armed = false;
  const sink = new WatchingSink((tokens) => {
    // Pieces of other choices may come before the kill does.
    if (armed || tokens !== kill_at) return;
    armed = true;
    simulation.clock.after(0, kill);
  });
  if (kill_at === 0) simulation.clock.after(10, kill);
  cluster.start(asked, sink);
  await simulation.run(5_000);
  await cluster.close();
  return { sink, kills };
}

test("killed behind any of its 64 tokens, the answer is byte for byte the undisturbed one", async () => {
  const request = await stoppingRequest();
  const { sink: whole } = await answered(request, undefined);
  expect(whole.tokens()).toHaveLength(TOKENS);
  for (let kill_at = 0; kill_at < TOKENS; kill_at++) {
    const { sink, kills } = await answered(request, kill_at);
    expect([kill_at, kills, sink.failures]).toEqual([kill_at, 1, []]);
    expect(sink.tokens()).toEqual(whole.tokens());
    expect(sink.text()).toBe(whole.text());
    expect(sink.pieces.flatMap((each) => each.logprobs ?? [])).toEqual(
      whole.pieces.flatMap((each) => each.logprobs ?? []),
    );
    expect(sink.ends).toEqual(whole.ends);
    expect(sink.usages[0]?.completion_tokens).toBe(whole.usages[0]?.completion_tokens ?? -1);
  }
}, 60_000);

test("each of several choices goes on by itself", async () => {
  const several = { ...plain, choices: 3 };
  const { sink: whole } = await answered(several, undefined);
  for (const kill_at of [1, 2, 17, 40, 63]) {
    const { sink, kills } = await answered(several, kill_at);
    expect([kill_at, kills, sink.failures]).toEqual([kill_at, 1, []]);
    for (const choice of [0, 1, 2]) expect(sink.tokens(choice)).toEqual(whole.tokens(choice));
    expect(sink.ends).toHaveLength(3);
  }
}, 60_000);

test("killed in the middle of guessed tokens, the answer is the one without guesses", async () => {
  const request = await stoppingRequest();
  const { sink: whole } = await answered(request, undefined);
  const guessing = { aic_nextn: 5, aic_nextn_accept_rates: "0.9,0.9,0.9,0.9,0.9" };
  for (const kill_at of [undefined, 0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 63]) {
    const { sink, kills } = await answered(request, kill_at, guessing);
    expect([kill_at, kills, sink.failures]).toEqual([kill_at, kill_at === undefined ? 0 : 1, []]);
    expect(sink.tokens()).toEqual(whole.tokens());
    expect(sink.text()).toBe(whole.text());
    expect(sink.ends).toEqual(whole.ends);
    expect(sink.usages[0]?.completion_tokens).toBe(whole.usages[0]?.completion_tokens ?? -1);
  }
}, 60_000);
