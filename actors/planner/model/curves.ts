/**
 * What a profiler measured of an engine, before it served anybody: points of a sweep in Dynamo's
 * terms (`profiler/utils`, `prefill_raw_data.json` and `decode_raw_data.json`).
 */
import type { PlanRole } from "../pipeline/snapshot.ts";
import { learnPasses, type MeasuredPass, noRegression, type Regressions } from "./regression.ts";

export type PrefillPoint = {
  /** Tokens of the one prompt. */
  readonly isl: number;
  readonly ttft_ms: number;
  /** Tokens a second. */
  readonly thpt_per_gpu: number;
};

export type DecodePoint = {
  /** Of the KV tokens that fit, the share in use; 0 to 1. */
  readonly kv_usage: number;
  /** Tokens of each request's context. */
  readonly context_length: number;
  readonly itl_ms: number;
  /** Tokens that a pass made for one answer; absent: one. */
  readonly accept_length?: number;
  readonly thpt_per_gpu: number;
};

export type Curves = {
  readonly prefill: readonly PrefillPoint[];
  readonly decode: readonly DecodePoint[];
  readonly max_kv_tokens: number;
};

/** What the regression starts from: each point is a pass that was measured. */
export function regressionsOf(curves: Curves | undefined, roles: readonly PlanRole[]): Regressions {
  if (curves === undefined) return {};
  const prefill = curves.prefill.map(
    ({ isl, ttft_ms }): MeasuredPass => ({
      passes: 1,
      ms: ttft_ms,
      prefill_tokens: isl,
      requests: 0,
      kv_tokens: 0,
    }),
  );
  const decode = curves.decode.map((point): MeasuredPass => {
    const { kv_usage, context_length, itl_ms, accept_length = 1 } = point;
    const kv_tokens = kv_usage * curves.max_kv_tokens;
    const requests = context_length > 0 ? kv_tokens / context_length : 0;
    const ms = itl_ms * accept_length;
    return { passes: 1, ms, prefill_tokens: 0, requests, kv_tokens };
  });
  const passes = { prefill, decode, aggregated: [...prefill, ...decode] };
  return Object.fromEntries(
    roles.map((role) => [role, learnPasses(noRegression, role, passes[role])]),
  );
}
