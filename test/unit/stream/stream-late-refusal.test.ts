/** A worker that has accepted an answer and does not take it after all: nobody's engine has failed. */
import { expect, test } from "bun:test";
import type { AnswerEffect, AnswerInput } from "../../../actors/stream/inputs-and-effects.ts";
import { advance } from "../../../actors/stream/reducer.ts";
import { newAnswer } from "../../../actors/stream/state.ts";
import type { RefusalCode } from "../../../proto/index.ts";
import { byteTokenizer } from "../../support/tokens/byte-tokenizer.ts";
import { answerRequest } from "../../support/worlds/recorded-answer.ts";

const limits = { attempts: 3, migrations: 3, window_tokens: 1_000, router_retries: 20 };

function answer() {
  const state = newAnswer(answerRequest("r", {}), byteTokenizer, limits);
  const effects: AnswerEffect[] = [];
  const take = (input: AnswerInput) => void effects.push(...advance(state, input));
  const plan = (attempt: number) => {
    const ref = { node: "n", path: `/w${attempt}`, incarnation: new Uint8Array(8), address: "" };
    const leg = { role: "aggregated", worker: `w${attempt}`, ref } as const;
    take({ kind: "planned", attempt, leg });
  };
  const refuse = (request: string, refusal: RefusalCode) => {
    const none = { stop_token: -1, prompt_tokens: 0, cached_tokens: 0, total_tokens: 0 };
    const end = { ...none, choice: 0, reason: "error", error: "not now", refusal } as const;
    take({ kind: "token_batch", request, choices: [], finished: [end] });
  };
  const failures = () => effects.flatMap((each) => (each.kind === "failed" ? [each.failure] : []));
  take({ kind: "begin" });
  return { plan, refuse, take, failures };
}

const codes = [
  ["draining", "worker_lost", 503],
  ["queue_full", "overloaded", 529],
] as const;
for (const [code, told, status] of codes) {
  test(`${code}: two more workers are asked, and then the client may try again`, () => {
    const { plan, refuse, failures } = answer();
    for (const [i, request] of ["r", "r~2", "r~3"].entries()) {
      expect(failures()).toEqual([]);
      plan(i + 1);
      refuse(request, code);
    }
    expect(failures()).toMatchObject([{ code: told, status, retry_after_s: 1 }]);
  });
}

test("without another worker the router's word stands, which says when to try again", () => {
  const { plan, refuse, take, failures } = answer();
  plan(1);
  refuse("r", "draining");
  take({ kind: "route_refused", attempt: 2, code: "no_worker", message: "none" });
  expect(failures()).toMatchObject([{ code: "no_worker", status: 503, retry_after_s: 5 }]);
});

test("a request that is at fault is told so, and asked nowhere else", () => {
  const { plan, refuse, failures } = answer();
  plan(1);
  refuse("r", "context_overflow");
  expect(failures()).toMatchObject([{ code: "context_overflow", status: 400 }]);
});
