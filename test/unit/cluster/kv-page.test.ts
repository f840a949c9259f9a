/** `GET /api/kv`, from what workers and keepers of blocks say of themselves. */
import { expect, test } from "bun:test";
import { kvPage } from "../../../actors/inspector/kv-page.ts";

const worker = (name: string, more: Record<string, unknown> = {}) => ({
  node: name,
  snapshot: {
    ...{ ready: true, worker: name, role: "aggregated", block_size: 64, total_blocks: 100 },
    ...{ kv_blocks: 10, kv_evicted: 3, cached_tokens_total: 640, prompt_tokens_total: 1_300 },
    ...more,
  },
});
const space = {
  ...{ identity: "i", slots: 50, registered: 20, hits: 7, misses: 2, evicted: 1, slot_bytes: 4096 },
};
const keeper = (more: Record<string, unknown> = {}) => ({
  node: "kv",
  snapshot: {
    spaces: [
      { ...space, identity: "other" },
      { ...space, ...more },
    ],
  },
});
const g1 = { tier: "G1", blocks: 100, used: 10, hits: 10, misses: 10, evicted: 3 } as const;
const g2 = { tier: "G2", blocks: 50, used: 20, hits: 7, misses: 2, evicted: 1 } as const;

test("without tiers a worker has its engine's alone, and one that starts is left out", () => {
  const rows = kvPage([worker("w1"), worker("w0"), worker("w2", { ready: false })]);
  expect(rows.workers.map((row) => row.worker)).toEqual(["w0", "w1"]);
  expect(rows.workers[0]).toEqual({
    ...{ worker: "w0", role: "aggregated", tiers: [{ ...g1, bytes: 0 }] },
  });
});

test("a worker shows the tiers of the space that it has open", () => {
  const kv_tiers = { keeper: "kv", identity: "i", block_bytes: 1_000 };
  const tiersOf = (told: ReturnType<typeof keeper>, own: object = kv_tiers) =>
    kvPage([worker("w", { kv_tiers: own }), told]).workers[0]!.tiers;
  expect(tiersOf(keeper())).toEqual([
    { ...g1, bytes: 10_000 },
    { ...g2, bytes: 20 * 4096 },
  ]);
  const disk = { slots: 9, registered: 4, hits: 3, misses: 0, evicted: 0, file_bytes: 8192 };
  expect(tiersOf(keeper({ disk }))[2]).toEqual({
    ...{ tier: "G3", blocks: 9, used: 4, hits: 3, misses: 0, evicted: 0, bytes: 4 * 8192 },
  });
  const told = keeper();
  const neighbours = { pulled_blocks: 5, missed_blocks: 2, store: { got: 3, missed: 1 } };
  const among = { ...told, snapshot: { ...told.snapshot, neighbours } };
  expect(tiersOf(among)[2]).toMatchObject({ tier: "G4", hits: 8, misses: 3 });
  for (const wrong of [
    { ...kv_tiers, keeper: "b.kv" },
    { ...kv_tiers, identity: "none" },
  ]) {
    expect(tiersOf(keeper(), wrong)).toHaveLength(1);
  }
});
