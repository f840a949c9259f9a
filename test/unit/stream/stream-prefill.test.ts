/** An answer of two legs: whatever becomes of the one that computes the prompt, it is answered. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { AnswerEffect, AnswerInput } from "../../../actors/stream/inputs-and-effects.ts";
import { advance } from "../../../actors/stream/reducer.ts";
import { type AnswerState, newAnswer } from "../../../actors/stream/state.ts";
import type { AnswerRequest } from "../../../actors/stream/stream.ts";
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type { FinishReason, PlanLeg, TokenBatch } from "../../../proto/index.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const limits = { attempts: 3, migrations: 2, window_tokens: 64, router_retries: 2 };

function legOf(role: PlanLeg["role"], worker: string): PlanLeg {
  const ref = { node: "n", path: `/${worker}`, incarnation: new Uint8Array(8), address: "" };
  const keeper = { ...ref, path: "/kv" };
  return { role, worker, ref, keeper, ...(role === "prefill" ? { tokens: 2 } : {}) };
}

const keyOf = (worker: string) => `${worker}@0000000000000000`;

/** An answer with both legs asked for, and the effects since. */
class Pair {
  readonly state: AnswerState;
  readonly effects: AnswerEffect[] = [];

  constructor(changes: Partial<AnswerRequest> = {}) {
    const asked = { prompt: Uint32Array.of(1, 2, 3), ...changes };
    this.state = newAnswer(answerRequest("r", asked), byteTokenizer, limits);
    advance(this.state, { kind: "begin" });
    this.plan();
  }

  plan(): readonly AnswerEffect[] {
    const { attempt } = this.state;
    const leg = legOf("decode", `d${attempt}`);
    return this.do({ kind: "planned", attempt, leg, prefill: legOf("prefill", `p${attempt}`) });
  }

  do(input: AnswerInput): readonly AnswerEffect[] {
    const effects = advance(this.state, input);
    this.effects.push(...effects);
    return effects;
  }

  prefillEnds(reason: FinishReason): readonly AnswerEffect[] {
    const end = { choice: 0, reason, stop_token: -1, prompt_tokens: 2, cached_tokens: 0 };
    const finished = [{ ...end, total_tokens: 1, error: "" }];
    const request = this.state.prefill?.id ?? "";
    return this.do({ kind: "token_batch", request, choices: [], finished });
  }

  token(): readonly AnswerEffect[] {
    const part = { choice: 0, first_index: 0, tokens: [97], logprobs: [] };
    const request = this.name;
    return this.do({ kind: "token_batch", request, choices: [part], finished: [] });
  }

  /** The answering leg has said its only token, and that it is the last. */
  ends(cached_tokens: number): readonly AnswerEffect[] {
    this.do({ kind: "accepted", attempt: this.state.attempt });
    const part = { choice: 0, first_index: 0, tokens: [97], logprobs: [] };
    const end = { choice: 0, reason: "length", stop_token: -1, prompt_tokens: 3 } as const;
    const finished = [{ ...end, cached_tokens, total_tokens: 1, error: "" }];
    return this.do({ kind: "token_batch", request: this.name, choices: [part], finished });
  }

  get name(): string {
    return this.state.attempt === 1 ? "r" : `r~${this.state.attempt}`;
  }

  lose(how: "ended" | "silent" | "refused", death?: "crash" | "killed"): readonly AnswerEffect[] {
    const { attempt, prefill } = this.state;
    const id = prefill?.id ?? "";
    const why = death === undefined ? {} : { death };
    return this.do({ kind: "prefill_lost", attempt, id, how, ...why });
  }
}

const kinds = (effects: readonly AnswerEffect[]) => effects.map(({ kind }) => kind);

test("both legs are asked at once, under one hand-off", () => {
  const { effects } = new Pair({ choices: 2, stop_tokens: [7], constraint: "{}" });
  expect(kinds(effects)).toEqual(["ask_prefill", "ask_worker"]);
  const [prefill, answer] = effects;
  if (prefill?.kind !== "ask_prefill" || answer?.kind !== "ask_worker") throw new Error("no legs");
  expect(prefill.leg.worker).toBe("p1");
  expect(prefill.generate).toMatchObject({
    ...{ request: "r^", stop_tokens: [], ignore_eos: true, logprobs: -1 },
    choices: [{ choice: 0, max_tokens: 1 }],
    hand_off: { id: "r^", send: true },
  });
  // As many tokens as are handed over, and no form, which would end it early.
  expect([...tokensOf(prefill.generate.prompt)]).toEqual([1, 2]);
  expect(prefill.generate.constraint).toBeUndefined();
  expect([...tokensOf(answer.generate.prompt)]).toEqual([1, 2, 3]);
  expect(answer.generate.hand_off).toMatchObject({
    ...{ id: "r^", send: false, from_worker: keyOf("p1") },
    from_keeper: { path: "/kv" },
  });
});

test("the prompt is computed: the router hears it, and the answer goes on", () => {
  const pair = new Pair();
  const effects = pair.prefillEnds("length");
  expect(effects).toEqual([
    { kind: "leave_prefill" },
    {
      kind: "tell_router",
      message: {
        ...{ kind: "route_ended", request: "r", worker: "p1", outcome: "finished" },
        ...{ output_tokens: 0, prefill: true },
      },
    },
  ]);
  expect(kinds(pair.token())).toContain("piece");
});

test("an answer that ends before its prefill leg waits for what was cached of the prompt", () => {
  const pair = new Pair({ max_tokens: 1 });
  expect(kinds(pair.ends(2))).toEqual(["piece", "end", "wait_settled"]);
  const last = pair.prefillEnds("length");
  expect(kinds(last).join(" ")).toBe("leave_prefill tell_router leave_worker tell_router done");
  expect(last.at(-1)).toMatchObject({ usage: { prompt_tokens: 3, cached_tokens: 0 } });
  expect(pair.prefillEnds("length")).toEqual([]);
});

test("an answer that has ended waits for no prefill leg that is lost or late", () => {
  for (const how of ["ended", "silent", "refused"] as const) {
    const pair = new Pair({ max_tokens: 1 });
    pair.ends(2);
    expect(kinds(pair.lose(how)).at(-1)).toBe("done");
  }
  const pair = new Pair({ max_tokens: 1 });
  pair.ends(2);
  const late = kinds(pair.do({ kind: "settle_late" }));
  expect(late).toContain("tell_prefill");
  expect(late.at(-1)).toBe("done");
});

test("the prefill worker draws the first token as the other one would, which is told of it", () => {
  const asks = { temperature: 1, seed: new Uint8Array(8).fill(5) };
  const sampling = { ...answerRequest("r").sampling, ...asks };
  const pair = new Pair({ sampling, stop_tokens: [9], min_tokens: 3 });
  const [ask] = pair.effects;
  if (ask?.kind !== "ask_prefill") throw new Error("no leg");
  expect(ask.generate).toMatchObject({
    ...{ sampling: asks, stop_tokens: [9], min_tokens: 3, ignore_eos: false },
    choices: [{ choice: 0, max_tokens: 1 }],
  });
  expect([...tokensOf(ask.generate.prompt)]).toEqual([1, 2, 3]);
  const part = { choice: 0, first_index: 0, tokens: [98], logprobs: [] };
  const drawn = { kind: "token_batch", request: "r^", choices: [part], finished: [] } as const;
  const message = { kind: "first_drawn", request: "r", token: 98 } as const;
  expect(pair.do(drawn)).toEqual([{ kind: "tell_worker", message }]);
  expect(kinds(pair.prefillEnds("length"))).toEqual(["leave_prefill", "tell_router"]);
});

test("no first token is drawn of several choices, forms, log probabilities, or the last one", () => {
  const others: readonly Partial<AnswerRequest>[] = [
    ...[{ choices: 2 }, { constraint: "{}" }, { logprobs: 0 }, { max_tokens: 1 }],
  ];
  for (const changes of others) {
    const { effects, state } = new Pair(changes);
    const [ask] = effects;
    if (ask?.kind !== "ask_prefill") throw new Error("no leg");
    expect(state.prefill?.draws).toBeUndefined();
    expect(ask.generate).toMatchObject({ ignore_eos: true, sampling: { temperature: 0 } });
    expect([...tokensOf(ask.generate.prompt)]).toEqual([1, 2]);
  }
});

test("a lost prefill worker has a successor, whose hand-off the answering leg is told of", () => {
  const pair = new Pair();
  const effects = pair.lose("ended");
  const expected = ["tell_prefill", "leave_prefill", "tell_router", "ask_router_prefill"] as const;
  expect(kinds(effects)).toEqual([...expected]);
  const ask = effects.at(-1);
  expect(ask).toMatchObject({ route: { prefill_for: keyOf("d1"), exclude: [keyOf("p1")] } });
  const planned = { kind: "prefill_planned", attempt: 1, leg: legOf("prefill", "p9") } as const;
  const again = pair.do(planned);
  expect(kinds(again)).toEqual(["ask_prefill", "tell_worker"]);
  expect(again[1]).toMatchObject({
    message: {
      kind: "hand_off_is",
      request: "r",
      hand_off: { id: "r^1", from_worker: keyOf("p9") },
    },
  });
  // The second one is the last.
  expect(kinds(pair.lose("silent")).at(-1)).toBe("tell_worker");
});

const alone: readonly (readonly [string, (pair: Pair) => readonly AnswerEffect[]])[] = [
  [
    "there is no other one",
    (pair) => {
      pair.lose("ended");
      return pair.do({ kind: "prefill_planned", attempt: 1, leg: undefined });
    },
  ],
  ["it may have crashed of this prompt", (pair) => pair.lose("ended", "crash")],
];
for (const [why, happens] of alone) {
  test(`the answering leg computes the prompt by itself: ${why}`, () => {
    const pair = new Pair();
    const told = happens(pair).at(-1);
    expect(told).toEqual({ kind: "tell_worker", message: { kind: "hand_off_is", request: "r" } });
  });
}

test("with a token of the answer here, nothing is sought for its prompt any more", () => {
  const pair = new Pair();
  pair.token();
  expect(kinds(pair.lose("ended"))).toEqual(["tell_prefill", "leave_prefill", "tell_router"]);
});

test("a refusal and a failure are no deaths, and another worker is sought", () => {
  const refused = new Pair();
  expect(kinds(refused.lose("refused")).at(-1)).toBe("ask_router_prefill");
  const failed = new Pair();
  expect(kinds(failed.prefillEnds("error")).at(-1)).toBe("ask_router_prefill");
  expect([refused, failed].map(({ state }) => state.suspicion.crashes)).toEqual([0, 0]);
});

test("the worker that answers is lost: both legs end, and both begin anew", () => {
  const pair = new Pair();
  const lost = { kind: "worker_lost", attempt: 1, how: "ended", detail: "killed" } as const;
  const effects = pair.do(lost);
  expect(kinds(effects)).toContain("leave_prefill");
  expect(effects).toContainEqual({
    kind: "tell_prefill",
    message: { kind: "cancel", request: "r^", choices: [] },
  });
  expect(kinds(pair.plan())).toEqual(["ask_prefill", "ask_worker"]);
  expect(pair.state.prefill?.id).toBe("r~2^");
  // What the first leg still says is about an attempt that is over.
  const late: TokenBatch = { kind: "token_batch", request: "r^", choices: [], finished: [] };
  expect(pair.do(late)).toEqual([]);
});

test("a crash of each side in turn is a prompt that crashes workers", () => {
  const pair = new Pair();
  pair.do({ kind: "accepted", attempt: 1 });
  pair.lose("ended", "crash");
  const lost = { kind: "worker_lost", attempt: 1, how: "ended", death: "crash" } as const;
  const effects = pair.do({ ...lost, at_ms: 1, detail: "crash" });
  expect(effects.at(-1)).toMatchObject({ kind: "failed", failure: { code: "quarantined" } });
});

for (const kind of ["abandon", "late"] as const) {
  test(`"${kind}" ends both legs`, () => {
    const pair = new Pair();
    const effects = pair.do(kind === "late" ? { kind } : { kind, reason: "left" });
    const cancelled = effects.flatMap((effect) =>
      effect.kind === "tell_worker" || effect.kind === "tell_prefill"
        ? [effect.message.request]
        : [],
    );
    expect(cancelled.toSorted()).toEqual(["r", "r^"]);
    expect(kinds(effects)).toContain("leave_prefill");
  });
}

test("scores are made by one worker, and a suspect is given to one at a time", () => {
  const routeOf = (state: AnswerState, input: AnswerInput) => {
    const ask = advance(state, input).find(({ kind }) => kind === "ask_router");
    return ask?.kind === "ask_router" ? ask.route : undefined;
  };
  const fresh = (changes: Partial<AnswerRequest>) =>
    newAnswer(answerRequest("r", { prompt: Uint32Array.of(1, 2, 3), ...changes }), byteTokenizer, {
      ...limits,
    });
  expect(routeOf(fresh({}), { kind: "begin" })?.whole).toBeUndefined();
  expect(routeOf(fresh({ scored_choices: 1, logprobs: 0 }), { kind: "begin" })?.whole).toBe(true);
  const pair = new Pair();
  pair.do({ kind: "accepted", attempt: 1 });
  const crash = { kind: "worker_lost", attempt: 1, how: "ended", death: "crash" } as const;
  expect(routeOf(pair.state, { ...crash, at_ms: 1, detail: "" })?.whole).toBe(true);
});

test("whatever happens to both legs, each prefill worker is left as often as it was asked", () => {
  const step = fc.constantFrom(
    ...(["length", "error", "lost", "silent", "refused", "again", "none"] as const),
    ...(["token", "gone", "plan", "accepted", "abandon"] as const),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const pair = new Pair();
      for (const what of [...steps, "abandon"] as const) {
        const { attempt, phase } = pair.state;
        if (what === "length" || what === "error") pair.prefillEnds(what);
        else if (what === "lost") pair.lose("ended");
        else if (what === "silent" || what === "refused") pair.lose(what);
        else if (what === "again" || what === "none") {
          const leg = what === "none" ? undefined : legOf("prefill", "px");
          pair.do({ kind: "prefill_planned", attempt, leg });
        } else if (what === "token" && !pair.state.has_output) pair.token();
        else if (what === "gone") {
          pair.do({ kind: "worker_lost", attempt, how: "ended", detail: "" });
        } else if (what === "plan" && phase === "routing") pair.plan();
        else if (what === "accepted") pair.do({ kind: "accepted", attempt });
        else if (what === "abandon") pair.do({ kind: "abandon", reason: "" });
      }
      const all = kinds(pair.effects);
      const count = (kind: AnswerEffect["kind"]) => all.filter((each) => each === kind).length;
      expect(count("leave_prefill")).toBe(count("ask_prefill"));
      expect(pair.state.prefill).toBeUndefined();
    }),
  );
});
