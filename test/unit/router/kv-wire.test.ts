import { expect, test } from "bun:test";
import { checkedHashes } from "../../../actors/router/feed/kv-wire.ts";

test("hashes are read from wherever a frame left them, from Buffers too", () => {
  const words = Uint32Array.of(1, 2, 3, 4);
  const bytes = new Uint8Array(words.buffer);
  for (let offset = 0; offset < 8; offset += 1) {
    const frame = Buffer.alloc(32);
    frame.set(bytes, offset);
    const part = frame.subarray(offset, offset + bytes.length);
    expect([...(checkedHashes(part) ?? [])]).toEqual([1, 2, 3, 4]);
    const plain = new Uint8Array(part.buffer, part.byteOffset, part.length);
    expect([...(checkedHashes(plain) ?? [])]).toEqual([1, 2, 3, 4]);
  }
});
