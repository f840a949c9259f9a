/**
 * Files that the program carries: libraries, the shim, the bundled model. In the source tree they
 * lie where they lie; the compiled binary holds them inside itself, where `dlopen` and `mmap`
 * cannot reach, so they are copied once into a folder named by their content.
 */
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** Name → path that `Bun.file` can read, also inside a compiled binary. */
export type Assets = Readonly<Record<string, string>>;

let carried: { readonly assets: Assets; readonly content_hash: string } | undefined;

/** Called by the compiled binary's entry before anything else runs. */
export function carry(assets: Assets, content_hash: string): void {
  carried = { assets, content_hash };
}

/** Where downloads and unpacked files go when no --cache-dir is given. */
export function defaultCacheFolder(): string {
  const base = process.platform === "darwin" ? "Library/Caches" : ".cache";
  return join(process.env.XDG_CACHE_HOME || join(homedir(), base), "troupe");
}

/** The folder with all carried files, unpacked; undefined when run from the source tree. */
export async function assetsFolder(cache_folder: string): Promise<string | undefined> {
  if (carried === undefined) return undefined;
  const folder = join(cache_folder, "binary", carried.content_hash);
  for (const [name, source] of Object.entries(carried.assets)) {
    const target = join(folder, name);
    const file = Bun.file(source);
    if (existsSync(target) && statSync(target).size === file.size) continue;
    mkdirSync(dirname(target), { recursive: true });
    // Several processes may unpack at once: each writes its own copy, the rename is atomic.
    const partial = `${target}.${process.pid}`;
    writeFileSync(partial, new Uint8Array(await file.arrayBuffer()), { mode: 0o755 });
    renameSync(partial, target);
  }
  return folder;
}
