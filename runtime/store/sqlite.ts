/** Records in one SQLite file: survives its process; the default where one machine is enough. */

import { Database, type Statement } from "bun:sqlite";
import type { Store } from "../capabilities.ts";
import { errorText } from "../error-text.ts";

export class StoreError extends Error {
  readonly code = "store_unusable";
}

type ValueRow = { value: Uint8Array };
type KeyRow = { key: string };

export class SqliteStore implements Store {
  readonly #database: Database;
  readonly #get: Statement<ValueRow, [string]>;
  readonly #put: Statement<unknown, [string, Uint8Array]>;
  readonly #delete: Statement<unknown, [string]>;
  readonly #list: Statement<KeyRow, [Uint8Array, Uint8Array, number]>;

  /** `path` may be ":memory:". Throws StoreError when the file cannot be opened or is no store. */
  constructor(path: string) {
    try {
      this.#database = new Database(path, { create: true, strict: true });
      // Several processes of one machine may share the file: wait for a writer instead of failing.
      this.#database.run("PRAGMA busy_timeout = 5000");
      this.#database.run("PRAGMA journal_mode = WAL");
      this.#database.run("PRAGMA synchronous = NORMAL");
      this.#database.run(
        "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
      );
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
    this.#delete = database.query("DELETE FROM records WHERE key = CAST(?1 AS BLOB)");
    this.#list = database.query(
      "SELECT CAST(key AS TEXT) AS key FROM records WHERE key >= ?1 AND key < ?2 " +
        "ORDER BY key LIMIT ?3",
    );
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return this.#get.get(key)?.value;
  }

  async put(key: string, value: Uint8Array): Promise<void> {
    this.#put.run(key, value);
  }

  async delete(key: string): Promise<void> {
    this.#delete.run(key);
  }

  async list(prefix: string, limit: number): Promise<readonly string[]> {
    const from = Buffer.from(prefix);
    // No UTF-8 text holds the byte 255, so this bound is past every key with the prefix.
    const to = Buffer.concat([from, Buffer.of(255)]);
    return this.#list.all(from, to, limit).map((row) => row.key);
  }

  async close(): Promise<void> {
    this.#database.close();
  }
}
