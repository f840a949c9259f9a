/** A file system in memory, shared by all processes of a simulated machine. */
import type { Files } from "../../../runtime/capabilities.ts";

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: no such file or directory, ${path}`), { code: "ENOENT" });
}

export function memoryFiles(content: ReadonlyMap<string, Uint8Array>): Files {
  const files = new Map(content);
  const bytesOf = (path: string): Uint8Array => {
    const bytes = files.get(path);
    if (bytes === undefined) throw missing(path);
    return bytes;
  };
  return {
    read: async (path, from_byte = 0, length_bytes = Number.POSITIVE_INFINITY) =>
      bytesOf(path).slice(from_byte, from_byte + length_bytes),
    stamp: async (path) => {
      const bytes = files.get(path);
      return bytes && Bun.hash(bytes).toString();
    },
    size_bytes: async (path) => files.get(path)?.length,
    list: async (folder) => {
      const start = `${folder.replace(/\/+$/, "")}/`;
      const names = [...files.keys()].filter((path) => path.startsWith(start));
      if (names.length === 0) throw missing(folder);
      return [...new Set(names.map((path) => path.slice(start.length).split("/")[0] ?? ""))].sort();
    },
    makeFolder: async () => {},
    append: async (path, bytes) => {
      files.set(path, Buffer.concat([files.get(path) ?? new Uint8Array(0), bytes]));
    },
    sync: async () => {},
    write: async (path, bytes) => void files.set(path, bytes.slice()),
    rename: async (from, to) => {
      files.set(to, bytesOf(from));
      files.delete(from);
    },
    remove: async (path) => {
      for (const name of [...files.keys()]) {
        if (name === path || name.startsWith(`${path}/`)) files.delete(name);
      }
    },
    free_bytes: async () => 1e12,
  };
}
