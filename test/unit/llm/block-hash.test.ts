/**
 * Block identity against values of other implementations: tokens 0..63 from Dynamo itself, the
 * others from the reference xxHash (python xxhash), chained and seeded as Dynamo's sources say.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  BLOCK_HASH_SEED,
  blockHashes,
  blockSeed,
  localHash,
  localHashes,
  sequenceHashes,
} from "../../../llm/blocks/block-hash.ts";
import { TokenBlocks } from "../../../llm/blocks/token-blocks.ts";
import { TraceBlocks } from "../../../llm/blocks/trace-blocks.ts";
import { xxh3 } from "../../../llm/blocks/xxh3.ts";

const upTo = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);

test.each([
  {
    block_size: 64,
    local: [0x304d910e689e42bfn, 0x2e0cebb8f3781524n, 0x134b05b43e0bd42bn],
    sequence: [0x304d910e689e42bfn, 0x23bd5ef232e90ecbn, 0xd162d62e6cf437f2n],
  },
  {
    block_size: 16,
    local: [0xd47a8f41c833328an, 0xd43939178abd00dbn, 0x4cc8f942aaf401a2n],
    sequence: [0xd47a8f41c833328an, 0xbf15dffb16447f38n, 0xa4dda066f3c1e1a0n],
  },
  {
    block_size: 3,
    local: [0xa19fc43f5c330609n, 0xb194f71f8b837863n, 0x92ec509ef675f77n],
    sequence: [0xa19fc43f5c330609n, 0x8f0e4e07899ec1adn, 0xeb4ae8e424482c7n],
  },
])("blocks of $block_size tokens have the known hashes", ({ block_size, local, sequence }) => {
  const hashes = blockHashes(upTo(3 * block_size), block_size);
  expect([...hashes.local_hashes]).toEqual([...local]);
  expect([...hashes.sequence_hashes]).toEqual([...sequence]);
});

test("tokens above 2^31 are unsigned", () => {
  const block = Uint32Array.of(0, 0xffffffff, 0x80000000, 151643);
  expect(localHash(block)).toBe(0xc66e7d5e24ed209bn);
});

test("a LoRA name and a cache salt change the seed, each in its own way", () => {
  const block = upTo(64);
  const cases = [
    [{ adapter: "adapter-a" }, 0x7ab77913e9c918d6n, 0xaf3ef1f8fe63cf9n],
    [{ salt: "tenant-7" }, 0xe60506ddc19bc84an, 0x7ef992210db58d0dn],
    [{ adapter: "adapter-a", salt: "tenant-7" }, 0x60bc7ff1ab64dbe7n, 0xf69a2a2e3365e7d2n],
    [{ adapter: "tenant-7" }, 0x74338c89b23faf43n, 0x14f1b5a8825240c7n],
  ] as const;
  for (const [of, seed, hash] of cases) {
    expect(blockSeed(of)).toBe(seed);
    expect(localHash(block, seed)).toBe(hash);
  }
  expect(blockSeed({})).toBe(BLOCK_HASH_SEED);
  expect(blockSeed({ adapter: "", salt: "" })).toBe(BLOCK_HASH_SEED);
});

test("a tail has no hash, and a block size of 0 is refused", () => {
  expect(localHashes(upTo(63), 64)).toHaveLength(0);
  expect(localHashes(upTo(129), 64)).toHaveLength(2);
  expect(sequenceHashes(new BigUint64Array())).toHaveLength(0);
  expect(() => localHashes(upTo(4), 0)).toThrow(RangeError);
  expect(() => new TokenBlocks(0)).toThrow(RangeError);
});

test("a sequence grown in any pieces has the hashes of the whole", () => {
  const pieces = fc.array(fc.array(fc.integer({ min: 0, max: 0xffffffff }), { maxLength: 40 }));
  fc.assert(
    fc.property(
      pieces,
      fc.integer({ min: 1, max: 20 }),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      check,
    ),
    { numRuns: 300 },
  );
  function check(all: number[][], block_size: number, seed: bigint) {
    const blocks = new TokenBlocks(block_size, seed);
    for (const [i, piece] of all.entries()) {
      if (i % 2 === 0) blocks.append(Uint32Array.from(piece));
      else for (const token of piece) blocks.push(token);
    }
    const tokens = Uint32Array.from(all.flat());
    const whole = blockHashes(tokens, block_size, seed);
    expect(blocks.length).toBe(tokens.length);
    expect(blocks.count).toBe(whole.local_hashes.length);
    expect(blocks.hashes()).toEqual(whole);
    const words = new Uint32Array(whole.sequence_hashes.buffer);
    expect([...blocks.sequence_words.subarray(0, words.length)]).toEqual(
      [...words].map((w) => w | 0),
    );
  }
});

test("blocks of a trace share a name exactly when their ids agree up to there", () => {
  const ids = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(ids, ids, fc.constantFrom(1, 2, 4), (a, b, parts) => {
      const names = (hash_ids: number[], own: number) => {
        return new TraceBlocks(hash_ids, 8, hash_ids.length * 8, 8 / parts, own).hashes();
      };
      const [left, right] = [names(a, 1).sequence_hashes, names(b, 2).sequence_hashes];
      let agree = 0;
      while (agree < Math.min(a.length, b.length) && a[agree] === b[agree]) agree++;
      const shared = agree * parts;
      expect([...left.subarray(0, shared)]).toEqual([...right.subarray(0, shared)]);
      const rest = new Set([...left.subarray(shared), ...right.subarray(shared)]);
      expect(rest.size).toBe(left.length + right.length - 2 * shared);
    }),
    { numRuns: 500 },
  );
});

test("blocks of the answer are the request's own", () => {
  const [a, b] = [1, 2].map((own) => new TraceBlocks([7, 8], 4, 6, 2, own));
  expect(a!.count).toBe(3);
  a!.nameTo(40);
  b!.nameTo(40);
  const [left, right] = [a!.hashes().sequence_hashes, b!.hashes().sequence_hashes];
  expect([...left.subarray(0, 3)]).toEqual([...right.subarray(0, 3)]);
  expect(new Set([...left, ...right]).size).toBe(3 + 2 * 37);
});

test("a trace whose sizes or ids do not fit is refused", () => {
  expect(() => new TraceBlocks([1], 512, 512, 100, 0)).toThrow("do not divide");
  expect(() => new TraceBlocks([1], 512, 1025, 512, 0)).toThrow("too few");
  expect(new TraceBlocks([1, 2], 512, 600, 512, 0).count).toBe(1);
});

test("hashing with a seed of 64 bits agrees with Bun's where that takes the seed", () => {
  for (let length = 1; length <= 70; length++) agree(length);
  // Around the 1,024 bytes after which the sums are scrambled.
  for (const length of [255, 256, 257, 271, 272, 273, 512, 513, 529, 1000]) agree(length);
  function agree(length: number) {
    const row = Uint32Array.from({ length }, (_, i) => Math.imul(i + length, 0x9e3779b1));
    for (const seed of [0n, 1n, 1337n, 0xdeadbeefn, 0xffffffffn]) {
      expect(xxh3(row, seed)).toBe(Bun.hash.xxHash3(row, seed));
    }
  }
  expect(() => xxh3(new Uint32Array(), 1n)).toThrow(RangeError);
});

test("hashing with a seed of 64 bits agrees with the reference for every kind of length", () => {
  const known = [
    [1, 0xb25fdc3d640d457cn],
    [2, 0x21bda3354b8f8ee5n],
    [3, 0xbd4bfe678ef38813n],
    [4, 0xb0af8d127cbdb3ddn],
    [5, 0x444c46a9c6d05765n],
    [16, 0x68deb57d62f584b1n],
    [31, 0xb51bae0a9ad72ba6n],
    [32, 0xf91f48bd3ec2061bn],
    [33, 0x5d08c0f7dcae949bn],
    [60, 0x901496fe42d3d639n],
    [61, 0x4f1d59552990b8d5n],
    [64, 0x1ff0aee38f7bd90bn],
    [128, 0xadd1b9c99d5e83cen],
    [300, 0xd445f04bf1b49can],
  ] as const;
  for (const [length, hash] of known) {
    const row = Uint32Array.from({ length }, (_, i) => Math.imul(i, 0x9e3779b1));
    expect(xxh3(row, 0x60bc7ff1ab64dbe7n)).toBe(hash);
    expect(xxh3(row, 0x60bc7ff1ab64dbe7n - (1n << 64n))).toBe(hash);
  }
});
