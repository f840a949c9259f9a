/** Host memory of hand-offs where nobody said how much: by the models, within what there is. */
import { expect, test } from "bun:test";
import { parseFlags } from "../../../cluster/settings/read-values.ts";
import { settle } from "../../../cluster/settings/settings.ts";
import {
  handOffBytes,
  withHandOffMemory,
} from "../../../cluster/settings/workers/hand-off-memory.ts";
import { kvBytesPerToken } from "../../../llm/model/kv-bytes.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const pairs = (prefill: number) => [
  { role: "prefill", count: prefill } as const,
  { role: "decode", count: 1 } as const,
];
const of = (context_bytes: number, free_bytes: number | undefined, prefill = 1, models = 1) =>
  handOffBytes({
    models: Array.from({ length: models }, () => ({ context_bytes })),
    workers: pairs(prefill),
    free_bytes,
  });

test("keys and values of a token: heads may differ by layer, and their length is often implied", () => {
  const kv = (facts: Record<string, number>, heads_kv?: readonly number[]) => {
    const metadata = new Map<string, number | string | object>([["general.architecture", "x"]]);
    for (const [key, value] of Object.entries(facts)) metadata.set(`x.${key}`, value);
    if (heads_kv !== undefined) {
      const bytes = new Uint8Array(Uint32Array.from(heads_kv).buffer);
      const array = { type: "u32", count: heads_kv.length, bytes };
      metadata.set("x.attention.head_count_kv", array);
    }
    return kvBytesPerToken({ metadata: metadata as never }, 2);
  };
  const llama = { block_count: 32, embedding_length: 4096, "attention.head_count": 32 };
  expect(kv({ ...llama, "attention.head_count_kv": 8 })).toBe(32 * 8 * 2 * 128 * 2);
  expect(kv(llama)).toBe(32 * 32 * 2 * 128 * 2);
  const own = { "attention.key_length": 256, "attention.value_length": 64 };
  expect(kv({ ...llama, ...own }, [8, 0, 4])).toBe(12 * (256 + 64) * 2);
  expect(kv({})).toBe(0);
});

test("small models get what was always given, large ones two prompts for each prefill worker", () => {
  expect(of(100 * MIB, 64 * GIB)).toMatchObject({ bytes: 512 * MIB, contexts: 5, fits: true });
  expect(of(GIB, 64 * GIB)).toMatchObject({ bytes: 2 * GIB, contexts: 2 });
  expect(of(GIB, 64 * GIB, 4)).toMatchObject({ bytes: 8 * GIB });
  // Models share it in equal parts.
  expect(of(GIB, 64 * GIB, 1, 3)).toMatchObject({ bytes: 6 * GIB, contexts: 2 });
  expect(of(0, 64 * GIB)).toMatchObject({ bytes: 512 * MIB, contexts: 0, fits: true });
});

test("no more than a share of what there is, also where that is little or not known", () => {
  expect(of(GIB, 6 * GIB)).toMatchObject({ bytes: 1.5 * GIB, contexts: 1, fits: true });
  expect(of(2 * GIB, 6 * GIB)).toMatchObject({ bytes: 1.5 * GIB, contexts: 0, fits: false });
  expect(of(100 * MIB, 64 * MIB)).toMatchObject({ bytes: 16 * MIB, fits: false });
  expect(of(GIB, undefined)).toMatchObject({ bytes: 512 * MIB, fits: false });
});

test("what was said stays, and what was not is told", async () => {
  const model = { name: "m", path: "/m", weight_bytes: 1, context_bytes: GIB };
  const files = { free_bytes: async () => 64 * GIB };
  const sized = (...flags: string[]) =>
    withHandOffMemory(settle([parseFlags(flags)], []), [model], files);
  const pair = ["--prefill", "1", "--decode", "1"];
  const { settings, text } = await sized(...pair);
  expect(settings.kv.host_bytes).toBe(2 * GIB);
  expect(text).toMatch(/^prompts are handed over in 2\.1 GB .* 2 prompts .*--kv-host-bytes/);
  const said = await sized(...pair, "--kv-host-bytes", "64MB");
  expect([said.settings.kv.host_bytes, said.text]).toEqual([64_000_000, ""]);
  expect((await sized("--workers", "2")).settings.kv.host_bytes).toBe(0);
});
