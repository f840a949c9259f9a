/** Events from workers to the router's index, over a network that does what networks do. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { KvEvents } from "../../../proto/index.ts";
import { type Fate, KvWorld, someHashes } from "../../support/worlds/kv-world.ts";

describe("a worker that publishes", () => {
  test("is known by its dump, then by its events", async () => {
    const world = new KvWorld();
    const [early, later] = [someHashes(5, 1), someHashes(3, 2)];
    world.start("w0");
    world.store("w0", early);
    world.feed.workerUp(world.workers.get("w0")!.record);
    await world.clock.advance(50);
    expect(world.state("w0")).toBe("live");
    expect(world.matched("w0", early)).toBe(5);
    world.store("w0", later, { rank: 3 });
    world.remove("w0", early.subarray(2, 3));
    await world.clock.advance(5);
    expect(world.matched("w0", later, 3)).toBe(3);
    expect(world.matched("w0", early)).toBe(2);
  });

  test("keeps blocks whose parents are not known, and counts them once they are", async () => {
    const world = new KvWorld();
    world.up("w0");
    await world.clock.advance(5);
    const chain = someHashes(8, 1);
    world.store("w0", chain.subarray(4));
    await world.clock.advance(5);
    expect(world.matched("w0", chain)).toBe(0);
    world.store("w0", chain.subarray(0, 4));
    await world.clock.advance(5);
    expect(world.matched("w0", chain)).toBe(8);
  });

  test("a lost event is fetched when the next one shows the gap", async () => {
    const world = new KvWorld();
    world.up("w0");
    await world.clock.advance(5);
    const [a, b] = [someHashes(2, 1), someHashes(2, 2)];
    world.fates.push("lost");
    world.store("w0", a);
    await world.clock.advance(5);
    expect(world.matched("w0", a)).toBe(0);
    world.store("w0", b);
    await world.clock.advance(5);
    expect([world.matched("w0", a), world.matched("w0", b)]).toEqual([2, 2]);
    expect(world.metrics.render()).toContain("troupe_router_kv_gaps_total 1");
  });

  test("a lost last event is noticed by the heartbeat", async () => {
    const world = new KvWorld();
    world.up("w0");
    await world.clock.advance(5);
    const a = someHashes(2, 1);
    world.fates.push("lost");
    world.store("w0", a);
    await world.clock.advance(2_000);
    expect(world.matched("w0", a)).toBe(2);
  });

  test("what the ring has lost comes as a dump", async () => {
    const world = new KvWorld({ ring_events: 4 });
    world.up("w0");
    await world.clock.advance(5);
    const all = Array.from({ length: 9 }, (_, i) => someHashes(2, i));
    for (const hashes of all) {
      world.fates.push("lost");
      world.store("w0", hashes);
      await world.clock.advance(1);
    }
    await world.clock.advance(2_000);
    expect(all.map((hashes) => world.matched("w0", hashes))).toEqual(all.map(() => 2));
    expect(world.metrics.render()).toContain("troupe_router_kv_dumps_total 1");
  });

  test("events told twice or late change nothing", async () => {
    const world = new KvWorld();
    world.up("w0");
    await world.clock.advance(5);
    const a = someHashes(2, 1);
    world.fates.push("twice");
    world.store("w0", a);
    await world.clock.advance(5);
    world.fates.push("late");
    world.remove("w0", a);
    await world.clock.advance(5);
    world.store("w0", a);
    await world.clock.advance(5);
    world.release();
    expect(world.matched("w0", a)).toBe(2);
  });

  test("its next life starts from nothing, and the last life's late words are not heard", async () => {
    const world = new KvWorld();
    world.up("w0");
    await world.clock.advance(5);
    const a = someHashes(2, 1);
    world.fates.push("late");
    world.store("w0", a);
    await world.clock.advance(5);
    world.up("w0");
    await world.clock.advance(5);
    world.release();
    expect(world.matched("w0", a)).toBe(0);
    expect(world.state("w0")).toBe("live");
  });

  test("a worker that goes is purged, and its memory given back", async () => {
    const world = new KvWorld();
    const empty_bytes = world.index.bytes;
    world.up("w0");
    await world.clock.advance(5);
    const many = someHashes(20_000, 1);
    world.store("w0", many);
    await world.clock.advance(5);
    expect(world.index.bytes).toBeGreaterThan(empty_bytes + 20_000 * 8);
    world.gone("w0");
    expect(world.matched("w0", many)).toBe(0);
    await world.clock.advance(1_000);
    expect(world.index.bytes).toBe(empty_bytes);
  });

  test("a router that starts anew is warm again from dumps", async () => {
    const world = new KvWorld();
    const chains = Array.from({ length: 12 }, (_, i) => someHashes(40, i));
    for (const [i, chain] of chains.entries()) {
      world.start(`w${i}`);
      world.store(`w${i}`, chain);
      world.feed.workerUp(world.workers.get(`w${i}`)!.record);
    }
    // More workers than dumps at once.
    await world.clock.advance(100);
    expect(chains.map((chain, i) => world.matched(`w${i}`, chain))).toEqual(chains.map(() => 40));
  });

  test("a million blocks come in pages", async () => {
    const world = new KvWorld();
    world.start("w0");
    const million = new BigUint64Array(1_000_000);
    for (let i = 0; i < million.length; i++) million[i] = BigInt(i) * 0x9e37_79b9_7f4a_7c15n;
    world.store("w0", million);
    let pages = 0;
    world.answer = (message) => {
      if (message.kind === "fetch_kv_dump") pages++;
      return undefined;
    };
    world.feed.workerUp(world.workers.get("w0")!.record);
    await world.clock.advance(1_000);
    expect(world.state("w0")).toBe("live");
    expect(pages).toBe(Math.ceil(1_000_000 / 32_768));
    expect(world.matched("w0", million)).toBe(1_000_000);
  }, 60_000);
});

describe("a worker whose events cannot be used is reported and guessed", () => {
  test("another block size", async () => {
    const world = new KvWorld();
    world.up("w0");
    await world.clock.advance(5);
    world.up("w1", { block_size: 16 });
    await world.clock.advance(60_000);
    expect([world.state("w0"), world.state("w1")]).toEqual(["live", "approximate block_size"]);
    expect(world.feed.blockSize("tiny")).toBe(64);
    const said = world.log.lines.filter((line) => line.level === "error");
    expect(said.map((line) => line.fields)).toMatchObject([
      { worker: "w1", fault: "block_size", block_size: 16, wanted: 64 },
    ]);
    expect(world.metrics.render()).toContain("_kv_event_source_mismatch_workers 1");
    const prompt = someHashes(4, 1);
    const slot = world.feed.slotOf("w1")!;
    world.index.routed(slot, 0, new Uint32Array(prompt.buffer), 4, world.clock.now_ms());
    expect(world.matched("w1", prompt)).toBe(4);
  });

  test("an engine that publishes nothing", async () => {
    const world = new KvWorld();
    world.up("w0", { publishes: false });
    await world.clock.advance(5);
    expect(world.state("w0")).toBe("approximate no_events");
  });

  test("ten seconds of silence, until it speaks again", async () => {
    const world = new KvWorld();
    const silent = Array.from({ length: 60 }, (): Fate => "lost");
    world.up("w0");
    await world.clock.advance(5);
    const a = someHashes(2, 1);
    world.fates.push(...silent);
    world.store("w0", a);
    await world.clock.advance(9_000);
    expect(world.state("w0")).toBe("live");
    await world.clock.advance(2_000);
    expect(world.state("w0")).toBe("approximate silent");
    world.fates.length = 0;
    await world.clock.advance(20_000);
    expect(world.state("w0")).toBe("live");
    expect(world.matched("w0", a)).toBe(2);
  });

  test("a cache that fills while no event ever comes", async () => {
    const world = new KvWorld();
    world.up("w0");
    for (let second = 0; second <= 11; second++) {
      await world.clock.advance(1_000);
      world.feed.noteLoad("w0", 500);
    }
    expect(world.state("w0")).toBe("approximate silent");
  });

  test("garbage in every field crashes nothing", async () => {
    const good = {
      kind: "stored",
      dp_rank: 0,
      tier: "device",
      parent: new Uint8Array(0),
      start: 0,
    };
    const hashes = new Uint8Array(16);
    const bad = [
      { ...good, hashes: new Uint8Array(7) },
      { ...good, hashes, kind: "constructor" },
      { ...good, hashes, tier: "__proto__" },
      { ...good, hashes, dp_rank: 2 ** 32 - 1 },
      { ...good, hashes, dp_rank: -1 },
    ];
    for (const event of bad) {
      const world = new KvWorld();
      world.up("w0");
      await world.clock.advance(5);
      const events = [{ ...good, hashes }, event];
      world.feed.onEvents({ kind: "kv_events", subscription: 1, first_id: 0, events });
      expect(world.state("w0")).toBe("approximate garbage");
      await world.clock.advance(30_000);
      expect(world.state("w0")).toBe("live");
    }
  });

  test("answers that are none, and pages that never end", async () => {
    const page = {
      kind: "kv_dump_page",
      next_id: 1,
      dp_rank: 0,
      tier: "device",
      hashes: new Uint8Array(8),
      last: false,
      partition: 0,
      below: 5,
      blocks: 1,
    } as const;
    const answers = [page, { ...page, tier: "moon" }, { ...page, hashes: new Uint8Array(3) }];
    for (const answer of answers) {
      const world = new KvWorld();
      world.start("w0");
      world.store("w0", someHashes(1, 1));
      world.answer = (message) => (message.kind === "fetch_kv_dump" ? answer : undefined);
      world.feed.workerUp(world.workers.get("w0")!.record);
      await world.clock.advance(100);
      expect(world.state("w0")).toBe("approximate garbage");
    }
  });
});

const names = ["w0", "w1", "w2"];
const chains = Array.from({ length: 4 }, (_, i) => someHashes(12, i));
const tiers = ["device", "host", "disk"] as const;

const lane = fc.record({ rank: fc.nat(1), tier: fc.constantFrom(...tiers) });
const part = fc
  .tuple(fc.nat(chains.length - 1), fc.nat(11), fc.integer({ min: 1, max: 12 }))
  .map(([chain, from, count]) => chains[chain]!.subarray(from, from + count));
const name = fc.constantFrom(...names);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constant("store"), name, part, lane) },
  { weight: 5, arbitrary: fc.tuple(fc.constant("remove"), name, part, lane) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("clear"), name, part, lane) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("restart"), name, part, lane) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("gone"), name, part, lane) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("release"), name, part, lane) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("wait"), name, part, lane) },
);
const fates = fc.array(fc.constantFrom<Fate>("ok", "ok", "lost", "twice", "late", "late"), {
  maxLength: 100,
});
const waits = fc.infiniteStream(fc.constantFrom(0, 1, 1, 2, 50, 300, 1_500));

test("whatever happens, in the end the index equals the caches", async () => {
  const property = fc.asyncProperty(
    fc.array(step, { minLength: 10, maxLength: 120 }),
    fates,
    waits,
    async (steps, some_fates, some_waits) => {
      const world = new KvWorld({ ring_events: 6, page_blocks: 3 });
      for (const each of names) world.up(each);
      await world.clock.advance(3);
      world.fates.push(...some_fates);
      for (const [kind, worker, hashes, at] of steps) {
        if (kind === "restart") world.up(worker);
        else if (kind === "gone") world.gone(worker);
        else if (kind === "release") world.release();
        else if (kind === "wait") await world.clock.advance(some_waits.next().value!);
        else if (!world.workers.has(worker)) world.up(worker);
        else if (kind === "store") world.store(worker, hashes, at);
        else if (kind === "remove") world.remove(worker, hashes, at);
        else world.clear(worker, at);
      }
      world.fates.length = 0;
      await world.clock.advance(4_000);
      world.release();
      await world.clock.advance(30_000);
      for (const each of names) {
        expect(world.state(each)).toBe(world.workers.has(each) ? "live" : "unknown");
        for (const chain of chains) {
          for (const rank of [0, 1]) {
            for (let from = 0; from < chain.length; from++) {
              const rest = chain.subarray(from);
              expect(world.matched(each, rest, rank)).toBe(world.cached(each, rest, rank));
            }
          }
        }
      }
    },
  );
  await fc.assert(property, { numRuns: 80 });
}, 60_000);

test("events for a subscription that nobody has are dropped", () => {
  const world = new KvWorld();
  const events: KvEvents = { kind: "kv_events", subscription: 9, first_id: 0, events: [] };
  world.feed.onEvents(events);
  expect(world.feed.workers()).toEqual([]);
});
