/**
 * Timing profiles as Dynamo's profiler leaves them, in one of three forms:
 *
 *   X.npz or X.json         the mocker's own arrays, see TimingProfile
 *   FOLDER                  prefill_raw_data.json and decode_raw_data.json
 *   FOLDER                  selected_{prefill,decode}_interpolation/raw_data.npz
 *
 * The raw data of a sweep are points, not a grid: decode times `z_itl` over the share of KV cache
 * in use `x_kv_usage` and the context length `y_context_length`, a sweep of shares for each length.
 * `bun run profile` adds `prefill_draw_ms`, the part of each `prefill_ttft` in which the token was
 * drawn: a pass is charged for its drawing by the decode times already. Of an engine that guesses
 * it adds `z_accept_length`, tokens that a pass made for one answer: a pass takes so many times
 * `z_itl`.
 */
import {
  type Arrays,
  inFile,
  numbersOf,
  ProfileError,
  readArrays,
  readSweep,
} from "../../../llm/profile/profile-arrays.ts";
import type { Files } from "../../../runtime/capabilities.ts";
import type { TimingProfile } from "./timing.ts";

/** Shares of the KV cache at which a sweep is resampled. */
const SHARES = 100;

/** Rejects with ProfileError, one line that names the file. */
export async function readProfile(
  files: Pick<Files, "read" | "size_bytes">,
  path: string,
): Promise<TimingProfile> {
  if (/\.(npz|json)$/.test(path)) {
    const arrays = await readArrays(files, path);
    if (arrays === undefined) throw new ProfileError(`${path}: there is no such file`);
    return inFile(path, () => profileOf(arrays));
  }
  const sweep = await readSweep(files, path);
  if (sweep !== undefined) return inFile(path, () => profileOfSweep(sweep.prefill, sweep.decode));
  throw new ProfileError(
    `${path}: neither an .npz nor a .json profile, nor a folder with prefill_raw_data.json and ` +
      "decode_raw_data.json or selected_{prefill,decode}_interpolation/raw_data.npz",
  );
}

/** The mocker's own arrays. Throws ProfileError. */
export function profileOf(arrays: Arrays): TimingProfile {
  const decode_active_kv_tokens = numbersOf(arrays, "decode_active_kv_tokens");
  const decode_context_length = numbersOf(arrays, "decode_context_length");
  const itl = numbersOf(arrays, "decode_itl");
  const width = decode_context_length.length;
  if (itl.length !== decode_active_kv_tokens.length * width) {
    throw new ProfileError(
      `decode_itl has ${itl.length} values for ${decode_active_kv_tokens.length} × ${width} points`,
    );
  }
  return checked({
    prefill_isl: numbersOf(arrays, "prefill_isl"),
    prefill_ttft_ms: numbersOf(arrays, "prefill_ttft_ms"),
    decode_active_kv_tokens,
    decode_context_length,
    decode_itl: decode_active_kv_tokens.map((_, i) => itl.slice(i * width, (i + 1) * width)),
  });
}

/** The raw points of a profiler's sweep. Throws ProfileError. */
export function profileOfSweep(prefill: Arrays, decode: Arrays): TimingProfile {
  const isl = numbersOf(prefill, "prefill_isl");
  const ttft = numbersOf(prefill, "prefill_ttft");
  if (isl.length !== ttft.length) throw new ProfileError("prefill_isl and prefill_ttft differ");
  const drawn = prefill.get("prefill_draw_ms")?.values ?? [];
  const shares = numbersOf(decode, "x_kv_usage");
  const lengths = numbersOf(decode, "y_context_length");
  const made = decode.get("z_accept_length")?.values ?? [];
  const itl = numbersOf(decode, "z_itl").map((ms, i) => ms * (made[i] ?? 1));
  if (shares.length !== lengths.length || shares.length !== itl.length) {
    throw new ProfileError("x_kv_usage, y_context_length and z_itl have not one length");
  }
  const max_kv_tokens = numbersOf(decode, "max_kv_tokens")[0]!;
  const decode_context_length = [...new Set(lengths)].sort((a, b) => a - b);
  const sweeps = decode_context_length.map((length) => {
    return points(shares.flatMap((share, i) => (lengths[i] === length ? [[share, itl[i]!]] : [])));
  });
  const low = Math.min(...shares);
  const step = (Math.max(...shares) - low) / SHARES;
  const grid = Array.from({ length: step > 0 ? SHARES + 1 : 1 }, (_, i) => low + i * step);
  const times = points(isl.map((length, i) => [length, Math.max(0, ttft[i]! - (drawn[i] ?? 0))]));
  return checked({
    prefill_isl: times.map(([length]) => length),
    prefill_ttft_ms: times.map(([, ms]) => ms),
    decode_active_kv_tokens: grid.map((share) => share * max_kv_tokens),
    decode_context_length,
    decode_itl: grid.map((share) => sweeps.map((sweep) => between(sweep, share))),
  });
}

type Point = readonly [at: number, value: number];

/** In ascending order, the mean of those at one place. */
function points(given: readonly (readonly number[])[]): readonly Point[] {
  const by_place = new Map<number, number[]>();
  for (const [at, value] of given) {
    const there = by_place.get(at!);
    if (there === undefined) by_place.set(at!, [value!]);
    else there.push(value!);
  }
  return [...by_place]
    .sort(([a], [b]) => a - b)
    .map(([at, values]) => [at, values.reduce((sum, value) => sum + value, 0) / values.length]);
}

/** Linear within the points, the nearest point outside: a sweep says nothing beyond its ends. */
function between(sweep: readonly Point[], at: number): number {
  const after = sweep.findIndex(([place]) => place >= at);
  if (after < 0) return sweep.at(-1)![1];
  const [high_at, high] = sweep[after]!;
  if (after === 0) return high;
  const [low_at, low] = sweep[after - 1]!;
  return low + ((high - low) * (at - low_at)) / (high_at - low_at);
}

function checked(profile: TimingProfile): TimingProfile {
  const { prefill_isl, prefill_ttft_ms, decode_active_kv_tokens, decode_context_length } = profile;
  if (prefill_isl.length !== prefill_ttft_ms.length) {
    throw new ProfileError("prefill_isl and prefill_ttft_ms differ in length");
  }
  const axes = { prefill_isl, decode_active_kv_tokens, decode_context_length };
  for (const [name, axis] of Object.entries(axes)) {
    if (axis.some((at, i) => i > 0 && !(at > axis[i - 1]!))) {
      throw new ProfileError(`${name} must ascend`);
    }
  }
  const all = [prefill_ttft_ms, ...profile.decode_itl].flat();
  if (!all.every((ms) => Number.isFinite(ms) && ms >= 0)) {
    throw new ProfileError("every time must be a number of milliseconds, 0 or more");
  }
  return profile;
}
