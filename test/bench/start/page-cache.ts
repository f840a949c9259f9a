/** What the system's memory has of a file, and how to take it out. Linux alone. */
import { dlopen, type Pointer } from "bun:ffi";
import { closeSync, fsyncSync, openSync, statSync } from "node:fs";

const PROT_READ = 1;
const MAP_SHARED = 1;
const DONTNEED = 4;
const PAGE = 4_096;

const libc = dlopen("libc.so.6", {
  posix_fadvise: { args: ["i32", "i64", "i64", "i32"], returns: "i32" },
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
  munmap: { args: ["ptr", "u64"], returns: "i32" },
  mincore: { args: ["ptr", "u64", "ptr"], returns: "i32" },
}).symbols;

/** Pages that a living process maps stay. Gives the share that is left, as `cachedShare` does. */
export function dropFromMemory(path: string): number {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
    if (libc.posix_fadvise(file, 0, 0, DONTNEED) !== 0)
      throw new Error(`${path} cannot be dropped`);
  } finally {
    closeSync(file);
  }
  return cachedShare(path);
}

/** From 0 to 1. */
export function cachedShare(path: string): number {
  const { size } = statSync(path);
  const file = openSync(path, "r");
  try {
    const at = libc.mmap(null, size, PROT_READ, MAP_SHARED, file, 0) as Pointer;
    const pages = new Uint8Array(Math.ceil(size / PAGE));
    const failed = libc.mincore(at, size, pages) !== 0;
    libc.munmap(at, size);
    if (failed) throw new Error(`what memory has of ${path} is not told`);
    return pages.reduce((sum, page) => sum + (page & 1), 0) / pages.length;
  } finally {
    closeSync(file);
  }
}
