/** The settings of a router. */
import type { SettingsOf } from "../../runtime/setting.ts";
import { DEFAULT_OBJECTIVE, routerObjectives } from "./policy/cost/objective.ts";
import { kvPolicyNames } from "./policy/kv-policies.ts";
import type { RouterMode } from "./policy/load-modes.ts";
import { conditionalDefaults, conditionalModes } from "./policy/pairs/conditional.ts";

const modes = [
  "kv",
  "least-loaded",
  "round-robin",
  "random",
  "power-of-two",
  "direct",
] as const satisfies readonly RouterMode[];

export const routerFlags = {
  mode: {
    name: "router-mode",
    type: "choice",
    choices: modes,
    default: "kv",
    env: ["DYN_ROUTER_MODE"],
    help: "how a worker is chosen; kv: by what it has in its cache, and by its load",
  },
  policy: {
    name: "router-policy",
    type: "choice",
    choices: kvPolicyNames,
    default: "adaptive",
    help: "mode kv: estimated waiting time at learned rates, or NVIDIA Dynamo's cost",
  },
  objective: {
    name: "router-objective",
    type: "choice",
    choices: routerObjectives,
    default: DEFAULT_OBJECTIVE,
    help: "policy adaptive: what is to be good, time to the first token, time of the whole answer, or how many answers are within limits for both",
  },
  weights: {
    name: "router-weight",
    type: "list",
    help: "mode kv: NAME=VALUE, a number of the policy's cost or of its waiting; GET /api/router of the inspector lists them, PUT changes them; repeatable",
  },
  /** -1 = the policy's own. */
  queue_threshold: {
    name: "router-queue-threshold",
    type: "number",
    min: -1,
    max: 1e6,
    default: -1,
    env: ["DYN_ROUTER_QUEUE_THRESHOLD"],
    help: "mode kv: requests wait in the router while every worker that may compute their prompts has more than this many passes of prompt tokens to do; -1 = the policy's own (adaptive 0.5, dynamo never)",
  },
  queue_requests: {
    name: "router-queue-requests",
    type: "whole",
    min: 0,
    max: 1_000_000,
    default: 8_192,
    help: "mode kv: requests that may wait in one frontend's router; one more gets 529 and when to come again",
  },
  /** "" = the policy's own. */
  queue_policy: {
    name: "router-queue-policy",
    type: "choice",
    choices: ["shortest", "fcfs", "wspt"],
    env: ["DYN_ROUTER_QUEUE_POLICY"],
    help: "mode kv: who of those that wait goes first; default: the policy's own (adaptive shortest uncached work, dynamo fcfs)",
  },
  classes: {
    name: "router-policy-class",
    type: "list",
    help: "mode kv: NAME:WEIGHT[:MOST], a class of requests (header x-dynamo-meta-policy-class), its share of the computing while classes wait, and how many of it may; repeatable",
  },
  /** Share of a worker's blocks in use; 1 = never. */
  decode_blocks_max: {
    name: "active-decode-blocks-threshold",
    type: "number",
    min: 0,
    max: 1,
    default: 1,
    env: ["DYN_ACTIVE_DECODE_BLOCKS_THRESHOLD"],
    help: "mode kv: a worker with more than this share of its blocks in use gets nothing; when all are over, 529 and when to come again",
  },
  prefill_tokens_max: {
    name: "active-prefill-tokens-threshold",
    type: "whole",
    min: 0,
    max: 1_000_000_000,
    default: 1_000_000_000,
    env: ["DYN_ACTIVE_PREFILL_TOKENS_THRESHOLD"],
    help: "mode kv: a worker with more than so many prompt tokens to do gets nothing; when all are over, 529 and when to come again",
  },
  temperature: {
    name: "router-temperature",
    type: "number",
    min: 0,
    max: 1e6,
    default: 0,
    env: ["DYN_ROUTER_TEMPERATURE"],
    help: "mode kv: 0 = always the least cost; more = chosen by chance, the cheaper the likelier",
  },
  /** 0 = sessions are not kept together. */
  session_ttl_ms: {
    name: "router-session-affinity-ttl-secs",
    type: "seconds",
    min: 0,
    max: 31_536_000,
    default: 0,
    times: 1000,
    env: ["DYN_ROUTER_SESSION_AFFINITY_TTL_SECS"],
    help: "mode kv: a session (header x-dynamo-session-id) stays at its worker for so long after its last request; 0 = off",
  },
  session_mode: {
    name: "router-session-affinity-mode",
    type: "choice",
    choices: ["hard", "soft"],
    default: "hard",
    env: ["DYN_ROUTER_SESSION_AFFINITY_MODE"],
    help: "hard: there or, when it is gone, anywhere; soft: it only counts as cheaper",
  },
  conditional: {
    name: "router-conditional-disagg",
    type: "choice",
    choices: conditionalModes,
    default: conditionalDefaults.mode,
    help: "mode kv: which prompts the worker that answers computes by itself, beside prefill workers; isl_bounding: those below both thresholds; adaptive: also those that take no longer than a hand-over, or would wait",
  },
  eff_isl: {
    name: "router-eff-isl-threshold",
    type: "whole",
    min: 0,
    max: 1_000_000_000,
    default: conditionalDefaults.eff_isl,
    help: "a prompt is computed by the worker that answers if it has fewer uncached tokens than this",
  },
  eff_isl_ratio: {
    name: "router-eff-isl-ratio-threshold",
    type: "number",
    min: 0,
    max: 1,
    default: conditionalDefaults.eff_isl_ratio,
    help: "and if these are a smaller share of it than this",
  },
  enforce_disagg: {
    name: "enforce-disagg",
    type: "switch",
    env: ["DYN_ENFORCE_DISAGG"],
    help: "requests are refused while no prefill worker is there; else the workers that answer compute their prompts",
  },
} as const;

/** As they are given: `classes` are texts here. */
export type RouterFlagSettings = SettingsOf<typeof routerFlags>;
