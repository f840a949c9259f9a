import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import type { ModelProgress, ModelWorld } from "../../../actors/model/model.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realFiles } from "../../../runtime/real/files.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { realSpawn } from "../../../runtime/real/spawn.ts";

export type TestWorld = {
  readonly world: ModelWorld;
  readonly folder: string;
  readonly progress: ModelProgress[];
  remove(): Promise<void>;
};

/** A world with an empty cache folder of its own; real clock, files and network. */
export async function makeWorld(
  env: Readonly<Record<string, string>>,
  changes: Partial<ModelWorld> = {},
): Promise<TestWorld> {
  const folder = await mkdtemp(`${tmpdir()}/troupe-models-`);
  const progress: ModelProgress[] = [];
  const world: ModelWorld = {
    clock: realClock(),
    files: realFiles(),
    net: realNet(),
    spawn: realSpawn(),
    env: { PATH: process.env["PATH"] ?? "", ...env },
    cache_dir: folder,
    onProgress: (state) => progress.push(state),
    ...changes,
  };
  return { world, folder, progress, remove: () => rm(folder, { recursive: true, force: true }) };
}
