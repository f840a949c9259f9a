/** The settings of the simulated engine. */
import type { SettingsOf } from "../../../runtime/setting.ts";

/** How it is shaped: options of the same names, which options.ts checks together. */
export const shapeFlags = {
  /** Divides all times; 0: no time passes at all. */
  speedup_ratio: {
    name: "speedup-ratio",
    type: "number",
    min: 0,
    max: 1e9,
    default: 1,
    help: "mocker: divides all times; 0 = no delay",
  },
  /** Divides decode times once more, as speculative decoding does. */
  decode_speedup_ratio: {
    name: "decode-speedup-ratio",
    type: "number",
    min: 0.001,
    max: 1e9,
    default: 1,
    help: "mocker: divides decode times once more",
  },
  /** As multi-token prediction does; whether they are right is drawn by the next one. */
  aic_nextn: {
    name: "aic-nextn",
    type: "whole",
    min: 0,
    max: 5,
    default: 0,
    help: "mocker: tokens that are guessed in each pass of an answer, at most 5; 0 = none",
  },
  aic_nextn_accept_rates: {
    name: "aic-nextn-accept-rates",
    type: "text",
    help: "mocker: of each guessed token, how often it is right when those before it are, as 0.85,0.3 (the default); the answer's tokens stay the same",
  },
  num_gpu_blocks: {
    name: "num-blocks",
    type: "whole",
    min: 1,
    max: 16_777_216,
    default: 16_384,
    help: "mocker: KV blocks a worker",
  },
  max_num_batched_tokens: {
    name: "max-num-batched-tokens",
    type: "whole",
    min: 1,
    max: 1_048_576,
    default: 8_192,
    help: "mocker: token budget of one pass",
  },
  /** The sequence that is preempted when blocks run out: the newest running one or the oldest. */
  preemption_mode: {
    name: "preemption-mode",
    type: "choice",
    choices: ["lifo", "fifo"],
    default: "lifo",
    help: "mocker: who makes room when blocks run out",
  },
  /** Data-parallel ranks, each with blocks and queues of its own. */
  dp_size: {
    name: "data-parallel-size",
    type: "whole",
    min: 1,
    max: 64,
    default: 1,
    help: "mocker: ranks a worker",
  },
  /** Seconds before the engine is there. */
  startup_time: {
    name: "startup-time",
    type: "seconds",
    min: 0,
    max: 3600,
    default: 0,
    help: "mocker: seconds until a worker is there",
  },
  /** What a copy of its blocks takes follows from this; in memory each is a few words. */
  kv_bytes_per_token: {
    name: "kv-bytes-per-token",
    type: "whole",
    min: 0,
    max: 1_073_741_824,
    default: 131_072,
    help: "mocker: bytes of keys and values a token, for the time that copies take",
  },
  d2h_bandwidth_gbps: {
    name: "host-offload-d2h-bandwidth-gbps",
    type: "number",
    min: 0,
    max: 1e6,
    default: 14,
    help: "mocker: GB/s from a worker's blocks to host memory; 0 = no limit",
  },
  h2d_bandwidth_gbps: {
    name: "host-offload-h2d-bandwidth-gbps",
    type: "number",
    min: 0,
    max: 1e6,
    default: 14,
    help: "mocker: GB/s from host memory to a worker's blocks; 0 = no limit",
  },
  /** Not Dynamo's. */
  host_offload_latency_ms: {
    name: "host-offload-latency-ms",
    type: "number",
    min: 0,
    max: 60_000,
    default: 0.1,
    help: "mocker: ms that each copy of blocks takes beyond its bytes",
  },
} as const;

export const mockerFlags = {
  ...shapeFlags,
  /** "" = Dynamo's polynomials. */
  profile: {
    name: "planner-profile-data",
    type: "text",
    help: "mocker: timing profile (.npz or .json) instead of Dynamo's polynomials",
  },
} as const;

export type MockerShape = SettingsOf<typeof shapeFlags>;
export type MockerSettings = SettingsOf<typeof mockerFlags>;
