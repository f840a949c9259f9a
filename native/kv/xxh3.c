/*
 * XXH3, 64 bits, without a seed, as its specification has it
 * (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). One algorithm by length:
 * 0, 1–3, 4–8, 9–16, 17–128, 129–240 bytes, and stripes of 64 bytes beyond.
 */
#define XXH_P32_1 0x9E3779B1u
#define XXH_P32_2 0x85EBCA77u
#define XXH_P32_3 0xC2B2AE3Du
#define XXH_P64_1 0x9E3779B185EBCA87ul
#define XXH_P64_2 0xC2B2AE3D27D4EB4Ful
#define XXH_P64_3 0x165667B19E3779F9ul
#define XXH_P64_4 0x85EBCA77C2B2AE63ul
#define XXH_P64_5 0x27D4EB2F165667C5ul
#define XXH_P_MX1 0x165667919E3779F9ul
#define XXH_P_MX2 0x9FB21C651E98DF25ul

#define XXH_STRIPE 64
#define XXH_LANES 8
/* Stripes between two scrambles: (192 bytes of secret − 64) / 8. */
#define XXH_STRIPES 16

static const uint8_t XXH_SECRET[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
};

static uint32_t xxh_read32(const uint8_t *from) {
  uint32_t value;
  memcpy(&value, from, sizeof value);
  return value;
}

static uint64_t xxh_read64(const uint8_t *from) {
  uint64_t value;
  memcpy(&value, from, sizeof value);
  return value;
}

static uint64_t xxh_swap64(uint64_t x) {
  x = (x << 32) | (x >> 32);
  x = ((x & 0x0000FFFF0000FFFFul) << 16) | ((x >> 16) & 0x0000FFFF0000FFFFul);
  return ((x & 0x00FF00FF00FF00FFul) << 8) | ((x >> 8) & 0x00FF00FF00FF00FFul);
}

static uint64_t xxh_rotate(uint64_t x, int bits) { return (x << bits) | (x >> (64 - bits)); }

/* Both halves of the 128-bit product, by exclusive or: Bun's compiler has no 128-bit integers. */
static uint64_t xxh_fold(uint64_t a, uint64_t b) {
  uint64_t al = a & UINT32_MAX, ah = a >> 32, bl = b & UINT32_MAX, bh = b >> 32;
  uint64_t ll = al * bl, hl = ah * bl, lh = al * bh, hh = ah * bh;
  uint64_t cross = (ll >> 32) + (hl & UINT32_MAX) + lh;
  return ((hl >> 32) + (cross >> 32) + hh) ^ ((cross << 32) | (ll & UINT32_MAX));
}

static uint64_t xxh_avalanche64(uint64_t h) {
  h = (h ^ (h >> 33)) * XXH_P64_2;
  h = (h ^ (h >> 29)) * XXH_P64_3;
  return h ^ (h >> 32);
}

static uint64_t xxh_avalanche(uint64_t h) {
  h = (h ^ (h >> 37)) * XXH_P_MX1;
  return h ^ (h >> 32);
}

static uint64_t xxh_short(const uint8_t *p, size_t n) {
  const uint8_t *s = XXH_SECRET;
  if (n == 0) return xxh_avalanche64(xxh_read64(s + 56) ^ xxh_read64(s + 64));
  if (n < 4) {
    uint32_t all = ((uint32_t)p[0] << 16) | ((uint32_t)p[n >> 1] << 24) | p[n - 1] |
                   ((uint32_t)n << 8);
    return xxh_avalanche64(all ^ (uint64_t)(xxh_read32(s) ^ xxh_read32(s + 4)));
  }
  if (n <= 8) {
    uint64_t all = xxh_read32(p + n - 4) + ((uint64_t)xxh_read32(p) << 32);
    uint64_t h = all ^ xxh_read64(s + 8) ^ xxh_read64(s + 16);
    h ^= xxh_rotate(h, 49) ^ xxh_rotate(h, 24);
    h *= XXH_P_MX2;
    h ^= (h >> 35) + n;
    h *= XXH_P_MX2;
    return h ^ (h >> 28);
  }
  uint64_t low = xxh_read64(p) ^ xxh_read64(s + 24) ^ xxh_read64(s + 32);
  uint64_t high = xxh_read64(p + n - 8) ^ xxh_read64(s + 40) ^ xxh_read64(s + 48);
  return xxh_avalanche(n + xxh_swap64(low) + high + xxh_fold(low, high));
}

static uint64_t xxh_mix16(const uint8_t *p, const uint8_t *s) {
  return xxh_fold(xxh_read64(p) ^ xxh_read64(s), xxh_read64(p + 8) ^ xxh_read64(s + 8));
}

static uint64_t xxh_middle(const uint8_t *p, size_t n) {
  const uint8_t *s = XXH_SECRET;
  uint64_t h = n * XXH_P64_1;
  if (n <= 128) {
    for (size_t i = (n - 1) / 32 + 1; i-- > 0;) {
      h += xxh_mix16(p + 16 * i, s + 32 * i);
      h += xxh_mix16(p + n - 16 * (i + 1), s + 32 * i + 16);
    }
    return xxh_avalanche(h);
  }
  for (size_t i = 0; i < 8; i++) h += xxh_mix16(p + 16 * i, s + 16 * i);
  h = xxh_avalanche(h);
  for (size_t i = 8; i < n / 16; i++) h += xxh_mix16(p + 16 * i, s + 16 * (i - 8) + 3);
  return xxh_avalanche(h + xxh_mix16(p + n - 16, s + 136 - 17));
}

/* The loop that all the bytes of a block pass through. */
static void xxh_stripe(uint64_t *acc, const uint8_t *p, const uint8_t *s) {
  uint64_t value[XXH_LANES], key[XXH_LANES];
  memcpy(value, p, sizeof value);
  memcpy(key, s, sizeof key);
  for (int i = 0; i < XXH_LANES; i++) {
    uint64_t mixed = value[i] ^ key[i];
    acc[i ^ 1] += value[i];
    acc[i] += (mixed & UINT32_MAX) * (mixed >> 32);
  }
}

static void xxh_scramble(uint64_t *acc) {
  const uint8_t *s = XXH_SECRET + 192 - XXH_STRIPE;
  for (int i = 0; i < XXH_LANES; i++) {
    acc[i] ^= (acc[i] >> 47) ^ xxh_read64(s + 8 * i);
    acc[i] *= XXH_P32_1;
  }
}

/* Of more than 240 bytes, which may come in parts: all parts but the last are whole blocks of these. */
#define XXH_BLOCK (XXH_STRIPE * XXH_STRIPES)

static void xxh_begin(uint64_t *acc) {
  static const uint64_t first[XXH_LANES] = {XXH_P32_3, XXH_P64_1, XXH_P64_2, XXH_P64_3,
                                            XXH_P64_4, XXH_P32_2, XXH_P64_5, XXH_P32_1};
  memcpy(acc, first, sizeof first);
}

/*
 * Whole blocks, summed; with `to` (aligned to 16) they are stored there on the way, past the caches
 * where the compiler can say so: nobody here reads what was stored, and a store into a cache would
 * first read what it overwrites from memory.
 */
#if defined(__GNUC__) && !defined(__TINYC__) && defined(__SSE2__)
/* Two lanes a register, for the whole block: compilers keep the lanes in memory by themselves. */
typedef int xxh_halves __attribute__((vector_size(16)));
typedef unsigned long long xxh_pair __attribute__((vector_size(16)));
typedef unsigned long long xxh_any_pair __attribute__((vector_size(16), aligned(1), may_alias));
typedef long long xxh_signed_pair __attribute__((vector_size(16)));

static inline __attribute__((always_inline)) xxh_pair
xxh_pair_step(xxh_pair acc, const uint8_t *p, const uint8_t *s, uint8_t *to) {
  xxh_pair value = *(const xxh_any_pair *)p;
  xxh_halves mixed = (xxh_halves)(value ^ *(const xxh_any_pair *)s);
  xxh_halves high = __builtin_ia32_pshufd(mixed, 0x31);
  xxh_pair product = (xxh_pair)__builtin_ia32_pmuludq128(mixed, high);
#if defined(__clang__)
  if (to != NULL) __builtin_nontemporal_store(value, (xxh_pair *)to);
#else
  if (to != NULL) __builtin_ia32_movntdq((xxh_signed_pair *)to, (xxh_signed_pair)value);
#endif
  return acc + product + (xxh_pair)__builtin_ia32_pshufd((xxh_halves)value, 0x4E);
}

static inline __attribute__((always_inline)) void
xxh_blocks_to(uint64_t *acc, const uint8_t *p, size_t count, uint8_t *to) {
  xxh_pair a[XXH_LANES / 2];
  memcpy(a, acc, sizeof a);
  for (size_t b = 0; b < count; b++, p += XXH_BLOCK) {
    xxh_pair a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
    for (int i = 0; i < XXH_STRIPES; i++) {
      const uint8_t *stripe = p + i * XXH_STRIPE, *s = XXH_SECRET + i * 8;
      uint8_t *at = to == NULL ? NULL : to + b * XXH_BLOCK + i * XXH_STRIPE;
      a0 = xxh_pair_step(a0, stripe, s, at);
      a1 = xxh_pair_step(a1, stripe + 16, s + 16, at == NULL ? NULL : at + 16);
      a2 = xxh_pair_step(a2, stripe + 32, s + 32, at == NULL ? NULL : at + 32);
      a3 = xxh_pair_step(a3, stripe + 48, s + 48, at == NULL ? NULL : at + 48);
    }
    a[0] = a0, a[1] = a1, a[2] = a2, a[3] = a3;
    memcpy(acc, a, sizeof a);
    xxh_scramble(acc);
    memcpy(a, acc, sizeof a);
  }
}

static void xxh_blocks(uint64_t *acc, const uint8_t *p, size_t count) {
  xxh_blocks_to(acc, p, count, NULL);
}

static void xxh_blocks_carried(uint64_t *acc, const uint8_t *p, size_t count, uint8_t *to) {
  xxh_blocks_to(acc, p, count, to);
}

static void xxh_carried_fence(void) { __builtin_ia32_sfence(); }
#else
static void xxh_blocks(uint64_t *acc, const uint8_t *p, size_t count) {
  for (size_t b = 0; b < count; b++, p += XXH_BLOCK) {
    for (int i = 0; i < XXH_STRIPES; i++) xxh_stripe(acc, p + i * XXH_STRIPE, XXH_SECRET + i * 8);
    xxh_scramble(acc);
  }
}

static void xxh_blocks_carried(uint64_t *acc, const uint8_t *p, size_t count, uint8_t *to) {
  for (size_t b = 0; b < count; b++, p += XXH_BLOCK, to += XXH_BLOCK) {
    xxh_blocks(acc, p, 1);
    memcpy(to, p, XXH_BLOCK);
  }
}

static void xxh_carried_fence(void) {}
#endif

/* The last part: 1 to XXH_BLOCK bytes, of `n` in all. The 64 bytes before its end are readable. */
static uint64_t xxh_end(uint64_t *acc, const uint8_t *p, size_t rest, size_t n) {
  size_t stripes = (rest - 1) / XXH_STRIPE;
  for (size_t i = 0; i < stripes; i++) xxh_stripe(acc, p + i * XXH_STRIPE, XXH_SECRET + i * 8);
  xxh_stripe(acc, p + rest - XXH_STRIPE, XXH_SECRET + 192 - XXH_STRIPE - 7);
  uint64_t h = n * XXH_P64_1;
  for (int i = 0; i < 4; i++) {
    const uint8_t *s = XXH_SECRET + 11 + 16 * i;
    h += xxh_fold(acc[2 * i] ^ xxh_read64(s), acc[2 * i + 1] ^ xxh_read64(s + 8));
  }
  return xxh_avalanche(h);
}

static uint64_t xxh_long(const uint8_t *p, size_t n) {
  uint64_t acc[XXH_LANES];
  size_t whole = (n - 1) / XXH_BLOCK;
  xxh_begin(acc);
  xxh_blocks(acc, p, whole);
  return xxh_end(acc, p + whole * XXH_BLOCK, n - whole * XXH_BLOCK, n);
}

static uint64_t xxh3(const void *bytes, size_t n) {
  if (n <= 16) return xxh_short(bytes, n);
  return n <= 240 ? xxh_middle(bytes, n) : xxh_long(bytes, n);
}
