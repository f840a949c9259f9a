/**
 * Files that the program carries: libraries, the shim, the bundled model. In the source tree they
 * lie where they lie; the compiled binary holds them inside itself, where `dlopen` and `mmap`
 * cannot reach, so they are copied once into a folder named by their content.
 */
import {
  accessSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

/** Name → path that `Bun.file` can read, also inside a compiled binary. */
type Assets = Readonly<Record<string, string>>;

/** Nowhere can they be unpacked to and run from; the message is one line that says what to do. */
export class AssetsError extends Error {
  readonly code = "no_assets_folder";
}

let carried: { readonly assets: Assets; readonly content_hash: string } | undefined;

/** Called by the compiled binary's entry before anything else runs. */
export function carry(assets: Assets, content_hash: string): void {
  carried = { assets, content_hash };
}

/** Where downloads and unpacked files go when no --cache-dir is given. */
export function defaultCacheFolder(): string {
  const base = process.platform === "darwin" ? "Library/Caches" : ".cache";
  return join(process.env.XDG_CACHE_HOME || join(homeFolder(), base), "troupe");
}

/** A user of a container may have neither HOME nor an entry in /etc/passwd. */
export function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

/**
 * The folder with all carried files, unpacked: in the cache folder or, where that cannot be
 * written to or run from, in a temporary one. Undefined when run from the source tree. Rejects with
 * AssetsError.
 */
export async function assetsFolder(cache_folder: string): Promise<string | undefined> {
  if (carried === undefined) return undefined;
  const wrong: string[] = [];
  const bases = [() => cache_folder, ownTemporaryFolder];
  for (const base of bases) {
    let folder = "";
    try {
      folder = join(base(), "binary", carried.content_hash);
      await unpack(carried.assets, folder);
      return folder;
    } catch (error) {
      wrong.push(`${folder || tmpdir()}: ${whyNot(error)}`);
    }
  }
  throw new AssetsError(
    `the libraries that this program carries cannot be unpacked (${wrong.join("; ")}): give a ` +
      "--cache-dir that this user can write to and run programs from (a mount without noexec)",
  );
}

async function unpack(assets: Assets, folder: string): Promise<void> {
  for (const [name, source] of Object.entries(assets)) {
    const target = join(folder, name);
    const file = Bun.file(source);
    if (!existsSync(target) || statSync(target).size !== file.size) {
      mkdirSync(dirname(target), { recursive: true });
      // Several processes may unpack at once: each writes its own copy, the rename is atomic.
      const partial = `${target}.${process.pid}`;
      writeFileSync(partial, new Uint8Array(await file.arrayBuffer()), { mode: 0o755 });
      renameSync(partial, target);
    }
    // Says no where the file system is mounted noexec, to root too: nothing is loaded from there.
    if (/\.(so|dylib)$/.test(name)) accessSync(target, constants.X_OK);
  }
}

/** In the temporary folder anybody can make one of that name: only our own, closed one will do. */
function ownTemporaryFolder(): string {
  const uid = process.getuid?.() ?? 0;
  const folder = resolve(join(tmpdir(), `troupe-cache-${uid}`));
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const stat = lstatSync(folder);
  const ours = stat.isDirectory() && stat.uid === uid && (stat.mode & 0o077) === 0;
  if (!ours) throw new Error(`${folder} is not this user's alone`);
  return folder;
}

function whyNot(error: unknown): string {
  const { code, syscall, message } = error as { code?: string; syscall?: string; message?: string };
  if (code === "EACCES" && syscall === "access") return "no program may run there (noexec)";
  if (code === "EACCES" || code === "EPERM") return "this user may not write there";
  if (code === "EROFS") return "the file system is read-only";
  return code ?? message ?? String(error);
}
