/** Records in one SQLite file: survives its process; the default where one machine is enough. */

import { Database, type Statement } from "bun:sqlite";
import type { Store } from "../capabilities.ts";
import { errorText } from "../error-text.ts";

export class StoreError extends Error {
  readonly code = "store_unusable";
}

type ValueRow = { value: Uint8Array };
type KeyRow = { key: string };

/**
 * A call holds the process up while another one writes, which takes well under a millisecond. So it
 * waits but shortly in SQLite itself, and then lets others have their turns before it tries again.
 */
const BUSY_MS = 10;
const AGAIN_MS = 10;
const TRIES = 250;

export class SqliteStore implements Store {
  readonly #database: Database;
  readonly #get: Statement<ValueRow, [string]>;
  readonly #put: Statement<unknown, [string, Uint8Array]>;
  readonly #create: Statement<unknown, [string, Uint8Array]>;
  readonly #replace: Statement<unknown, [string, Uint8Array, Uint8Array]>;
  readonly #delete: Statement<unknown, [string]>;
  readonly #list: Statement<KeyRow, [Uint8Array, Uint8Array, Uint8Array, number]>;

  /** `path` may be ":memory:". Throws StoreError when the file cannot be opened or is no store. */
  constructor(path: string) {
    try {
      this.#database = new Database(path, { create: true, strict: true });
      // Several processes of one machine may share the file, and open it at the same time.
      this.#database.run("PRAGMA busy_timeout = 1000");
      this.#database.run("PRAGMA journal_mode = WAL");
      this.#database.run("PRAGMA synchronous = NORMAL");
      this.#database.run(
        "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
      );
      this.#database.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
    } catch (error) {
      const why = errorText(error);
      throw new StoreError(`cannot use the store ${path}: ${why}; remove it or choose another`);
    }
    const database = this.#database;
    this.#get = database.query("SELECT value FROM records WHERE key = CAST(?1 AS BLOB)");
    this.#put = database.query(
      "INSERT INTO records VALUES (CAST(?1 AS BLOB), ?2) " +
        "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    );
    this.#create = database.query(
      "INSERT INTO records VALUES (CAST(?1 AS BLOB), ?2) ON CONFLICT (key) DO NOTHING",
    );
    this.#replace = database.query(
      "UPDATE records SET value = ?3 WHERE key = CAST(?1 AS BLOB) AND value = ?2",
    );
    this.#delete = database.query("DELETE FROM records WHERE key = CAST(?1 AS BLOB)");
    this.#list = database.query(
      "SELECT CAST(key AS TEXT) AS key FROM records WHERE key >= ?1 AND key < ?2 AND key > ?3 " +
        "ORDER BY key LIMIT ?4",
    );
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await unlocked(() => this.#get.get(key)))?.value;
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    const mine = value.slice();
    await unlocked(() => this.#put.run(key, mine));
  }

  async create(key: string, value: Uint8Array): Promise<boolean> {
    const mine = value.slice();
    return (await unlocked(() => this.#create.run(key, mine))).changes > 0;
  }

  async replace(key: string, was: Uint8Array, value: Uint8Array): Promise<boolean> {
    const [from, to] = [was.slice(), value.slice()];
    return (await unlocked(() => this.#replace.run(key, from, to))).changes > 0;
  }

  async delete(key: string): Promise<void> {
    await unlocked(() => this.#delete.run(key));
  }

  async list(prefix: string, limit: number, after = ""): Promise<readonly string[]> {
    const from = Buffer.from(prefix);
    // No UTF-8 text holds the byte 255, so this bound is past every key with the prefix.
    const to = Buffer.concat([from, Buffer.of(255)]);
    const behind = Buffer.from(after);
    return (await unlocked(() => this.#list.all(from, to, behind, limit))).map((row) => row.key);
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}

/** Tries again while another process writes. */
async function unlocked<T>(run: () => T): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return run();
    } catch (error) {
      const { code } = error as { code?: unknown };
      const isLocked = typeof code === "string" && code.startsWith("SQLITE_BUSY");
      if (!isLocked || tries >= TRIES) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
