/*
 * Sampling: which token comes next, as a pure function of (seed, choice, index, logits, history).
 *
 *   logit bias → penalties → bans (min tokens) → greedy when temperature < 1e-5, else
 *   temperature → top-k → typical → top-p → min-p → one draw
 *
 * Memory is handed out at start (scratch, one per thread) and at admission (sampler, one per
 * sequence slot); nothing is allocated per token. No globals, no locks: one scratch serves one
 * thread at a time. Sources of the formulas and the bounds of the arithmetic are in sampler.c.
 */
#ifndef TROUPE_SAMPLER_H
#define TROUPE_SAMPLER_H

#include "../libc.h"

#define TROUPE_SAMPLER_OK 0
#define TROUPE_SAMPLER_NO_MEMORY (-1)
/* A token id outside 0..n_vocab-1, a parameter that is not a number, or too many biases. */
#define TROUPE_SAMPLER_BAD_PARAMS (-2)

/* How to draw; the neutral value that switches a stage off stands beside it. */
struct troupe_sampling {
  float temperature;        /* 0 = greedy */
  int32_t top_k;            /* 0 = off */
  float top_p;              /* 1 = off */
  float min_p;              /* 0 = off */
  float typical_p;          /* 1 = off */
  float repetition_penalty; /* 1 = off; tokens of prompt and answer */
  float frequency_penalty;  /* 0 = off; tokens of the answer */
  float presence_penalty;   /* 0 = off; tokens of the answer */
  uint64_t seed;
  int32_t n_bias;
  const int32_t *bias_tokens; /* n_bias ids; copied by troupe_sampler_begin */
  const float *bias_values;   /* n_bias values added to the logits; copied as well */
};

/* Working memory of one thread. */
struct troupe_sampler_scratch;
/* NULL when there is no memory. About 25 bytes a vocabulary entry, touched only when needed. */
struct troupe_sampler_scratch *troupe_sampler_scratch_new(int32_t n_vocab);
void troupe_sampler_scratch_free(struct troupe_sampler_scratch *scratch);

/* One sequence slot: its parameters and the tokens it has seen. Reused by `begin`. */
struct troupe_sampler;
struct troupe_sampler *troupe_sampler_new(int32_t n_vocab);
void troupe_sampler_free(struct troupe_sampler *sampler);

/*
 * Starts a sequence in the slot: copies `params`, forgets the tokens of the sequence before.
 * `tokens` is the prompt, then the already delivered answer; the first `n_prompt` are prompt.
 * The only call that may allocate: at the slot's first penalty, and for more biases than before.
 * Returns OK, NO_MEMORY or BAD_PARAMS; after an error the slot samples greedily.
 */
int32_t troupe_sampler_begin(struct troupe_sampler *sampler, const struct troupe_sampling *params,
                             const int32_t *tokens, int32_t n_tokens, int32_t n_prompt);

/* Adds one answer token to the history. Free when no penalty is on; never allocates. */
void troupe_sampler_accept(struct troupe_sampler *sampler, int32_t token);

/*
 * Draws the token of answer position `index` of `choice` from `n_vocab` logits. `banned` (stop and
 * end tokens while min_tokens is not reached) cannot be drawn. The logits are edited in place and
 * are as before when the call returns. Does not accept the token.
 * Always returns an id in 0..n_vocab-1: logits that are not numbers are never drawn, +inf wins over
 * every finite one, and 0 comes back when nothing can be drawn.
 */
int32_t troupe_sampler_sample(struct troupe_sampler *sampler,
                              struct troupe_sampler_scratch *scratch, float *logits,
                              uint32_t choice, uint32_t index, const int32_t *banned,
                              int32_t n_banned);

/*
 * What `sample` is going to draw from logits that are not there yet, by those of a model that
 * thinks alike: the boundaries between tokens lie a little elsewhere there, so that what lies most
 * around the number that is drawn by is likelier than what lies there. Greedy it is `sample`.
 */
int32_t troupe_sampler_guess(struct troupe_sampler *sampler,
                             struct troupe_sampler_scratch *scratch, float *logits,
                             uint32_t choice, uint32_t index, const int32_t *banned,
                             int32_t n_banned);

/*
 * As `sample`, from the tokens alone whose bit in `allowed` is set (n_vocab bits, lowest first), so
 * that every stage sees no others; the logits stay as they are. Where the bans leave nothing, they
 * do not hold. -1: nothing is allowed.
 */
int32_t troupe_sampler_sample_allowed(struct troupe_sampler *sampler,
                                      struct troupe_sampler_scratch *scratch, const float *logits,
                                      uint32_t choice, uint32_t index, const int32_t *banned,
                                      int32_t n_banned, const uint32_t *allowed);

/* The lowest id among the likeliest; what `sample` is at temperature 0 without edits. */
int32_t troupe_sampler_argmax(const float *logits, int32_t n_vocab);

/*
 * Log-probabilities (natural) under softmax of raw logits at temperature 1: of `token` into
 * `*logprob`, and of the `top_n` likeliest, likeliest first, into `top_tokens` and `top_logprobs`.
 * Returns how many of the top were written (fewer when fewer logits are numbers above -inf).
 * Impossible tokens get -9999, as OpenAI's API writes them, so that JSON can carry it.
 */
int32_t troupe_sampler_logprobs(const float *logits, int32_t n_vocab, int32_t token, int32_t top_n,
                                float *logprob, int32_t *top_tokens, float *top_logprobs);

/*
 * The random number in [0, 1) of (seed, choice, index): 53 bits of Philox4x32-10 with key
 * (seed low, seed high) and counter (index, choice, 0, 0).
 */
double troupe_sampler_uniform(uint64_t seed, uint32_t choice, uint32_t index);

#endif
