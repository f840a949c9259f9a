/*
 * A stand-in for libllama whose logits are the same whatever else a batch holds: so answers of two
 * engines can be compared token for token. (Of a real model the last bits differ with the shape of
 * a batch.) They are a function of a sequence's tokens up to a position:
 *
 *   logit(token) = peaks by the last two tokens + a little by all tokens before
 *
 * so that texts repeat themselves, and so that a cell with another token, of another history or
 * of no sequence is seen in the answer. What cannot be right ends the program with a line: a token
 * whose position before it is not there, or is there already.
 *
 * A batch takes a while, however many tokens it has, so that guesses pay. A model whose file is
 * called a draft is faster, and thinks otherwise behind some tokens.
 *
 * What is not here nobody may call: stand-in-rest.c. VOCAB: tokens; ENDS: those that end an answer,
 * separated by commas.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TROUPE_LIBC_H /* the real headers are here */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../../../native/llama_api.h"

#define POSITIONS 2048
#define LAYERS 2
#define BATCH_US 400
#define DRAFT_US 20

struct cell {
  llama_token token;
  uint64_t history; /* of all tokens up to it */
  int32_t users;    /* sequences */
};

struct llama_model {
  bool drafts;
};

struct llama_context {
  bool drafts;
  struct cell *cells;
  uint32_t n_cells;
  int32_t seqs[LLAMA_API_MAX_SEQ][POSITIONS]; /* cell + 1, 0: none */
  float *logits;
  int32_t *row_of; /* by index in the batch, -1: no logits were asked for */
  uint32_t n_batch;
  uint32_t n_outputs;
  int32_t n_threads;
  struct threads *threads;
};

static const llama_token ends[] = {ENDS};

static void wrong(const char *what, int32_t seq, int32_t position) {
  fprintf(stderr, "stand-in llama: %s, sequence %d, position %d\n", what, seq, position);
  abort();
}

static uint64_t mixed(uint64_t a, uint64_t b) {
  uint64_t h = (a ^ (b + 0x9E3779B97F4A7C15ul + (a << 6) + (a >> 2))) * 0xFF51AFD7ED558CCDul;
  return (h ^ (h >> 32)) * 0xC4CEB9FE1A85EC53ul;
}

static float fraction(uint64_t h) { return (float)((h >> 40) + 1) / (float)(1 << 24); }

static void fill_logits(const struct llama_context *c, int32_t seq, int32_t position, float *to) {
  const struct cell *last = &c->cells[c->seqs[seq][position] - 1];
  uint64_t two = mixed(2, (uint64_t)last->token);
  if (position > 0) two = mixed(two, (uint64_t)c->cells[c->seqs[seq][position - 1] - 1].token);
  if (c->drafts && two % 8 == 0) two = mixed(two, 3);
  for (uint64_t token = 0; token < VOCAB; token++)
    to[token] = -2.0f * logf(fraction(mixed(two, token))) +
                0.3f * fraction(mixed(last->history, token));
}

static void forget(struct llama_context *c, int32_t seq, int32_t position) {
  int32_t cell = c->seqs[seq][position] - 1;
  c->seqs[seq][position] = 0;
  if (cell >= 0) c->cells[cell].users--;
}

/* ── the library's functions ───────────────────────────────────────────────────────────────── */

void ggml_backend_load_all_from_path(const char *path) { (void)path; }
size_t ggml_backend_dev_count(void) { return 1; }
void *ggml_backend_dev_get(size_t i) { return i == 0 ? (void *)ends : NULL; }
const char *ggml_backend_dev_description(void *device) { return device ? "stand-in" : ""; }
int ggml_backend_dev_type(void *device) { return device ? 0 : -1; }
void ggml_backend_dev_memory(void *device, size_t *free_bytes, size_t *total) {
  *free_bytes = *total = device ? 1ul << 30 : 0;
}

/* Computes on the caller's thread alone; what is asked for is held to be right. */
struct threads {
  int32_t count;
  int32_t contexts; /* that use them */
};
static void *threads_new(const struct ggml_threadpool_params *params) {
  struct threads *threads = calloc(1, sizeof *threads);
  threads->count = params->n_threads;
  return threads;
}
static void threads_free(void *given) {
  struct threads *threads = given;
  if (threads->contexts != 0) wrong("threads end before their contexts", -1, threads->contexts);
  free(threads);
}
void ggml_threadpool_params_init(struct ggml_threadpool_params *params, int count) {
  memset(params, 0, sizeof *params);
  params->n_threads = count;
  params->poll = 50;
}
void *ggml_backend_dev_backend_reg(void *device) { return device; }
void *ggml_backend_reg_get_proc_address(void *registry, const char *name) {
  if (registry && strcmp(name, "ggml_threadpool_new") == 0) return (void *)threads_new;
  if (registry && strcmp(name, "ggml_threadpool_free") == 0) return (void *)threads_free;
  return NULL;
}
void llama_attach_threadpool(struct llama_context *c, void *one, void *many) {
  struct threads *threads = one;
  if (c->threads || one != many) wrong("other threads", -1, -1);
  if (threads->count < c->n_threads) wrong("fewer threads than the context has", -1, -1);
  threads->contexts++;
  c->threads = threads;
}
size_t ggml_type_size(int type) { return type == LLAMA_API_TYPE_F16 ? 2 : 4; }
int64_t ggml_blck_size(int type) { return type >= 0 ? 1 : 0; }
const char *llama_version(void) { return LLAMA_API_RELEASE + 1; }
void llama_log_set(ggml_log_callback log, void *user_data) {
  (void)log;
  (void)user_data;
}

struct llama_model_params llama_model_default_params(void) {
  struct llama_model_params p;
  memset(&p, 0, sizeof p);
  p.n_gpu_layers = p.load_mode = -1;
  p.split_mode = p.lazy_mode = 1;
  p.use_extra_bufts = true;
  return p;
}

struct llama_context_params llama_context_default_params(void) {
  struct llama_context_params p;
  memset(&p, 0, sizeof p);
  p.n_ctx = p.n_ubatch = 512;
  p.n_batch = 2048;
  p.n_seq_max = p.n_outputs_max_per_seq = 1;
  p.n_threads = p.n_threads_batch = 1;
  p.rope_scaling_type = p.pooling_type = p.attention_type = p.flash_attn_type = -1;
  p.yarn_ext_factor = p.defrag_thold = -1.0f;
  p.type_k = p.type_v = LLAMA_API_TYPE_F16;
  p.offload_kqv = p.no_perf = p.op_offload = p.swa_full = true;
  return p;
}

struct llama_model *llama_model_load_from_file(const char *path, struct llama_model_params p) {
  if (p.progress_callback) p.progress_callback(1.0f, p.progress_callback_user_data);
  struct llama_model *model = calloc(1, sizeof *model);
  if (model) model->drafts = strstr(path, "draft") != NULL;
  return model;
}
void llama_model_free(struct llama_model *model) { free(model); }

struct llama_context *llama_init_from_model(struct llama_model *model,
                                            struct llama_context_params p) {
  struct llama_context *c = model ? calloc(1, sizeof *c) : NULL;
  if (!c) return NULL;
  c->drafts = model->drafts;
  c->n_cells = p.n_ctx;
  c->n_batch = p.n_batch;
  c->n_outputs = p.n_outputs_max;
  c->n_threads = p.n_threads;
  c->cells = calloc(p.n_ctx, sizeof *c->cells);
  c->logits = calloc((size_t)p.n_outputs_max * VOCAB, sizeof *c->logits);
  c->row_of = calloc(p.n_batch, sizeof *c->row_of);
  return c;
}
void llama_free(struct llama_context *c) {
  if (c->threads) c->threads->contexts--;
  free(c->cells);
  free(c->logits);
  free(c->row_of);
  free(c);
}
uint32_t llama_n_ctx(const struct llama_context *c) { return c->n_cells; }
llama_memory_t llama_get_memory(const struct llama_context *c) { return (llama_memory_t)c; }

const struct llama_vocab *llama_model_get_vocab(const struct llama_model *model) {
  return (const struct llama_vocab *)model;
}
#define NUMBER(type, name, value)              \
  type name(const struct llama_model *model) { \
    (void)model;                               \
    return value;                              \
  }
NUMBER(int32_t, llama_model_n_ctx_train, POSITIONS)
NUMBER(int32_t, llama_model_n_embd, 8)
NUMBER(int32_t, llama_model_n_embd_out, 8)
NUMBER(int32_t, llama_model_n_layer, LAYERS)
NUMBER(int32_t, llama_model_n_head, 1)
NUMBER(int32_t, llama_model_n_head_kv, 1)
NUMBER(int32_t, llama_model_n_swa, 0)
NUMBER(uint64_t, llama_model_size, 1 << 20)
NUMBER(uint64_t, llama_model_n_params, 1 << 20)
NUMBER(bool, llama_model_has_encoder, false)
NUMBER(bool, llama_model_has_decoder, true)
NUMBER(bool, llama_model_is_recurrent, false)
NUMBER(bool, llama_model_is_hybrid, false)
NUMBER(bool, llama_model_is_diffusion, false)

int32_t llama_model_meta_val_str(const struct llama_model *model, const char *key, char *to,
                                 size_t size) {
  (void)model;
  if (strcmp(key, "general.architecture") != 0) return -1;
  return snprintf(to, size, "stand-in");
}
int32_t llama_model_desc(const struct llama_model *model, char *to, size_t size) {
  return snprintf(to, size, model ? "stand-in" : "");
}
int32_t llama_vocab_n_tokens(const struct llama_vocab *vocab) { return vocab ? VOCAB : 0; }
bool llama_vocab_is_eog(const struct llama_vocab *vocab, llama_token token) {
  for (size_t i = 0; vocab && i < sizeof ends / sizeof *ends; i++)
    if (ends[i] == token) return true;
  return false;
}

int32_t llama_vocab_get_attr(const struct llama_vocab *vocab, llama_token token) {
  return vocab && token >= 0 ? 0 : -1;
}
llama_token llama_vocab_bos(const struct llama_vocab *vocab) { return vocab ? -1 : -2; }
llama_token llama_vocab_eos(const struct llama_vocab *vocab) { return vocab ? -1 : -2; }
llama_token llama_vocab_eot(const struct llama_vocab *vocab) { return vocab ? -1 : -2; }
bool llama_vocab_get_add_bos(const struct llama_vocab *vocab) { return !vocab; }
int32_t llama_token_to_piece(const struct llama_vocab *vocab, llama_token token, char *to,
                             int32_t size, int32_t lstrip, bool special) {
  return vocab && special && lstrip == 0 ? snprintf(to, (size_t)size, "%d", token) : 0;
}

void llama_memory_clear(llama_memory_t memory, bool data) {
  struct llama_context *c = (struct llama_context *)memory;
  (void)data;
  memset(c->seqs, 0, sizeof c->seqs);
  memset(c->cells, 0, c->n_cells * sizeof *c->cells);
}

bool llama_memory_seq_rm(llama_memory_t memory, llama_seq_id seq, llama_pos from, llama_pos to) {
  struct llama_context *c = (struct llama_context *)memory;
  for (int32_t p = from < 0 ? 0 : from; p < (to < 0 ? POSITIONS : to); p++) forget(c, seq, p);
  return true;
}

void llama_memory_seq_cp(llama_memory_t memory, llama_seq_id seq, llama_seq_id other,
                         llama_pos from, llama_pos to) {
  struct llama_context *c = (struct llama_context *)memory;
  for (int32_t p = from < 0 ? 0 : from; p < (to < 0 ? POSITIONS : to); p++) {
    int32_t cell = c->seqs[seq][p];
    if (cell == 0 || c->seqs[other][p] == cell) continue;
    if (c->seqs[other][p] != 0) wrong("copied to where another cell is", other, p);
    c->seqs[other][p] = cell;
    c->cells[cell - 1].users++;
  }
}

llama_pos llama_memory_seq_pos_min(llama_memory_t memory, llama_seq_id seq) {
  struct llama_context *c = (struct llama_context *)memory;
  int32_t p = 0;
  while (p < POSITIONS && c->seqs[seq][p] == 0) p++;
  return p < POSITIONS ? p : -1;
}
llama_pos llama_memory_seq_pos_max(llama_memory_t memory, llama_seq_id seq) {
  struct llama_context *c = (struct llama_context *)memory;
  int32_t p = POSITIONS - 1;
  while (p >= 0 && c->seqs[seq][p] == 0) p--;
  return p;
}

/* Blocks do not leave this one. */
size_t llama_state_seq_get_size(struct llama_context *c, llama_seq_id seq) {
  return c && seq >= 0 ? 0 : 1;
}

llama_batch llama_batch_init(int32_t n, int32_t embd, int32_t n_seqs) {
  llama_batch b;
  memset(&b, 0, sizeof b);
  if (embd != 0) return b;
  b.token = calloc((size_t)n, sizeof *b.token);
  b.pos = calloc((size_t)n, sizeof *b.pos);
  b.n_seq_id = calloc((size_t)n, sizeof *b.n_seq_id);
  b.seq_id = calloc((size_t)n + 1, sizeof *b.seq_id);
  b.logits = calloc((size_t)n, sizeof *b.logits);
  for (int32_t i = 0; i < n; i++) b.seq_id[i] = calloc((size_t)n_seqs, sizeof **b.seq_id);
  return b;
}
void llama_batch_free(llama_batch b) {
  for (int32_t i = 0; b.seq_id && b.seq_id[i]; i++) free(b.seq_id[i]);
  free(b.token);
  free(b.pos);
  free(b.n_seq_id);
  free(b.seq_id);
  free(b.logits);
}

int32_t llama_decode(struct llama_context *c, llama_batch b) {
  uint32_t cell = 0, rows = 0, unused = 0;
  for (uint32_t i = 0; i < c->n_cells; i++) unused += c->cells[i].users == 0;
  if ((uint32_t)b.n_tokens > unused) return 1; /* no room: nothing has changed */
  if (c->n_threads > 1 && !c->threads) wrong("threads for one batch alone", -1, -1);
  usleep(c->drafts ? DRAFT_US : BATCH_US);
  if ((uint32_t)b.n_tokens > c->n_batch) wrong("a batch is too large", 0, b.n_tokens);
  for (int32_t i = 0; i < b.n_tokens; i++) {
    int32_t seq = b.seq_id[i][0], p = b.pos[i];
    while (c->cells[cell].users > 0) cell++;
    if (b.n_seq_id[i] != 1 || p >= POSITIONS) wrong("no such place", seq, p);
    if (c->seqs[seq][p] != 0) wrong("a token is there already", seq, p);
    if (p > 0 && c->seqs[seq][p - 1] == 0) wrong("the token before is not there", seq, p);
    uint64_t before = p > 0 ? c->cells[c->seqs[seq][p - 1] - 1].history : 1;
    c->cells[cell] = (struct cell){b.token[i], mixed(before, (uint64_t)b.token[i]), 1};
    c->seqs[seq][p] = (int32_t)cell + 1;
    c->row_of[i] = b.logits[i] ? (int32_t)rows++ : -1;
    if (rows > c->n_outputs) wrong("more logits than there is room for", seq, p);
    if (b.logits[i]) fill_logits(c, seq, p, c->logits + (size_t)c->row_of[i] * VOCAB);
  }
  return 0;
}

float *llama_get_logits_ith(struct llama_context *c, int32_t i) {
  if (c->row_of[i] < 0) wrong("logits that were not asked for", -1, i);
  return c->logits + (size_t)c->row_of[i] * VOCAB;
}
