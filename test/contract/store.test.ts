/** Every store keeps the same promises; a new one joins by a line in `stores`. */
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Store } from "../../runtime/capabilities.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { MemoryStore } from "../../runtime/store/memory.ts";
import { RedisStore } from "../../runtime/store/redis.ts";
import { SqliteStore, StoreError } from "../../runtime/store/sqlite.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { redisServer, stopServers } from "../support/plane-servers.ts";

const stores: Record<string, (folder: string) => Store> = {
  memory: () => new MemoryStore(),
  sqlite: (folder) => new SqliteStore(join(folder, "store.sqlite")),
};

if (isHere(lacksProgram("redis-server"), "a store in a real redis-server")) {
  const { url } = await redisServer();
  const redis = redisClient({ url, client_name: "test", env: {} });
  await redis.ready(5_000);
  // A store of its own for each test: the namespace is the test's folder.
  stores["a real redis-server"] = (folder) => new RedisStore(redis, `troupe:${folder}:${made++}`);
  afterAll(async () => {
    await redis.close();
    await stopServers();
  });
}
let made = 0;

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const folders: string[] = [];
function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "troupe-store-"));
  folders.push(made);
  return made;
}
afterEach(() => {
  for (const made of folders.splice(0)) rmSync(made, { recursive: true });
});

for (const [name, open] of Object.entries(stores)) {
  describe(name, () => {
    test("gives back what was put, the last value wins, an empty value is a value", async () => {
      const store = open(folder());
      expect(await store.get("a")).toBeUndefined();
      await store.put("a", bytes(1, 2, 0, 255));
      expect([...((await store.get("a")) ?? [])]).toEqual([1, 2, 0, 255]);
      await store.put("a", bytes());
      expect((await store.get("a"))?.length).toBe(0);
      await store.delete("a");
      await store.delete("a");
      expect(await store.get("a")).toBeUndefined();
      await store.close();
    });

    test("what the caller does to its bytes afterwards changes no record", async () => {
      const store = open(folder());
      const mine = bytes(1, 2, 3);
      await store.put("a", mine);
      mine[0] = 9;
      const read = (await store.get("a")) as Uint8Array;
      expect(read.constructor).toBe(Uint8Array);
      expect(read[0]).toBe(1);
      read[1] = 9;
      expect((await store.get("a"))?.[1]).toBe(2);
      await store.close();
    });

    test("lists by prefix in byte order, at most as many as asked", async () => {
      const store = open(folder());
      const keys = ["b/1", "b/10", "b/2", "b", "c", "b/\u{1f600}", "b/\uffee", "b/é", "b0", "%_"];
      for (const key of keys) await store.put(key, bytes(1));
      const order = (a: string, b: string): number =>
        Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect(await store.list("b/", 100)).toEqual(
        keys.filter((key) => key.startsWith("b/")).sort(order),
      );
      expect(await store.list("", 100)).toEqual([...keys].sort(order));
      expect(await store.list("b/", 2)).toEqual(["b/1", "b/10"]);
      expect(await store.list("%", 10)).toEqual(["%_"]);
      expect(await store.list("zzz", 10)).toEqual([]);
      await store.close();
    });

    test("agrees with a map after any sequence of puts and deletes", async () => {
      const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 4 });
      const step = fc.record({
        key,
        value: fc.option(fc.uint8Array({ maxLength: 16 }), { nil: undefined }),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const store = open(folder());
          const model = new Map<string, Uint8Array>();
          for (const { key, value } of steps) {
            if (value === undefined) {
              await store.delete(key);
              model.delete(key);
            } else {
              await store.put(key, value);
              model.set(key, value);
            }
          }
          expect([...(await store.list("", 1000))].sort()).toEqual([...model.keys()].sort());
          for (const [key, value] of model) {
            expect([...((await store.get(key)) ?? [])]).toEqual([...value]);
          }
          await store.close();
        }),
        { numRuns: 40 },
      );
    });
  });
}

test("sqlite: records are there after closing and opening again", async () => {
  const place = folder();
  const first = new SqliteStore(join(place, "store.sqlite"));
  await first.put("kept", bytes(7));
  await first.close();
  const second = new SqliteStore(join(place, "store.sqlite"));
  expect([...((await second.get("kept")) ?? [])]).toEqual([7]);
  await second.close();
});

test("sqlite: a file that is no store is refused with a clear error", () => {
  const path = join(folder(), "store.sqlite");
  writeFileSync(path, "this is not a database, and it is long enough to be looked at as one");
  expect(() => new SqliteStore(path)).toThrow(StoreError);
});
