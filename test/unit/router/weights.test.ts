/** Weights of a policy by name, from flags and while it runs. */
import { expect, test } from "bun:test";
import { kvPolicyNames } from "../../../actors/router/policy/kv-policies.ts";
import {
  weightNames,
  weightProblem,
  weightsOf,
  withWeights,
} from "../../../actors/router/policy/weights.ts";
import { parseFlags } from "../../../cluster/settings/read-values.ts";
import {
  policyOf,
  routerPage,
  routerWeights,
  wishProblem,
} from "../../../cluster/settings/router/router-weights.ts";
import { settle } from "../../../cluster/settings/settings.ts";

const routerOf = (...flags: string[]) => settle([parseFlags(flags)], []).router;

test.each(kvPolicyNames)("each weight of %s can be set, and is what it was set to", (name) => {
  const before = weightsOf({ name });
  expect(Object.keys(before)).toEqual([...weightNames(name)]);
  for (const weight of weightNames(name)) {
    expect(weightsOf(withWeights({ name }, { [weight]: 0.125 }))).toEqual({
      ...before,
      [weight]: 0.125,
    });
    expect(weightProblem(name, weight, 0.125)).toBeUndefined();
  }
  // To set what holds changes nothing.
  expect(weightsOf(withWeights({ name }, before))).toEqual(before);
});

test("what has no bound is a large number, and reads as no bound again", () => {
  expect(weightsOf({ name: "dynamo" })).toMatchObject({ queue_threshold: 1e9, patience: 1e9 });
  const { queue_threshold } = withWeights({ name: "adaptive" }, { queue_threshold: 1e9 });
  expect(queue_threshold).toBe(Number.POSITIVE_INFINITY);
  expect(weightsOf({ name: "adaptive", objective: "e2e" })["patience"]).toBe(1e9);
});

test("names of another policy are passed over; what is wrong is said", () => {
  const options = { name: "dynamo", objective: "goodput" } as const;
  expect(weightsOf(withWeights(options, { crowd_weight: 1 }))).toEqual(weightsOf(options));
  expect(weightProblem("dynamo", "crowd_weight", 1)).toContain("prefill_load_scale");
  for (const value of [-1, Number.NaN, 1e10, "1", null]) {
    expect(weightProblem("adaptive", "fair_share", value)).toContain("from 0 to 1000000000");
  }
});

test("flags, then what was set", () => {
  const router = routerOf("--router-weight", "crowd_weight=1.5", "--router-temperature", "0.5");
  expect(router.weights).toEqual({ crowd_weight: 1.5 });
  expect(policyOf(router)).toMatchObject({ adaptive: { crowd_weight: 1.5 }, temperature: 0.5 });
  const page = routerPage(router, { temperature: 0 });
  expect(page).toMatchObject({ mode: "kv", policy: "adaptive" });
  expect(page.weights).toMatchObject({ crowd_weight: 1.5, temperature: 0 });
  expect(routerPage(routerOf("--router-mode", "random"), {})).toEqual({
    mode: "random",
    weights: {},
  });
});

test("wishes that cannot be are refused with a line that helps", () => {
  const router = routerOf();
  expect(wishProblem(router, { crowd_weight: 1, fair_share: null })).toBeUndefined();
  expect(wishProblem(router, {})).toContain("name the weights");
  expect(wishProblem(router, { crowd: null })).toContain('no weight "crowd"');
  expect(wishProblem(routerOf("--router-mode", "direct"), { crowd_weight: 1 })).toContain(
    "mode direct has no weights",
  );
  for (const text of ["crowd_weight", "crowd_weight=x", "=1", "crowd_weight=-1"]) {
    expect(() => routerWeights([text], "adaptive")).toThrow("--router-weight");
  }
  expect(() => routerWeights(["lmetric=1"], "dynamo")).toThrow('no weight "lmetric"');
});
