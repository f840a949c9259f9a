/* What a model with its cache takes, known before it is loaded whole, and what fits beside it. */

/* A value of the model's own architecture, as text; "" when there is none. */
static void load_own_key(const struct tr_engine *e, const struct llama_model *model,
                         const char *name, char *to, size_t size) {
  char architecture[64], key[128];
  to[0] = 0;
  if (e->api.llama_model_meta_val_str(model, "general.architecture", architecture, 64) <= 0)
    return;
  snprintf(key, sizeof key, "%s.%s", architecture, name);
  if (e->api.llama_model_meta_val_str(model, key, to, size) <= 0) to[0] = 0;
}

/* Of 32 numbers of a cache: ggml's blocks have a scale beside them. */
static uint64_t load_kv_block_bytes(int32_t type) {
  if (type == LLAMA_API_TYPE_Q8_0) return 34;
  return type == LLAMA_API_TYPE_Q4_0 ? 18 : 64;
}

/* A length of the model's attention heads; without one of its own they share what a token has. */
static uint64_t load_head_length(const struct tr_engine *e, const struct llama_model *model,
                                 const char *name) {
  char value[32];
  int32_t heads = e->api.llama_model_n_head(model);
  load_own_key(e, model, name, value, sizeof value);
  uint64_t length = value[0] ? (uint64_t)strtol(value, NULL, 10) : 0;
  if (length == 0 && heads > 0) length = (uint64_t)(e->api.llama_model_n_embd(model) / heads);
  return length;
}

/* Bytes of key and value of one position, all layers. */
static uint64_t load_kv_bytes_per_token(const struct tr_engine *e, const struct llama_model *model,
                                        int32_t type) {
  uint64_t lengths = load_head_length(e, model, "attention.key_length") +
                     load_head_length(e, model, "attention.value_length");
  return lengths * (uint64_t)e->api.llama_model_n_head_kv(model) *
         (uint64_t)e->api.llama_model_n_layer(model) * load_kv_block_bytes(type) / 32;
}

struct fit {
  uint64_t available;
  uint64_t weights; /* 0 where they are on a GPU */
  uint64_t buffers; /* whatever the cache's size */
  uint64_t kv;      /* of a token of the cache */
  uint64_t cell;    /* the same with what a batch needs for it */
};

/* Less is not made of a wish for a longer context. */
#define FIT_CONTEXT_LEAST 2048

/*
 * As llama.cpp 0.5.0 was seen to take them (`bun run bench memory` has both): the logits of a batch,
 * once in its graph and once outside; what one layer's tokens are multiplied to, where that is more;
 * and for each cell of the cache a 16-bit number a token of a batch, twice where layers look at
 * different parts of the cache.
 */
static struct fit fit_of(const struct tr_engine *e, uint64_t available, bool gpu) {
  char value[32];
  struct fit fit = {.available = available};
  load_own_key(e, e->model, "feed_forward_length", value, sizeof value);
  uint64_t feed_forward = value[0] ? (uint64_t)strtol(value, NULL, 10) : 0;
  uint64_t batch = e->batch_tokens, width = (uint64_t)e->api.llama_model_n_embd(e->model);
  uint64_t logits = (uint64_t)e->n_vocab * e->max_outputs * sizeof(float);
  uint64_t layer = batch * (3 * feed_forward + 4 * width) * sizeof(float);
  fit.weights = gpu ? 0 : e->api.llama_model_size(e->model);
  fit.buffers = logits + (logits > layer ? logits : layer);
  fit.kv = load_kv_bytes_per_token(e, e->model, e->options[TR_OPT_KV_TYPE]);
  fit.cell = fit.kv + batch * 2 * (e->api.llama_model_n_swa(e->model) > 0 ? 2 : 1);
  return fit;
}

static uint64_t fit_needed(const struct fit *fit, uint64_t cells) {
  return gguf_plus(gguf_plus(fit->weights, fit->buffers), gguf_times(fit->cell, cells));
}

/* Cells that fit, in whole steps of 256. */
static uint64_t fit_cells(const struct fit *fit) {
  uint64_t fixed = fit->weights + fit->buffers;
  return fixed < fit->available ? (fit->available - fixed) / fit->cell / 256 * 256 : 0;
}

/* The longest power of two that fits, where `wanted` does not; at least the least. */
static uint32_t fit_context(const struct fit *fit, uint32_t wanted) {
  uint32_t shorter = 1;
  if (fit_needed(fit, wanted) <= fit->available) return wanted;
  while (shorter * 2 < wanted) shorter *= 2;
  while (shorter > FIT_CONTEXT_LEAST && fit_needed(fit, shorter) > fit->available) shorter /= 2;
  return shorter < wanted && wanted > FIT_CONTEXT_LEAST ? shorter : wanted;
}

/* A step looks at all cells up to the last one in use, also at cached blocks of nobody: a processor
   feels that (docs/operating.md has figures), so memory alone does not say how many there are. */
#define CELLS_A_SEQ 256
#define CELLS_A_SEQ_GPU 1024
/* Of the free memory, for the caches of all engines here; others want some too. */
#define CELLS_MEMORY_SHARE 2

/*
 * Cells of the cache when nobody says: so many for each sequence, at most this engine's share of
 * half of what the memory holds, at least a whole context.
 */
static uint32_t fit_engine_cells(const struct tr_engine *e, const struct fit *fit, bool gpu) {
  uint32_t given = option(e, TR_OPT_KV_TOKENS, 0);
  uint64_t cells = given ? given : (uint64_t)e->max_seqs * (gpu ? CELLS_A_SEQ_GPU : CELLS_A_SEQ);
  if (!given) {
    uint64_t most = fit_cells(fit) / CELLS_MEMORY_SHARE / option(e, TR_OPT_SHARERS, 1);
    if (cells > most) cells = most;
  }
  if (cells < e->context_length) cells = e->context_length;
  return (uint32_t)(cells + 255) / 256 * 256; /* as llama.cpp rounds it */
}

static int32_t fit_refuse_weights(struct tr_engine *e, uint64_t weights, uint64_t available) {
  snprintf(e->message, sizeof e->message,
           "%s needs %llu MiB for its weights alone and %llu MiB are free: use a smaller model",
           e->model_path, (unsigned long long)(weights >> 20),
           (unsigned long long)(available >> 20));
  return TR_ERR_MEMORY;
}

/* Of what makes the most difference: the cache's length, its numbers, the answers at once. */
static void fit_advise(const struct tr_engine *e, const struct fit *fit, char *to, size_t size) {
  uint64_t cells = fit_cells(fit);
  bool given = e->options[TR_OPT_KV_TOKENS] > 0 && cells >= e->context_length;
  const char *numbers = e->options[TR_OPT_KV_TYPE] == 0                    ? ", or --kv-type q8_0"
                        : e->options[TR_OPT_KV_TYPE] == LLAMA_API_TYPE_Q8_0 ? ", or --kv-type q4_0"
                                                                            : "";
  if (cells > 0)
    snprintf(to, size, "give --%s %llu or less%s", given ? "kv-tokens" : "context-length",
             (unsigned long long)cells, numbers);
  else
    snprintf(to, size, "use a smaller model, or fewer answers at once by --max-num-seqs (now %u)",
             e->max_seqs);
}

static int32_t fit_refuse(struct tr_engine *e, const struct fit *fit, uint64_t cells) {
  char advice[160];
  fit_advise(e, fit, advice, sizeof advice);
  snprintf(e->message, sizeof e->message,
           "%s needs %llu MiB (weights %llu, %llu tokens of cache %llu, buffers %llu) and %llu MiB "
           "are free: %s",
           e->model_path, (unsigned long long)(fit_needed(fit, cells) >> 20),
           (unsigned long long)(fit->weights >> 20), (unsigned long long)cells,
           (unsigned long long)(fit->kv * cells >> 20),
           (unsigned long long)((fit->buffers + (fit->cell - fit->kv) * cells) >> 20),
           (unsigned long long)(fit->available >> 20), advice);
  return TR_ERR_MEMORY;
}
