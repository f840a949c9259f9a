/** The worker's side of the event plane: ring, ranges, and dumps of a cache that changes meanwhile. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { KvLedger } from "../../../actors/worker/cache/kv-ledger.ts";
import { KvPublisher } from "../../../actors/worker/cache/kv-publisher.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import type { KvEvents } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { BLOCK_SIZE, someHashes } from "../../support/worlds/kv-world.ts";

type Kind = KvEvent["kind"];

function event(kind: Kind, hashes: BigUint64Array, dp_rank = 0, start_block = 0): KvEvent {
  const origin = { event_id: 0, dp_rank, tier: "device" } as const;
  if (kind === "cleared") return { kind, ...origin };
  if (kind === "removed") return { kind, ...origin, sequence_hashes: hashes };
  const local_hashes = hashes;
  return {
    kind,
    ...origin,
    parent_hash: start_block > 0 ? 77n : undefined,
    start_block,
    sequence_hashes: hashes,
    local_hashes,
  };
}

function publisher(options: { ring_events?: number; ring_blocks?: number } = {}) {
  const clock = new VirtualClock();
  const made = new KvPublisher({ clock, block_size: BLOCK_SIZE, publishes: true, ...options });
  const heard: KvEvents[] = [];
  const subscriber = (incarnation: bigint): Ref<KvEvents> => {
    const address = { node: "router", path: "/router", incarnation };
    const tell = (message: KvEvents): boolean => heard.push(message) > 0;
    return { address, tell } as unknown as Ref<KvEvents>;
  };
  return { clock, publisher: made, heard, subscriber };
}

describe("what subscribers hear", () => {
  test("is one message a tick, numbered from 0, and a heartbeat", async () => {
    const { clock, publisher: kv, heard, subscriber } = publisher();
    kv.publish(event("stored", someHashes(2, 1)));
    expect(kv.subscribe(subscriber(1n), 7, 1)).toBeUndefined();
    expect(kv.subscribed()).toMatchObject({ next_id: 1, block_size: BLOCK_SIZE, publishes: true });
    kv.publish(event("stored", someHashes(2, 2), 0, 4));
    kv.publish(event("cleared", someHashes(0, 0)));
    expect(heard).toEqual([]);
    await clock.advance(1_500);
    expect(heard).toHaveLength(2);
    expect(heard[0]).toMatchObject({ subscription: 7, first_id: 1 });
    expect(heard[0]!.events.map((each) => each.kind)).toEqual(["stored", "cleared"]);
    expect(heard[0]!.events[0]).toMatchObject({
      start: 4,
      parent: Uint8Array.of(77, 0, 0, 0, 0, 0, 0, 0),
    });
    expect(heard[1]).toMatchObject({ first_id: 3, events: [] });
  });

  test("ends with the subscriber; one that comes again takes its own place", async () => {
    const { clock, publisher: kv, heard, subscriber } = publisher();
    kv.subscribe(subscriber(1n), 1, 10);
    expect(kv.subscribe(subscriber(1n), 2, 11)).toBe(10);
    kv.subscribe(subscriber(2n), 3, 12);
    kv.publish(event("stored", someHashes(1, 1)));
    await clock.advance(1);
    expect(heard.map((each) => each.subscription)).toEqual([2, 3]);
    expect([kv.unsubscribe(11), kv.unsubscribe(10), kv.unsubscribe(12)]).toEqual([
      true,
      false,
      true,
    ]);
    await clock.advance(5_000);
    expect(heard).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });
});

describe("ranges", () => {
  test("go back as far as the ring does", () => {
    const { publisher: kv } = publisher({ ring_events: 3 });
    for (let i = 0; i < 5; i++) kv.publish(event("stored", someHashes(1, i)));
    expect(kv.range(2)).toMatchObject({ too_old: false, first_id: 2, next_id: 5 });
    expect(kv.range(2).events).toHaveLength(3);
    expect(kv.range(5).events).toEqual([]);
    for (const from of [1, 6, -1, 2.5, Number.NaN]) expect(kv.range(from).too_old).toBe(true);
  });

  test("the ring is bounded in blocks too, and long events are cut", () => {
    const { publisher: kv } = publisher({ ring_blocks: 100_000 });
    kv.publish(event("stored", someHashes(70_000, 1)));
    expect(kv.range(0).events.map((each) => each.hashes.length / 8)).toEqual([65_536]);
    expect(kv.range(1).events).toMatchObject([{ start: 65_536 }]);
    kv.publish(event("stored", someHashes(40_000, 2)));
    expect([kv.range(0).too_old, kv.range(1).too_old]).toEqual([true, false]);
    expect(kv.blocks).toBe(110_000);
  });
});

test("pages of a changing cache, and the events since the first one, make the whole", () => {
  const hashes = someHashes(60, 1);
  const change = fc.record({
    kind: fc.constantFrom<Kind>("stored", "stored", "stored", "removed", "removed", "cleared"),
    from: fc.nat(59),
    count: fc.integer({ min: 1, max: 12 }),
    dp_rank: fc.nat(2),
    weight: fc.nat(20),
  });
  const changes = fc.array(change, { maxLength: 80 });
  const property = fc.property(
    changes,
    changes,
    fc.integer({ min: 1, max: 9 }),
    (before, during, limit) => {
      const ledger = new KvLedger();
      const truth = new Map<number, Set<bigint>>();
      const copy = new Map<number, Set<bigint>>();
      const apply = (to: Map<number, Set<bigint>>, one: KvEvent): void => {
        const held = to.get(one.dp_rank) ?? new Set<bigint>();
        to.set(one.dp_rank, held);
        if (one.kind === "cleared") held.clear();
        else
          for (const hash of one.sequence_hashes)
            held[one.kind === "stored" ? "add" : "delete"](hash);
      };
      const happen = ({ kind, from, count, dp_rank, weight }: (typeof before)[number]): KvEvent => {
        const really = kind === "cleared" && weight > 2 ? "stored" : kind;
        const one = event(really, hashes.subarray(from, from + count), dp_rank);
        ledger.apply(one);
        apply(truth, one);
        return one;
      };
      for (const each of before) happen(each);
      const since: KvEvent[] = [];
      let next: { partition: number; below: number } | undefined = { partition: 0, below: 0 };
      const pending = [...during];
      while (next !== undefined) {
        const page = ledger.page(next.partition, next.below, limit);
        if (page !== undefined) {
          const row = new BigUint64Array(page.hashes.slice().buffer);
          apply(copy, { ...event("stored", row, page.dp_rank) });
        }
        next = page?.next;
        const each = pending.shift();
        if (each !== undefined) since.push(happen(each));
      }
      for (const one of since) apply(copy, one);
      const sorted = (of: Map<number, Set<bigint>>) =>
        [...of]
          .filter(([, held]) => held.size > 0)
          .map(([rank, held]) => [rank, [...held].sort()])
          .sort();
      expect(sorted(copy)).toEqual(sorted(truth));
      expect(ledger.blocks).toBe([...truth.values()].reduce((sum, held) => sum + held.size, 0));
    },
  );
  fc.assert(property, { numRuns: 300 });
}, 60_000);
