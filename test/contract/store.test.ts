/** Every store keeps the same promises; a new one joins by a line in `stores`. */

import { Database } from "bun:sqlite";
import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import type { Store } from "../../runtime/capabilities.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { dataFolder, realStore } from "../../runtime/real/stores.ts";
import { MemoryStore } from "../../runtime/store/memory.ts";
import { OpenedLateStore } from "../../runtime/store/opened-late.ts";
import { RedisStore } from "../../runtime/store/redis.ts";
import { SqliteStore, StoreError } from "../../runtime/store/sqlite.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { redisServer, stopServers } from "../support/plane-servers.ts";

const stores: Record<string, (folder: string) => Store> = {
  memory: () => new MemoryStore(),
  sqlite: (folder) => new SqliteStore(join(folder, "store.sqlite")),
  "opened late": (folder) =>
    new OpenedLateStore(async () => new SqliteStore(join(folder, "store.sqlite"))),
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

    test("creates where nothing is, replaces what is as it was", async () => {
      const store = open(folder());
      expect(await store.replace("a", bytes(1), bytes(2))).toBe(false);
      expect(await store.get("a")).toBeUndefined();
      expect(await store.create("a", bytes(1))).toBe(true);
      expect(await store.create("a", bytes(2))).toBe(false);
      expect([...((await store.get("a")) ?? [])]).toEqual([1]);
      expect(await store.list("", 10)).toEqual(["a"]);
      expect(await store.replace("a", bytes(1, 0), bytes(3))).toBe(false);
      expect(await store.replace("a", bytes(1), bytes(0, 255))).toBe(true);
      expect(await store.replace("a", bytes(0, 255), bytes())).toBe(true);
      expect(await store.replace("a", bytes(), bytes(4))).toBe(true);
      expect([...((await store.get("a")) ?? [])]).toEqual([4]);
      await store.delete("a");
      expect(await store.create("a", bytes(5))).toBe(true);
      await store.close();
    });

    test("of many that create or replace at once, one does", async () => {
      const store = open(folder());
      const all = Array.from({ length: 20 }, (_, i) => bytes(i));
      const created = await Promise.all(all.map((value) => store.create("a", value)));
      expect(created.filter((won) => won).length).toBe(1);
      const was = (await store.get("a")) ?? bytes();
      const replaced = await Promise.all(
        all.map((value) => store.replace("a", was, bytes(100, ...value))),
      );
      expect(replaced.filter((won) => won).length).toBe(1);
      await store.close();
    });

    test("lists on behind a key, whether it is there or not", async () => {
      const store = open(folder());
      for (const key of ["a/1", "b/1", "b/3", "b/é", "b/\u{1f600}", "c"]) {
        await store.put(key, bytes(1));
      }
      const all = await store.list("b/", 10);
      expect(await store.list("b/", 1, "b/1")).toEqual(["b/3"]);
      expect(await store.list("b/", 10, "b/2")).toEqual(all.slice(1));
      expect(await store.list("b/", 10, "a/1")).toEqual(all);
      expect(await store.list("b/", 10, "b/")).toEqual(all);
      expect(await store.list("b/", 10, all.at(-1))).toEqual([]);
      expect(await store.list("b/", 10, "c")).toEqual([]);
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
        { numRuns: 15 },
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

test("sqlite: two processes' stores on one file see each other's records and claims", async () => {
  const path = join(folder(), "store.sqlite");
  const stores = [new SqliteStore(path), new SqliteStore(path)] as const;
  const claims = await Promise.all(
    Array.from({ length: 40 }, (_, i) => stores[i % 2]!.create(`a/${i >> 2}`, bytes(i))),
  );
  expect(claims.filter((won) => won).length).toBe(10);
  expect(await stores[0].list("a/", 100)).toEqual(await stores[1].list("a/", 100));
  for (const store of stores) await store.close();
});

test("sqlite: a writer who waits for another one lets the rest of its process run", async () => {
  const path = join(folder(), "store.sqlite");
  const store = new SqliteStore(path);
  const other = new Database(path);
  other.run("BEGIN IMMEDIATE");
  const put = store.put("a", bytes(1));
  const others_turn = new Promise((resolve) => setTimeout(() => resolve("a turn"), 1));
  expect(await Promise.race([put.then(() => "put"), others_turn])).toBe("a turn");
  other.run("COMMIT");
  await put;
  expect([...((await store.get("a")) ?? [])]).toEqual([1]);
  other.close();
  await store.close();
});

test("opened late: nothing is opened before the first use, and a failure is tried again", async () => {
  let opened = 0;
  const store = new OpenedLateStore(async () => {
    opened += 1;
    if (opened === 1) throw new StoreError("not now");
    return new MemoryStore();
  });
  await store.close();
  expect(opened).toBe(0);
  await expect(store.get("a")).rejects.toThrow("not now");
  await store.put("a", bytes(1));
  expect([...((await store.get("a")) ?? [])]).toEqual([1]);
  expect(opened).toBe(2);
});

test("records lie in the given folder, in one of the port, or in the run's for any port", () => {
  const data = process.env["XDG_DATA_HOME"];
  process.env["XDG_DATA_HOME"] = "/home/x/data";
  try {
    expect(dataFolder("/srv/here", 8000, "/run")).toBe("/srv/here");
    expect(dataFolder("", 8000, "/run")).toBe("/home/x/data/troupe/port-8000");
    expect(dataFolder("", 0, "/run")).toBe("/run/data");
  } finally {
    if (data === undefined) delete process.env["XDG_DATA_HOME"];
    else process.env["XDG_DATA_HOME"] = data;
  }
});

test("a folder that cannot be made is said with what to do", async () => {
  const file = join(folder(), "file");
  writeFileSync(file, "");
  const place = { planes: undefined, namespace: "x", data_folder: join(file, "below") };
  const store = realStore(place, "test", {});
  await expect(store.get("a")).rejects.toThrow("give another --data-dir");
});
