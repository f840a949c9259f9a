/**
 * XXH3 (64 bits) over rows of u32 with a seed of 64 bits, after the XXH3 specification
 * (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md; XXH3_64bits_withSeed). It exists since
 * `Bun.hash.xxHash3` takes only the low 32 bits of a seed: that one hashes wherever the seed fits,
 * this one (some 10 µs for 64 tokens) the requests with a LoRA name or a cache salt.
 */

const U64 = (1n << 64n) - 1n;
const LOW = 0xffffffffn;

const P32_1 = 0x9e3779b1n;
const P32_2 = 0x85ebca77n;
const P32_3 = 0xc2b2ae3dn;
const P64_1 = 0x9e3779b185ebca87n;
const P64_2 = 0xc2b2ae3d27d4eb4fn;
const P64_3 = 0x165667b19e3779f9n;
const P64_4 = 0x85ebca77c2b2ae63n;
const P64_5 = 0x27d4eb2f165667c5n;
const MX_1 = 0x165667919e3779f9n;
const MX_2 = 0x9fb21c651e98df25n;

const SECRET_BYTES = 192;
const SECRET = secretView(
  "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221" +
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8" +
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb" +
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e",
);

/** `seed` counts modulo 2^64. Throws RangeError for an empty row. */
export function xxh3(row: Uint32Array, seed: bigint): bigint {
  const data = new DataView(row.buffer, row.byteOffset, row.byteLength);
  const bytes = data.byteLength;
  if (bytes === 0) throw new RangeError("an empty row has no block hash");
  const own_seed = seed & U64;
  if (bytes <= 8) return upTo8(data, own_seed);
  if (bytes <= 16) return upTo16(data, own_seed);
  if (bytes <= 128) return upTo128(data, own_seed);
  if (bytes <= 240) return upTo240(data, own_seed);
  return long(data, seededSecret(own_seed));
}

function upTo8(data: DataView, seed: bigint): bigint {
  const bytes = data.byteLength;
  const low = Number(seed & LOW);
  const swapped =
    ((low & 0xff) << 24) | ((low & 0xff00) << 8) | ((low >>> 8) & 0xff00) | (low >>> 24);
  const mixed_seed = seed ^ (BigInt(swapped >>> 0) << 32n);
  const flip = (word(SECRET, 8) ^ word(SECRET, 16)) - mixed_seed;
  const first = BigInt(data.getUint32(0, true));
  const last = BigInt(data.getUint32(bytes - 4, true));
  let hash = (last + (first << 32n)) ^ (flip & U64);
  hash ^= rotated(hash, 49n) ^ rotated(hash, 24n);
  hash = (hash * MX_2) & U64;
  hash ^= (hash >> 35n) + BigInt(bytes);
  hash = (hash * MX_2) & U64;
  return hash ^ (hash >> 28n);
}

function upTo16(data: DataView, seed: bigint): bigint {
  const bytes = data.byteLength;
  const low = word(data, 0) ^ (((word(SECRET, 24) ^ word(SECRET, 32)) + seed) & U64);
  const high = word(data, bytes - 8) ^ (((word(SECRET, 40) ^ word(SECRET, 48)) - seed) & U64);
  return avalanche(BigInt(bytes) + byteSwapped(low) + high + folded(low, high));
}

function upTo128(data: DataView, seed: bigint): bigint {
  const bytes = data.byteLength;
  let sum = BigInt(bytes) * P64_1;
  for (let i = Math.floor((bytes - 1) / 32); i >= 0; i--) {
    sum += mix16(data, 16 * i, 32 * i, seed);
    sum += mix16(data, bytes - 16 * (i + 1), 32 * i + 16, seed);
  }
  return avalanche(sum);
}

function upTo240(data: DataView, seed: bigint): bigint {
  const bytes = data.byteLength;
  let sum = BigInt(bytes) * P64_1;
  for (let i = 0; i < 8; i++) sum += mix16(data, 16 * i, 16 * i, seed);
  sum = avalanche(sum);
  for (let i = 8; i < Math.floor(bytes / 16); i++) {
    sum += mix16(data, 16 * i, 16 * (i - 8) + 3, seed);
  }
  return avalanche(sum + mix16(data, bytes - 16, 136 - 17, seed));
}

function long(data: DataView, secret: DataView): bigint {
  const bytes = data.byteLength;
  const sums = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1];
  const stripes_a_block = (SECRET_BYTES - 64) / 8;
  // The last stripe overlaps the one before it, so it is not among these.
  const stripes = Math.floor((bytes - 1) / 64);
  for (let stripe = 0; stripe < stripes; stripe++) {
    const within = stripe % stripes_a_block;
    accumulate(sums, data, 64 * stripe, secret, 8 * within);
    if (within === stripes_a_block - 1) scramble(sums, secret);
  }
  accumulate(sums, data, bytes - 64, secret, SECRET_BYTES - 64 - 7);
  let merged = BigInt(bytes) * P64_1;
  for (let i = 0; i < 4; i++) {
    const low = sums[2 * i]! ^ word(secret, 11 + 16 * i);
    merged += folded(low, sums[2 * i + 1]! ^ word(secret, 11 + 16 * i + 8));
  }
  return avalanche(merged);
}

function accumulate(
  sums: bigint[],
  data: DataView,
  at: number,
  secret: DataView,
  secret_at: number,
): void {
  for (let i = 0; i < 8; i++) {
    const value = word(data, at + 8 * i);
    const key = value ^ word(secret, secret_at + 8 * i);
    sums[i ^ 1] = (sums[i ^ 1]! + value) & U64;
    sums[i] = (sums[i]! + (key & LOW) * (key >> 32n)) & U64;
  }
}

function scramble(sums: bigint[], secret: DataView): void {
  for (let i = 0; i < 8; i++) {
    const sum = sums[i]!;
    sums[i] = ((sum ^ (sum >> 47n) ^ word(secret, SECRET_BYTES - 64 + 8 * i)) * P32_1) & U64;
  }
}

function mix16(data: DataView, at: number, secret_at: number, seed: bigint): bigint {
  const low = word(data, at) ^ ((word(SECRET, secret_at) + seed) & U64);
  return folded(low, word(data, at + 8) ^ ((word(SECRET, secret_at + 8) - seed) & U64));
}

/** One request asks for every block of its prompt with one seed. */
let last_seed = 0n;
let last_secret = SECRET;

function seededSecret(seed: bigint): DataView {
  if (seed === last_seed) return last_secret;
  const secret = new DataView(new ArrayBuffer(SECRET_BYTES));
  for (let at = 0; at < SECRET_BYTES; at += 16) {
    secret.setBigUint64(at, word(SECRET, at) + seed, true);
    secret.setBigUint64(at + 8, word(SECRET, at + 8) - seed, true);
  }
  last_seed = seed;
  last_secret = secret;
  return secret;
}

function folded(a: bigint, b: bigint): bigint {
  const product = a * b;
  return (product & U64) ^ (product >> 64n);
}

function avalanche(value: bigint): bigint {
  let hash = value & U64;
  hash ^= hash >> 37n;
  hash = (hash * MX_1) & U64;
  return hash ^ (hash >> 32n);
}

function rotated(value: bigint, by: bigint): bigint {
  return ((value << by) | (value >> (64n - by))) & U64;
}

function byteSwapped(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, value, true);
  return view.getBigUint64(0, false);
}

function word(view: DataView, at: number): bigint {
  return view.getBigUint64(at, true);
}

function secretView(hex: string): DataView {
  return new DataView(Uint8Array.fromHex(hex).buffer);
}
