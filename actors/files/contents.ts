/**
 * Bytes of files and of logs by name, in parts: written in order by one writer, read in order by
 * anybody. A name means nothing by itself: the record that names it says that it is whole.
 *
 *   FolderContents   a file of the data folder, for the processes of one machine
 *   StoreContents    records of at most CHUNK_BYTES in the store, for several machines
 */
import type { Files, Store } from "../../runtime/capabilities.ts";

export interface Contents {
  /** One writer a name; what was there before stays in front. */
  writer(name: string): ContentWriter;
  /** From byte `from` to the end as it is now; nothing where there is no such name. */
  read(name: string, from?: number): AsyncIterable<Uint8Array>;
  /** Names that begin with `prefix`, in order. */
  names(prefix: string): Promise<readonly string[]>;
  /** Another text whenever something was appended; undefined: there is no such name. */
  stamp(name: string): Promise<string | undefined>;
  remove(name: string): Promise<void>;
  /** Bytes that still fit; undefined: not known. */
  free_bytes(): Promise<number | undefined>;
}

export interface ContentWriter {
  append(bytes: Uint8Array): Promise<void>;
  /** Resolves when all that was appended would survive a loss of power. */
  sync(): Promise<void>;
}

export const CHUNK_BYTES = 256 * 1024;

export class FolderContents implements Contents {
  readonly #files: Files;
  readonly #folder: string;

  constructor(files: Files, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  writer(name: string): ContentWriter {
    const path = this.#pathOf(name);
    let made = false;
    return {
      append: async (bytes) => {
        if (!made) await this.#files.makeFolder(this.#folder);
        made = true;
        await this.#files.append(path, bytes);
      },
      sync: async () => {
        if (made) await this.#files.sync(path);
      },
    };
  }

  async *read(name: string, from = 0): AsyncIterable<Uint8Array> {
    const path = this.#pathOf(name);
    if ((await this.#files.size_bytes(path)) === undefined) return;
    for (let at = from; ; ) {
      const bytes = await this.#files.read(path, at, CHUNK_BYTES);
      if (bytes.length === 0) return;
      yield bytes;
      at += bytes.length;
    }
  }

  async names(prefix: string): Promise<readonly string[]> {
    try {
      const names = await this.#files.list(this.#folder);
      return names.filter((name) => name.startsWith(prefix)).sort();
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return [];
      throw error;
    }
  }

  async stamp(name: string): Promise<string | undefined> {
    const bytes = await this.#files.size_bytes(this.#pathOf(name));
    return bytes?.toString();
  }

  remove(name: string): Promise<void> {
    return this.#files.remove(this.#pathOf(name));
  }

  async free_bytes(): Promise<number | undefined> {
    try {
      return await this.#files.free_bytes(this.#folder);
    } catch {
      // The folder is made by the first writer.
      return undefined;
    }
  }

  #pathOf(name: string): string {
    return `${this.#folder}/${name}`;
  }
}

const CHUNKS = "content/";
/** Sorts behind every chunk of its name, and before every longer name. */
const PAST = "/~";

export class StoreContents implements Contents {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  writer(name: string): ContentWriter {
    let next: Promise<number> | undefined;
    return {
      append: async (bytes) => {
        next ??= this.#count(name);
        let number = await next;
        for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
          await this.#store.put(keyOf(name, number), bytes.subarray(at, at + CHUNK_BYTES));
          number += 1;
          next = Promise.resolve(number);
        }
      },
      sync: async () => {},
    };
  }

  async *read(name: string, from = 0): AsyncIterable<Uint8Array> {
    let skipped = 0;
    for (let number = 0; ; number += 1) {
      const bytes = await this.#store.get(keyOf(name, number));
      if (bytes === undefined) return;
      const first = Math.min(bytes.length, Math.max(0, from - skipped));
      skipped += bytes.length;
      if (first < bytes.length) yield bytes.subarray(first);
    }
  }

  async names(prefix: string): Promise<readonly string[]> {
    const names: string[] = [];
    for (let after = CHUNKS; ; ) {
      const [key] = await this.#store.list(CHUNKS + prefix, 1, after);
      if (key === undefined) return names;
      const name = key.slice(CHUNKS.length, key.lastIndexOf("/"));
      names.push(name);
      after = CHUNKS + name + PAST;
    }
  }

  async stamp(name: string): Promise<string | undefined> {
    const count = await this.#count(name);
    return count === 0 ? undefined : count.toString();
  }

  async remove(name: string): Promise<void> {
    for (;;) {
      const keys = await this.#store.list(`${CHUNKS}${name}/`, REMOVED_AT_ONCE);
      for (const key of keys) await this.#store.delete(key);
      if (keys.length < REMOVED_AT_ONCE) return;
    }
  }

  async free_bytes(): Promise<number | undefined> {
    return undefined;
  }

  async #count(name: string): Promise<number> {
    for (let number = 0; ; number += 1) {
      if ((await this.#store.get(keyOf(name, number))) === undefined) return number;
    }
  }
}

const REMOVED_AT_ONCE = 256;

const keyOf = (name: string, number: number): string =>
  `${CHUNKS}${name}/${number.toString().padStart(8, "0")}`;
