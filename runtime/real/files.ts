/** The real file system. Errors are Node's, with their `code` (ENOENT, ENOSPC …). */
import { appendFile, mkdir, open, readdir, rename, rm, stat, statfs } from "node:fs/promises";
import type { Files } from "../capabilities.ts";

export function realFiles(): Files {
  return {
    read,
    size_bytes,
    stamp,
    list: async (folder) => (await readdir(folder)).sort(),
    makeFolder: async (path) => void (await mkdir(path, { recursive: true })),
    append: (path, bytes) => appendFile(path, bytes),
    sync,
    write: async (path, bytes) => void (await Bun.write(path, bytes)),
    rename: (from, to) => rename(from, to),
    remove: (path) => rm(path, { force: true, recursive: true }),
    free_bytes: async (folder) => {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
  };
}

async function read(path: string, from_byte = 0, length_bytes?: number): Promise<Uint8Array> {
  const file = await open(path, "r");
  try {
    const rest = Math.max(0, (await file.stat()).size - from_byte);
    const bytes = new Uint8Array(Math.min(rest, length_bytes ?? rest));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(
        bytes,
        filled,
        bytes.length - filled,
        from_byte + filled,
      );
      // The file became shorter while it was read.
      if (bytesRead === 0) return bytes.subarray(0, filled);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

async function size_bytes(path: string): Promise<number | undefined> {
  return (await existing(path))?.size;
}

async function stamp(path: string): Promise<string | undefined> {
  const found = await existing(path);
  return found && `${found.ino}.${found.mtimeMs}.${found.size}`;
}

async function existing(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}
