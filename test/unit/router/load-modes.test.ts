import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Candidate, newCandidate, requestsOn } from "../../../actors/router/candidate.ts";
import {
  eligible,
  type LoadMode,
  loadModes,
  newPolicyState,
  type PolicyState,
  policies,
} from "../../../actors/router/policy/load-modes.ts";
import type { Route, RouteHints, WorkerLoad } from "../../../proto/index.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { modelCard } from "../../support/worlds/fake-registry.ts";
import { routeHints } from "../../support/worlds/route-hints.ts";

function candidate(worker: string, changes: Partial<Candidate> = {}, life = 1): Candidate {
  const incarnation = Uint8Array.of(life, 0, 0, 0, 0, 0, 0, 0);
  const ref = { node: worker, path: "/worker", incarnation, address: "" };
  const role = "aggregated" as const;
  const record = { worker, role, ref, card: modelCard("m"), labels: [], taints: [] };
  return { ...newCandidate(record), ...changes };
}

function load(worker: string, running: number, waiting = 0): WorkerLoad {
  return {
    kind: "worker_load",
    subscription: 0,
    worker,
    running,
    waiting,
    used_blocks: 0,
    cached_blocks: 0,
    total_blocks: 0,
    event_loop_block_ms_max: 0,
    generated_tokens_total: 0,
    prompt_tokens_total: 0,
    cached_tokens_total: 0,
    waiting_prefill_tokens: 0,
  };
}

function route(changes: Partial<Route> = {}): Route {
  const prompt = new Uint8Array(0);
  return {
    kind: "route",
    request: "r",
    model: "m",
    prompt,
    max_tokens: 1,
    exclude: [],
    continued: false,
    spare: false,
    pin: "",
    ...changes,
  };
}

function pick(
  mode: LoadMode,
  among: readonly Candidate[],
  random = new SeededRandom(1),
  state: PolicyState = newPolicyState(),
  request = route(),
): string {
  const choice = policies[mode](among, request, random, state);
  return choice.kind === "chosen" ? choice.candidate.record.worker : choice.code;
}

test("allow-lists, required taints and taints hold in every mode", () => {
  const marked = (worker: string, labels: string[], taints: string[]) =>
    newCandidate({ ...candidate(worker).record, labels, taints });
  const all = [marked("a", ["gpu=a"], []), marked("b", ["gpu=b"], ["batch"]), marked("c", [], [])];
  const may = (said: Partial<RouteHints>) => mayGet(all, route({ hints: routeHints(said) }));
  expect(mayGet(all, route())).toEqual(["a", "c"]);
  expect(may({ tolerated_taints: ["other"] })).toEqual(["a", "c"]);
  expect(may({ tolerated_taints: ["batch"] })).toEqual(["a", "b", "c"]);
  expect(may({ required_taints: ["batch"] })).toEqual(["b"]);
  expect(may({ required_taints: ["gpu=b"] })).toEqual([]);
  expect(may({ required_taints: ["gpu=a"] })).toEqual(["a"]);
  expect(may({ allowed_workers: ["c", "b"] })).toEqual(["c"]);
  // A name does not open what a taint closes.
  expect(mayGet(all, route({ pin: "b" }))).toEqual([]);
});

const names = (among: readonly Candidate[]) => among.map((each) => each.record.worker);

const mayGet = (all: readonly Candidate[], request: Route) => {
  const may = eligible(all, request, 0);
  return may.kind === "eligible" ? names(may.candidates) : [];
};

test("only workers of that model, trusted, pinned and not excluded may have a request", () => {
  const other = candidate("x");
  const all = [
    candidate("a"),
    candidate("b", { suspect: true }),
    candidate("c"),
    { ...other, record: { ...other.record, card: modelCard("other") } },
  ];
  expect(mayGet(all, route())).toEqual(["a", "c"]);
  expect(mayGet(all, route({ pin: "c" }))).toEqual(["c"]);
  expect(mayGet(all, route({ pin: "b" }))).toEqual([]);
  expect(mayGet(all, route({ exclude: [all[0]!.key] }))).toEqual(["c"]);
  // Each has a process of its own here.
  expect(mayGet(all, route({ exclude: [all[0]!.process] }))).toEqual(["c"]);
  // It does not wait for those that refused it, but for those that are not there.
  const exclude = [all[0]!.key, all[2]!.key];
  expect(eligible(all, route({ exclude }), 0)).toMatchObject({ code: "overloaded" });
  expect(eligible(all, route({ pin: "b" }), 0)).toMatchObject({ code: "pinned_missing" });
  expect(eligible(all, route({ model: "none" }), 0)).toMatchObject({ code: "no_worker" });
  expect(eligible([], route(), 0)).toMatchObject({ code: "no_worker" });
  // The next life of an excluded worker is another worker.
  expect(mayGet([candidate("a", {}, 2)], route({ exclude: [all[0]!.key] }))).toEqual(["a"]);
});

test("requests on a worker: its own word, corrected by what happened since", () => {
  expect(requestsOn(candidate("a", { in_flight: 3 }))).toBe(3);
  const reported = { reported: load("a", 4, 2), in_flight_at_report: 3 };
  expect(requestsOn(candidate("a", { ...reported, in_flight: 3 }))).toBe(6);
  expect(requestsOn(candidate("a", { ...reported, in_flight: 5 }))).toBe(8);
  expect(requestsOn(candidate("a", { ...reported, in_flight: 1 }))).toBe(4);
  // Sent just before the worker spoke: it did not know of them yet.
  expect(
    requestsOn(candidate("a", { reported: load("a", 0), in_flight_at_report: 2, in_flight: 2 })),
  ).toBe(2);
});

test("round-robin gives everybody the same number of turns, by model", () => {
  const state = newPolicyState();
  const among = ["a", "b", "c"].map((name) => candidate(name));
  const turns = Array.from({ length: 7 }, () => {
    pick("round-robin", [candidate("x"), candidate("y")], undefined, state, route({ model: "o" }));
    return pick("round-robin", among, undefined, state);
  });
  expect(turns).toEqual(["a", "b", "c", "a", "b", "c", "a"]);
});

test("round-robin goes on where it was when somebody comes or goes", () => {
  const state = newPolicyState();
  const [a, b, c] = ["a", "b", "c"].map((name) => candidate(name));
  expect(pick("round-robin", [a!, b!, c!], undefined, state)).toBe("a");
  expect(pick("round-robin", [a!, c!], undefined, state)).toBe("c");
  expect(pick("round-robin", [a!, b!, c!], undefined, state)).toBe("a");
});

test("least-loaded takes the least, and shares between equals", () => {
  const among = [
    candidate("a", { in_flight: 2 }),
    candidate("b", { reported: load("b", 1) }),
    candidate("c", { in_flight: 1 }),
    candidate("d", { in_flight: 1, reported: load("d", 9), in_flight_at_report: 1 }),
  ];
  const random = new SeededRandom(7);
  const counts = new Map<string, number>();
  for (let i = 0; i < 1_000; i++) {
    const taken = pick("least-loaded", among, random);
    counts.set(taken, (counts.get(taken) ?? 0) + 1);
  }
  expect([...counts.keys()].sort()).toEqual(["b", "c"]);
  for (const count of counts.values()) expect(count).toBeGreaterThan(400);
});

test("power-of-two never takes the worst of three or more, and reaches all others", () => {
  const among = ["a", "b", "c", "d"].map((name, i) => candidate(name, { in_flight: i }));
  const random = new SeededRandom(3);
  const taken = new Set(Array.from({ length: 500 }, () => pick("power-of-two", among, random)));
  expect([...taken].sort()).toEqual(["a", "b", "c"]);
});

test("random reaches everybody about equally", () => {
  const among = ["a", "b", "c", "d"].map((name) => candidate(name));
  const random = new SeededRandom(5);
  const counts = new Map<string, number>();
  for (let i = 0; i < 4_000; i++) {
    const taken = pick("random", among, random);
    counts.set(taken, (counts.get(taken) ?? 0) + 1);
  }
  for (const name of ["a", "b", "c", "d"]) expect(counts.get(name)).toBeGreaterThan(850);
});

test("direct needs a worker's name and says which there are", () => {
  const among = [candidate("a"), candidate("b")];
  const choice = policies.direct(among, route(), new SeededRandom(1), newPolicyState());
  expect(choice).toEqual({
    kind: "refused",
    code: "pin_required",
    message:
      "This server's router mode is 'direct': name the worker in the header " +
      "'x-dynamo-worker-instance-id', one of: a, b.",
  });
  expect(pick("direct", [among[1]!], undefined, undefined, route({ pin: "b" }))).toBe("b");
});

test("every mode chooses one of the candidates, and without a pin only direct refuses", () => {
  const anyCandidates = fc
    .array(fc.tuple(fc.nat(5), fc.option(fc.nat(5))), { minLength: 1, maxLength: 6 })
    .map((loads) =>
      loads.map(([in_flight, running], i) =>
        candidate(`w${i}`, {
          in_flight,
          reported: running === null ? undefined : load(`w${i}`, running),
          in_flight_at_report: running === null ? 0 : in_flight,
        }),
      ),
    );
  fc.assert(
    fc.property(anyCandidates, fc.constantFrom(...loadModes), fc.nat(), (among, mode, seed) => {
      const taken = pick(mode, among, new SeededRandom(seed));
      if (mode === "direct") expect(taken).toBe("pin_required");
      else expect(names(among)).toContain(taken);
      if (mode !== "least-loaded") return;
      const least = Math.min(...among.map(requestsOn));
      const chosen = among.find((each) => each.record.worker === taken)!;
      expect(requestsOn(chosen)).toBe(least);
    }),
  );
});
