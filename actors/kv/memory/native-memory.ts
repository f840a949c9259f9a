/** Shared memory of this machine: POSIX segments by native/kv. */
import { buildShim, NativeError } from "../../../native/build.ts";
import {
  type KvShim,
  mapSegment,
  NativeMovers,
  openKvShim,
  sweepSegment,
  unmapSegment,
} from "../../../native/kv/index.ts";
import type { Files } from "../../../runtime/capabilities.ts";
import { NativeFiles } from "../disk/native-files.ts";
import { type HostMemory, KvMemoryError, type MapSegment } from "./host-memory.ts";

/** Where Linux lists them; elsewhere what is left over stays until the machine starts anew. */
const LISTED = "/dev/shm";
const PREFIX = "troupe-kv-";

/** Threads that wait for the disk; what they compute is a checksum. */
const MOVERS = 2;
const MOVER_JOBS = 32;

type Shims = { readonly cache_folder: string; readonly assets_folder: string };

/** Rejects with KvMemoryError. */
async function shimOf({ cache_folder, assets_folder }: Shims): Promise<KvShim> {
  try {
    if (assets_folder !== "") {
      return openKvShim({ kind: "library", path: `${assets_folder}/lib/libtroupe.so` });
    }
    return openKvShim((await buildShim({ cache_dir: cache_folder })).source);
  } catch (error) {
    if (error instanceof NativeError) throw new KvMemoryError(error.message);
    throw error;
  }
}

/**
 * A segment of this process, the only one with that number. Segments whose makers were killed lose
 * their names first. Rejects with KvMemoryError.
 */
export async function openNativeMemory(
  bytes: number,
  number: number,
  files: Pick<Files, "list">,
  shims: Shims,
): Promise<HostMemory> {
  const shim = await shimOf(shims);
  for (const name of await files.list(LISTED).catch(() => [])) {
    if (name.startsWith(PREFIX)) sweepSegment(shim, `/${name}`);
  }
  const movers = new NativeMovers(shim, { threads: MOVERS, jobs: MOVER_JOBS });
  const segment = `/${PREFIX}${number.toString(36)}`;
  const region = movers.region("shared", bytes, { name: segment });
  if (region < 0) {
    const why = movers.message();
    await movers.close();
    throw new KvMemoryError(`--kv-host-bytes ${bytes}: ${why}`);
  }
  return {
    ...{ segment, bytes, files: new NativeFiles(movers, region) },
    view: (from, size) => movers.bytes(region, size, from),
    close: () => {
      movers.unlink(segment);
      void movers.close();
    },
  };
}

/** Rejects with KvMemoryError. */
export async function nativeMapper(shims: Shims): Promise<MapSegment> {
  const shim = await shimOf(shims);
  return (segment, bytes) => {
    const address = mapSegment(shim, segment, bytes);
    if (address === undefined) return undefined;
    return { address, close: () => unmapSegment(shim, address, bytes) };
  };
}
