/*
 * The two loops of sampler.c that see every logit, over one block of 64: its maximum, its weights.
 * Included by sampler.c alone.
 *
 * They carry the cost of a large vocabulary, so they are written by hand four lanes wide: in vector
 * types where the compiler has them, in SSE2 (part of every x86-64) for Bun's compiler, which does
 * not vectorise, and plainly elsewhere. All three take the same steps.
 */
#ifndef TROUPE_SAMPLER_KERNELS_H
#define TROUPE_SAMPLER_KERNELS_H

#include "../libc.h"

#define BLOCK 64
#define CUT (-46.0f) /* log2 of the least weight that counts */

static const float MINUS_INF = -1.0f / 0.0f;

/*
 * 2^d for d in CUT..0 as 2^n * 2^f, |f| <= 1/2, with a polynomial of least largest relative error
 * (2e-7 in float; exact at 0). Adding MAGIC rounds to an integer and leaves it in the low bits,
 * which saves the conversions.
 */
#define MAGIC 12582912.0f
#define C1 0.6931470036506653f
#define C2 0.24022242426872253f
#define C3 0.05550733953714371f
#define C4 0.009671511128544807f
#define C5 0.0013264600420370698f

union bits {
  float f;
  uint32_t u;
};

/* 2^d, 0 below CUT and for what is no number. */
static float weight_of(float d) {
  union bits t, y;
  float f;
  if (!(d >= CUT)) return 0.0f;
  t.f = d + MAGIC;
  f = d - (t.f - MAGIC);
  y.f = ((((C5 * f + C4) * f + C3) * f + C2) * f + C1) * f + 1.0f;
  y.u += t.u << 23;
  return y.f;
}

#if !defined(__TINYC__)
typedef float lanes __attribute__((vector_size(16)));
typedef int32_t lane_bits __attribute__((vector_size(16)));

static lanes load(const float *x) {
  lanes v;
  memcpy(&v, x, sizeof v);
  return v;
}

static lanes larger(lanes x, lanes y) { /* y where x is no number */
  lane_bits above = x > y;
  return (lanes)(((lane_bits)x & above) | ((lane_bits)y & ~above));
}

static float block_maximum(const float *x) {
  lanes a = {MINUS_INF, MINUS_INF, MINUS_INF, MINUS_INF};
  lanes b = a;
  float best = MINUS_INF;
  for (int i = 0; i < BLOCK; i += 8) {
    a = larger(load(x + i), a);
    b = larger(load(x + i + 4), b);
  }
  a = larger(a, b);
  for (int j = 0; j < 4; j++) best = a[j] > best ? a[j] : best;
  return best;
}

static float block_weights(const float *x, float max, float scale, float *w) {
  lanes sum = {0};
  for (int i = 0; i < BLOCK; i += 4) {
    lanes d = (load(x + i) - max) * scale;
    lane_bits keep = d >= CUT;
    lanes t, f, y;
    d = (lanes)((lane_bits)d & keep); /* weighs 1 where dropped, masked below */
    t = d + MAGIC;
    f = d - (t - MAGIC);
    y = ((((C5 * f + C4) * f + C3) * f + C2) * f + C1) * f + 1.0f;
    y = (lanes)(((lane_bits)y + ((lane_bits)t << 23)) & keep);
    memcpy(w + i, &y, sizeof y);
    sum += y;
  }
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}
#elif defined(__x86_64__)
static float block_maximum(const float *x) {
  float lane[4];
  float best = MINUS_INF;
  const float *end = x + BLOCK;
  for (int j = 0; j < 4; j++) lane[j] = MINUS_INF;
  /* maxps gives its source where either is no number, so the maximum so far is the source */
  __asm__ volatile(
      "movups (%2), %%xmm1\n"
      "movups (%2), %%xmm3\n"
      "1:\n"
      "movups (%0), %%xmm0\n"
      "maxps %%xmm1, %%xmm0\n"
      "movups 16(%0), %%xmm2\n"
      "maxps %%xmm3, %%xmm2\n"
      "movups 32(%0), %%xmm1\n"
      "maxps %%xmm0, %%xmm1\n"
      "movups 48(%0), %%xmm3\n"
      "maxps %%xmm2, %%xmm3\n"
      "add $64, %0\n"
      "cmp %1, %0\n"
      "jb 1b\n"
      "maxps %%xmm3, %%xmm1\n"
      "movups %%xmm1, (%2)\n"
      : "+r"(x)
      : "r"(end), "r"(lane)
      : "memory");
  for (int j = 0; j < 4; j++) best = lane[j] > best ? lane[j] : best;
  return best;
}

#define FOUR(v) v, v, v, v
static const float EXP2_LANES[] __attribute__((aligned(16))) = {
    FOUR(CUT), FOUR(MAGIC), FOUR(C5), FOUR(C4), FOUR(C3), FOUR(C2), FOUR(C1), FOUR(1.0f)};

static float block_weights(const float *x, float max, float scale, float *w) {
  float lane[8] = {FOUR(max), FOUR(scale)};
  const float *end = x + BLOCK;
  /* The same steps as above: xmm0 d then f, xmm1 keep, xmm2 t, xmm3 y, xmm5 sum. */
  __asm__ volatile(
      "movups (%3), %%xmm6\n"
      "movups 16(%3), %%xmm7\n"
      "pxor %%xmm5, %%xmm5\n"
      "1:\n"
      "movups (%0), %%xmm0\n"
      "subps %%xmm6, %%xmm0\n"
      "mulps %%xmm7, %%xmm0\n"
      "movups (%4), %%xmm1\n"
      ".byte 0x0f, 0xc2, 0xc8, 0x02\n" /* cmpleps %xmm0, %xmm1, which it cannot spell */
      "andps %%xmm1, %%xmm0\n"
      "movups 16(%4), %%xmm2\n"
      "addps %%xmm0, %%xmm2\n"
      "movups 16(%4), %%xmm3\n"
      "addps %%xmm0, %%xmm3\n"
      "subps 16(%4), %%xmm3\n"
      "subps %%xmm3, %%xmm0\n"
      "movups 32(%4), %%xmm3\n"
      "mulps %%xmm0, %%xmm3\n"
      "addps 48(%4), %%xmm3\n"
      "mulps %%xmm0, %%xmm3\n"
      "addps 64(%4), %%xmm3\n"
      "mulps %%xmm0, %%xmm3\n"
      "addps 80(%4), %%xmm3\n"
      "mulps %%xmm0, %%xmm3\n"
      "addps 96(%4), %%xmm3\n"
      "mulps %%xmm0, %%xmm3\n"
      "addps 112(%4), %%xmm3\n"
      "pslld $23, %%xmm2\n"
      "paddd %%xmm2, %%xmm3\n"
      "andps %%xmm1, %%xmm3\n"
      "movups %%xmm3, (%1)\n"
      "addps %%xmm3, %%xmm5\n"
      "add $16, %0\n"
      "add $16, %1\n"
      "cmp %2, %0\n"
      "jb 1b\n"
      "movups %%xmm5, (%3)\n"
      : "+r"(x), "+r"(w)
      : "r"(end), "r"(lane), "r"(EXP2_LANES)
      : "memory");
  return (lane[0] + lane[2]) + (lane[1] + lane[3]);
}
#else
static float block_maximum(const float *x) {
  float best = MINUS_INF;
  for (int i = 0; i < BLOCK; i++) best = x[i] > best ? x[i] : best;
  return best;
}

static float block_weights(const float *x, float max, float scale, float *w) {
  float sum = 0.0f;
  for (int i = 0; i < BLOCK; i++) sum += w[i] = weight_of((x[i] - max) * scale);
  return sum;
}
#endif

#undef MAGIC
#undef C1
#undef C2
#undef C3
#undef C4
#undef C5
#undef FOUR

#endif
