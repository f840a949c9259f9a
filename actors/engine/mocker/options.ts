/** How the simulated engine is shaped: names, units and defaults of Dynamo's mocker (vLLM). */

import { defaultsOf } from "../../../runtime/setting.ts";
import { type MockerShape, shapeFlags } from "./flags.ts";
import { ratesProblem } from "./guesses.ts";
import type { LinkSpeed } from "./link.ts";

/** Beside what flags.ts lets people set. */
export type MockerOptions = MockerShape & {
  /** Tokens. */
  readonly block_size: number;
  /** Prompt and answer together; undefined: as much as the blocks hold. */
  readonly max_model_len: number | undefined;
  readonly max_num_seqs: number;
  readonly enable_prefix_caching: boolean;
  readonly enable_chunked_prefill: boolean;
  readonly worker_type: "aggregated" | "prefill" | "decode";
  /** GB/s between a prefill and a decode worker; 0: no time. */
  readonly kv_transfer_bandwidth: number;
  /** Whether the whole prompt travels (the prefill side waits) or what the decode side lacks. */
  readonly kv_transfer_timing_mode: "full_prompt" | "destination_missing";
  /** Not Dynamo's: requests that may wait beside the running ones. */
  readonly max_queue: number;
};

export const mockerDefaults: MockerOptions = {
  ...defaultsOf(shapeFlags),
  block_size: 64,
  max_model_len: undefined,
  max_num_seqs: 256,
  enable_prefix_caching: true,
  enable_chunked_prefill: true,
  worker_type: "aggregated",
  kv_transfer_bandwidth: 64,
  kv_transfer_timing_mode: "full_prompt",
  max_queue: 4_096,
};

export class MockerOptionsError extends Error {
  readonly code = "bad_mocker_options";
}

const POSITIVE_INTEGERS = [
  "num_gpu_blocks",
  "block_size",
  "max_num_seqs",
  "max_num_batched_tokens",
  "dp_size",
] as const;
const NOT_NEGATIVE = [
  "speedup_ratio",
  "decode_speedup_ratio",
  "startup_time",
  "kv_bytes_per_token",
  "d2h_bandwidth_gbps",
  "h2d_bandwidth_gbps",
  "host_offload_latency_ms",
  "kv_transfer_bandwidth",
  "max_queue",
] as const;

/** Fills in the defaults. Throws MockerOptionsError that names the option and what it may be. */
export function mockerOptions(given: Partial<MockerOptions>): MockerOptions {
  const options = { ...mockerDefaults, ...given };
  for (const name of POSITIVE_INTEGERS) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) {
      throw new MockerOptionsError(`${name} must be a positive integer, not ${options[name]}`);
    }
  }
  for (const name of NOT_NEGATIVE) {
    if (!(options[name] >= 0 && Number.isFinite(options[name]))) {
      throw new MockerOptionsError(`${name} must be 0 or more, not ${options[name]}`);
    }
  }
  const problem = ratesProblem(options);
  if (problem !== undefined) throw new MockerOptionsError(problem);
  const { max_model_len, block_size, num_gpu_blocks } = options;
  if (max_model_len !== undefined && !(Number.isSafeInteger(max_model_len) && max_model_len > 0)) {
    throw new MockerOptionsError(`max_model_len must be a positive integer, not ${max_model_len}`);
  }
  if ((max_model_len ?? 0) > block_size * num_gpu_blocks) {
    throw new MockerOptionsError(
      `${num_gpu_blocks} blocks of ${block_size} tokens cannot hold a sequence of ` +
        `max_model_len ${max_model_len}: raise num_gpu_blocks or lower max_model_len`,
    );
  }
  return options;
}

/** How long `tokens` of KV cache travel between two workers. */
export function transferMs(options: MockerOptions, tokens: number): number {
  const { kv_bytes_per_token, kv_transfer_bandwidth, speedup_ratio } = options;
  if (kv_transfer_bandwidth === 0 || speedup_ratio === 0) return 0;
  return (tokens * kv_bytes_per_token) / (kv_transfer_bandwidth * 1e6) / speedup_ratio;
}

/** How fast blocks go out of the engine and come in. */
export function linkSpeeds(options: MockerOptions): {
  readonly out: LinkSpeed;
  readonly in: LinkSpeed;
} {
  const { d2h_bandwidth_gbps, h2d_bandwidth_gbps, speedup_ratio } = options;
  if (speedup_ratio === 0) return { out: NO_TIME, in: NO_TIME };
  const latency_ms = options.host_offload_latency_ms / speedup_ratio;
  const speed = (gbps: number): LinkSpeed => ({
    bytes_per_ms: gbps * 1e6 * speedup_ratio,
    latency_ms,
  });
  return { out: speed(d2h_bandwidth_gbps), in: speed(h2d_bandwidth_gbps) };
}

const NO_TIME: LinkSpeed = { bytes_per_ms: 0, latency_ms: 0 };
