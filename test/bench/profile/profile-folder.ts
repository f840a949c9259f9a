/** A folder of curves, in both of the forms that NVIDIA Dynamo's tools leave and read. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { NpzError, readNpz } from "../../../llm/profile/npz.ts";
import type { Curves } from "./curves.ts";
import { type EngineNotes, noNotes } from "./engine.ts";
import { type Numbers, writeNpz } from "./write-npz.ts";

const files = {
  prefill: ["selected_prefill_interpolation/raw_data.npz", "prefill_raw_data.json"],
  decode: ["selected_decode_interpolation/raw_data.npz", "decode_raw_data.json"],
} as const;

const arrays = {
  prefill: ["prefill_isl", "prefill_ttft", "prefill_thpt_per_gpu"],
  decode: ["max_kv_tokens", "x_kv_usage", "y_context_length", "z_itl", "z_thpt_per_gpu"],
} as const;

export class ProfileFolderError extends Error {
  readonly code = "bad_profile_folder";
}

/** Ours: what Dynamo's files have no place for. */
const notes_file = "profile.json";

/** Makes the folder when there is none. Throws ProfileFolderError. */
export async function writeProfile(
  folder: string,
  curves: Curves,
  notes: EngineNotes,
): Promise<void> {
  try {
    for (const kind of ["prefill", "decode"] as const) {
      const [npz, json] = files[kind].map((name) => join(folder, name)) as [string, string];
      const rows: Readonly<Record<string, Numbers>> = curves[kind];
      mkdirSync(dirname(npz), { recursive: true });
      await Bun.write(npz, writeNpz(rows));
      await Bun.write(json, `${JSON.stringify(rows)}\n`);
    }
    await Bun.write(join(folder, notes_file), `${JSON.stringify(notes)}\n`);
  } catch (error) {
    throw unwritable(folder, error);
  }
}

/** Before minutes of a sweep. Leaves nothing. Throws ProfileFolderError. */
export function checkFolder(folder: string): void {
  let made: string | undefined;
  try {
    made = mkdirSync(folder, { recursive: true });
    const probe = join(folder, `.${process.pid}`);
    writeFileSync(probe, "");
    rmSync(probe);
  } catch (error) {
    throw unwritable(folder, error);
  } finally {
    if (made !== undefined) rmSync(made, { recursive: true, force: true });
  }
}

function unwritable(folder: string, error: unknown): ProfileFolderError {
  const { code } = error as { code?: string };
  return new ProfileFolderError(`--out ${folder} cannot be written (${code}): give another folder`);
}

/** What the folder says of the engine; a profile of Dynamo's says nothing. */
export function readNotes(folder: string): EngineNotes {
  const path = join(folder, notes_file);
  if (!existsSync(path)) return noNotes;
  try {
    return { ...noNotes, ...(JSON.parse(readFileSync(path, "utf8")) as Partial<EngineNotes>) };
  } catch {
    throw new ProfileFolderError(`${path}: it is no JSON object; sweep anew, or take it away`);
  }
}

/** Throws ProfileFolderError. */
export function readProfileFolder(folder: string): Curves {
  return { prefill: read(folder, "prefill"), decode: read(folder, "decode") } as Curves;
}

function read(folder: string, kind: keyof typeof files): Record<string, readonly number[]> {
  const path = files[kind].map((name) => join(folder, name)).find((name) => existsSync(name));
  if (path === undefined) {
    throw new ProfileFolderError(
      `${folder}: neither ${files[kind].join(" nor ")} is there; give --from the folder of a sweep`,
    );
  }
  let found: Record<string, readonly number[]>;
  try {
    found = path.endsWith(".npz")
      ? Object.fromEntries([...readNpz(readFileSync(path))].map(([k, v]) => [k, [...v.values]]))
      : withRows(JSON.parse(readFileSync(path, "utf8")) as Record<string, number | number[]>);
  } catch (error) {
    const what = error instanceof NpzError ? error.message : "it is no JSON object";
    throw new ProfileFolderError(`${path}: ${what}`);
  }
  for (const name of arrays[kind]) {
    const row = found[name];
    if (!row?.length || !row.every(Number.isFinite)) {
      throw new ProfileFolderError(`${path}: it lacks the array of numbers ${name}`);
    }
  }
  return found;
}

/** Dynamo writes the single number of `max_kv_tokens` bare in some versions. */
const withRows = (found: Record<string, number | number[]>): Record<string, readonly number[]> =>
  Object.fromEntries(Object.entries(found).map(([k, v]) => [k, Array.isArray(v) ? v : [v]]));
