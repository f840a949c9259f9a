/**
 * A planner's configuration from JSON or YAML text, by NVIDIA Dynamo's names. What is wrong is
 * said with what to write in its place; what has no effect is a warning.
 */
import { z } from "zod";
import type { PrometheusKeys } from "../observe/prometheus.ts";
import { predictorNames } from "../predict/predictor.ts";
import {
  type PlannerConfig,
  planEnvironments,
  planGoals,
  planModes,
  slaPlanners,
} from "./config.ts";
import { DYNAMO_GPU_BUDGET, plannerDefaults } from "./config-defaults.ts";
import { PlannerConfigError, parsedConfig, shown, shownKey } from "./config-text.ts";
import { gpusOf, leastOf, rolesOf } from "./roles.ts";
import { tickSeconds } from "./tick-seconds.ts";

export type ReadConfig = {
  readonly config: PlannerConfig;
  /** What was written and has no effect. */
  readonly warnings: readonly string[];
  /** Keys that were written; the others have their defaults. */
  readonly given: readonly (keyof PlannerConfig)[];
  /** How Prometheus is asked, as far as that was written. */
  readonly prometheus: Partial<PrometheusKeys>;
  /** Of workers that are not this cluster's; empty: nobody named it. */
  readonly model_name: string;
};

const seconds = z.number().positive().max(86_400);
/** A planner looks at all figures at each of these, and writes its journal. */
const LEAST_TICK_S = 1;
const interval = z.number().min(LEAST_TICK_S).max(86_400);
const count = z.int().min(0).max(100_000);
const budget = z.int().min(-1);
const share = z.number().gt(0).lt(1);
const percent = z.number().min(0).max(100);
const tokens = z.number().min(0).max(1e12);
/** As the flags of the same meaning have it. */
const limit = z.number().min(0.001).max(1e9);

const fields = {
  mode: z.enum(planModes),
  optimization_target: z.enum(planGoals),
  environment: z.enum(planEnvironments),
  sla_planner: z.enum(slaPlanners),
  advisory: z.boolean(),
  ttft_ms: limit,
  itl_ms: limit,
  enable_throughput_scaling: z.boolean(),
  enable_load_scaling: z.boolean(),
  throughput_adjustment_interval_seconds: interval,
  load_adjustment_interval_seconds: interval,
  load_predictor: z.enum(predictorNames),
  load_predictor_log1p: z.boolean(),
  load_predictor_warmup_trace: z.string(),
  load_min_observations: z.int().min(1),
  load_scaling_down_sensitivity: percent,
  prefill_scale_up_queue_tokens: tokens,
  prefill_scale_down_queue_tokens: tokens,
  decode_scale_up_kv_rate: percent,
  decode_scale_down_kv_rate: percent,
  no_correction: z.boolean(),
  max_gpu_budget: budget,
  min_gpu_budget: budget,
  prefill_engine_num_gpu: z.int().min(1),
  decode_engine_num_gpu: z.int().min(1),
  min_endpoint: count,
  prefill_min_endpoint: count,
  decode_min_endpoint: count,
  max_throughput_scaling_replicas: z.int().min(1),
  profile_results_dir: z.string(),
  report_interval_hours: z.number().positive().max(8_760),
  report_output_dir: z.string(),
  report_filename: z.string().regex(/^[^/]+$/, "a file's name without a folder"),
  max_workers: z.int().min(1).max(100_000),
  sla_share: share,
  startup_seconds: z.number().min(0).max(86_400),
  start_timeout_seconds: seconds,
  scale_down_after_seconds: z.number().min(0).max(86_400),
  scale_to_zero_after_seconds: z.number().min(0).max(86_400),
  role_changes: z.boolean(),
  drain_seconds: z.number().min(0).max(86_400),
} satisfies Record<keyof PlannerConfig, z.ZodType>;

const prometheusFields = {
  metric_pulling_prometheus_endpoint: z.string(),
  metric_pulling_prometheus_token: z.string(),
  metric_pulling_prometheus_token_file: z.string(),
  metric_pulling_prometheus_ssl_verify: z.boolean(),
  metric_pulling_prometheus_ca_bundle: z.string(),
  metric_pulling_prometheus_extra_query_params: z.record(z.string(), z.string()),
  throughput_metrics_source: z.enum(["frontend", "router"]),
} satisfies Record<keyof PrometheusKeys, z.ZodType>;

const modelFields = { model_name: z.string().min(1).max(512) };

const known = { ...fields, ...prometheusFields, ...modelFields };

/** Dynamo's names for what a cluster here says elsewhere, or does not have. */
const elsewhere = new Map(
  Object.entries({
    namespace: "the cluster's own namespace is used",
    backend: "the cluster knows its engines",
    log_dir: "logs go where the cluster's go",
    pre_deployment_sweeping_mode: "`bun run profile` measures an engine",
    speculative_nextn: "tokens a step are measured",
    global_planner_namespace: "a planner acts by itself",
    report_write_gzip_log: "the journal keeps the decisions",
    live_dashboard_port: "the inspector has the planner's page",
    scheduling: "the two intervals are keys of their own",
    plugin_registration: "there are no plugins",
    enable_power_awareness: "power is not planned",
    total_gpu_power_limit: "power is not planned",
  }),
);

const KERNEL_DATABASE = /^ai[cs]_/;

function whyElsewhere(key: string): string | undefined {
  if (!KERNEL_DATABASE.test(key)) return elsewhere.get(key);
  return "no kernel database is used: curves come from profile_results_dir";
}

const renamed: ReadonlyMap<string, keyof PlannerConfig> = new Map([
  ["ttft", "ttft_ms"],
  ["itl", "itl_ms"],
  ["no_operation", "advisory"],
  ["adjustment_interval", "throughput_adjustment_interval_seconds"],
]);

/** Throws PlannerConfigError. Empty text: the defaults. */
export function readPlannerConfig(text: string): ReadConfig {
  return plannerConfigOf(parsedConfig(text));
}

/** Throws PlannerConfigError. */
export function plannerConfigOf(written: Readonly<Record<string, unknown>>): ReadConfig {
  const warnings: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(written)) {
    const name = renamed.get(key) ?? key;
    if (name !== key) {
      const both = Object.hasOwn(written, name);
      const says = both ? `has no effect beside ${name}` : `is called ${name} here`;
      warnings.push(`planner: ${key} ${says}`);
      if (both) continue;
    }
    const why = whyElsewhere(name);
    if (Object.hasOwn(known, name)) values[name] = value;
    else if (why !== undefined) {
      warnings.push(`planner: ${shownKey(name)} has no effect: ${why}`);
    } else throw new PlannerConfigError(unknown(name));
  }
  const read = <Shape extends z.ZodRawShape>(shape: Shape) => {
    const own = Object.fromEntries(
      Object.entries(values).filter(([key]) => Object.hasOwn(shape, key)),
    );
    const result = z.strictObject(shape).partial().safeParse(own);
    if (!result.success) throw new PlannerConfigError(problemsOf(result.error, values));
    return definedOf(result.data);
  };
  const said: Partial<PlannerConfig> = read(fields);
  const prometheus: Partial<PrometheusKeys> = read(prometheusFields);
  const { model_name = "" }: { readonly model_name?: string } = read(modelFields);
  const given = Object.keys(said) as (keyof PlannerConfig)[];
  const config = { ...plannerDefaults, ...derived(said), ...said, ...forced(said) };
  const wrong = contradiction(config);
  if (wrong !== undefined) throw new PlannerConfigError(`planner: ${wrong}`);
  const without = withoutEffect(config, said);
  if (model_name !== "" && config.environment === "local") {
    without.push(
      "planner: model_name has no effect with environment local: there is one planner for each " +
        "model that is served",
    );
  }
  return { config, warnings: [...warnings, ...without], given, prometheus, model_name };
}

function definedOf(values: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

/** Static thresholds stand on the load loop alone, whatever is written. */
function forced({ optimization_target = plannerDefaults.optimization_target }) {
  if (optimization_target === "sla") return {};
  return { enable_load_scaling: true, enable_throughput_scaling: false };
}

/** Defaults that follow from what was said. */
function derived(said: Partial<PlannerConfig>): Partial<PlannerConfig> {
  const least = said.min_endpoint ?? plannerDefaults.min_endpoint;
  const counted = said.environment !== undefined && said.environment !== "local";
  return {
    prefill_min_endpoint: least,
    decode_min_endpoint: least,
    ...(counted ? { max_gpu_budget: DYNAMO_GPU_BUDGET } : {}),
  };
}

/** Whole seconds have a common step of one at least, so one of these is no such. */
function noCommonStep(config: PlannerConfig): string {
  const [short, long] = ["load", "throughput"].map((loop) => `${loop}_adjustment_interval_seconds`);
  const short_s = config.load_adjustment_interval_seconds;
  const long_s = config.throughput_adjustment_interval_seconds;
  const instead = [
    ...(Number.isInteger(short_s) ? [] : [`${short} to ${Math.floor(short_s)}`]),
    ...(Number.isInteger(long_s) ? [] : [`${long} to ${Math.ceil(long_s)}`]),
  ];
  const step_ms = Math.round(1_000 * tickSeconds(config));
  return (
    `${short} (${short_s}) and ${long} (${long_s}) have a common step of ${step_ms} ms, which must ` +
    `be ${LEAST_TICK_S} s at least: set ${instead.join(" and ")}`
  );
}

/** Undefined: it holds together. */
function contradiction(config: PlannerConfig): string | undefined {
  const { optimization_target: goal, max_gpu_budget, min_gpu_budget } = config;
  const short = config.load_adjustment_interval_seconds;
  const long = config.throughput_adjustment_interval_seconds;
  if (short >= long) {
    return (
      `load_adjustment_interval_seconds (${short}) must be shorter than ` +
      `throughput_adjustment_interval_seconds (${long})`
    );
  }
  if (tickSeconds(config) < LEAST_TICK_S) return noCommonStep(config);
  if (goal === "sla" && !config.enable_load_scaling && !config.enable_throughput_scaling) {
    if (config.sla_planner !== "tail") {
      return "both loops are off: set enable_throughput_scaling or enable_load_scaling to true";
    }
  }
  if (max_gpu_budget >= 0 && min_gpu_budget > max_gpu_budget) {
    return `min_gpu_budget (${min_gpu_budget}) is above max_gpu_budget (${max_gpu_budget})`;
  }
  const least = leastGpus(config);
  if (max_gpu_budget >= 0 && least > max_gpu_budget) {
    return (
      `max_gpu_budget (${max_gpu_budget}) does not hold the least numbers of workers, which take ` +
      `${least} GPUs: raise it, or lower min_endpoint`
    );
  }
  const most = Math.max(...rolesOf(config).map((role) => leastOf(config, role)));
  if (most > config.max_workers) {
    return (
      `max_workers (${config.max_workers}) is below the least number of workers (${most}): raise ` +
      "it (--max-workers), or lower min_endpoint (--min-workers)"
    );
  }
  return undefined;
}

function leastGpus(config: PlannerConfig): number {
  let sum = 0;
  for (const role of rolesOf(config)) sum += leastOf(config, role) * gpusOf(config, role);
  return sum;
}

function withoutEffect(config: PlannerConfig, said: Partial<PlannerConfig>): string[] {
  const { optimization_target: goal } = config;
  const warnings: string[] = [];
  const given = Object.keys(said);
  const limits = given.filter((key) => key === "ttft_ms" || key === "itl_ms");
  if (goal !== "sla" && limits.length > 0) {
    warnings.push(
      `planner: ${limits.join(" and ")} have no effect with optimization_target ${goal}: ` +
        "set it to sla",
    );
  }
  if (goal !== "sla" && given.includes("sla_planner")) {
    warnings.push(`planner: sla_planner has no effect with optimization_target ${goal}`);
  }
  for (const key of ["enable_load_scaling", "enable_throughput_scaling"] as const) {
    if (said[key] === undefined || said[key] === config[key]) continue;
    const always = config[key] ? "on" : "off";
    warnings.push(`planner: ${key} is always ${always} with optimization_target ${goal}`);
  }
  return warnings;
}

const PROBLEMS_MAX = 3;

/** One line, of the first keys that are wrong. */
function problemsOf(error: z.ZodError, values: Readonly<Record<string, unknown>>): string {
  const first = new Map<string, string>();
  for (const { path, message } of error.issues) {
    const key = String(path[0] ?? "");
    if (!first.has(key)) first.set(key, `${key} is ${shown(values[key])}: ${message}`);
  }
  const more = first.size > PROBLEMS_MAX ? `; and ${first.size - PROBLEMS_MAX} more` : "";
  return `planner: ${[...first.values()].slice(0, PROBLEMS_MAX).join("; ")}${more}`;
}

function unknown(key: string): string {
  const names = [...Object.keys(known), ...elsewhere.keys()];
  const most = Math.max(...names.map((name) => name.length));
  let nearest = "";
  let least = Number.POSITIVE_INFINITY;
  // A key that is far longer than any is near none.
  for (const name of key.length > 2 * most ? [] : names) {
    const distance = editDistance(key, name);
    if (distance < least) [nearest, least] = [name, distance];
  }
  const hint = least <= Math.max(3, key.length / 3) ? `; did you mean ${nearest}?` : "";
  return `planner: there is no key ${shownKey(key)}${hint || `; there are ${Object.keys(fields).join(", ")}`}`;
}

/** Letters to put in, take out or exchange (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1;
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + same));
    }
    row = next;
  }
  return row[to.length]!;
}
