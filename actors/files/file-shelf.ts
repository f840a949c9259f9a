/**
 * The files of all owners: records in the store, bytes in contents. A file is there from the moment
 * that its record is, which is written last and deleted first; what a crash leaves before or after
 * is swept later.
 */
import type { Clock, Random, Store } from "../../runtime/capabilities.ts";
import type { Contents, ContentWriter } from "./contents.ts";
import {
  behindFile,
  EXPIRIES,
  expiryEntry,
  expiryKey,
  FILE_PREFIX,
  type FilePurpose,
  type FileRecord,
  fileKey,
  fileTime_ms,
  ownedEntry,
  ownedKey,
  ownedPrefix,
  usesPrefix,
} from "./file-record.ts";
import { timedId, timeOf } from "./ids.ts";

export type FileLimits = {
  /** Files of one owner. */
  readonly files: number;
  /** All files of one owner. */
  readonly owner_bytes: number;
  /** One file. */
  readonly file_bytes: number;
  /** Uploads at once, of this process. */
  readonly uploads: number;
};

export const fileLimits: FileLimits = {
  files: 10_000,
  owner_bytes: 20 * 1024 ** 3,
  file_bytes: 512 * 1024 ** 2,
  uploads: 32,
};

export type ShelfRefusal =
  | "too_many_uploads"
  | "too_many_files"
  | "file_storage_full"
  | "file_too_large";

/** What an upload may not do. */
export class ShelfError extends Error {
  readonly code: ShelfRefusal;

  constructor(code: ShelfRefusal, message: string) {
    super(message);
    this.code = code;
  }
}

export type ShelfParts = {
  readonly store: Store;
  readonly contents: Contents;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits?: FileLimits;
};

export type FileFacts = {
  readonly owner: string;
  readonly filename: string;
  readonly purpose: FilePurpose;
  /** Seconds after its creation; undefined: it stays. */
  readonly expires_after_s?: number | undefined;
};

/** A file that is being written. */
export interface NewFile {
  readonly id: string;
  /** Rejects with ShelfError when it would be too large. */
  append(bytes: Uint8Array): Promise<void>;
  /** From now on it is there. */
  keep(facts: FileFacts): Promise<FileRecord>;
  /** It never was. */
  drop(): Promise<void>;
}

export type Page<T> = { readonly items: readonly T[]; readonly has_more: boolean };

/** An upload has no longer a pause than half of this: who stands still is not written any more. */
const QUIET_MS = 120_000;
/** What is made again is written by somebody who may wait for something else. */
const ORPHAN_MS = 3_600_000;
const SWEPT_AT_ONCE = 64;

type Quiet = Map<string, { readonly stamp: string | undefined; readonly since_ms: number }>;

export class FileShelf {
  readonly #parts: ShelfParts;
  readonly limits: FileLimits;
  /** Ids of uploads under way. */
  readonly #uploads = new Set<string>();
  /** Contents that a record names, as the last sweep found it. */
  #kept = new Set<string>();
  /** Uploads without a record that do not grow, and since when. */
  #quiet: Quiet = new Map();

  constructor(parts: ShelfParts) {
    this.#parts = parts;
    this.limits = parts.limits ?? fileLimits;
  }

  get contents(): Contents {
    return this.#parts.contents;
  }

  /** Rejects with ShelfError when the owner keeps as many files, or bytes, as one may. */
  async checkRoom(owner: string): Promise<void> {
    const { files, owner_bytes, uploads } = this.limits;
    if (this.#uploads.size >= uploads) {
      const message = `This server takes ${uploads} uploads at once. Try again in a moment.`;
      throw new ShelfError("too_many_uploads", message);
    }
    const keys = await this.#parts.store.list(ownedPrefix(owner), files);
    if (keys.length >= files) {
      throw new ShelfError(
        "too_many_files",
        `There are ${files} files already, which is the most. Delete some.`,
      );
    }
    const kept_bytes = keys.reduce((sum, key) => sum + ownedEntry(key).bytes, 0);
    if (kept_bytes >= owner_bytes) {
      throw new ShelfError(
        "file_storage_full",
        `The files that are kept have ${owner_bytes} bytes together, which is the most. Delete some.`,
      );
    }
  }

  /** `id`: of a file that is made again after a crash, with the same id. */
  begin(id?: string): NewFile {
    const { contents, clock, random } = this.#parts;
    const own = id ?? timedId(FILE_PREFIX, clock.wall_ms(), random);
    // A second maker of the same file writes bytes of its own; the record says whose count.
    const content = id === undefined ? own : `${own}.${timedId("", clock.wall_ms(), random)}`;
    const writer: ContentWriter = contents.writer(content);
    if (id === undefined) this.#uploads.add(own);
    let bytes = 0;
    return {
      id: own,
      append: async (more) => {
        bytes += more.byteLength;
        // What this server writes itself is as long as it is.
        if (id === undefined && bytes > this.limits.file_bytes)
          throw tooLarge(this.limits.file_bytes);
        await writer.append(more);
      },
      keep: async ({ owner, filename, purpose, expires_after_s }) => {
        await writer.sync();
        this.#uploads.delete(own);
        const created_at = Math.floor(clock.wall_ms() / 1_000);
        const expires = expires_after_s && { expires_at: created_at + expires_after_s };
        const facts = { id: own, owner, bytes, created_at, filename, purpose, content };
        const file: FileRecord = { ...facts, ...(expires || {}) };
        await this.#put(file);
        return file;
      },
      drop: () => {
        this.#uploads.delete(own);
        return contents.remove(content);
      },
    };
  }

  async #put(file: FileRecord): Promise<void> {
    const { store } = this.#parts;
    await store.put(ownedKey(file), NOTHING);
    if (file.expires_at !== undefined)
      await store.put(expiryKey(file.expires_at, file.id), NOTHING);
    await store.put(fileKey(file.id), jsonBytes(file));
  }

  /** As `get`, also when it has expired: somebody still reads it. */
  async kept(owner: string, id: string): Promise<FileRecord | undefined> {
    const file = await this.#record(id);
    return file?.owner === owner ? file : undefined;
  }

  /** The owner's file; undefined also when it has expired. */
  async get(owner: string, id: string): Promise<FileRecord | undefined> {
    const file = await this.kept(owner, id);
    return file === undefined || this.#isOver(file) ? undefined : file;
  }

  /** The newest first, behind the file `after`; all purposes without `purpose`. */
  async list(
    owner: string,
    limit: number,
    { after, purpose, oldest_first = false }: ListWhich = {},
  ): Promise<Page<FileRecord>> {
    const items: FileRecord[] = [];
    for await (const file of this.#owned(owner, after, oldest_first)) {
      if (purpose !== undefined && file.purpose !== purpose) continue;
      if (items.length === limit) return { items, has_more: true };
      items.push(file);
    }
    return { items, has_more: false };
  }

  async *#owned(owner: string, after: string | undefined, oldest_first: boolean) {
    const { store } = this.#parts;
    const behind = after === undefined ? undefined : behindFile(owner, after);
    let keys = oldest_first
      ? await this.#upwards(owner, after)
      : await store.list(ownedPrefix(owner), LISTED_AT_ONCE, behind);
    while (keys.length > 0) {
      for (const key of keys) {
        const file = await this.get(owner, ownedEntry(key).id);
        if (file !== undefined) yield file;
      }
      if (oldest_first) return;
      keys = await store.list(ownedPrefix(owner), LISTED_AT_ONCE, keys.at(-1));
    }
  }

  async #upwards(owner: string, after: string | undefined): Promise<readonly string[]> {
    const keys = await this.#parts.store.list(ownedPrefix(owner), this.limits.files);
    const ids = keys.map((key) => ownedEntry(key).id);
    const end = after === undefined ? keys.length : Math.max(0, ids.indexOf(after));
    return keys.slice(0, end).reverse();
  }

  /** Also a file that somebody reads now; who uses it is asked before. */
  async delete(file: FileRecord): Promise<void> {
    const { store, contents } = this.#parts;
    await store.delete(fileKey(file.id));
    await store.delete(ownedKey(file));
    if (file.expires_at !== undefined) await store.delete(expiryKey(file.expires_at, file.id));
    await contents.remove(file.content);
  }

  read(file: FileRecord): AsyncIterable<Uint8Array> {
    return this.#parts.contents.read(file.content);
  }

  // ---- who needs a file ------------------------------------------------------------------------

  use(id: string, user: string): Promise<void> {
    return this.#parts.store.put(usesPrefix(id) + user, NOTHING);
  }

  unuse(id: string, user: string): Promise<void> {
    return this.#parts.store.delete(usesPrefix(id) + user);
  }

  /** One of those who need it; undefined: nobody does. */
  async userOf(id: string): Promise<string | undefined> {
    const [key] = await this.#parts.store.list(usesPrefix(id), 1);
    return key?.slice(usesPrefix(id).length);
  }

  // ---- what nobody asks for any more -----------------------------------------------------------

  /** Removes what has expired, and bytes of which no record knows. Some at a time. */
  async sweep(): Promise<void> {
    const { store, clock } = this.#parts;
    const now_ms = clock.wall_ms();
    for (const key of await store.list(EXPIRIES, SWEPT_AT_ONCE)) {
      const { id, at_ms } = expiryEntry(key);
      if (at_ms > now_ms) break;
      if ((await this.userOf(id)) !== undefined) continue;
      const file = await this.#record(id);
      if (file !== undefined) await this.delete(file);
      await store.delete(key);
    }
    await this.#sweepOrphans(now_ms);
  }

  async #sweepOrphans(now_ms: number): Promise<void> {
    const { contents } = this.#parts;
    const names = await contents.names(FILE_PREFIX);
    const kept = new Set<string>();
    const quiet: Quiet = new Map();
    let swept = 0;
    for (const name of names) {
      const [id = ""] = name.split(".");
      // A record that was there names its content until it is deleted, and that goes with it.
      if (this.#kept.has(name) || (await this.#record(id))?.content === name) {
        kept.add(name);
        continue;
      }
      if (swept < SWEPT_AT_ONCE && (await this.#isOrphan(name, now_ms, quiet))) {
        await contents.remove(name);
        swept += 1;
      }
    }
    this.#kept = kept;
    this.#quiet = quiet;
  }

  /** True: nobody writes it any more. Its writer may be a process that is gone. */
  async #isOrphan(name: string, now_ms: number, quiet: Quiet): Promise<boolean> {
    const [id = "", again] = name.split(".");
    // A file that is made again has an old id, and bytes with a time of their own.
    if (again !== undefined) return now_ms - (timeOf(again, "") ?? now_ms) >= ORPHAN_MS;
    if (this.#uploads.has(id)) return false;
    const stamp = await this.#parts.contents.stamp(name);
    const before = this.#quiet.get(name);
    const since_ms = before !== undefined && before.stamp === stamp ? before.since_ms : now_ms;
    quiet.set(name, { stamp, since_ms });
    return now_ms - since_ms >= QUIET_MS;
  }

  async #record(id: string): Promise<FileRecord | undefined> {
    if (fileTime_ms(id) === undefined) return undefined;
    const bytes = await this.#parts.store.get(fileKey(id));
    return bytes === undefined ? undefined : (JSON.parse(text.decode(bytes)) as FileRecord);
  }

  #isOver({ expires_at }: FileRecord): boolean {
    return expires_at !== undefined && expires_at * 1_000 <= this.#parts.clock.wall_ms();
  }
}

export type ListWhich = {
  readonly after?: string | undefined;
  readonly purpose?: string | undefined;
  readonly oldest_first?: boolean;
};

const LISTED_AT_ONCE = 100;
const NOTHING = new Uint8Array(0);
const text = new TextDecoder();
const jsonBytes = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const tooLarge = (limit_bytes: number) =>
  new ShelfError(
    "file_too_large",
    `A file has at most ${limit_bytes} bytes. Send what it holds as several files.`,
  );
