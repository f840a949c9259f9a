/**
 * Arrays of numbers that a profiler left: an `.npz`, or a JSON object of lists. A sweep is a folder
 * with two such files, in Dynamo's names:
 *
 *   prefill_raw_data.json                            decode_raw_data.json
 *   selected_prefill_interpolation/raw_data.npz      selected_decode_interpolation/raw_data.npz
 */
import { NpzError, type NumberArray, readNpz } from "./npz.ts";

export class ProfileError extends Error {
  readonly code = "bad_profile";
}

export type Arrays = ReadonlyMap<string, NumberArray>;

/** What is needed of files; `size_bytes` is undefined where there is none. */
export type ProfileFiles = {
  read(path: string): Promise<Uint8Array>;
  size_bytes(path: string): Promise<number | undefined>;
};

const SWEEPS = [
  ["prefill_raw_data.json", "decode_raw_data.json"],
  ["selected_prefill_interpolation/raw_data.npz", "selected_decode_interpolation/raw_data.npz"],
] as const;

/** Undefined: neither pair is there. Rejects with ProfileError, one line that names a file. */
export async function readSweep(
  files: ProfileFiles,
  folder: string,
): Promise<{ readonly prefill: Arrays; readonly decode: Arrays } | undefined> {
  for (const [prefill_name, decode_name] of SWEEPS) {
    const prefill = await readArrays(files, `${folder}/${prefill_name}`);
    const decode = await readArrays(files, `${folder}/${decode_name}`);
    if (prefill !== undefined && decode !== undefined) return { prefill, decode };
  }
  return undefined;
}

/** Undefined: there is no such file. Rejects with ProfileError. */
export async function readArrays(files: ProfileFiles, path: string): Promise<Arrays | undefined> {
  let bytes: Uint8Array;
  try {
    if ((await files.size_bytes(path)) === undefined) return undefined;
    bytes = await files.read(path);
  } catch (error) {
    // The given path is a file, and no folder that could hold this one.
    if ((error as { code?: string }).code === "ENOTDIR") return undefined;
    const why = error instanceof Error ? error.message : String(error);
    throw new ProfileError(`${path}: it cannot be read (${why})`);
  }
  return inFile(path, () => (path.endsWith(".npz") ? readNpz(bytes) : readJson(bytes)));
}

/** What `read` finds wrong is said with the path in front. */
export function inFile<Value>(path: string, read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProfileError || error instanceof NpzError) {
      throw new ProfileError(`${path}: ${error.message}`);
    }
    throw error;
  }
}

function readJson(bytes: Uint8Array): Arrays {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new ProfileError(`no JSON: ${String(error)}`);
  }
  if (typeof parsed !== "object" || parsed === null) throw new ProfileError("no JSON object");
  const arrays = new Map<string, NumberArray>();
  for (const [name, value] of Object.entries(parsed)) {
    const rows: unknown[] = Array.isArray(value) ? value : [value];
    const flat = rows.flat();
    if (!flat.every((each) => typeof each === "number")) continue;
    const shape = Array.isArray(rows[0]) ? [rows.length, flat.length / rows.length] : [flat.length];
    arrays.set(name, { shape, values: Float64Array.from(flat) });
  }
  return arrays;
}

/** Its numbers, row by row. Throws ProfileError where there are none. */
export function numbersOf(arrays: Arrays, name: string): number[] {
  const found = arrays.get(name);
  if (found === undefined || found.values.length === 0) {
    throw new ProfileError(`it lacks the array of numbers ${name}`);
  }
  return [...found.values];
}
