/**
 * Finds the prebuilt llama.cpp library of this platform and makes the shim for it.
 *
 *   cc there?   yes ─▶ cc -O3, once per content of the sources, kept in the cache folder
 *               no  ─▶ Bun's own C compiler builds it in memory at each start (about 15 ms)
 *
 * Also the command `bun run build:native`, which prints the choice.
 */

import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { canOpen, openShim, type ShimSource } from "./index.ts";

/** The release that native/llama_api.h is cut from. */
export const LLAMA_RELEASE = "v0.5.0";
const CC_FLAGS = ["-O3", "-fPIC", "-shared"] as const;
const SOURCE_FOLDER = import.meta.dir;
/** Any function of troupe.h. */
const SHIM_SYMBOL = "tr_abi";

export type CompilerChoice = "auto" | "cc" | "bun";

export type ShimBuild = {
  readonly source: ShimSource;
  /** One line for a person: which compiler, and why or from where. */
  readonly choice: string;
};

export type LlamaLibrary = {
  /** The file of libllama itself; the others lie beside it in `folder`. */
  readonly library: string;
  readonly folder: string;
};

/** Stable code; the message says what to do. */
export class NativeError extends Error {
  override readonly name = "NativeError";
  constructor(
    readonly code: "library_missing" | "library_release" | "shim_build",
    message: string,
  ) {
    super(message);
  }
}

/** $XDG_CACHE_HOME, or the platform's cache folder; subfolder troupe. */
export function cacheFolder(): string {
  const platform = process.platform === "darwin" ? join("Library", "Caches") : ".cache";
  return join(process.env["XDG_CACHE_HOME"] || join(homeFolder(), platform), "troupe");
}

/** A user of a container may have neither HOME nor an entry in /etc/passwd. */
function homeFolder(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

/** The packages of this platform, the best first. */
function packageNames(): readonly string[] {
  const name = `${process.platform}-${process.arch}`;
  if (name === "darwin-arm64") return ["mac-arm64-metal"];
  if (name === "darwin-x64") return ["mac-x64"];
  if (name === "linux-arm64") return ["linux-arm64"];
  if (name !== "linux-x64") return [];
  return canOpen("libcuda.so.1", "cuInit") ? ["linux-x64-cuda", "linux-x64"] : ["linux-x64"];
}

function packageFolder(name: string): string | undefined {
  try {
    const entry = fileURLToPath(import.meta.resolve(`@node-llama-cpp/${name}`));
    const folder = join(dirname(entry), "..", "bins", name);
    return existsSync(folder) ? folder : undefined;
  } catch {
    return undefined; // not installed
  }
}

function checkRelease(folder: string): void {
  const path = join(folder, "_nlcBuildMetadata.json");
  if (!existsSync(path)) return; // extracted files: the shim compares the library's own version
  const metadata = JSON.parse(readFileSync(path, "utf8")) as {
    readonly buildOptions?: { readonly llamaCpp?: { readonly release?: string } };
  };
  const release = metadata.buildOptions?.llamaCpp?.release;
  if (release !== LLAMA_RELEASE) {
    throw new NativeError(
      "library_release",
      `${folder} holds llama.cpp ${release}, this build needs ${LLAMA_RELEASE}: run \`bun install\``,
    );
  }
}

/**
 * The library of `folder`, or else of the installed @node-llama-cpp package; the CUDA package when
 * it is installed and the driver opens. Throws NativeError.
 */
export function findLlama(folder?: string): LlamaLibrary {
  const names = packageNames();
  const folders = folder ? [folder] : names.map(packageFolder).filter((f) => f !== undefined);
  for (const candidate of folders) {
    const files = existsSync(candidate) ? readdirSync(candidate) : [];
    const file = files.find((name) => /^libllama(\.v[\d.]+)?\.(so|dylib)$/.test(name));
    if (!file) continue;
    checkRelease(candidate);
    return { library: join(candidate, file), folder: candidate };
  }
  const platform = `${process.platform}-${process.arch}`;
  throw new NativeError(
    "library_missing",
    folder
      ? `no llama.cpp library in ${folder}: give the folder that holds libllama`
      : names.length === 0
        ? `no prebuilt llama.cpp for ${platform}: use --engine echo or mocker here`
        : `the package @node-llama-cpp/${names[0]} is not installed: run \`bun install\` ` +
          "(optional dependencies included)",
  );
}

function sourcesHash(): string {
  const hash = createHash("sha256");
  hash.update(`${CC_FLAGS.join(" ")} ${process.platform} ${process.arch}`);
  for (const name of readdirSync(SOURCE_FOLDER, { encoding: "utf8", recursive: true }).sort()) {
    if (!/\.[ch]$/.test(name)) continue;
    hash.update(`\0${name}\0`);
    hash.update(readFileSync(join(SOURCE_FOLDER, name)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Whether programs may run from where this new file is to be. A noexec mount says no to all. */
function mayRun(path: string): boolean {
  writeFileSync(path, "", { mode: 0o755 });
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Builds with the system's compiler, or says why that is not possible. */
async function buildWithCc(cache_dir: string): Promise<ShimBuild | { readonly why: string }> {
  const suffix = process.platform === "darwin" ? "dylib" : "so";
  const folder = join(cache_dir, "native");
  const path = join(folder, `shim-${sourcesHash()}.${suffix}`);
  const source: ShimSource = { kind: "library", path };
  const unloadable = { why: `${path} cannot be loaded: is its file system mounted noexec?` };
  if (existsSync(path)) {
    return canOpen(path, SHIM_SYMBOL)
      ? { source, choice: `cc ${CC_FLAGS[0]}, cached at ${path}` }
      : unloadable;
  }
  const compiler = Bun.which("cc");
  if (!compiler) return { why: "no cc on PATH" };
  const partial = `${path}.${process.pid}.partial`; // renamed when whole: others may start as well
  try {
    mkdirSync(folder, { recursive: true });
    if (!mayRun(partial)) return unloadable; // known before seconds of compiling
    const command = [compiler, ...CC_FLAGS, join(SOURCE_FOLDER, "troupe.c"), "-o", partial, "-lm"];
    const run = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const said = await run.stderr.text();
    if ((await run.exited) !== 0) return { why: `cc failed: ${said.trim().split("\n")[0]}` };
    if (!canOpen(partial, SHIM_SYMBOL)) return unloadable;
    renameSync(partial, path);
    return { source, choice: `cc ${CC_FLAGS[0]}, built into ${path}` };
  } catch (error) {
    return { why: `cc failed: ${error instanceof Error ? error.message : String(error)}` };
  } finally {
    rmSync(partial, { force: true });
  }
}

/**
 * The shim, built if need be. `compiler` (or the environment's TROUPE_CC) forces one of the two.
 * Throws NativeError when "cc" is forced and fails.
 */
export async function buildShim(
  options: { readonly compiler?: CompilerChoice; readonly cache_dir?: string } = {},
): Promise<ShimBuild> {
  const wanted = options.compiler ?? process.env["TROUPE_CC"] ?? "auto";
  let why = "asked for";
  if (wanted !== "bun") {
    const built = await buildWithCc(options.cache_dir ?? cacheFolder());
    if ("source" in built) return built;
    if (wanted === "cc") throw new NativeError("shim_build", `no shim by cc: ${built.why}`);
    why = built.why;
  }
  const path = join(SOURCE_FOLDER, "troupe.c");
  return { source: { kind: "source", path }, choice: `Bun's own C compiler (${why})` };
}

if (import.meta.main) {
  try {
    const { library } = findLlama();
    const { source, choice } = await buildShim();
    openShim(source); // what cannot be opened is not built
    console.log(`shim: ${choice}\nllama.cpp: ${library}`);
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(2);
  }
}
