/**
 * The reducer of an answer: which effects each input has.
 *
 * Long because it tries every input of the reducer in every phase.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AnswerEffect, AnswerInput } from "../../../actors/stream/inputs-and-effects.ts";
import { advance } from "../../../actors/stream/reducer.ts";
import { type AnswerState, newAnswer } from "../../../actors/stream/state.ts";
import type { AnswerRequest } from "../../../actors/stream/stream.ts";
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type { Finished, PlanLeg, TokenBatch } from "../../../proto/index.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const limits = { attempts: 3, migrations: 2, window_tokens: 8, router_retries: 2 };

function legOf(worker: string): PlanLeg {
  const ref = { node: "n", path: `/${worker}`, incarnation: new Uint8Array(8), address: "" };
  return { role: "aggregated", worker, ref };
}

function answer(changes: Partial<AnswerRequest> = {}): AnswerState {
  return newAnswer(answerRequest("r", changes), byteTokenizer, limits);
}

/** An answer that a worker has taken. */
function liveAnswer(changes: Partial<AnswerRequest> = {}): AnswerState {
  const state = answer(changes);
  advance(state, { kind: "begin" });
  advance(state, { kind: "planned", attempt: 1, leg: legOf("w0") });
  advance(state, { kind: "accepted", attempt: 1 });
  return state;
}

function tokens(first_index: number, text: string, choice = 0, request = "r"): TokenBatch {
  const ids = [...new TextEncoder().encode(text)];
  const part = { choice, first_index, tokens: ids, logprobs: [] };
  return { kind: "token_batch", request, choices: [part], finished: [] };
}

function ended(total_tokens: number, changes: Partial<Finished> = {}): TokenBatch {
  const finished: Finished = {
    choice: 0,
    reason: "length",
    stop_token: -1,
    prompt_tokens: 3,
    cached_tokens: 1,
    total_tokens,
    error: "",
    ...changes,
  };
  return { kind: "token_batch", request: "r", choices: [], finished: [finished] };
}

/** What a worker is asked to make, its delivered tokens as text. */
function startOf(effects: readonly AnswerEffect[]) {
  return effects.flatMap((each) =>
    each.kind !== "ask_worker"
      ? []
      : each.generate.choices.map(({ choice, delivered, max_tokens }) => ({
          choice,
          delivered: new TextDecoder().decode(Uint8Array.from(tokensOf(delivered))),
          max_tokens,
        })),
  );
}

const movedAway: AnswerEffect["kind"][] = [
  "tell_worker",
  "moves",
  "leave_worker",
  "tell_router",
  "ask_router",
];

const kinds = (effects: readonly AnswerEffect[]) => effects.map((effect) => effect.kind);
const textIn = (effects: readonly AnswerEffect[]) =>
  effects.reduce((text, each) => (each.kind === "piece" ? text + each.piece.text : text), "");

test("a duplicate is dropped, what is new in a part is taken", () => {
  const state = liveAnswer();
  expect(textIn(advance(state, tokens(0, "abc")))).toBe("abc");
  expect(textIn(advance(state, tokens(0, "abc")))).toBe("");
  expect(textIn(advance(state, tokens(1, "bcde")))).toBe("de");
});

test("a gap is fetched from its worker, by another name from the token that is missing", () => {
  const state = liveAnswer();
  advance(state, tokens(0, "ab"));
  const [fetch, ...others] = advance(state, tokens(3, "d"));
  expect(others).toEqual([]);
  expect(fetch).toMatchObject({
    kind: "fetch",
    attach: { request: "r", alias: "r+1", instead_of: "r", from: [{ choice: 0, index: 2 }] },
  });
  // What was under way under the old name is of no use, whatever it is.
  expect(advance(state, tokens(2, "x"))).toEqual([]);
  expect(textIn(advance(state, tokens(2, "cd", 0, "r+1")))).toBe("cd");
  expect(state.received).toBe(2);
});

test("a gap that its worker cannot fill is made again elsewhere, behind what is here", () => {
  const state = liveAnswer();
  advance(state, tokens(0, "ab"));
  advance(state, tokens(3, "d"));
  const late = { kind: "fetch_failed" as const, attempt: 1, reader: 1, detail: "not here" };
  const effects = advance(state, late);
  expect(kinds(effects)).toEqual(["tell_worker", ...movedAway]);
  // It may not have heard of the new name.
  expect(effects.slice(0, 2)).toMatchObject([
    { message: { kind: "cancel", request: "r+1" } },
    { message: { kind: "cancel", request: "r" } },
  ]);
  expect(startOf(advance(state, { kind: "planned", attempt: 2, leg: legOf("w1") }))).toEqual([
    { choice: 0, delivered: "ab", max_tokens: 14 },
  ]);
});

test("a gap at the end is a gap: the worker's count of tokens is believed", () => {
  const state = liveAnswer();
  advance(state, tokens(0, "ab"));
  expect(advance(state, ended(3)).at(-1)).toMatchObject({ kind: "fetch", attempt: 1 });
});

test("a worker whose tokens are lost again and again is left", () => {
  const state = liveAnswer();
  for (const name of ["r", "r+1", "r+2"]) {
    expect(advance(state, tokens(3, "d", 0, name)).at(-1)).toMatchObject({ kind: "fetch" });
  }
  expect(advance(state, tokens(3, "d", 0, "r+3")).at(-1)).toMatchObject({
    kind: "ask_router",
    route: { exclude: ["w0@0000000000000000"] },
  });
});

test("a worker that ended with nothing delivered may come back; its late words are nobody's", () => {
  const state = liveAnswer();
  const effects = advance(state, {
    kind: "worker_lost",
    attempt: 1,
    how: "ended",
    detail: "killed",
  });
  expect(kinds(effects)).toEqual(movedAway);
  expect(effects.at(0)).toMatchObject({ message: { kind: "cancel", request: "r", choices: [] } });
  expect(effects.at(3)).toMatchObject({ message: { outcome: "lost", worker: "w0" } });
  expect(effects.at(-1)).toMatchObject({ attempt: 2, route: { exclude: [] } });
  advance(state, { kind: "planned", attempt: 2, leg: legOf("w1") });
  expect(advance(state, tokens(0, "late"))).toEqual([]);
  expect(textIn(advance(state, tokens(0, "ab", 0, "r~2")))).toBe("ab");
});

test("a worker that is silent or refuses is left out of the next plan", () => {
  const inputs: AnswerInput[] = [
    { kind: "worker_lost", attempt: 1, how: "silent", detail: "no answer" },
    { kind: "generate_refused", attempt: 1, code: "queue_full" as const, message: "full" },
  ];
  for (const input of inputs) {
    const state = answer();
    advance(state, { kind: "begin" });
    advance(state, { kind: "planned", attempt: 1, leg: legOf("w0") });
    expect(advance(state, input).at(-1)).toMatchObject({
      kind: "ask_router",
      route: { exclude: ["w0@0000000000000000"] },
    });
  }
});

test("the only worker was silent: it is tried once more before its client is refused", () => {
  const state = answer();
  advance(state, { kind: "begin" });
  advance(state, { kind: "planned", attempt: 1, leg: legOf("w0") });
  advance(state, { kind: "worker_lost", attempt: 1, how: "silent", detail: "no answer" });
  const refused = {
    kind: "route_refused",
    attempt: 2,
    code: "overloaded",
    message: "none",
  } as const;
  expect(kinds(advance(state, refused))).toEqual(["ask_router_later"]);
  const again = advance(state, { kind: "route_again", attempt: 2 });
  expect(again).toMatchObject([{ kind: "ask_router", route: { exclude: [] } }]);
  expect(kinds(advance(state, refused)).at(-1)).toBe("failed");
});

test("the only worker prepares an answer still: it is asked again, three times in all", () => {
  const state = answer();
  advance(state, { kind: "begin" });
  const none = { kind: "route_refused", code: "overloaded", message: "none" } as const;
  const late = { kind: "generate_refused", code: "queue_full", message: "compiles" } as const;
  for (const attempt of [1, 2]) {
    advance(state, { kind: "planned", attempt, leg: legOf("w0") });
    advance(state, { ...late, attempt, not_yet: true });
    const next = attempt + 1;
    expect(kinds(advance(state, { ...none, attempt: next }))).toEqual(["ask_router_later"]);
    const again = advance(state, { kind: "route_again", attempt: next });
    expect(again).toMatchObject([{ kind: "ask_router", route: { exclude: [] } }]);
  }
  advance(state, { kind: "planned", attempt: 3, leg: legOf("w0") });
  const last = advance(state, { ...late, attempt: 3, not_yet: true });
  expect(last.at(-1)).toMatchObject({ failure: { status: 529, message: "compiles" } });
});

test("after three workers the client is told, and told why", () => {
  const state = liveAnswer();
  advance(state, { kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  advance(state, { kind: "planned", attempt: 2, leg: legOf("w1") });
  const full = { kind: "generate_refused" as const, code: "queue_full" as const, message: "full" };
  advance(state, { ...full, attempt: 2 });
  advance(state, { kind: "planned", attempt: 3, leg: legOf("w2") });
  expect(advance(state, { ...full, attempt: 3 }).at(-1)).toEqual({
    kind: "failed",
    failure: { code: "overloaded", status: 529, message: "full", retry_after_s: 1 },
  });
});

test("a refusal that every worker would repeat is not tried elsewhere", () => {
  const state = answer();
  advance(state, { kind: "begin" });
  advance(state, { kind: "planned", attempt: 1, leg: legOf("w0") });
  const code = "context_overflow";
  const effects = advance(state, {
    kind: "generate_refused",
    attempt: 1,
    code,
    message: "too long",
  });
  expect(effects.at(-1)).toMatchObject({ failure: { code, status: 400, message: "too long" } });
});

test("a salt goes to the router and to each worker of the answer, its owner to the workers", () => {
  const salted = liveAnswer({ salt: "ours", owner: "key" });
  advance(salted, tokens(0, "a"));
  const lost = advance(salted, { kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  expect(lost.at(-1)).toMatchObject({ kind: "ask_router", route: { salt: "ours" } });
  const again = advance(salted, { kind: "planned", attempt: 2, leg: legOf("w1") });
  expect(again).toMatchObject([{ kind: "ask_worker", generate: { salt: "ours", owner: "key" } }]);
});

test("a form that no worker holds is its field's fault; one that was held is tried elsewhere", () => {
  const form = { constraint: "{}", constraint_param: "guided_json" };
  const refused = { kind: "generate_refused", code: "bad_request", message: "no" } as const;
  const fresh = answer(form);
  advance(fresh, { kind: "begin" });
  const asked = advance(fresh, { kind: "planned", attempt: 1, leg: legOf("w0") });
  expect(asked).toMatchObject([{ kind: "ask_worker", generate: { constraint: "{}" } }]);
  expect(advance(fresh, { ...refused, attempt: 1 }).at(-1)).toEqual({
    kind: "failed",
    failure: { code: "bad_request", status: 400, message: "no", param: "guided_json" },
  });
  const moved = liveAnswer(form);
  advance(moved, tokens(0, "{"));
  advance(moved, { kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" });
  advance(moved, { kind: "planned", attempt: 2, leg: legOf("w1") });
  expect(advance(moved, { ...refused, attempt: 2 }).at(-1)).toMatchObject({ kind: "ask_router" });
});

test("a router that is gone is asked again, but not for ever", () => {
  const state = answer();
  advance(state, { kind: "begin" });
  for (let i = 0; i < limits.router_retries; i++) {
    expect(kinds(advance(state, { kind: "router_lost", attempt: 1 }))).toEqual([
      "ask_router_later",
    ]);
    expect(kinds(advance(state, { kind: "route_again", attempt: 1 }))).toEqual(["ask_router"]);
  }
  expect(advance(state, { kind: "router_lost", attempt: 1 }).at(-1)).toMatchObject({
    failure: { code: "no_worker" },
  });
});

test("a stop string ends its choice at the worker and waits for what was cached", () => {
  const state = liveAnswer({ stop_strings: ["cd"], choices: 2 });
  const effects = advance(state, tokens(0, "abcdef"));
  expect(textIn(effects)).toBe("ab");
  expect(effects).toContainEqual({
    kind: "end",
    end: { choice: 0, reason: "stop", stop_reason: "cd" },
  });
  expect(effects).toContainEqual({
    kind: "tell_worker",
    message: { kind: "cancel", request: "r", choices: [0] },
  });
  // Tokens that were on their way are dropped, gaps between them included.
  expect(textIn(advance(state, tokens(9, "zz")))).toBe("");
  advance(state, tokens(0, "xy", 1));
  // Of the prompt that both share, the one that met it first found the least.
  advance(state, ended(2, { choice: 1, cached_tokens: 3 }));
  expect(state.phase).toBe("settling");
  const last = advance(state, ended(4, { reason: "cancelled", cached_tokens: 2 }));
  expect(last.at(-1)).toEqual({
    kind: "done",
    usage: { prompt_tokens: 3, completion_tokens: 4 + 2, cached_tokens: 2 },
  });
});

test("who predicts an answer is told which guesses were right, and nobody else", () => {
  for (const predicted of [undefined, Uint32Array.of(7, 8)]) {
    const state = liveAnswer({ choices: 2, ...(predicted === undefined ? {} : { predicted }) });
    advance(state, tokens(0, "ab"));
    advance(state, tokens(0, "xy", 1));
    advance(state, ended(2, { choice: 1, drafts: { right: 3, wrong: 1 } }));
    const last = advance(state, ended(2, { drafts: { right: 4, wrong: 0 } })).at(-1);
    const told = predicted === undefined ? {} : { drafts: { right: 7, wrong: 1 } };
    const usage = { prompt_tokens: 3, completion_tokens: 4, cached_tokens: 1, ...told };
    expect(last).toEqual({ kind: "done", usage });
  }
});

test("an answer whose client has everything is done without its worker's last word", () => {
  const inputs: AnswerInput[] = [
    { kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" },
    { kind: "settle_late" },
    { kind: "late" },
  ];
  for (const input of inputs) {
    const state = liveAnswer({ stop_strings: ["b"] });
    advance(state, tokens(0, "ab"));
    expect(advance(state, input).at(-1)).toMatchObject({
      kind: "done",
      usage: { completion_tokens: 2 },
    });
  }
});

test("credit follows what the sink takes", () => {
  const state = liveAnswer({ max_tokens: 100 });
  expect(kinds(advance(state, tokens(0, "abc")))).not.toContain("tell_worker");
  expect(advance(state, tokens(3, "d"))).toContainEqual({
    kind: "tell_worker",
    message: { kind: "credit", request: "r", tokens_total: 12 },
  });
  advance(state, { kind: "filled" });
  expect(kinds(advance(state, tokens(4, "efghijkl")))).not.toContain("tell_worker");
  expect(advance(state, { kind: "drained" })).toEqual([
    { kind: "tell_worker", message: { kind: "credit", request: "r", tokens_total: 20 } },
  ]);
});

test("no credit beyond what the answer may have", () => {
  const state = liveAnswer({ max_tokens: 8 });
  expect(kinds(advance(state, tokens(0, "abcdef")))).not.toContain("tell_worker");
});

test("an engine that fails everywhere names itself, a worker's deadline is a deadline", () => {
  const broken = { reason: "error" as const, error: "decode failed" };
  const state = liveAnswer();
  for (const attempt of [2, 3]) {
    const request = attempt === 2 ? "r" : "r~2";
    expect(advance(state, { ...ended(0, broken), request }).at(-1)).toMatchObject({
      kind: "ask_router",
      route: { exclude: expect.arrayContaining(["w0@0000000000000000"]) },
    });
    advance(state, { kind: "planned", attempt, leg: legOf(`w${attempt}`) });
  }
  expect(advance(state, { ...ended(0, broken), request: "r~3" }).at(-1)).toMatchObject({
    failure: { code: "engine_error", status: 500, message: "decode failed" },
  });
  expect(advance(liveAnswer(), ended(0, { reason: "deadline" })).at(-1)).toMatchObject({
    failure: { code: "deadline", status: 504 },
  });
});

test("an engine that fails where there is no other names itself too", () => {
  const state = liveAnswer();
  advance(state, ended(0, { reason: "error", error: "decode failed" }));
  const message = "every worker has refused this request";
  const refused = {
    kind: "route_refused" as const,
    attempt: 2,
    code: "overloaded" as const,
    message,
  };
  expect(advance(state, refused).at(-1)).toMatchObject({
    failure: { code: "engine_error", message: "decode failed" },
  });
});

const anyAttempt = fc.integer({ min: 1, max: 3 });
const refusalCodes = ["queue_full", "no_worker", "bad_request", "draining", "unknown"] as const;
const anyInput: fc.Arbitrary<AnswerInput> = fc.oneof(
  fc.record({
    kind: fc.constant("planned" as const),
    attempt: anyAttempt,
    leg: fc.constantFrom(legOf("w0"), legOf("w1")),
  }),
  fc.record({ kind: fc.constant("accepted" as const), attempt: anyAttempt }),
  fc.record({
    kind: fc.constantFrom("route_refused" as const, "generate_refused" as const),
    attempt: anyAttempt,
    code: fc.constantFrom(...refusalCodes),
    message: fc.constant("no"),
  }),
  fc.record({
    kind: fc.constant("worker_lost" as const),
    attempt: anyAttempt,
    how: fc.constantFrom("ended" as const, "silent" as const),
    detail: fc.constant("killed"),
  }),
  fc.record({
    kind: fc.constantFrom("fetched" as const, "fetch_failed" as const),
    attempt: anyAttempt,
    reader: fc.integer({ min: 1, max: 2 }),
    detail: fc.constant("not here"),
  }),
  fc.record({
    kind: fc.constant("tokens_missing" as const),
    attempt: anyAttempt,
    detail: fc.constant("lost"),
  }),
  fc.record({
    kind: fc.constantFrom(
      "router_lost" as const,
      "route_again" as const,
      "away" as const,
      "starved" as const,
    ),
    attempt: anyAttempt,
  }),
  fc
    .tuple(
      fc.integer({ min: 0, max: 8 }),
      fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 6 }),
      fc.integer({ min: 0, max: 2 }),
      fc.constantFrom("r", "r+1", "r~2", "r~2+1", "r~3"),
    )
    .map(([at, text, choice, request]) => tokens(at, text, choice, request)),
  fc
    .tuple(
      fc.integer({ min: 0, max: 8 }),
      fc.integer({ min: 0, max: 2 }),
      fc.constantFrom("stop", "length", "cancelled", "error"),
    )
    .map(([total, choice, reason]) => ended(total, { choice, reason })),
  fc.constantFrom(
    { kind: "settle_late" as const },
    { kind: "late" as const },
    { kind: "filled" as const },
    { kind: "hand_over" as const, request: "r" },
    { kind: "hand_over" as const, request: "r~2" },
    { kind: "steady" as const, attempt: 2 },
    { kind: "drained" as const },
    { kind: "abandon" as const, reason: "hung up" },
  ),
);

test("whatever comes in whatever order: one end, nothing after it, no choice ended twice", () => {
  fc.assert(
    fc.property(fc.array(anyInput, { maxLength: 40 }), fc.boolean(), (inputs, stopping) => {
      const stop_strings = stopping ? ["bc"] : [];
      const state = answer({ choices: 2, max_tokens: 8, stop_strings });
      const effects: AnswerEffect[] = [];
      const script: AnswerInput[] = [{ kind: "begin" }, ...inputs, { kind: "late" }];
      for (const input of script) effects.push(...advance(state, input));
      expect(state.phase).toBe("ended");
      const outcomes = effects.filter(({ kind }) => kind === "done" || kind === "failed");
      expect(outcomes).toHaveLength(1);
      expect(effects.at(-1)).toBe(outcomes[0]);
      const ends = effects.flatMap((each) => (each.kind === "end" ? [each.end.choice] : []));
      expect(new Set(ends).size).toBe(ends.length);
      if (outcomes[0]!.kind === "done") expect(ends.length).toBe(2);
      checkIndices(effects, ends);
      checkWorkers(effects);
    }),
    { numRuns: 2_000 },
  );
});

/** Delivered counts go up by what each piece brings, and no piece follows its choice's end. */
function checkIndices(effects: readonly AnswerEffect[], ends: readonly number[]): void {
  for (const choice of [0, 1]) {
    let delivered = 0;
    let over = false;
    for (const each of effects) {
      if (each.kind === "end" && each.end.choice === choice) over = true;
      if (each.kind !== "piece" || each.piece.choice !== choice) continue;
      expect(over).toBe(false);
      delivered += each.piece.tokens.length;
      expect(each.piece.delivered).toBe(delivered);
    }
    expect(over).toBe(ends.includes(choice));
  }
}

/** Every worker that was asked is left, and the router's account of it is closed before the next. */
function checkWorkers(effects: readonly AnswerEffect[]): void {
  let asked = 0;
  let left = 0;
  let placed = false;
  for (const each of effects) {
    if (each.kind === "ask_worker") {
      asked++;
      placed = true;
    }
    if (each.kind === "leave_worker") left++;
    if (each.kind === "tell_router" && each.message.kind === "route_ended") placed = false;
    if (each.kind === "ask_router") expect(placed).toBe(false);
    expect(asked - left).toBeLessThanOrEqual(1);
  }
  expect(left).toBeGreaterThanOrEqual(asked);
  expect(placed).toBe(false);
}
