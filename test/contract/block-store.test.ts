/** Every store of blocks keeps the same promises; a new one joins by a line in `stores`. */
import { afterAll, describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import {
  type BlockStore,
  MemoryBlockStore,
  type StoreLimits,
} from "../../actors/kv/object/block-store.ts";
import { NatsBlocks } from "../../actors/kv/object/nats-blocks.ts";
import { RedisBlocks } from "../../actors/kv/object/redis-blocks.ts";
import { natsBus } from "../../runtime/real/nats-bus.ts";
import { redisClient } from "../../runtime/real/redis.ts";
import { isHere, lacksProgram } from "../support/needs.ts";
import { natsServer, redisServer, stopServers } from "../support/plane-servers.ts";

type Open = (limits: StoreLimits, space: string) => BlockStore;
const in_memory = new Map<string, BlockStore>();
const stores: Record<string, Open> = {
  memory: (limits, space) => {
    const store = in_memory.get(space) ?? new MemoryBlockStore(limits, () => performance.now());
    in_memory.set(space, store);
    return store;
  },
};
const closes: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of closes) await close();
  await stopServers();
});

if (isHere(lacksProgram("redis-server"), "blocks in a real redis-server")) {
  const { url } = await redisServer();
  const redis = redisClient({ url, client_name: "test", env: {} });
  await redis.ready(5_000);
  stores["a real redis-server"] = (limits, space) => new RedisBlocks(redis, space, limits);
  closes.push(() => redis.close());
}
if (isHere(lacksProgram("nats-server"), "blocks in a real nats-server")) {
  const folder = `${tmpdir()}/troupe-blocks-${process.pid}`;
  const { url } = await natsServer(["-js", "--store_dir", folder]);
  const bus = natsBus({ url, client_name: "test", env: {} });
  await bus.ready(5_000);
  stores["a real nats-server"] = (limits, space) => new NatsBlocks(bus, space, limits);
  closes.push(() => bus.close());
}

const roomy: StoreLimits = { capacity_bytes: 64 * 1024 * 1024, ttl_ms: 60_000 };
const bytes = (size: number, seed: number) => Uint8Array.from({ length: size }, (_, i) => i * seed);
let made = 0;
const space = () => `troupe.test-${made++}`;

describe.each(Object.entries(stores))("%s", (_, open) => {
  test("gives back what was put, also beyond a message's limit, and nothing else", async () => {
    const store = open(roomy, space());
    expect(await store.get("kind/1")).toBeUndefined();
    for (const size of [1, 300_000, 3_500_000]) {
      const given = bytes(size, 7);
      const kept = given.slice();
      await store.put("kind/1", given);
      given.fill(0);
      expect(Buffer.compare((await store.get("kind/1"))!, kept)).toBe(0);
    }
    expect(await store.get("kind/2")).toBeUndefined();
  });

  test("is shared by all that have its name, and by no others", async () => {
    const name = space();
    await open(roomy, name).put("a", bytes(10, 3));
    expect((await open(roomy, name).get("a"))?.length).toBe(10);
    expect(await open(roomy, space()).get("a")).toBeUndefined();
  });

  test("forgets the oldest beyond its capacity", async () => {
    const store = open({ ...roomy, capacity_bytes: 250_000 }, space());
    for (const name of ["a", "b", "c"]) await store.put(name, bytes(100_000, 3));
    expect(await store.get("a")).toBeUndefined();
    for (const name of ["b", "c"]) expect((await store.get(name))?.length).toBe(100_000);
  });

  test("forgets what is older than its time", async () => {
    const store = open({ ...roomy, ttl_ms: 300 }, space());
    await store.put("a", bytes(10, 3));
    const late_ms = performance.now() + 10_000;
    // Each look is a use, so there is time between them.
    do await Bun.sleep(400);
    while ((await store.get("a")) !== undefined && performance.now() < late_ms);
    expect(await store.get("a")).toBeUndefined();
  });
});
