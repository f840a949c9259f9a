import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  endTokens,
  grant,
  isDelivered,
  newReadPosition,
  newTranscript,
  nextBatch,
  type ReadPosition,
  recordTokens,
  type Transcript,
  unsend,
} from "../../../actors/worker/answers/transcript.ts";
import type { Finished, TokenBatch } from "../../../proto/index.ts";

type Logged = { readonly log: Transcript; readonly reader: ReadPosition };

function logOf(choices: number, window_tokens: number, delivered = 0): Logged {
  const starts = Array.from({ length: choices }, (_, choice) => ({
    choice,
    delivered: new Uint8Array(4 * delivered),
    max_tokens: 100,
  }));
  const log = newTranscript(starts);
  return { log, reader: newReadPosition(log, "r", window_tokens, 0) };
}

function add(log: Transcript, choice: number, ...tokens: number[]): void {
  const of = log.choices[choice]!;
  recordTokens(of, of.tokens.length, tokens, []);
}

function end(log: Transcript, choice: number): void {
  const of = log.choices[choice]!;
  const finished: Finished = {
    choice,
    reason: "length",
    stop_token: -1,
    prompt_tokens: 1,
    cached_tokens: 0,
    total_tokens: of.tokens.length,
    error: "",
  };
  of.finished = finished;
}

test("a batch has everything of one pass, and never more than the credit", () => {
  const { log, reader } = logOf(1, 3);
  add(log, 0, 10, 11);
  expect(nextBatch(log, reader)?.choices).toEqual([
    { choice: 0, first_index: 0, tokens: [10, 11], logprobs: [] },
  ]);
  add(log, 0, 12, 13, 14);
  expect(nextBatch(log, reader)?.choices[0]).toMatchObject({ first_index: 2, tokens: [12] });
  expect(nextBatch(log, reader)).toBeUndefined();
  grant(reader, 4);
  expect(nextBatch(log, reader)?.choices[0]).toMatchObject({ first_index: 3, tokens: [13] });
  grant(reader, 2);
  expect(nextBatch(log, reader)).toBeUndefined();
});

test("the end of a choice comes with or behind its last token", () => {
  const { log, reader } = logOf(1, 1);
  add(log, 0, 10, 11);
  end(log, 0);
  expect(nextBatch(log, reader)?.finished).toEqual([]);
  expect(isDelivered(reader)).toBe(false);
  grant(reader, 10);
  expect(nextBatch(log, reader)?.finished).toHaveLength(1);
  expect(isDelivered(reader)).toBe(true);
});

test("an end needs no credit", () => {
  const { log, reader } = logOf(1, 0);
  end(log, 0);
  expect(nextBatch(log, reader)?.finished).toHaveLength(1);
});

test("with little credit choices take turns", () => {
  const { log, reader } = logOf(2, 0);
  add(log, 0, 1, 2, 3);
  add(log, 1, 4, 5, 6);
  const order: number[] = [];
  for (let total = 1; total <= 4; total++) {
    grant(reader, total);
    order.push(nextBatch(log, reader)!.choices[0]!.choice);
  }
  expect(new Set(order)).toEqual(new Set([0, 1]));
});

test("a continued answer counts from what its client has", () => {
  const { log, reader } = logOf(1, 10, 5);
  add(log, 0, 10);
  expect(nextBatch(log, reader)?.choices[0]?.first_index).toBe(5);
});

test("an engine that loses count is broken", () => {
  const { log } = logOf(1, 10);
  expect(() => recordTokens(log.choices[0]!, 1, [10], [])).toThrow(
    "the engine made token 1 where 0 was next",
  );
});

test("a choice that its consumer ended makes no more tokens", () => {
  const { log, reader } = logOf(1, 1);
  add(log, 0, 10, 11, 12);
  nextBatch(log, reader);
  endTokens(log.choices[0]!, reader.next[0]!);
  add(log, 0, 13);
  grant(reader, 10);
  expect(nextBatch(log, reader)).toBeUndefined();
  end(log, 0);
  expect(nextBatch(log, reader)).toMatchObject({ choices: [], finished: [{ total_tokens: 1 }] });
});

test("an answer whose time is over says so at once, whatever credit there is", () => {
  const { log, reader } = logOf(2, 1);
  add(log, 0, 10, 11);
  add(log, 1, 20);
  end(log, 1);
  nextBatch(log, reader);
  log.late = true;
  const finished = nextBatch(log, reader)?.finished ?? [];
  expect(finished.map(({ reason }) => reason)).toEqual(["deadline", "deadline"]);
  expect(isDelivered(reader)).toBe(true);
});

test("whatever is refused, granted and made: the consumer gets each token once, in order", () => {
  const anyStep = fc.oneof(
    fc.record({ kind: fc.constant("make" as const), choice: fc.nat(1), count: fc.nat(4) }),
    fc.record({ kind: fc.constant("grant" as const), more: fc.nat(5) }),
    fc.record({ kind: fc.constant("send" as const), refused: fc.boolean() }),
  );
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 60 }), fc.nat(4), (steps, window) => {
      const { log, reader } = logOf(2, window);
      const got: number[][] = [[], []];
      const made: number[][] = [[], []];
      let granted = window;
      const take = (batch: TokenBatch) => {
        for (const part of batch.choices) {
          expect(part.first_index).toBe(got[part.choice]!.length);
          got[part.choice]!.push(...part.tokens);
        }
      };
      for (const step of steps) {
        if (step.kind === "grant") {
          granted += step.more;
          grant(reader, granted);
        } else if (step.kind === "make") {
          const tokens = Array.from(
            { length: step.count },
            (_, i) => made[step.choice]!.length + i,
          );
          made[step.choice]!.push(...tokens);
          add(log, step.choice, ...tokens);
        } else {
          const batch = nextBatch(log, reader);
          if (batch === undefined) continue;
          if (step.refused) unsend(log, reader, batch);
          else take(batch);
        }
        expect(got[0]!.length + got[1]!.length).toBeLessThanOrEqual(granted);
      }
      grant(reader, 1_000);
      end(log, 0);
      end(log, 1);
      const last = nextBatch(log, reader);
      if (last !== undefined) take(last);
      expect(got).toEqual(made);
      expect(isDelivered(reader)).toBe(true);
    }),
  );
});
