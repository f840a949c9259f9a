/*
 * The stages of a draw, in order, with their sources (vLLM: vllm/v1/sample, Apache-2.0;
 * llama.cpp: src/llama-sampler.cpp, MIT):
 *
 *   bias        l += bias[t]                                          OpenAI API reference
 *   repetition  l = l > 0 ? l / r : l * r, prompt and answer          CTRL (Keskar 2019); vLLM
 *   frequency   l -= f * count, answer only                           OpenAI API reference; vLLM
 *   presence    l -= p when count > 0, answer only                    the same
 *   ban         l = -inf                                              vLLM min_tokens
 *   greedy      argmax when temperature < 1e-5                        vLLM _SAMPLING_EPS
 *   temperature w = exp((l - max) / T)
 *   top-k       the k largest
 *   typical     smallest set by |-ln p - H| with mass >= typical_p    Meister 2022; llama.cpp
 *   top-p       smallest set by p with mass >= top_p                  Holtzman et al. 2019
 *   min-p       p >= min_p * largest p                                Nguyen et al. 2024; llama.cpp
 *   draw        first token, by ascending id, whose running mass reaches u * mass
 *
 * Each stage sees what the one before left, renormalised. Ties go to the lower id.
 * The draw walks by id and not by rank so that a last-bit difference in the logits (another batch
 * shape) moves a boundary by 1e-6 and never reorders tokens.
 *
 * Arithmetic: edits in double, rounded to float once a stage; weights 2^((l - max) / (T ln 2)) in
 * float (relative error 2e-7 and 2e-7 more for each halving), masses in double. A token less likely
 * than 2^-46 of the likeliest weighs nothing: 262,144 of them would have had 3.8e-9 of the mass.
 *
 * Speed: the vocabulary is seen in blocks of 64. One pass takes each block's maximum, one more the
 * block's weight, both vectorised; after that only blocks that can hold a candidate are opened.
 *
 * Long because the stages of one draw share one scratch and run in one order.
 */
#include "sampler.h"
#include "sampler-kernels.h"
#include "sampler-select.h"

#define GREEDY_BELOW 1e-5f
#define MAX_VOCAB (1 << 24) /* ids are sort keys in float */
#define SEEN 0x80000000u    /* in `count`: the token is in the history, if only by the prompt */
#define IMPOSSIBLE (-9999.0f)
/* A guess looks so far to both sides of the number that is drawn by. */
#define GUESS_REACH 0.1
#define GUESS_DRAWS 9

struct troupe_sampler_scratch {
  int32_t n_vocab;
  int32_t n_blocks;
  float *block_max;    /* n_blocks */
  double *block_mass;  /* n_blocks */
  float *undo;         /* 3 * n_vocab: what edits overwrote */
  float *masked;       /* n_vocab: the logits of allowed tokens, -inf elsewhere */
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

/* ---- one pass over the vocabulary ---- */

/* Block `b`, or a copy filled up with -inf when it is the last and short. */
static const float *block_at(const float *logits, int32_t n_vocab, int32_t b, float *copy) {
  int32_t first = b * BLOCK;
  if (first + BLOCK <= n_vocab) return logits + first;
  for (int32_t i = 0; i < BLOCK; i++) {
    copy[i] = first + i < n_vocab ? logits[first + i] : MINUS_INF;
  }
  return copy;
}

static int32_t blocks_of(int32_t n_vocab) { return (n_vocab + BLOCK - 1) / BLOCK; }

int32_t troupe_sampler_argmax(const float *logits, int32_t n_vocab) {
  float copy[BLOCK];
  float max = MINUS_INF;
  int32_t at = -1;
  for (int32_t b = 0; b < blocks_of(n_vocab); b++) {
    float m = block_maximum(block_at(logits, n_vocab, b, copy));
    if (m > max) {
      max = m;
      at = b * BLOCK;
    }
  }
  if (at < 0) return 0;
  while (logits[at] != max) at++;
  return at;
}

static float scan_maxima(struct troupe_sampler_scratch *s, const float *logits) {
  float copy[BLOCK];
  float max = MINUS_INF;
  for (int32_t b = 0; b < s->n_blocks; b++) {
    float m = block_maximum(block_at(logits, s->n_vocab, b, copy));
    s->block_max[b] = m;
    max = m > max ? m : max;
  }
  return max;
}

/* Fills block_mass, returns the sum. `scale` turns a logit difference into a power of two. */
static double scan_masses(struct troupe_sampler_scratch *s, const float *logits, float max,
                          float scale) {
  float copy[BLOCK], w[BLOCK];
  double mass = 0.0;
  for (int32_t b = 0; b < s->n_blocks; b++) {
    double m = 0.0;
    if ((s->block_max[b] - max) * scale >= CUT) {
      m = block_weights(block_at(logits, s->n_vocab, b, copy), max, scale, w);
    }
    s->block_mass[b] = m;
    mass += m;
  }
  return mass;
}

/* ---- the shortlist ---- */

static double mass_of(const struct candidate *c, int32_t n) {
  double mass = 0.0;
  for (int32_t i = 0; i < n; i++) mass += c[i].weight;
  return mass;
}

/* Lists every token with log2(weight) >= -depth, by ascending id; returns how many. */
static int32_t gather(struct troupe_sampler_scratch *s, const float *logits, float max, float scale,
                      float depth) {
  float least = max - depth / scale * 1.0001f; /* a first, cheaper sieve; never too fine */
  int32_t n = 0;
  for (int32_t b = 0; b < s->n_blocks; b++) {
    int32_t end = (b + 1) * BLOCK < s->n_vocab ? (b + 1) * BLOCK : s->n_vocab;
    if (!((s->block_max[b] - max) * scale >= -depth)) continue;
    for (int32_t i = b * BLOCK; i < end; i++) {
      float d, w;
      if (!(logits[i] >= least)) continue;
      d = (logits[i] - max) * scale;
      if (!(d >= -depth)) continue;
      w = weight_of(d);
      if (w == 0.0f) continue;
      s->c[n].key = -logits[i];
      s->c[n].weight = w;
      s->c[n].id = i;
      n++;
    }
  }
  return n;
}

/* ---- the stages ---- */

static int32_t keep_top_k(struct candidate *c, int32_t n, int32_t k, float max, float scale) {
  if (n <= k) return n;
  for (int32_t i = 0; i < n; i++) c[i].weight = 1.0f;
  n = select_mass(c, n, k);
  for (int32_t i = 0; i < n; i++) c[i].weight = weight_of((-c[i].key - max) * scale);
  return n;
}

/*
 * With p = w / Z, -ln p - H = E[d] - d where d = ln w: neither Z nor the entropy is needed, only
 * the mean of d. Restores the keys to logits afterwards.
 */
static int32_t keep_typical(struct candidate *c, int32_t n, float typical_p, const float *logits,
                            float max, float scale) {
  double mass = mass_of(c, n), mean = 0.0;
  for (int32_t i = 0; i < n; i++) mean += c[i].weight * (double)((-c[i].key - max) * scale);
  mean /= mass;
  for (int32_t i = 0; i < n; i++) {
    double off = (double)((-c[i].key - max) * scale) - mean;
    c[i].key = (float)(off < 0 ? -off : off);
  }
  n = select_mass(c, n, typical_p * mass);
  for (int32_t i = 0; i < n; i++) c[i].key = -logits[c[i].id];
  return n;
}

static int32_t keep_min_p(struct candidate *c, int32_t n, float min_p) {
  float most = 0.0f;
  int32_t kept = 0;
  for (int32_t i = 0; i < n; i++) most = c[i].weight > most ? c[i].weight : most;
  for (int32_t i = 0; i < n; i++) {
    if (c[i].weight >= (double)min_p * most) c[kept++] = c[i];
  }
  return kept;
}

static int32_t draw_listed(struct candidate *c, int32_t n, double u) {
  double mass = mass_of(c, n);
  for (int32_t i = 0; i < n; i++) c[i].key = (float)c[i].id;
  return c[select_mass(c, n, u * mass) - 1].id;
}

/* The draw when no stage cuts: by the masses of the blocks, then inside one. */
static int32_t draw_any(const struct troupe_sampler_scratch *s, const float *logits, float max,
                        float scale, double target) {
  float copy[BLOCK], w[BLOCK];
  double below = 0.0;
  int32_t block = -1, token = 0;
  for (int32_t b = 0; b < s->n_blocks; b++) {
    if (s->block_mass[b] == 0.0) continue;
    if (block >= 0) below += s->block_mass[block];
    block = b;
    if (below + s->block_mass[b] >= target) break;
  }
  block_weights(block_at(logits, s->n_vocab, block, copy), max, scale, w);
  for (int32_t i = 0; i < BLOCK; i++) {
    if (w[i] == 0.0f) continue;
    token = block * BLOCK + i;
    below += w[i];
    if (below >= target) break;
  }
  return token;
}

/* Lists enough of the likeliest tokens for the stages that cut; sets the mass top-p refers to. */
static int32_t shortlist(const struct troupe_sampling *p, struct troupe_sampler_scratch *s,
                         const float *logits, float max, float scale, double *mass) {
  bool top_k = p->top_k > 0, top_p = p->top_p < 1.0f;
  *mass = 0.0;
  if (!top_k && p->typical_p < 1.0f) return gather(s, logits, max, scale, -CUT);
  if (!top_k && top_p) *mass = scan_masses(s, logits, max, scale);
  if (!top_k && !top_p) { /* min-p alone; what the slack lets in is cut later */
    float depth = p->min_p < 1.0f ? (float)(-log(p->min_p) * 1.4426950408889634) : 0.0f;
    return gather(s, logits, max, scale, depth * 1.001f);
  }
  for (float depth = 8.0f;; depth *= 2.0f) {
    float reach = depth < -CUT ? depth : -CUT;
    int32_t n = gather(s, logits, max, scale, reach);
    bool enough = top_k ? n >= p->top_k : mass_of(s->c, n) >= (double)p->top_p * *mass;
    if (enough || reach == -CUT) return n;
  }
}

/* What may be drawn: the first `n` of the list, or where no stage cuts any token; then n is 0. */
struct lot {
  const float *logits;
  float max, scale;
  double mass;
  int32_t n;
};

static int32_t draw_at(struct troupe_sampler_scratch *s, const struct lot *lot, double u) {
  if (lot->n > 0) return draw_listed(s->c, lot->n, u);
  return draw_any(s, lot->logits, lot->max, lot->scale, u * lot->mass);
}

/* What comes most often at numbers around `u`; of several the one that is nearer to it. */
static int32_t draw_around(struct troupe_sampler_scratch *s, const struct lot *lot, double u) {
  int32_t tokens[GUESS_DRAWS], best = 0, most = 0;
  for (int32_t i = 0; i < GUESS_DRAWS; i++) {
    int32_t times = 1;
    /* u, then one step up and one down, two up and two down, … */
    double v = u + (i % 2 ? 1 : -1) * ((i + 1) / 2) * GUESS_REACH / (GUESS_DRAWS / 2);
    tokens[i] = draw_at(s, lot, v < 0.0 ? 0.0 : v > 1.0 ? 1.0 : v);
    for (int32_t k = 0; k < i; k++) times += tokens[k] == tokens[i];
    if (times <= most) continue;
    most = times;
    best = tokens[i];
  }
  return best;
}

static int32_t draw(const struct troupe_sampling *p, struct troupe_sampler_scratch *s,
                    const float *logits, double u, bool guess) {
  float scale = (float)(1.4426950408889634 / p->temperature);
  float max = scan_maxima(s, logits);
  struct lot lot = {logits, max, scale, 0.0, 0};
  double mass;
  int32_t n;
  if (!(max - max == 0.0f)) return troupe_sampler_argmax(logits, s->n_vocab); /* +inf, -inf */
  if (p->top_k <= 0 && p->top_p >= 1.0f && p->min_p <= 0.0f && p->typical_p >= 1.0f) {
    lot.mass = scan_masses(s, logits, max, scale);
    return guess ? draw_around(s, &lot, u) : draw_at(s, &lot, u);
  }
  n = shortlist(p, s, logits, max, scale, &mass);
  if (p->top_k > 0) n = keep_top_k(s->c, n, p->top_k, max, scale);
  if (p->typical_p < 1.0f) n = keep_typical(s->c, n, p->typical_p, logits, max, scale);
  if (p->top_p < 1.0f) {
    if (mass == 0.0) mass = mass_of(s->c, n);
    n = select_mass(s->c, n, p->top_p * mass);
  }
  if (p->min_p > 0.0f) n = keep_min_p(s->c, n, p->min_p);
  lot.n = n;
  return guess ? draw_around(s, &lot, u) : draw_at(s, &lot, u);
}

/* ---- edits ---- */

/* Applies bias, penalties and bans; returns how many values stand in `undo`. */
static int32_t edit(const struct troupe_sampler *q, float *undo, float *logits,
                    const int32_t *banned, int32_t n_banned) {
  const struct troupe_sampling *p = &q->p;
  int32_t n = 0;
  for (int32_t i = 0; i < p->n_bias; i++) {
    float *l = &logits[p->bias_tokens[i]];
    undo[n++] = *l;
    *l = (float)((double)*l + p->bias_values[i]);
  }
  for (int32_t i = 0; i < q->n_history; i++) {
    float *l = &logits[q->history[i]];
    uint32_t times = q->count[q->history[i]] & ~SEEN;
    double v = *l;
    undo[n++] = *l;
    v = v > 0.0 ? v / p->repetition_penalty : v * p->repetition_penalty;
    if (times > 0) {
      v -= (double)p->frequency_penalty * times;
      v -= p->presence_penalty;
    }
    *l = (float)v;
  }
  for (int32_t i = 0; i < n_banned; i++) {
    if (banned[i] < 0 || banned[i] >= q->n_vocab) continue;
    undo[n++] = logits[banned[i]];
    logits[banned[i]] = MINUS_INF;
  }
  return n;
}

static void restore(const struct troupe_sampler *q, const float *undo, int32_t n, float *logits,
                    const int32_t *banned, int32_t n_banned) {
  for (int32_t i = n_banned - 1; i >= 0; i--) {
    if (banned[i] >= 0 && banned[i] < q->n_vocab) logits[banned[i]] = undo[--n];
  }
  for (int32_t i = q->n_history - 1; i >= 0; i--) logits[q->history[i]] = undo[--n];
  for (int32_t i = q->p.n_bias - 1; i >= 0; i--) logits[q->p.bias_tokens[i]] = undo[--n];
}

static int32_t choose(struct troupe_sampler *q, struct troupe_sampler_scratch *s, float *logits,
                      uint32_t choice, uint32_t index, const int32_t *banned, int32_t n_banned,
                      bool guess) {
  const struct troupe_sampling *p = &q->p;
  int32_t token, edits;
  if (n_banned > q->n_vocab) n_banned = q->n_vocab; /* all that `undo` holds; they repeat anyway */
  edits = edit(q, s->undo, logits, banned, n_banned);
  if (p->temperature < GREEDY_BELOW || p->top_k == 1) {
    token = troupe_sampler_argmax(logits, s->n_vocab);
  } else {
    token = draw(p, s, logits, troupe_sampler_uniform(p->seed, choice, index), guess);
  }
  restore(q, s->undo, edits, logits, banned, n_banned);
  return token;
}

int32_t troupe_sampler_sample(struct troupe_sampler *q, struct troupe_sampler_scratch *s,
                              float *logits, uint32_t choice, uint32_t index,
                              const int32_t *banned, int32_t n_banned) {
  return choose(q, s, logits, choice, index, banned, n_banned, false);
}

int32_t troupe_sampler_guess(struct troupe_sampler *q, struct troupe_sampler_scratch *s,
                             float *logits, uint32_t choice, uint32_t index,
                             const int32_t *banned, int32_t n_banned) {
  return choose(q, s, logits, choice, index, banned, n_banned, true);
}

/* ---- masks ---- */

static bool is_allowed(const uint32_t *allowed, int32_t token) {
  return (allowed[token >> 5] >> (token & 31)) & 1;
}

static void keep_allowed(float *to, const float *logits, const uint32_t *allowed, int32_t n_vocab) {
  for (int32_t i = 0; i < n_vocab; i++) to[i] = is_allowed(allowed, i) ? logits[i] : MINUS_INF;
}

int32_t troupe_sampler_sample_allowed(struct troupe_sampler *q, struct troupe_sampler_scratch *s,
                                      const float *logits, uint32_t choice, uint32_t index,
                                      const int32_t *banned, int32_t n_banned,
                                      const uint32_t *allowed) {
  int32_t first = 0, token;
  while (first < s->n_vocab && !is_allowed(allowed, first)) first++;
  if (first == s->n_vocab) return -1;
  keep_allowed(s->masked, logits, allowed, s->n_vocab);
  for (int32_t i = 0; i < n_banned; i++) {
    if (banned[i] >= 0 && banned[i] < s->n_vocab) s->masked[banned[i]] = MINUS_INF;
  }
  if (n_banned > 0 && s->masked[troupe_sampler_argmax(s->masked, s->n_vocab)] == MINUS_INF) {
    keep_allowed(s->masked, logits, allowed, s->n_vocab);
  }
  token = troupe_sampler_sample(q, s, s->masked, choice, index, NULL, 0);
  return is_allowed(allowed, token) ? token : first; /* where no logit is a number */
}

/* ---- randomness ---- */

/* Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers", SC 2011. */
double troupe_sampler_uniform(uint64_t seed, uint32_t choice, uint32_t index) {
  uint32_t c0 = index, c1 = choice, c2 = 0, c3 = 0;
  uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c0;
    uint64_t b = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)b;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return ((c0 >> 5) * 67108864.0 + (c1 >> 6)) / 9007199254740992.0;
}

/* ---- log-probabilities ---- */

static void offer_top(int32_t token, float logit, int32_t top_n, int32_t *n, int32_t *tokens,
                      float *logits) {
  int32_t at;
  if (*n == top_n && !(logit > logits[top_n - 1])) return;
  at = *n < top_n ? (*n)++ : top_n - 1;
  for (; at > 0 && logit > logits[at - 1]; at--) {
    tokens[at] = tokens[at - 1];
    logits[at] = logits[at - 1];
  }
  tokens[at] = token;
  logits[at] = logit;
}

static float logprob_of(float logit, float max, double log_mass) {
  double v = logit == max ? 0.0 - log_mass : ((double)logit - max) - log_mass;
  return v > IMPOSSIBLE ? (float)v : IMPOSSIBLE; /* also for what is no number */
}

int32_t troupe_sampler_logprobs(const float *logits, int32_t n_vocab, int32_t token, int32_t top_n,
                                float *logprob, int32_t *top_tokens, float *top_logprobs) {
  float copy[BLOCK], w[BLOCK];
  float max = MINUS_INF;
  double mass = 0.0, log_mass;
  int32_t n = 0;
  for (int32_t b = 0; b < blocks_of(n_vocab); b++) {
    const float *x = block_at(logits, n_vocab, b, copy);
    float m = block_maximum(x);
    max = m > max ? m : max;
    if (top_n <= 0 || m == MINUS_INF) continue;
    if (n == top_n && !(m > top_logprobs[n - 1])) continue;
    for (int32_t i = 0; i < BLOCK; i++) {
      if (x[i] > MINUS_INF) offer_top(b * BLOCK + i, x[i], top_n, &n, top_tokens, top_logprobs);
    }
  }
  for (int32_t b = 0; b < blocks_of(n_vocab); b++) {
    const float *x = block_at(logits, n_vocab, b, copy);
    if (max - max == 0.0f) {
      mass += block_weights(x, max, 1.44269504f, w);
    } else {
      for (int32_t i = 0; i < BLOCK; i++) mass += x[i] == max && max > MINUS_INF;
    }
  }
  log_mass = mass > 0.0 ? log(mass) : 0.0;
  *logprob = max > MINUS_INF ? logprob_of(logits[token], max, log_mass) : IMPOSSIBLE;
  for (int32_t i = 0; i < n; i++) top_logprobs[i] = logprob_of(top_logprobs[i], max, log_mass);
  return n;
}

/* ---- memory and history ---- */

struct troupe_sampler_scratch *troupe_sampler_scratch_new(int32_t n_vocab) {
  struct troupe_sampler_scratch *s;
  size_t n = (size_t)n_vocab;
  if (n_vocab < 1 || n_vocab > MAX_VOCAB) return NULL;
  s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->n_vocab = n_vocab;
  s->n_blocks = blocks_of(n_vocab);
  s->block_max = malloc((size_t)s->n_blocks * sizeof *s->block_max);
  s->block_mass = malloc((size_t)s->n_blocks * sizeof *s->block_mass);
  s->undo = malloc(3 * n * sizeof *s->undo);
  s->masked = malloc(n * sizeof *s->masked);
  s->c = malloc(n * sizeof *s->c);
  if (s->block_max && s->block_mass && s->undo && s->masked && s->c) return s;
  troupe_sampler_scratch_free(s);
  return NULL;
}

void troupe_sampler_scratch_free(struct troupe_sampler_scratch *s) {
  if (!s) return;
  free(s->block_max);
  free(s->block_mass);
  free(s->undo);
  free(s->masked);
  free(s->c);
  free(s);
}

static void neutral(struct troupe_sampler *q) {
  memset(&q->p, 0, sizeof q->p);
  q->p.top_p = q->p.typical_p = q->p.repetition_penalty = 1.0f;
  q->p.bias_tokens = q->bias_tokens;
  q->p.bias_values = q->bias_values;
  q->penalties = false;
}

struct troupe_sampler *troupe_sampler_new(int32_t n_vocab) {
  struct troupe_sampler *q;
  if (n_vocab < 1 || n_vocab > MAX_VOCAB) return NULL;
  q = calloc(1, sizeof *q);
  if (!q) return NULL;
  q->n_vocab = n_vocab;
  neutral(q);
  return q;
}

void troupe_sampler_free(struct troupe_sampler *q) {
  if (!q) return;
  free(q->bias_tokens);
  free(q->bias_values);
  free(q->history);
  free(q->count);
  free(q);
}

static bool is_finite(float x) { return x - x == 0.0f; }

static bool acceptable(const struct troupe_sampler *q, const struct troupe_sampling *p,
                       const int32_t *tokens, int32_t n_tokens) {
  if (!is_finite(p->temperature) || !is_finite(p->top_p) || !is_finite(p->min_p)) return false;
  if (!is_finite(p->typical_p) || !is_finite(p->frequency_penalty)) return false;
  if (!is_finite(p->presence_penalty) || !is_finite(p->repetition_penalty)) return false;
  if (p->repetition_penalty <= 0.0f || p->n_bias < 0 || p->n_bias > q->n_vocab) return false;
  for (int32_t i = 0; i < p->n_bias; i++) {
    if (p->bias_tokens[i] < 0 || p->bias_tokens[i] >= q->n_vocab) return false;
    if (!is_finite(p->bias_values[i])) return false;
  }
  for (int32_t i = 0; i < n_tokens; i++) {
    if (tokens[i] < 0 || tokens[i] >= q->n_vocab) return false;
  }
  return true;
}

static bool reserve(struct troupe_sampler *q, int32_t n_bias, bool penalties) {
  if (penalties && !q->count) {
    q->history = malloc((size_t)q->n_vocab * sizeof *q->history);
    q->count = calloc((size_t)q->n_vocab, sizeof *q->count);
    if (!q->history || !q->count) {
      free(q->history);
      free(q->count);
      q->history = NULL;
      q->count = NULL;
      return false;
    }
  }
  if (n_bias > q->bias_capacity) {
    free(q->bias_tokens);
    free(q->bias_values);
    q->bias_tokens = malloc((size_t)n_bias * sizeof *q->bias_tokens);
    q->bias_values = malloc((size_t)n_bias * sizeof *q->bias_values);
    q->bias_capacity = q->bias_tokens && q->bias_values ? n_bias : 0;
    return q->bias_capacity == n_bias;
  }
  return true;
}

int32_t troupe_sampler_begin(struct troupe_sampler *q, const struct troupe_sampling *params,
                             const int32_t *tokens, int32_t n_tokens, int32_t n_prompt) {
  bool repetition = params->repetition_penalty != 1.0f;
  bool penalties =
      repetition || params->frequency_penalty != 0.0f || params->presence_penalty != 0.0f;
  for (int32_t i = 0; i < q->n_history; i++) q->count[q->history[i]] = 0;
  q->n_history = 0;
  neutral(q);
  if (!acceptable(q, params, tokens, n_tokens)) return TROUPE_SAMPLER_BAD_PARAMS;
  if (!reserve(q, params->n_bias, penalties)) {
    neutral(q);
    return TROUPE_SAMPLER_NO_MEMORY;
  }
  if (params->n_bias > 0) {
    memcpy(q->bias_tokens, params->bias_tokens, (size_t)params->n_bias * sizeof(int32_t));
    memcpy(q->bias_values, params->bias_values, (size_t)params->n_bias * sizeof(float));
  }
  q->p = *params;
  q->p.bias_tokens = q->bias_tokens;
  q->p.bias_values = q->bias_values;
  q->penalties = penalties;
  for (int32_t i = 0; penalties && repetition && i < n_prompt && i < n_tokens; i++) {
    if (q->count[tokens[i]] == 0) q->history[q->n_history++] = tokens[i];
    q->count[tokens[i]] = SEEN;
  }
  for (int32_t i = n_prompt > 0 ? n_prompt : 0; i < n_tokens; i++) {
    troupe_sampler_accept(q, tokens[i]);
  }
  return TROUPE_SAMPLER_OK;
}

void troupe_sampler_accept(struct troupe_sampler *q, int32_t token) {
  if (!q->penalties || token < 0 || token >= q->n_vocab) return;
  if (q->count[token] == 0) q->history[q->n_history++] = token;
  q->count[token] = (q->count[token] | SEEN) + 1;
}

#undef BLOCK
#undef CUT
#undef GREEDY_BELOW
#undef MAX_VOCAB
#undef SEEN
#undef IMPOSSIBLE
#undef GUESS_REACH
#undef GUESS_DRAWS
