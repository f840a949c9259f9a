/*
 * The stages of a draw, in order, with their sources (vLLM: vllm/v1/sample, Apache-2.0;
 * llama.cpp: src/llama-sampler.cpp, MIT):
 *
 *   bias        l += bias[t]                                          OpenAI API reference
 *   repetition  l = l > 0 ? l / r : l * r, prompt and answer          Keskar et al. 2019 (CTRL); vLLM
 *   frequency   l -= f * count, answer only                           OpenAI API reference; vLLM
 *   presence    l -= p when count > 0, answer only                    the same
 *   ban         l = -inf                                              vLLM min_tokens
 *   greedy      argmax when temperature < 1e-5                        vLLM _SAMPLING_EPS
 *   temperature w = exp((l - max) / T)
 *   top-k       the k largest
 *   typical     smallest set by |-ln p - H| with mass >= typical_p    Meister et al. 2022; llama.cpp
 *   top-p       smallest set by p with mass >= top_p                  Holtzman et al. 2019
 *   min-p       p >= min_p * largest p                                Nguyen et al. 2024; llama.cpp
 *   draw        first token, by ascending id, whose running mass reaches u * mass
 *
 * Each stage sees what the one before left, renormalised. Ties go to the lower id.
 * The draw walks by id and not by rank so that a last-bit difference in the logits (another batch
 * shape) moves a boundary by 1e-6 and never reorders tokens.
 *
 * Arithmetic: edits in double, rounded to float once a stage; weights in float (relative error
 * below 3e-7), masses in double. A token less likely than e^-32 of the likeliest weighs nothing:
 * together all of a vocabulary of 262,144 such tokens would have had 3.4e-9 of the mass.
 *
 * Speed: the vocabulary is seen in blocks of 64. One pass takes each block's maximum, one more the
 * block's weight, both vectorised; after that only blocks that can hold a candidate are opened.
 */
#include "sampler.h"

#define BLOCK 64
#define CUT (-46.0f) /* log2 of the least weight that counts */
#define GREEDY_BELOW 1e-5f
#define MAX_VOCAB (1 << 24) /* ids are sort keys in float */
#define SEEN 0x80000000u    /* in `count`: the token is in the history, perhaps of the prompt only */
#define IMPOSSIBLE (-9999.0f)

struct candidate {
  float key; /* what the current stage sorts by, ascending; ties by id */
  float weight;
  int32_t id;
};

struct troupe_sampler_scratch {
  int32_t n_vocab;
  int32_t n_blocks;
  float *block_max;    /* n_blocks */
  double *block_mass;  /* n_blocks */
  float *undo;         /* 3 * n_vocab: what edits overwrote */
  struct candidate *c; /* n_vocab */
};

struct troupe_sampler {
  struct troupe_sampling p; /* its bias pointers are ours */
  int32_t n_vocab;
  int32_t bias_capacity;
  int32_t *bias_tokens;
  float *bias_values;
  bool penalties;
  int32_t n_history;
  int32_t *history; /* distinct tokens seen, in order of appearance; n_vocab */
  uint32_t *count;  /* by token id: SEEN | times in the answer; n_vocab */
};

static const float MINUS_INF = -1.0f / 0.0f;

/* ---- kernels over one block of 64 ---- */

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

/*
 * Two loops carry the cost of a large vocabulary, so they are written by hand four lanes wide: in
 * vector types where the compiler has them, in SSE2 (part of every x86-64) for Bun's compiler,
 * which does not vectorise, and plainly elsewhere. All three round alike.
 */
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
  /* maxps gives its source where either is no number, so the running maximum is the source */
  __asm__ volatile(
      "movups (%0), %%xmm1\n"
      "movaps %%xmm1, %%xmm3\n"
      "1:\n"
      "movups (%1), %%xmm0\n"
      "maxps %%xmm1, %%xmm0\n"
      "movaps %%xmm0, %%xmm1\n"
      "movups 16(%1), %%xmm2\n"
      "maxps %%xmm3, %%xmm2\n"
      "movaps %%xmm2, %%xmm3\n"
      "add $32, %1\n"
      "cmp %2, %1\n"
      "jb 1b\n"
      "maxps %%xmm3, %%xmm1\n"
      "movups %%xmm1, (%0)\n"
      :
      : "r"(lane), "r"(x), "r"(end)
      : "memory");
  for (int j = 0; j < 4; j++) best = lane[j] > best ? lane[j] : best;
  return best;
}

/* The constants of block_weights, four lanes each, on a boundary of 16 bytes. */
static const uint32_t NEGATIVE_CUT_BITS = 0xc2000000u;
#define CONSTANTS 14

static float block_weights(const float *x, float max, float scale, float *w) {
  float room[4 * CONSTANTS + 4];
  float *k = (float *)(((size_t)room + 15) & ~(size_t)15);
  const float values[CONSTANTS] = {max,     scale, -CUT, LOG2E, MAGIC, 0.0f, LN2_HIGH,
                                   LN2_LOW, C0,    C1,   C2,    C3,    C4,   C5};
  return 0;
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
