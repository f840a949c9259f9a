/** Where the virtual connector keeps its keys; a new place joins by a line in `places`. */
import { afterAll, describe, expect, test } from "bun:test";
import { VirtualConnector } from "../../actors/planner/connect/virtual.ts";
import { VirtualClient } from "../../actors/planner/connect/virtual-client.ts";
import { type PlanKeys, redisKeys, storeKeys } from "../../actors/planner/connect/virtual-keys.ts";
import { realClock } from "../../runtime/real/clock.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { MemoryStore } from "../../runtime/store/memory.ts";
import { RedisStore } from "../../runtime/store/redis.ts";
import { SqliteStore } from "../../runtime/store/sqlite.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { redisServer, stopServers } from "../support/plane-servers.ts";

let made = 0;
const clock = realClock();
const log = { log: () => {} };

const places: Record<string, () => PlanKeys> = {
  memory: () => storeKeys(new MemoryStore(), "test"),
  sqlite: () => storeKeys(new SqliteStore(":memory:"), "test"),
};

if (isHere(lacksProgram("redis-server"), "keys in a real redis-server")) {
  const { url } = await redisServer();
  const redis = redisClient({ url, client_name: "test", env: {} });
  await redis.ready(5_000);
  places["redis, as plain keys"] = () => redisKeys(redis, `test${made++}`);
  places["redis, as a store"] = () => storeKeys(new RedisStore(redis, `test${made++}`), "test");
  afterAll(async () => {
    await redis.close();
    await stopServers();
  });

  test("a launcher in any language reads and writes the plain keys, by Dynamo's names", async () => {
    const keys = redisKeys(redis, "dynamo");
    const planner = new VirtualConnector({ keys, clock, log, planner: "p", mode: "disagg" });
    const adding = planner.add({ change: "a", epoch: 1, model: "m" }, "decode", 2);
    const told = await new VirtualClient({ keys, clock }).wait(10_000);
    expect(told?.num_decode_workers).toBe(2);
    const value = await redis.call("GET", ["/dynamo/planner/num_decode_workers"]);
    expect(Buffer.from(value as Uint8Array).toString()).toBe("2");
    // It tells nobody of its write, so the planner finds it at its next look.
    await redis.call("SET", ["/dynamo/planner/scaled_decision_id", "0"]);
    expect((await adding).kind).toBe("added");
    planner.close();
  });

  test.each([
    ["bytes that are no text", "SET", new Uint8Array([0xc3, 0x28, 0xff])],
    ["a list", "RPUSH", "x"],
  ])("a record that is %s is replaced, and the plain keys beside it hold", async (...row) => {
    const [name, command, value] = row;
    const keys = redisKeys(redis, `broken ${name}`);
    await keys.put([
      ["num_decode_workers", "3"],
      ["decision_id", "7"],
      ["scaled_decision_id", "7"],
    ]);
    await redis.call(command, [keys.nameOf("decision"), value]);
    const planner = new VirtualConnector({ keys, clock, log, planner: "p", mode: "disagg" });
    await planner.lead("m", 1);
    expect((await planner.view("m"))?.workers).toHaveLength(3);
    const adding = planner.add({ change: "a", epoch: 1, model: "m" }, "decode", 1);
    const client = new VirtualClient({ keys, clock, poll_ms: 5 });
    const told = await client.wait(10_000);
    expect(told).toMatchObject({ num_decode_workers: 4, decision_id: 8 });
    if (told !== undefined) await client.complete(told);
    expect((await adding).kind).toBe("added");
    planner.close();
  });
}

for (const [name, open] of Object.entries(places)) {
  describe(name, () => {
    test("replaces what is as it was, with all that goes with it, and else nothing", async () => {
      const keys = open();
      const all = ["guard", "one", "two"];
      expect(await keys.read(all)).toEqual([undefined, undefined, undefined]);
      expect(await keys.replace("guard", "1", "2", [["one", "x"]])).toBe(false);
      expect(await keys.read(all)).toEqual([undefined, undefined, undefined]);
      const mirror = [["one", "a"] as const, ["two", "b"] as const];
      expect(await keys.replace("guard", undefined, "", mirror)).toBe(true);
      expect(await keys.read(all)).toEqual(["", "a", "b"]);
      expect(await keys.replace("guard", undefined, "2", [["one", "x"]])).toBe(false);
      expect(await keys.replace("guard", "", "2", [["one", "é"]])).toBe(true);
      expect(await keys.read(all)).toEqual(["2", "é", "b"]);
      await keys.put([
        ["two", "c"],
        ["one", "d"],
      ]);
      expect(await keys.read(all)).toEqual(["2", "d", "c"]);
    });

    test("no client ever reads numbers of two decisions", async () => {
      const keys = open();
      const planner = new VirtualConnector({
        ...{ keys, clock, log, planner: "p", mode: "disagg", poll_ms: 1, patience_ms: 60_000 },
      });
      const client = new VirtualClient({ keys, clock, poll_ms: 1 });
      const seen = new Set<number>();
      let over = false;
      const reader = (async () => {
        while (!over) {
          const told = await client.get();
          seen.add(told.decision_id);
          expect(told.num_decode_workers).toBe(told.num_prefill_workers);
          await Bun.sleep(0);
        }
      })();
      for (let i = 0; i < 40; i++) {
        const both = Promise.all([
          planner.add({ change: `p${i}`, epoch: 1, model: "m" }, "prefill", 1),
          planner.add({ change: `d${i}`, epoch: 1, model: "m" }, "decode", 1),
        ]);
        const told = await client.wait(10_000);
        expect(told?.decision_id).toBe(i);
        if (told !== undefined) await client.complete(told);
        await both;
      }
      over = true;
      await reader;
      expect(seen.size).toBeGreaterThan(5);
      planner.close();
    });
  });
}
