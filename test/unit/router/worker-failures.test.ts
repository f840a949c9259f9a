/** For how long failures count against a worker, and what routers make of it. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Candidate, newCandidate } from "../../../actors/router/candidate.ts";
import { eligible } from "../../../actors/router/policy/load-modes.ts";
import { WorkerFailures } from "../../../actors/router/policy/worker-failures.ts";
import type { Route } from "../../../proto/index.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";

test("one failure counts for ten seconds, many for thirty, and then they are forgotten", () => {
  const failures = new WorkerFailures();
  expect(failures.failed("w", 1_000)).toBe(11_000);
  expect(failures.untilMs("w", 10_999)).toBeCloseTo(11_000, 3);
  expect(failures.untilMs("w", 11_001)).toBe(0);
  expect(failures.untilMs("other", 1_000)).toBe(0);
  for (let i = 0; i < 50; i++) failures.failed("w", 20_000);
  expect(failures.untilMs("w", 20_000)).toBe(50_000);
  expect(failures.untilMs("w", 120_000)).toBe(0);
  expect(failures.any).toBe(false);
});

test("a crash counts once, whoever tells of it; each later one again", () => {
  const failures = new WorkerFailures();
  for (let i = 0; i < 30; i++) expect(failures.crashed("w", 1_000 + i)).toBeCloseTo(11_000, 0);
  expect(failures.crashed("w", 4_000)).toBeGreaterThan(20_000);
});

test("answers that are made end it sooner", () => {
  const failures = new WorkerFailures();
  failures.failed("w", 0);
  expect(failures.succeeded("w", 0)).toBe(0);
  failures.failed("w", 0);
  failures.failed("w", 0);
  expect(failures.succeeded("w", 0)).toBeGreaterThan(0);
  expect(failures.succeeded("other", 0)).toBe(0);
});

test("until is a time that has not come, never beyond half a minute, and never moves by itself", () => {
  const deed = fc.record({
    what: fc.constantFrom("failed", "crashed", "succeeded"),
    worker: fc.constantFrom("a", "b"),
    after_ms: fc.integer({ min: 0, max: 20_000 }),
  });
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 40 }), (deeds) => {
      const failures = new WorkerFailures();
      let now_ms = 0;
      for (const { what, worker, after_ms } of deeds) {
        now_ms += after_ms;
        const until_ms = failures[what as "failed"](worker, now_ms);
        expect(until_ms === 0 || (until_ms >= now_ms && until_ms <= now_ms + 30_000)).toBe(true);
        const later_ms = now_ms + 500;
        const again_ms = failures.untilMs(worker, later_ms);
        if (again_ms > 0) expect(again_ms).toBeCloseTo(until_ms, 0);
        else expect(until_ms).toBeLessThanOrEqual(later_ms + 1);
      }
    }),
  );
});

const candidate = (worker: string, avoid_until_ms: number): Candidate => ({
  ...newCandidate({
    ...{ worker, role: "aggregated", ref: undefined, card: modelCard("m") },
    ...{ labels: [], taints: [] },
  }),
  avoid_until_ms,
});
const route = (changes: Partial<Route> = {}): Route => ({
  ...{ kind: "route", request: "r", model: "m", prompt: new Uint8Array(0), max_tokens: 1 },
  ...{ exclude: [], pin: "", continued: false, spare: false },
  ...changes,
});

test("who failed lately is asked when there is nobody else, or when it is asked for by name", () => {
  const names = (workers: readonly Candidate[], now_ms: number, changes: Partial<Route> = {}) => {
    const may = eligible(workers, route(changes), now_ms);
    return may.kind === "eligible" ? may.candidates.map(({ worker }) => worker) : may.code;
  };
  const workers = [candidate("a", 0), candidate("b", 5_000), candidate("c", 0)];
  expect(names(workers, 1_000)).toEqual(["a", "c"]);
  expect(names(workers, 5_000)).toEqual(["a", "b", "c"]);
  expect(names(workers, 1_000, { pin: "b" })).toEqual(["b"]);
  const exclude = [workers[0]!.key, workers[2]!.key];
  expect(names(workers, 1_000, { exclude })).toEqual(["b"]);
  expect(names([candidate("a", 9_000), candidate("b", 5_000)], 1_000)).toEqual(["a", "b"]);
});
