/** When an answer is what its workers die of: all orders of deaths, without an actor. */
import { expect, test } from "bun:test";
import type { AnswerEffect, AnswerInput } from "../../../actors/stream/inputs-and-effects.ts";
import { advance } from "../../../actors/stream/reducer.ts";
import { type AnswerState, newAnswer } from "../../../actors/stream/state.ts";
import type { Death } from "../../../actors/stream/suspicion.ts";
import type { PlanLeg } from "../../../proto/index.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const limits = { attempts: 9, migrations: 9, window_tokens: 64, router_retries: 3 };
const legOf = (worker: string): PlanLeg => ({ role: "aggregated", worker, ref: undefined });

class Run {
  readonly state: AnswerState = newAnswer(
    answerRequest("r", { max_tokens: 8, ignore_eos: true }),
    byteTokenizer,
    limits,
  );
  last: readonly AnswerEffect[] = [];
  #at_ms = 0;

  constructor() {
    this.do({ kind: "begin" });
  }

  do(input: AnswerInput): this {
    this.last = advance(this.state, input);
    return this;
  }

  /** What the worker is asked for. */
  place() {
    const { attempt } = this.state;
    this.do({ kind: "planned", attempt, leg: legOf(`w${attempt}`) });
    const ask = this.last.find((effect) => effect.kind === "ask_worker");
    if (ask?.kind !== "ask_worker") throw new Error("it was not placed");
    return ask.generate;
  }

  accept(): this {
    return this.do({ kind: "accepted", attempt: this.state.attempt });
  }

  token(): this {
    const { attempt } = this.state;
    const first_index = this.state.choices[0]!.tokens.length;
    const part = { choice: 0, first_index, tokens: [65], logprobs: [] };
    const request = attempt === 1 ? "r" : `r~${attempt}`;
    return this.do({ kind: "token_batch", request, choices: [part], finished: [] });
  }

  dies(death: Death): this {
    const { attempt } = this.state;
    this.#at_ms += 10;
    const at_ms = this.#at_ms;
    return this.do({ kind: "worker_lost", attempt, how: "ended", death, at_ms, detail: death });
  }

  explained(crashes: number): this {
    return this.do({ kind: "explained", attempt: this.state.attempt, crashes });
  }

  get failure() {
    const failed = this.last.find((effect) => effect.kind === "failed");
    return failed?.kind === "failed" ? failed.failure : undefined;
  }

  get outcomes(): string[] {
    return this.last.flatMap((effect) =>
      effect.kind === "tell_router" && effect.message.kind === "route_ended"
        ? [effect.message.outcome]
        : [],
    );
  }
}

const quarantined = { code: "quarantined", status: 422 };

test("two workers that crash before its first token are enough, and the router hears of each", () => {
  const run = new Run();
  expect(run.place().alone).toBe(false);
  run.accept().dies("crash");
  expect(run.outcomes).toEqual(["crashed"]);
  expect(run.place().alone).toBe(true);
  run.accept().dies("crash");
  expect(run.failure).toMatchObject(quarantined);
  expect(run.failure?.retry_after_s).toBeUndefined();
  expect(run.failure?.message).toMatch(/crashed .* not given to a third/);
  expect(run.outcomes).toEqual(["crashed"]);
});

test("workers that are killed say nothing of it", () => {
  const run = new Run();
  for (let i = 0; i < 6; i++) {
    expect(run.place().alone).toBe(false);
    run.accept().dies("killed");
    expect(run.outcomes).toEqual(["lost"]);
  }
  expect(run.failure).toBeUndefined();
});

test("of two that are gone it is asked how they ended, before a third one gets it", () => {
  const run = new Run();
  run.place();
  run.accept().dies("unknown");
  expect(run.place().alone).toBe(true);
  run.accept().dies("unknown");
  expect(run.last.at(-1)).toMatchObject({
    kind: "ask_deaths",
    deaths: [
      { worker: "w1", at_ms: 10 },
      { worker: "w2", at_ms: 20 },
    ],
  });
  expect(run.explained(2).failure).toMatchObject(quarantined);
});

test("one that had crashed of two is a coincidence, none of them nothing at all", () => {
  for (const crashes of [0, 1]) {
    const run = new Run();
    run.place();
    run.accept().dies("unknown");
    run.place();
    run.accept().dies("unknown");
    run.explained(crashes);
    expect(run.last).toMatchObject([{ kind: "ask_router" }]);
    expect(run.place().alone).toBe(crashes === 1);
    run.accept().dies("crash");
    if (crashes === 1) expect(run.failure).toMatchObject(quarantined);
    else expect(run.failure).toBeUndefined();
  }
});

test("a token from a worker that lives acquits", () => {
  const run = new Run();
  run.place();
  run.accept().dies("crash");
  run.place();
  run.accept().token();
  // It made something of it: whatever it died of later, there may be another reason.
  run.dies("crash");
  expect(run.failure).toBeUndefined();
  expect(run.place().alone).toBe(false);
  run.accept().dies("crash");
  run.place();
  run.accept().dies("crash");
  expect(run.failure).toMatchObject(quarantined);
});

test("a suspect that waited outside of the engine is not to blame for what happened in it", () => {
  const run = new Run();
  run.place();
  run.dies("crash"); // not accepted yet, but nothing kept it out either
  for (let i = 0; i < 4; i++) {
    expect(run.place().alone).toBe(true);
    run.dies("crash");
    expect(run.failure).toBeUndefined();
  }
});

test("the explanation of an attempt that is over is not heard", () => {
  const run = new Run();
  run.place();
  run.accept().dies("unknown");
  run.place();
  run.accept();
  run.explained(2);
  expect(run.failure).toBeUndefined();
});
