import { expect, test } from "bun:test";
import fc from "fast-check";
import { SessionAffinity } from "../../../actors/router/policy/affinity.ts";
import { busyFilters, kvFilters } from "../../../actors/router/policy/filters.ts";
import {
  pickLeast,
  pickSoftly,
  type Selection,
  select,
} from "../../../actors/router/policy/select.ts";
import {
  newRoutedWorker,
  type ReportedLoad,
  report,
} from "../../../actors/router/policy/worker-state.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import {
  dispatcherOf,
  limits,
  placeOf,
  placeRequest,
  range,
  worker,
} from "../../support/worlds/routed-workers.ts";

const random = new SeededRandom(11);
const byPosition: Selection = {
  filters: kvFilters,
  scorers: [(_place, at) => at],
  factors: [],
  picker: pickLeast,
};
const three = () => [worker("a"), worker("b", 1, ["zone-1"]), worker("c", 2, ["zone-1", "big"])];
const chosen = (request: Parameters<typeof placeRequest>[1], workers = three()) => {
  const place = placeOf(placeRequest(range(2), request), workers);
  const selected = select(byPosition, place, random);
  return selected.kind === "chosen" ? workers[selected.at]!.worker : selected.code;
};

test("pins, allow-lists, taints and exclusions leave who may; the last one taken away says why", () => {
  expect(chosen({})).toBe("a");
  expect(chosen({ pin: "b" })).toBe("b");
  expect(chosen({ pin: "nobody" })).toBe("pinned_missing");
  expect(chosen({ allow: ["c", "b"] })).toBe("b");
  expect(chosen({ allow: [] })).toBe("no_worker");
  expect(chosen({ required_taints: ["zone-1", "big"] })).toBe("c");
  expect(chosen({ exclude: ["a@1"] })).toBe("b");
  expect(chosen({ exclude: ["a@1", "b@1", "c@1"] })).toBe("overloaded");
  expect(chosen({}, [])).toBe("no_worker");
  const larger_than_any = limits.total_blocks * limits.block_size + 1;
  expect(chosen({ prompt_tokens: larger_than_any })).toBe("no_worker");
});

test("who wants room to spare goes where nothing waits and all of it has room, or hears a no", () => {
  const told = (of: Partial<ReportedLoad>) => {
    const each = worker("a");
    const load = { used_blocks: 0, running: 1, waiting: 0, waiting_prefill_tokens: 0, ...of };
    report(each, load);
    return chosen({ spare: true }, [each]);
  };
  expect(told({})).toBe("a");
  expect(told({ waiting: 1 })).toBe("overloaded");
  expect(told({ used_blocks: limits.total_blocks })).toBe("overloaded");
  expect(told({ waiting_prefill_tokens: 4 * limits.batch_tokens })).toBe("overloaded");
  // Of one that has not said anything yet nobody knows.
  expect(chosen({ spare: true })).toBe("overloaded");
});

test("a tainted worker gets only requests that tolerate or require all of its taints", () => {
  const marks = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"));
  fc.assert(
    fc.property(marks, marks, marks, marks, (labels, taints, tolerated, wanted) => {
      const identity = { ...limits, key: "w@1", worker: "w", slot: 0, labels, taints };
      const selected = chosen({ tolerated_taints: tolerated, required_taints: wanted }, [
        newRoutedWorker(identity),
      ]);
      const has = new Set([...labels, ...taints]);
      const bears = new Set([...tolerated, ...wanted]);
      const may = wanted.every((each) => has.has(each)) && taints.every((each) => bears.has(each));
      expect(selected).toBe(may ? "w" : "no_worker");
    }),
  );
});

test("what may not use the idle worker waits for one that it may use", () => {
  const { dispatcher, workers } = dispatcherOf({ name: "adaptive" }, 1);
  const identity = { ...limits, key: "t@1", worker: "t", slot: 0, taints: ["batch"] };
  dispatcher.workerUp(newRoutedWorker(identity), 0);
  const [busy] = workers;
  const offer = (more: Parameters<typeof placeRequest>[1] = {}) => {
    dispatcher.offer(placeRequest(range(40), more), 0);
    return dispatcher.next(0);
  };
  const went = Array.from({ length: 12 }, () => offer());
  const placed = went.filter((decision) => decision?.kind === "placed");
  expect(placed.length).toBeGreaterThan(0);
  expect(placed.length).toBeLessThan(12);
  expect(placed.every((decision) => decision?.kind === "placed" && decision.worker === busy)).toBe(
    true,
  );
  expect(offer({ tolerated_taints: ["batch"] })).toMatchObject({ worker: { worker: "t" } });
});

const busyForms = [
  { active_decode_blocks: 0.9, active_prefill_tokens: 4 * limits.batch_tokens },
  { active_decode_blocks: 0.9, active_prefill_frac: 4 },
];

test.each(busyForms)(
  "busy thresholds take workers away, and a busy pin is told apart",
  (thresholds) => {
    const workers = three();
    report(workers[0]!, { used_blocks: 950, running: 1, waiting: 0, waiting_prefill_tokens: 0 });
    report(workers[1]!, { used_blocks: 0, running: 1, waiting: 9, waiting_prefill_tokens: 5_000 });
    const filters = [...kvFilters, ...busyFilters(() => thresholds)];
    const selection = { ...byPosition, filters };
    const to = (more: Parameters<typeof placeRequest>[1]) =>
      select(selection, placeOf(placeRequest(range(2), more), workers), random);
    expect(to({})).toMatchObject({ kind: "chosen", at: 2 });
    expect(to({ pin: "a" })).toMatchObject({ kind: "refused", code: "pinned_overloaded" });
    expect(to({ allow: ["a", "b"] })).toMatchObject({ kind: "refused", code: "overloaded" });
  },
);

test("equals share, and the least always wins", () => {
  const counts = [0, 0, 0, 0];
  for (let i = 0; i < 4_000; i++) counts[pickLeast(Float64Array.of(1, 5, 1, 1), 4, random)]!++;
  expect(counts[1]).toBe(0);
  for (const at of [0, 2, 3]) expect(counts[at]).toBeGreaterThan(1_100);
  const anyCosts = fc.array(fc.double({ noNaN: true }), { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(anyCosts, (costs) => {
      const picked = pickLeast(Float64Array.from(costs), costs.length, random);
      expect(costs.every((cost) => cost >= costs[picked]!)).toBe(true);
    }),
  );
});

test("temperature: cold is nearly the least, hot is nearly anybody", () => {
  const costs = Float64Array.of(10, 20, 30);
  const shares = (temperature: number) => {
    const counts = [0, 0, 0];
    for (let i = 0; i < 6_000; i++) counts[pickSoftly(temperature)(costs, 3, random)]!++;
    return counts.map((count) => count / 6_000);
  };
  expect(shares(0)[0]).toBe(1);
  expect(shares(0.05)[0]!).toBeGreaterThan(0.99);
  for (const share of shares(100)) expect(Math.abs(share - 1 / 3)).toBeLessThan(0.03);
});

test("hard affinity: a session stays until its time is over or its worker is gone", () => {
  const affinity = { mode: "hard", ttl_ms: 1_000 } as const;
  const { dispatcher, workers } = dispatcherOf({ name: "adaptive", affinity }, 3);
  const send = (now_ms: number, exclude: readonly string[] = []) => {
    const request = placeRequest(range(4, 10 * now_ms), { session: "s", exclude });
    expect(dispatcher.offer(request, now_ms)).toBeUndefined();
    const placed = dispatcher.next(now_ms);
    dispatcher.ended(request.request, now_ms, 10);
    return placed?.kind === "placed" ? placed.worker.key : placed?.code;
  };
  const first = send(0)!;
  for (let i = 1; i < 8; i++) expect(send(i)).toBe(first);
  expect(send(9, [first])).not.toBe(first);
  const moved = send(10)!;
  dispatcher.workerGone(moved, 11);
  expect(workers.map((each) => each.key)).toContain(send(12)!);
  expect(dispatcher.affinity?.boundTo("s", 2_000)).toBeUndefined();
});

test("soft affinity makes the bound worker cheaper, and no more than that", () => {
  const affinity = new SessionAffinity({ mode: "soft", ttl_ms: 1_000, soft_factor: 0.5 });
  const workers = three();
  affinity.bind("s", workers[2]!, 0);
  const selection: Selection = {
    ...byPosition,
    scorers: [(_place, at) => [10, 10, 15][at]!],
    factors: [affinity.factor()],
  };
  const place = placeOf(placeRequest(range(1), { session: "s" }), workers);
  expect(select(selection, place, random)).toMatchObject({ at: 2 });
  const dear: Selection = { ...selection, scorers: [(_place, at) => [10, 30, 25][at]!] };
  expect(select(dear, place, random)).toMatchObject({ at: 0 });
});

test("sessions are bounded: the one unused for longest is forgotten", () => {
  const affinity = new SessionAffinity({ mode: "hard", ttl_ms: 1_000_000, sessions_max: 3 });
  const [a] = three();
  for (const session of ["1", "2", "3"]) affinity.bind(session, a!, 0);
  affinity.bind("1", a!, 1);
  affinity.bind("4", a!, 2);
  expect(affinity.size).toBe(3);
  expect(affinity.boundTo("2", 3)).toBeUndefined();
  expect(affinity.boundTo("1", 3)).toBe("a@1");
});

/** ai-dynamo/dynamo#7836: of five workers two got nothing. */
test.each(["adaptive", "dynamo"] as const)(
  "single turns, 5 workers, %s: nobody starves",
  (name) => {
    const { dispatcher } = dispatcherOf({ name }, 5);
    const live: string[] = [];
    const counts = new Map<string, number>();
    for (let i = 0; i < 4_000; i++) {
      const now_ms = 10 * i;
      // They share a system prompt.
      const request = placeRequest([...range(4), ...range(4, 1_000 + 10 * i)]);
      expect(dispatcher.offer(request, now_ms)).toBeUndefined();
      const placed = dispatcher.next(now_ms);
      if (placed?.kind !== "placed") throw new Error(`not placed: ${placed?.kind}`);
      counts.set(placed.worker.key, (counts.get(placed.worker.key) ?? 0) + 1);
      live.push(request.request);
      dispatcher.firstToken(request.request, now_ms);
      if (live.length > 384) dispatcher.ended(live.shift()!, now_ms, 100);
    }
    expect(counts.size).toBe(5);
    for (const count of counts.values()) expect(count).toBeGreaterThan(600);
  },
);
