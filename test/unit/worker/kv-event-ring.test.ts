/** The ring of cache events as rows of numbers, against a list of them. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { KvEventRing } from "../../../actors/worker/cache/kv-event-ring.ts";
import { pairsOf } from "../../../llm/blocks/block-table.ts";
import type { KvEvent } from "../../../llm/blocks/kv-event.ts";
import type { WireKvEvent } from "../../../proto/index.ts";

const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const hashes = (minLength: number) =>
  fc.array(hash, { minLength, maxLength: 12 }).map((all) => BigUint64Array.from(all));
const origin = {
  event_id: fc.constant(0),
  dp_rank: fc.integer({ min: 0, max: 7 }),
  tier: fc.constantFrom("device" as const, "host", "disk", "external"),
};
const anyEvent: fc.Arbitrary<KvEvent> = fc.oneof(
  fc
    .record({
      ...{ ...origin, kind: fc.constant("stored" as const), sequence_hashes: hashes(1) },
      ...{ parent_hash: fc.option(hash, { nil: undefined }), start_block: fc.nat(1_000_000) },
    })
    .map((event) => ({ ...event, local_hashes: event.sequence_hashes })),
  fc.record({ ...origin, kind: fc.constant("removed" as const), sequence_hashes: hashes(1) }),
  fc.record({ ...origin, kind: fc.constant("cleared" as const) }),
);

const bytesOf = (hashes: BigUint64Array) => [...new Uint8Array(pairsOf(hashes).slice().buffer)];
const plain = (event: WireKvEvent) => ({
  ...{ ...event, parent: [...event.parent], hashes: [...event.hashes] },
});

function expected(event: KvEvent, from: number, to: number) {
  const { kind, dp_rank, tier } = event;
  if (kind === "cleared") return { kind, dp_rank, tier, parent: [], start: 0, hashes: [] };
  const hashes = bytesOf(event.sequence_hashes.slice(from, to));
  if (kind === "removed") return { kind, dp_rank, tier, parent: [], start: 0, hashes };
  const before = from > 0 ? event.sequence_hashes[from - 1] : event.parent_hash;
  const parent = before === undefined ? [] : bytesOf(BigUint64Array.of(before));
  return { kind, dp_rank, tier, parent, start: event.start_block + from, hashes };
}

test("holds the last events, as many as its bounds allow", () => {
  const bounds = fc.record({ events: fc.integer({ min: 1, max: 40 }), blocks: fc.nat(200) });
  fc.assert(
    fc.property(bounds, fc.array(anyEvent, { maxLength: 300 }), ({ events, blocks }, all) => {
      const ring = new KvEventRing(events, blocks);
      let kept: ReturnType<typeof expected>[] = [];
      for (const [id, event] of all.entries()) {
        const length = event.kind === "cleared" ? 0 : event.sequence_hashes.length;
        const from = Math.min(id % 3, Math.max(0, length - 1));
        ring.push({ event, from, to: length });
        kept = [...kept, expected(event, from, length)].slice(-events);
        const sum = () => kept.reduce((count, each) => count + each.hashes.length / 8, 0);
        while (sum() > blocks && kept.length > 1) kept.shift();
        expect(ring.next_id).toBe(id + 1);
        expect(ring.next_id - ring.oldest_id).toBe(kept.length);
        if (id % 7 > 0 && id + 1 < all.length) continue;
        for (const [at, each] of kept.entries()) {
          expect(plain(ring.read(ring.oldest_id + at))).toEqual(each);
          expect(ring.blocksIn(ring.oldest_id + at)).toBe(each.hashes.length / 8);
        }
      }
    }),
  );
});
