/** An answer whose workers are lost on the way is the answer it would have been. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AnswerEffect, AnswerInput } from "../../../actors/stream/inputs-and-effects.ts";
import { advance } from "../../../actors/stream/reducer.ts";
import { type AnswerState, newAnswer } from "../../../actors/stream/state.ts";
import type { AnswerRequest } from "../../../actors/stream/stream.ts";
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type { PlanLeg, TokenBatch } from "../../../proto/index.ts";
import { FakeEngine } from "../../support/engine/fake-engine.ts";
import { expectedChoice } from "../../support/expected-answer.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const limits = { attempts: 3, migrations: 3, window_tokens: 1_000, router_retries: 20 };

function legOf(worker: string): PlanLeg {
  const ref = { node: "n", path: `/${worker}`, incarnation: new Uint8Array(8), address: "" };
  return { role: "aggregated", worker, ref };
}

type Ask = Extract<AnswerEffect, { kind: "ask_worker" }>;

/** The batches that a worker sends for this ask, one token each, ends with their last token. */
function batchesOf({ generate }: Ask): readonly TokenBatch[] {
  const engine = new FakeEngine();
  const prompt = tokensOf(generate.prompt);
  for (const start of generate.choices) {
    const delivered = tokensOf(start.delivered);
    const tokens = Uint32Array.of(...prompt, ...delivered);
    engine.submit({
      handle: start.choice,
      tokens,
      prompt_tokens: prompt.length,
      choice: start.choice,
      sampling: undefined as never,
      max_tokens: start.max_tokens,
      min_tokens: generate.min_tokens,
      stop_tokens: generate.stop_tokens,
      ignore_eos: generate.ignore_eos,
      logprobs: -1,
    });
  }
  const batches: TokenBatch[] = [];
  const totals = new Map(generate.choices.map((c) => [c.choice, c.delivered.length / 4]));
  for (let now_ms = 0; engine.step(now_ms) !== undefined || now_ms === 0; now_ms++) {
    batches.push(...engine.poll(1_000).map((event) => batchOf(generate.request, event, totals)));
  }
  batches.push(...engine.poll(1_000).map((event) => batchOf(generate.request, event, totals)));
  return batches;
}

function batchOf(
  request: string,
  event: ReturnType<FakeEngine["poll"]>[number],
  totals: Map<number, number>,
): TokenBatch {
  const { handle: choice } = event;
  if (event.kind === "tokens") {
    const { first_index, tokens } = event;
    totals.set(choice, first_index + tokens.length);
    const part = { choice, first_index, tokens: [...tokens], logprobs: [] };
    return { kind: "token_batch", request, choices: [part], finished: [] };
  }
  if (event.kind !== "finished") throw new Error(`an answer made an ${event.kind}`);
  const { reason, prompt_tokens, cached_tokens, stop_token = -1 } = event;
  const total_tokens = totals.get(choice) ?? 0;
  const end = { choice, reason, stop_token, prompt_tokens, cached_tokens, total_tokens, error: "" };
  return { kind: "token_batch", request, choices: [], finished: [end] };
}

class Run {
  readonly state: AnswerState;
  readonly asks: Ask[] = [];
  readonly effects: AnswerEffect[] = [];

  constructor(readonly request: AnswerRequest) {
    this.state = newAnswer(request, byteTokenizer, limits);
    this.do({ kind: "begin" });
  }

  do(input: AnswerInput): void {
    const effects = advance(this.state, input);
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.kind === "ask_worker") this.asks.push(effect);
    }
    const { attempt, phase } = this.state;
    if (phase !== "routing") return;
    this.do({ kind: "planned", attempt, leg: legOf(`w${attempt}`) });
  }

  /** Gives the worker's batches up to the kill; late ones of it come afterwards. */
  live(kill_after: number): void {
    const ask = this.asks.at(-1)!;
    const batches = batchesOf(ask);
    for (const batch of batches.slice(0, kill_after)) this.do(batch);
    if (kill_after >= batches.length || this.state.phase === "ended") return;
    const { attempt } = ask;
    this.do({ kind: "worker_lost", attempt, how: "ended", detail: "killed" });
    this.do(batches[kill_after]!);
  }

  /** The worker is drained: it goes on for some batches until there is another place. */
  handedOver(after: number, more: number): void {
    const ask = this.asks.at(-1)!;
    const batches = batchesOf(ask);
    const { attempt, generate } = ask;
    for (const batch of batches.slice(0, after)) this.do(batch);
    this.do({ kind: "hand_over", request: generate.request });
    for (const batch of batches.slice(after, after + more)) this.do(batch);
    this.do({ kind: "planned", attempt, leg: legOf(`w${attempt + 1}`) });
    for (const batch of batches.slice(after + more)) this.do(batch);
  }

  check(): void {
    const { request, effects } = this;
    const pieces = effects.flatMap((each) => (each.kind === "piece" ? [each.piece] : []));
    const expected = Array.from({ length: request.choices }, (_, c) => expectedChoice(request, c));
    for (const [choice, whole] of expected.entries()) {
      const own = pieces.filter((piece) => piece.choice === choice);
      expect(own.reduce((text, piece) => text + piece.text, "")).toBe(whole.text);
      const count = own.at(-1)?.delivered ?? 0;
      expect(own.flatMap((piece) => [...piece.tokens])).toEqual(whole.tokens.slice(0, count));
      const ends = effects.flatMap((each) => (each.kind === "end" ? [each.end] : []));
      expect(ends.filter((end) => end.choice === choice)).toEqual([whole.end]);
    }
    const completion_tokens = expected.reduce((sum, each) => sum + each.completion_tokens, 0);
    expect(effects.at(-1)).toMatchObject({ kind: "done", usage: { completion_tokens } });
    checkAccounts(effects);
  }
}

/** The router's account of each plan is closed before the next one is opened, and at the end. */
function checkAccounts(effects: readonly AnswerEffect[]): void {
  let placed = false;
  for (const each of effects) {
    if (each.kind === "ask_worker") placed = true;
    if (each.kind === "ask_router") expect(placed).toBe(false);
    if (each.kind === "tell_router" && each.message.kind === "route_ended") placed = false;
  }
  expect(placed).toBe(false);
}

const anyRequest = fc
  .record({
    prompt: fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 4 }),
    choices: fc.integer({ min: 1, max: 3 }),
    max_tokens: fc.integer({ min: 1, max: 40 }),
    stop_strings: fc.constantFrom<string[]>([], ["e"], ["stream"], ["字"], ["and", "tree"]),
    include_stop: fc.boolean(),
    ignore_eos: fc.boolean(),
  })
  .map((changes) => answerRequest("r", { ...changes, prompt: Uint32Array.from(changes.prompt) }));

const anyPoint = fc.record({
  drained: fc.boolean(),
  after: fc.integer({ min: 0, max: 60 }),
  more: fc.integer({ min: 0, max: 6 }),
});

test("killed or drained at any points, it is the whole answer, once", () => {
  fc.assert(
    fc.property(anyRequest, fc.array(anyPoint, { maxLength: 3 }), (request, points) => {
      const run = new Run(request);
      for (const { drained, after, more } of points) {
        if (run.state.phase === "ended") break;
        // The limit of a fresh answer is another one: it begins anew twice at most.
        if (run.state.attempt === 3 && after === 0) continue;
        if (drained) run.handedOver(after, more);
        else run.live(after);
      }
      if (run.state.phase !== "ended") run.live(Number.POSITIVE_INFINITY);
      run.check();
    }),
    { numRuns: 1_000 },
  );
});

test("hand-overs do not count as losses, and a steady worker starts the count anew", () => {
  const run = new Run(answerRequest("r", { max_tokens: 1_000, ignore_eos: true }));
  for (let i = 0; i < 6; i++) run.handedOver(2, 1);
  expect(run.state).toMatchObject({ attempt: 7, migrations: 0 });
  for (let i = 0; i < 6; i++) {
    run.live(3);
    expect(run.state.migrations).toBe(1);
    run.do({ kind: "steady", attempt: run.state.attempt });
  }
  run.live(Number.POSITIVE_INFINITY);
  run.check();
});

test("a drained worker without another place is left when it dies, and not before", () => {
  const request = answerRequest("r", { max_tokens: 12, ignore_eos: true });
  const run = new Run(request);
  const [ask] = run.asks;
  const batches = batchesOf(ask!);
  run.do(batches[0]!);
  const refused = { kind: "route_refused", attempt: 1, code: "overloaded", message: "no" } as const;
  for (const batch of batches.slice(1, 5)) {
    run.do({ kind: "hand_over", request: "r" });
    run.do(batch);
    run.do(refused);
  }
  expect(run.asks).toHaveLength(1);
  run.do({ kind: "worker_lost", attempt: 1, how: "ended", detail: "stopped" });
  expect(run.asks).toHaveLength(2);
  run.live(Number.POSITIVE_INFINITY);
  run.check();
});

test("a worker that is out of reach is left for one that is not; what it says later is nobody's", () => {
  const run = new Run(answerRequest("r", { max_tokens: 12, ignore_eos: true }));
  const batches = batchesOf(run.asks[0]!);
  for (const batch of batches.slice(0, 4)) run.do(batch);
  run.do({ kind: "away", attempt: 1 });
  run.do({ kind: "away", attempt: 1 });
  const routes = run.effects.filter(({ kind }) => kind === "ask_router");
  expect(routes).toHaveLength(2);
  expect(routes[1]).toMatchObject({ route: { continued: true, exclude: [expect.any(String)] } });
  run.do({ kind: "planned", attempt: 1, leg: legOf("near") });
  expect(run.effects).toContainEqual({ kind: "moves", why: "away", worker: "w1", tokens: 4 });
  for (const batch of batches.slice(4)) run.do(batch);
  run.live(Number.POSITIVE_INFINITY);
  run.check();
});

test("with nobody near it waits, and stays where it is once its worker is heard again", () => {
  const run = new Run(answerRequest("r", { max_tokens: 12, ignore_eos: true }));
  const batches = batchesOf(run.asks[0]!);
  for (const batch of batches.slice(0, 4)) run.do(batch);
  const refused = { kind: "route_refused", attempt: 1, code: "no_worker", message: "no" } as const;
  for (let i = 0; i < 100; i++) {
    run.do({ kind: "away", attempt: 1 });
    run.do(refused);
  }
  run.do({ kind: "away", attempt: 1 });
  run.do(batches[4]!);
  // The plan that was under way is of no use, and its account is closed.
  run.do({ kind: "planned", attempt: 1, leg: legOf("near") });
  expect(run.effects.at(-1)).toMatchObject({ message: { kind: "route_ended", worker: "near" } });
  for (const batch of batches.slice(5)) run.do(batch);
  expect(run.asks).toHaveLength(1);
  run.check();
});

test("the new worker is told what is here of each choice, and what is left of its budget", () => {
  const request = answerRequest("r", { choices: 3, max_tokens: 20, ignore_eos: true });
  const run = new Run(request);
  const say = (choice: number, first_index: number, count: number) => {
    const tokens = expectedChoice(request, choice).tokens.slice(first_index, first_index + count);
    const part = { choice, first_index, tokens, logprobs: [] };
    run.do({ kind: "token_batch", request: "r", choices: [part], finished: [] });
  };
  say(0, 0, 20);
  say(2, 0, 7);
  run.do({ kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  // Choice 0 had all its tokens: it ends here, and nobody makes it again.
  expect(run.effects).toContainEqual({ kind: "end", end: { choice: 0, reason: "length" } });
  const { generate, attempt } = run.asks[1]!;
  expect(attempt).toBe(2);
  expect(generate.request).toBe("r~2");
  expect(generate.choices.map((each) => [each.choice, each.max_tokens])).toEqual([
    [1, 20],
    [2, 13],
  ]);
  const made = expectedChoice(request, 2).tokens.slice(0, 7);
  expect([...tokensOf(generate.choices[1]!.delivered)]).toEqual([...made]);
  expect(generate.sampling).toBe(request.sampling);
  const route = run.effects.findLast((each) => each.kind === "ask_router");
  expect(route).toMatchObject({ route: { max_tokens: 33 } });
});

test("two workers of one process out of reach in a row: all of that process are left out", () => {
  const state = newAnswer(answerRequest("r", {}), byteTokenizer, limits);
  const excluded: (readonly string[])[] = [];
  const take = (input: AnswerInput) => {
    for (const effect of advance(state, input)) {
      if (effect.kind === "ask_router") excluded.push(effect.route.exclude);
    }
  };
  const ref = { node: "p", path: "/w", incarnation: new Uint8Array(8), address: "" };
  const lose = (worker: string, how: "ended" | "silent") => {
    const { attempt } = state;
    take({ kind: "planned", attempt, leg: { role: "aggregated", worker, ref } });
    const death = how === "ended" ? "unknown" : "killed";
    take({ kind: "worker_lost", attempt, how, death, detail: "out of reach" });
  };
  take({ kind: "begin" });
  lose("a", "silent");
  lose("b", "ended");
  expect(excluded.map((list) => list.includes("@p"))).toEqual([false, false, true]);
  // There is no other process: the ones that were left out may be in reach again.
  const { attempt } = state;
  take({ kind: "route_refused", attempt, code: "overloaded", message: "nobody" });
  take({ kind: "route_again", attempt });
  expect(excluded.at(-1)).toEqual([]);
});

test("tokens that are held back count: the next worker goes on behind them", () => {
  const run = new Run(answerRequest("r", { stop_strings: ["stop"], max_tokens: 9 }));
  const tokens = [...new TextEncoder().encode("a sto")];
  const part = { choice: 0, first_index: 0, tokens, logprobs: [] };
  run.do({ kind: "token_batch", request: "r", choices: [part], finished: [] });
  run.do({ kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  const { generate } = run.asks[1]!;
  expect([...tokensOf(generate.choices[0]!.delivered)]).toEqual(tokens);
  const rest = [..."ring"].map((letter) => letter.charCodeAt(0));
  const more = { choice: 0, first_index: 5, tokens: rest, logprobs: [] };
  run.do({ kind: "token_batch", request: "r~2", choices: [more], finished: [] });
  const pieces = run.effects.flatMap((each) => (each.kind === "piece" ? [each.piece.text] : []));
  expect(pieces.join("")).toBe("a storing");
});

test("a stop string that began on one worker ends on the next", () => {
  const run = new Run(answerRequest("r", { stop_strings: ["stop"], max_tokens: 9 }));
  const say = (request: string, first_index: number, text: string) => {
    const tokens = [...new TextEncoder().encode(text)];
    const part = { choice: 0, first_index, tokens, logprobs: [] };
    run.do({ kind: "token_batch", request, choices: [part], finished: [] });
  };
  say("r", 0, "a st");
  run.do({ kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  say("r~2", 4, "op and");
  const pieces = run.effects.flatMap((each) => (each.kind === "piece" ? [each.piece.text] : []));
  expect(pieces.join("")).toBe("a ");
  expect(run.effects).toContainEqual({
    kind: "end",
    end: { choice: 0, reason: "stop", stop_reason: "stop" },
  });
});

test("with migration off, an answer that has begun ends with its worker", () => {
  const state = newAnswer(answerRequest("r"), byteTokenizer, { ...limits, migrations: 0 });
  advance(state, { kind: "begin" });
  advance(state, { kind: "planned", attempt: 1, leg: legOf("w0") });
  const part = { choice: 0, first_index: 0, tokens: [97], logprobs: [] };
  advance(state, { kind: "token_batch", request: "r", choices: [part], finished: [] });
  const lost = { kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" } as const;
  expect(advance(state, lost).at(-1)).toMatchObject({ failure: { code: "worker_lost" } });
});

test("an answer on its way to a new worker waits when there is no place, and not for ever", () => {
  const state = newAnswer(answerRequest("r"), byteTokenizer, { ...limits, router_retries: 4 });
  advance(state, { kind: "begin" });
  advance(state, { kind: "planned", attempt: 1, leg: legOf("w0") });
  const part = { choice: 0, first_index: 0, tokens: [97], logprobs: [] };
  advance(state, { kind: "token_batch", request: "r", choices: [part], finished: [] });
  advance(state, { kind: "worker_lost", attempt: 1, how: "silent", detail: "frozen" });
  expect(state.excluded).toHaveLength(1);
  const full = { kind: "route_refused", attempt: 2, code: "overloaded", message: "full" } as const;
  for (let i = 0; i < 4; i++) {
    expect(advance(state, full)).toEqual([{ kind: "ask_router_later", attempt: 2, tries: i + 1 }]);
    const again = advance(state, { kind: "route_again", attempt: 2 });
    // The only worker that is left may be the one that failed before.
    expect(again).toMatchObject([{ kind: "ask_router", route: { exclude: [] } }]);
  }
  expect(advance(state, full).at(-1)).toMatchObject({ failure: { code: "worker_lost" } });
});

test("after the client hung up nothing is asked for again", () => {
  const run = new Run(answerRequest("r"));
  run.do({ kind: "abandon", reason: "hung up" });
  const before = run.effects.length;
  run.do({ kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  expect(run.effects).toHaveLength(before);
});

test("an answer that its worker has no room for goes to one that has; else it waits where it is", () => {
  const run = new Run(answerRequest("r", { max_tokens: 12, ignore_eos: true }));
  const batches = batchesOf(run.asks[0]!);
  for (const batch of batches.slice(0, 4)) run.do(batch);
  const refused = { kind: "route_refused", attempt: 1, code: "overloaded", message: "no" } as const;
  run.do({ kind: "starved", attempt: 1 });
  run.do(refused);
  // Its turn comes while the router looks: the plan is given back.
  run.do({ kind: "starved", attempt: 1 });
  run.do(batches[4]!);
  run.do({ kind: "planned", attempt: 1, leg: legOf("spare") });
  expect(run.effects.at(-1)).toMatchObject({ message: { kind: "route_ended", worker: "spare" } });
  expect(run.asks).toHaveLength(1);
  run.do({ kind: "starved", attempt: 1 });
  const routes = run.effects.filter(({ kind }) => kind === "ask_router");
  expect(routes).toHaveLength(4);
  expect(routes[0]).toMatchObject({ route: { spare: false } });
  // No trace is left of the times before: only its own worker is out of the question.
  expect(routes[3]).toMatchObject({
    route: { spare: true, continued: true, exclude: [expect.stringContaining("w1")] },
  });
  run.do({ kind: "planned", attempt: 1, leg: legOf("spare") });
  expect(run.effects).toContainEqual({ kind: "moves", why: "starved", worker: "w1", tokens: 5 });
  for (const batch of batches.slice(5)) run.do(batch);
  run.live(Number.POSITIVE_INFINITY);
  run.check();
});
