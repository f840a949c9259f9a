/** Configurations by Dynamo's names: defaults, warnings, and errors that say what to write. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { plannerDefaults } from "../../../actors/planner/pipeline/config-defaults.ts";
import {
  CONFIG_MAX_BYTES,
  PlannerConfigError,
} from "../../../actors/planner/pipeline/config-text.ts";
import {
  plannerConfigOf,
  readPlannerConfig,
} from "../../../actors/planner/pipeline/read-config.ts";

test("JSON and YAML say the same", () => {
  const json = readPlannerConfig('{"mode": "agg", "optimization_target": "sla", "ttft_ms": 200}');
  const yaml = readPlannerConfig("mode: agg\noptimization_target: sla\nttft_ms: 200\n");
  expect(yaml).toEqual(json);
  expect(json.given).toEqual(["mode", "optimization_target", "ttft_ms"]);
  expect(json.config).toEqual({
    ...plannerDefaults,
    ...{ mode: "agg", optimization_target: "sla", ttft_ms: 200 },
  });
});

test.each([
  [{ optimization_target: "sla" }, { enable_throughput_scaling: true, itl_ms: 50 }],
  [{}, { enable_load_scaling: true, enable_throughput_scaling: false }],
  [{ min_endpoint: 3 }, { prefill_min_endpoint: 3, decode_min_endpoint: 3 }],
  [{ min_endpoint: 3, decode_min_endpoint: 1 }, { decode_min_endpoint: 1 }],
  [{ environment: "virtual" }, { max_gpu_budget: 8 }],
  [{ environment: "local" }, { max_gpu_budget: -1 }],
  [{ itl: 20, optimization_target: "sla" }, { itl_ms: 20 }],
  [{ itl_ms: 30, itl: 20, optimization_target: "sla" }, { itl_ms: 30 }],
])("%p means %p", (written, meant) => {
  expect(plannerConfigOf(written).config).toMatchObject(meant);
});

test.each([
  [{ ttft_ms: 100 }, /ttft_ms have no effect with optimization_target throughput: set it to sla/],
  [{ sla_planner: "classic" }, /sla_planner has no effect/],
  [{ enable_load_scaling: false }, /enable_load_scaling is always on/],
  [{ namespace: "dynamo" }, /namespace has no effect: the cluster's own/],
  [{ aic_system: "h200_sxm" }, /aic_system has no effect: no kernel database/],
  [{ ais_perf_model: {} }, /ais_perf_model has no effect: no kernel database/],
  [{ enable_power_awareness: true }, /enable_power_awareness has no effect: power is not/],
  [{ ttft: 100, optimization_target: "sla" }, /ttft is called ttft_ms here/],
  [{ ttft: 100, ttft_ms: 200 }, /ttft has no effect beside ttft_ms/],
  [{ model_name: "m" }, /model_name has no effect with environment local/],
])("%p has no effect in part and says so", (written, warning) => {
  expect(plannerConfigOf(written).warnings.join("\n")).toMatch(warning);
});

test.each([
  ["ttft_mss: 5", /there is no key ttft_mss; did you mean ttft_ms\?/],
  ["max_gpu_budgets: 5", /did you mean max_gpu_budget\?/],
  ["mode: both", /mode is "both"/],
  ["ttft_ms: -1", /ttft_ms is -1/],
  ["sla_share: 1", /sla_share is 1/],
  ["load_adjustment_interval_seconds: 200", /must be shorter than/],
  ["max_gpu_budget: 1", /does not hold the least numbers of workers, which take 2 GPUs/],
  ["min_gpu_budget: 9\nmax_gpu_budget: 8", /min_gpu_budget \(9\) is above/],
  ["max_workers: 2\nmin_endpoint: 3", /max_workers \(2\) is below/],
  ["- a\n- b", /keys with values/],
  ["a: [", /neither JSON nor YAML: .* at line 1, column 5$/],
  ["mode: agg\nttft_ms: }", /neither JSON nor YAML: .* at line 2, column 10$/],
  ["mode: agg\nmode: agg", /the key mode is there twice/],
  ["text", /keys with values/],
  ["3", /keys with values/],
  ["!!set {ttft_ms, itl_ms}", /keys with values/],
  ["!!omap [ttft_ms: 5]", /keys with values/],
  ["!!timestamp 2001-12-14", /keys with values/],
  ["ttft_ms: *nobody", /neither JSON nor YAML: Unresolved alias.*: nobody$/],
  [aliasBomb(), /neither JSON nor YAML: Excessive alias count/],
  ["[".repeat(10_000), /neither JSON nor YAML: it is nested too deeply at line 1, column \d+$/],
  ["}".repeat(CONFIG_MAX_BYTES), /neither JSON nor YAML: .* at line 1, column 1$/],
  ["ttft_ms: &a [*a]", /ttft_ms is a list/],
  ["ttft_ms: {a: 1}", /ttft_ms is keys with values/],
  ["ttft_ms:", /ttft_ms is null/],
  ["ttft_ms: .nan", /ttft_ms is NaN/],
  ["itl_ms: -.inf", /itl_ms is -Infinity/],
  ["ttft_ms: 1e308", /ttft_ms is 1e\+308/],
  ["ttft_ms: !seconds 5", /ttft_ms is "5"/],
  ["toString: 1", /there is no key toString/],
  ["constructor: 1", /there is no key constructor/],
  ["hasOwnProperty: 1", /there is no key hasOwnProperty/],
  ["__proto__: {ttft_ms: 5}", /there is no key __proto__/],
  ['"a\\nb": 1', /there is no key "a\\nb"/],
  [`${"k".repeat(1_000)}: 1`, /there is no key k{60}…; there are mode, /],
  ["model_name: 5", /model_name is 5/],
  ["load_adjustment_interval_seconds: 0.5", /load_adjustment_interval_seconds is 0.5/],
  [
    "load_adjustment_interval_seconds: 5.001",
    /common step of 3 ms.*: set load_adjustment_interval_seconds to 5$/,
  ],
  [
    "load_adjustment_interval_seconds: 2.5\nthroughput_adjustment_interval_seconds: 10.25",
    /common step of 250 ms.* to 2 and throughput_adjustment_interval_seconds to 11$/,
  ],
])("text %# is refused in one line with what to do", (text, message) => {
  const error = errorOf(text);
  expect(error).toBeInstanceOf(PlannerConfigError);
  expect(`${error}`).toMatch(message);
  expect(`${error}`).not.toContain("\n");
});

/** Nine lists, each with nine of the one before. */
function aliasBomb(): string {
  const names = [..."abcdefghi"];
  const lines = names.map((name, at) => {
    const of = at === 0 ? '"lol"' : `*${names[at - 1]}`;
    return `${name}: &${name} [${Array(9).fill(of).join()}]`;
  });
  return lines.join("\n");
}

function errorOf(text: string): unknown {
  try {
    readPlannerConfig(text);
    return undefined;
  } catch (error) {
    return error;
  }
}

test("whatever a text holds is read, or refused in one line", () => {
  const bits = fc.constantFrom(
    ...["ttft_ms", "mode", "agg", ": ", "- ", "\n", "&a ", "*a", "!!set ", "!!binary ", "? "],
    ...[
      "[",
      "]",
      "{",
      "}",
      ",",
      "|",
      ">",
      "'",
      '"',
      "#",
      "%YAML 1.1\n---\n",
      "<<",
      ".nan",
      "1e400",
    ],
  );
  fc.assert(
    fc.property(
      fc.array(fc.oneof(bits, fc.string({ maxLength: 3 })), { maxLength: 12 }),
      (parts) => {
        const error = errorOf(parts.join(""));
        if (error === undefined) return;
        expect(error).toBeInstanceOf(PlannerConfigError);
        expect(`${error}`).not.toContain("\n");
      },
    ),
    { numRuns: 500, seed: 17 },
  );
});

test("intervals with a common step of a second or more are taken", () => {
  const written = {
    load_adjustment_interval_seconds: 1.5,
    throughput_adjustment_interval_seconds: 4.5,
  };
  expect(plannerConfigOf(written).config).toMatchObject(written);
});

test("model_name names a model of workers that are not this cluster's", () => {
  const read = plannerConfigOf({ environment: "virtual", model_name: "m" });
  expect([read.model_name, read.warnings]).toEqual(["m", []]);
});

test("how Prometheus is asked is handed on", () => {
  const { prometheus, warnings } = plannerConfigOf({
    metric_pulling_prometheus_endpoint: "http://prometheus:9090",
    throughput_metrics_source: "router",
  });
  expect(warnings).toEqual([]);
  expect(prometheus).toEqual({
    metric_pulling_prometheus_endpoint: "http://prometheus:9090",
    throughput_metrics_source: "router",
  });
});
