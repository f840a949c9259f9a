/**
 * vLLM's cache events. The payloads were written by msgspec 0.22 from struct definitions as in vLLM's
 * kv_events.py, with `array_like=True` as until 2025 and without as since.
 */
import { describe, expect, test } from "bun:test";
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { decodeVllmMessage } from "../../../actors/router/vllm-events.ts";

const recorded = {
  arrays:
    "93cb41da4893a0100000959aab426c6f636b53746f72656492cfc0c8291eeecaf7fe07c09800010203040506" +
    "0704c0a3475055c0c0c09aab426c6f636b53746f72656491c420000102030405060708090a0b0c0d0e0f1011" +
    "12131415161718191a1b1c1d1e1ffe94ce000111700102030403a3435055a7616461707465729191a473616c" +
    "740194ac426c6f636b52656d6f76656491cfc0c8291eeecaf7fea3475055c094ac426c6f636b52656d6f7665" +
    "649105c0c091b0416c6c426c6f636b73436c656172656402",
  arrays_without_rank: "93cb3ff80000000000009191b0416c6c426c6f636b73436c6561726564c0",
  maps:
    "83a27473cb41da4893a0100000a66576656e74739588a474797065ab426c6f636b53746f726564ac626c6f63" +
    "6b5f68617368657392cfc0c8291eeecaf7fe07b1706172656e745f626c6f636b5f68617368c0a9746f6b656e" +
    "5f696473980001020304050607aa626c6f636b5f73697a6504a76c6f72615f6964c0a66d656469756da34750" +
    "55a96c6f72615f6e616d65c08aa474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657391" +
    "c420000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fb1706172656e745f626c" +
    "6f636b5f68617368fea9746f6b656e5f69647394ce00011170010203aa626c6f636b5f73697a6504a76c6f72" +
    "615f696403a66d656469756da3435055a96c6f72615f6e616d65a761646170746572aa65787472615f6b6579" +
    "739191a473616c74a967726f75705f6964780183a474797065ac426c6f636b52656d6f766564ac626c6f636b" +
    "5f68617368657391cfc0c8291eeecaf7fea66d656469756da347505583a474797065ac426c6f636b52656d6f" +
    "766564ac626c6f636b5f6861736865739105a66d656469756dc081a474797065b0416c6c426c6f636b73436c" +
    "6561726564b2646174615f706172616c6c656c5f72616e6b02",
  maps_without_rank:
    "82a27473cb3ff8000000000000a66576656e74739181a474797065b0416c6c426c6f636b73436c6561726564",
};

const topic = new Uint8Array(0);

function frames(sequence: bigint, payload: Uint8Array): Uint8Array[] {
  const number = new Uint8Array(8);
  new DataView(number.buffer).setBigUint64(0, sequence);
  return [topic, number, payload];
}

function bad(payload: unknown): string {
  const message = decodeVllmMessage(frames(0n, encode(payload, { useBigInt64: true })));
  if (message.kind !== "bad") throw new Error(`taken: ${JSON.stringify(message)}`);
  return message.message;
}

describe.each(["arrays", "maps"] as const)("recorded frames, events as %s", (form) => {
  test("every kind of event", () => {
    const payload = Uint8Array.fromHex(recorded[form]);
    const last_of_32_bytes = 0x18191a1b1c1d1e1fn;
    expect(decodeVllmMessage(frames(258n, payload))).toEqual({
      kind: "batch",
      sequence: 258,
      published_s: 1763856000.25,
      dp_rank: 2,
      unknown_events: 0,
      events: [
        {
          kind: "stored",
          block_hashes: [13891398263456331774n, 7n],
          parent_hash: undefined,
          token_ids: Uint32Array.of(0, 1, 2, 3, 4, 5, 6, 7),
          block_size: 4,
          lora_name: undefined,
          has_extra_keys: false,
          tier: "device",
          group: 0,
        },
        {
          kind: "stored",
          block_hashes: [last_of_32_bytes],
          parent_hash: 2n ** 64n - 2n,
          token_ids: Uint32Array.of(70_000, 1, 2, 3),
          block_size: 4,
          lora_name: "adapter",
          has_extra_keys: true,
          tier: "host",
          group: 1,
        },
        { kind: "removed", block_hashes: [13891398263456331774n], tier: "device", group: 0 },
        { kind: "removed", block_hashes: [5n], tier: "device", group: 0 },
        { kind: "cleared" },
      ],
    });
  });

  test("a batch without a rank, and the two frames of a replay", () => {
    const payload = Uint8Array.fromHex(recorded[`${form}_without_rank`]);
    const message = decodeVllmMessage(frames(0n, payload).slice(1));
    const events = [{ kind: "cleared" as const }];
    const batch = { kind: "batch" as const, sequence: 0, published_s: 1.5, dp_rank: 0 };
    expect(message).toEqual({ ...batch, events, unknown_events: 0 });
  });
});

test("the end of a replay", () => {
  expect(decodeVllmMessage(frames(2n ** 64n - 1n, topic))).toEqual({ kind: "end" });
});

test("events and fields of later versions are passed over", () => {
  const stored = ["BlockStored", [1], null, [1, 2], 2, null, "GPU", null, null, 0, "full", 7, {}];
  const message = decodeVllmMessage(
    frames(0n, encode([0, [["BlockMoved", 1], stored], 0, "more"])),
  );
  expect(message).toMatchObject({ kind: "batch", unknown_events: 1, events: [{ kind: "stored" }] });
});

test("what is wrong is said", () => {
  const number = new Uint8Array(8);
  expect(decodeVllmMessage([])).toMatchObject({ message: "0 frames instead of 3" });
  expect(decodeVllmMessage([topic, topic, number, topic])).toMatchObject({ kind: "bad" });
  expect(decodeVllmMessage([topic, new Uint8Array(4), topic])).toMatchObject({
    message: "a sequence number of 4 bytes instead of 8",
  });
  expect(bad(7)).toBe("a batch is neither an array nor a map");
  expect(bad([0, "events"])).toBe("a batch without a list of events");
  expect(bad([0, [], -1])).toBe("data_parallel_rank is no whole number");
  expect(bad([0, [["BlockStored", [1], null, [1, 2, 3], 2]]])).toBe(
    "BlockStored: 3 tokens for 1 blocks of 2",
  );
  expect(bad([0, [["BlockStored", [], null, [], 0]]])).toContain("blocks of 0");
  expect(bad([0, [["BlockStored", [1], null, [1.5], 1]]])).toBe("a token is no whole number");
  expect(bad([0, [["BlockRemoved", ["x"], "GPU"]]])).toContain("a block hash");
  expect(bad([0, [["BlockRemoved", 5, "GPU"]]])).toBe("block_hashes is no list");
});

test("no bytes make it throw", () => {
  const whole = Uint8Array.fromHex(recorded.maps);
  const mutated = fc
    .tuple(fc.nat(whole.length), fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255))))
    .map(([end, changes]) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      return bytes.subarray(0, end);
    });
  const any = fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated);
  const property = fc.property(any, (bytes) => {
    expect(["batch", "bad"]).toContain(decodeVllmMessage(frames(1n, bytes)).kind);
  });
  fc.assert(property, { numRuns: 500 });
});
