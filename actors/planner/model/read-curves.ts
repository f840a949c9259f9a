/** Curves from the folder that Dynamo's profiler or `bun run profile` left. */
import {
  type Arrays,
  inFile,
  numbersOf,
  ProfileError,
  type ProfileFiles,
  readSweep,
} from "../../../llm/profile/profile-arrays.ts";
import type { Curves } from "./curves.ts";

/**
 * Undefined for an empty path: nothing was profiled. Rejects with ProfileError, one line that names
 * the file or the folder.
 */
export async function readCurves(files: ProfileFiles, folder: string): Promise<Curves | undefined> {
  if (folder === "") return undefined;
  const sweep = await readSweep(files, folder);
  if (sweep === undefined) {
    throw new ProfileError(
      `${folder}: neither prefill_raw_data.json and decode_raw_data.json nor ` +
        "selected_{prefill,decode}_interpolation/raw_data.npz: make them with `bun run profile`, " +
        "or leave profile_results_dir empty",
    );
  }
  return inFile(folder, () => curvesOf(sweep.prefill, sweep.decode));
}

/** Arrays by Dynamo's names. Throws ProfileError. */
export function curvesOf(prefill: Arrays, decode: Arrays): Curves {
  const isl = numbersOf(prefill, "prefill_isl");
  const ttft = sameLength(prefill, "prefill_ttft", isl);
  const prefill_thpt = sameLength(prefill, "prefill_thpt_per_gpu", isl);
  const kv_usage = numbersOf(decode, "x_kv_usage");
  const context = sameLength(decode, "y_context_length", kv_usage);
  const itl = sameLength(decode, "z_itl", kv_usage);
  const guesses = decode.has("z_accept_length");
  const made = guesses ? sameLength(decode, "z_accept_length", kv_usage) : [];
  const decode_thpt = sameLength(decode, "z_thpt_per_gpu", kv_usage);
  const max_kv_tokens = numbersOf(decode, "max_kv_tokens")[0]!;
  const all = [isl, ttft, prefill_thpt, kv_usage, context, itl, decode_thpt, made, [max_kv_tokens]];
  if (!all.every((row) => row.every((value) => Number.isFinite(value) && value >= 0))) {
    throw new ProfileError("every value must be a number, 0 or more");
  }
  if (max_kv_tokens === 0) throw new ProfileError("max_kv_tokens must be more than 0");
  return {
    prefill: isl.map((tokens, i) => ({
      isl: tokens,
      ttft_ms: ttft[i]!,
      thpt_per_gpu: prefill_thpt[i]!,
    })),
    decode: kv_usage.map((share, i) => ({
      kv_usage: share,
      context_length: context[i]!,
      itl_ms: itl[i]!,
      ...(guesses ? { accept_length: made[i]! } : {}),
      thpt_per_gpu: decode_thpt[i]!,
    })),
    max_kv_tokens,
  };
}

function sameLength(arrays: Arrays, name: string, as: readonly number[]): number[] {
  const found = numbersOf(arrays, name);
  if (found.length !== as.length) {
    throw new ProfileError(`${name} has ${found.length} values, and its points are ${as.length}`);
  }
  return found;
}
