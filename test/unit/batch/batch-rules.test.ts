/** The states of a batch, the pace of its lines, and whose turn it is. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type BatchEvent,
  type BatchMade,
  type BatchState,
  batchJson,
  isOver,
  newState,
  stateAfter,
} from "../../../actors/batch/batch-record.ts";
import { firstPace, nextPace, paceRules } from "../../../actors/batch/pace.ts";
import { Slots, type Turn } from "../../../actors/batch/slots.ts";

const checked: BatchEvent = { kind: "checked", total: 3, errors: [], fatal: false };
const failed: BatchEvent = { kind: "checked", total: 0, errors: [], fatal: true };
const written: BatchEvent = { kind: "written", has_output: true, has_errors: false };
const progress: BatchEvent = {
  kind: "progress",
  progress: { completed: 2, failed: 1, usage: newState.usage, model: "m" },
};
const events: readonly BatchEvent[] = [
  ...[checked, failed, written, progress],
  ...([{ kind: "cancel" }, { kind: "expire" }, { kind: "answered" }] as const),
];
const statuses = (...row: readonly BatchEvent[]) => {
  let state = newState;
  return row.map((event, i) => {
    state = stateAfter(state, event, 100 + i);
    return state.status;
  });
};

test("a batch goes the way of OpenAI's statuses", () => {
  const done: BatchEvent = { kind: "answered" };
  expect(statuses(checked, progress, done, written)).toEqual([
    ...["in_progress", "in_progress"],
    ...["finalizing", "completed"],
  ] as const);
  expect(statuses(failed)).toEqual(["failed"]);
  expect(statuses(checked, { kind: "cancel" }, progress, written)).toEqual([
    ...["in_progress", "cancelling"],
    ...["cancelling", "cancelled"],
  ] as const);
  expect(statuses({ kind: "cancel" }, written)).toEqual(["cancelling", "cancelled"]);
  expect(statuses(checked, { kind: "expire" }, written)).toEqual([
    ...["in_progress", "finalizing", "expired"],
  ] as const);
  // Too late: its answers are all there.
  expect(statuses(checked, done, { kind: "cancel" }, { kind: "expire" }, written).at(-1)).toBe(
    "completed",
  );
});

test("no event leads out of an end, and each status that was reached has its time", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events), { maxLength: 12 }), (row) => {
      let state: BatchState = newState;
      for (const [i, event] of row.entries()) {
        const before = state;
        state = stateAfter(state, event, i);
        if (isOver(before.status)) expect(state).toEqual(before);
        if (state.status !== before.status)
          expect(state.at).toMatchObject({ [`${state.status}_at`]: i });
        expect(Object.keys(state.at).length).toBeGreaterThanOrEqual(Object.keys(before.at).length);
      }
    }),
  );
});

test("its JSON has all members of OpenAI's Batch, and a cancel shows at once", () => {
  const made: BatchMade = {
    ...{ id: "batch_1", owner: "", endpoint: "/v1/x", input_file_id: "file-1" },
    ...{ completion_window: "24h", created_at: 1, expires_at: 2, metadata: { a: "b" } },
    ...{ output_file_id: "file-2", error_file_id: "file-3" },
  };
  const state = stateAfter(newState, checked, 5);
  expect(batchJson(made, state)).toMatchObject({
    ...{ object: "batch", status: "in_progress", in_progress_at: 5, completed_at: null },
    ...{ output_file_id: null, error_file_id: null, errors: null, metadata: { a: "b" } },
    request_counts: { total: 3, completed: 0, failed: 0 },
  });
  expect(batchJson(made, state, 7)).toMatchObject({ status: "cancelling", cancelling_at: 7 });
  const over = stateAfter(stateAfter(state, { kind: "answered" }, 6), written, 8);
  expect(batchJson(made, over, 7)).toMatchObject({
    ...{ status: "completed", output_file_id: "file-2", error_file_id: null },
    cancelling_at: null,
  });
});

const calm = { workers: 4, others: 0, waiting: 0 };

test("alone, lines become more until the workers have enough", () => {
  let pace = firstPace;
  const seen: number[] = [];
  for (let i = 0; i < 200; i += 1) {
    pace = nextPace(pace, calm, i * 100);
    seen.push(pace.allowed);
  }
  expect(seen[0]).toBe(5);
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  expect(seen[paceRules.more_ms / 100]).toBe(9);
  expect(seen.at(-1)).toBe(4 * paceRules.each_worker);
  expect(nextPace(pace, { ...calm, waiting: 30 }, 25_000).allowed).toBe(98);
  expect(nextPace(pace, { ...calm, waiting: 3_000 }, 25_000).allowed).toBe(1);
});

test("beside others next to none, none while they wait, and not at once more when they pause", () => {
  const many = { ...firstPace, allowed: 128 };
  const beside = nextPace(many, { ...calm, others: 1 }, 1_000);
  expect(beside.allowed).toBe(1);
  expect(nextPace(many, { ...calm, workers: 16, others: 1 }, 1_000).allowed).toBe(4);
  expect(nextPace(many, { ...calm, others: 1, waiting: 1 }, 1_000).allowed).toBe(0);
  expect(nextPace(beside, calm, 1_000 + paceRules.calm_ms - 1).allowed).toBe(1);
  expect(nextPace(beside, calm, 1_000 + paceRules.calm_ms).allowed).toBe(5);
  expect(nextPace(many, { workers: 0, others: 0, waiting: 9 }, 0).allowed).toBe(1);
});

test("turns are taken in order, never more than allowed, and given up", async () => {
  const slots = new Slots();
  const halt = new AbortController();
  const order: string[] = [];
  const first = await slots.take(halt.signal);
  expect(first?.taken_back.aborted).toBe(false);
  const wait = (name: string, signal = halt.signal) =>
    slots.take(signal).then((turn) => {
      order.push(`${name} ${turn !== undefined}`);
      return turn;
    });
  const gone = new AbortController();
  const all = [wait("a"), wait("b", gone.signal), wait("c"), wait("d")];
  gone.abort();
  first?.leave();
  const second = await all[0];
  slots.allowed = 2;
  const third = await all[2];
  expect(slots.taken).toBe(2);
  halt.abort();
  await Promise.all(all);
  expect([...order].sort()).toEqual(["a true", "b false", "c true", "d false"]);
  second?.leave();
  third?.leave();
  expect(slots.taken).toBe(0);
  expect(await slots.take(halt.signal)).toBeUndefined();
});

test("turns are taken back from the youngest, once each, but from those that stay", async () => {
  const slots = new Slots();
  const { signal } = new AbortController();
  slots.allowed = 6;
  const turns: (Turn | undefined)[] = [];
  for (let i = 0; i < 6; i += 1) turns.push(await slots.take(signal, i === 4));
  const back = () => turns.map((turn) => turn?.taken_back.aborted);
  slots.takeBack(9);
  expect(back()).toEqual([false, false, false, false, false, false]);
  slots.takeBack(4);
  expect(back()).toEqual([false, false, false, true, false, true]);
  slots.takeBack(1);
  expect(back()).toEqual([true, true, true, true, false, true]);
});
