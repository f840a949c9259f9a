/** An engine request as the native struct tr_request (native/troupe.h) and its variable parts. */

import { blockSeed } from "../../../llm/blocks/block-hash.ts";
import { TR } from "../../../native/index.ts";
import { beyondLimits } from "../beyond-limits.ts";
import type { EngineRefusal, EngineRequest } from "../engine.ts";

const STRUCT_BYTES = 112;

/** Memory for one request at a time; the native side copies it during the call. */
export type RequestBuffers = {
  readonly struct: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly stop: Int32Array;
  readonly bias_tokens: Int32Array;
  readonly bias_values: Float32Array;
};

export function requestBuffers(): RequestBuffers {
  const struct = new Uint8Array(STRUCT_BYTES);
  return {
    struct,
    view: new DataView(struct.buffer),
    stop: new Int32Array(TR.MAX_STOP),
    bias_tokens: new Int32Array(TR.MAX_BIAS),
    bias_values: new Float32Array(TR.MAX_BIAS),
  };
}

/** Blocks are shared within one salt; 0 for requests whose blocks everybody may share. */
export function saltOf(request: { readonly adapter?: string; readonly salt?: string }): bigint {
  return request.adapter || request.salt ? blockSeed(request) : 0n;
}

/** Answers are guessed from earlier ones with the same blocks, and of the same owner. */
function guessScopeOf(request: EngineRequest): bigint {
  const { owner } = request;
  return owner ? Bun.hash.xxHash3(`${saltOf(request)} ${owner}`) : saltOf(request);
}

/** A problem with values that C would read as something else; undefined: none. */
function problem({ sampling }: EngineRequest): string | undefined {
  for (const [name, value] of Object.entries(sampling)) {
    if (typeof value === "number" && !Number.isFinite(value)) return `${name} must be a number`;
  }
  return sampling.logit_bias.every(([, bias]) => Number.isFinite(bias))
    ? undefined
    : "logit_bias must be numbers";
}

/**
 * Writes the request into the buffers, or says why it cannot be one. `adapter`: the place of its
 * adapter, 0 without.
 */
export function encodeRequest(
  request: EngineRequest,
  buffers: RequestBuffers,
  adapter = 0,
  /** A number of its own for a request that keeps to a grammar; 0: any token may come. */
  mask_key = 0,
): EngineRefusal | undefined {
  const beyond = beyondLimits(request);
  if (beyond !== undefined) return beyond;
  const message = problem(request);
  if (message) return { code: "bad_request", message };
  const { sampling, stop_tokens } = request;
  const words = [
    request.handle,
    request.tokens.length,
    request.prompt_tokens,
    request.choice,
    request.max_tokens,
    request.min_tokens,
    Number(request.ignore_eos),
    request.logprobs,
  ];
  const { view, stop, bias_tokens, bias_values } = buffers;
  view.setBigUint64(0, BigInt.asUintN(64, sampling.seed), true);
  view.setBigUint64(8, saltOf(request), true);
  view.setBigUint64(16, guessScopeOf(request), true);
  for (const [i, word] of words.entries()) view.setInt32(24 + i * 4, word, true);
  view.setFloat32(56, sampling.temperature, true);
  view.setInt32(60, sampling.top_k, true);
  view.setFloat32(64, sampling.top_p, true);
  view.setFloat32(68, sampling.min_p, true);
  view.setFloat32(72, sampling.typical_p, true);
  view.setFloat32(76, sampling.repetition_penalty, true);
  view.setFloat32(80, sampling.frequency_penalty, true);
  view.setFloat32(84, sampling.presence_penalty, true);
  view.setUint32(88, stop_tokens.length, true);
  view.setUint32(92, sampling.logit_bias.length, true);
  view.setUint32(96, adapter, true);
  // 0: none are wanted.
  view.setUint32(100, request.scores_from === undefined ? 0 : request.scores_from + 1, true);
  view.setUint32(104, mask_key, true);
  view.setUint32(108, request.predicted?.length ?? 0, true);
  stop.set(stop_tokens);
  for (const [i, [token, bias]] of sampling.logit_bias.entries()) {
    bias_tokens[i] = token;
    bias_values[i] = bias;
  }
  return undefined;
}
