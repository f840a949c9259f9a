/* The draft model from a path to a ready context; each failure is a code and one line. */
#define DRAFTER_BATCH 512u
#define DRAFTER_TRIED 64u /* tokens of a prompt that its cost is measured by */
/* Less than a quarter of the smaller vocabulary with partners is refused. */
#define DRAFTER_LEAST_SHARE 4

static bool drafter_goes_on(float progress, void *user_data) {
  const struct tr_engine *e = user_data;
  (void)progress;
  return !e->closing;
}

static void drafter_free(struct tr_engine *e) {
  struct drafter *d = e->drafter;
  if (!d) return;
  e->drafter = NULL;
  if (d->batch.token) e->api.llama_batch_free(d->batch);
  if (d->context) e->api.llama_free(d->context);
  if (d->model) e->api.llama_model_free(d->model);
  free(d->to_own);
  free(d->to_engine);
  free(d->logits);
  free(d->views);
  free(d);
}

static int32_t drafter_refuse(struct tr_engine *e, int32_t code, const char *why) {
  snprintf(e->message, sizeof e->message, "the draft model %s %s", e->draft_path, why);
  return code;
}

static int32_t drafter_load_model(struct tr_engine *e, struct drafter *d, uint64_t available) {
  char why[512];
  struct gguf_facts facts;
  int32_t code = gguf_check(e->draft_path, &e->api, &facts, e->message, sizeof e->message);
  if (code != TR_OK) return code;
  uint64_t weights = gguf_times(facts.file_bytes, facts.n_splits);
  if (weights > available) {
    snprintf(why, sizeof why,
             "needs %llu MiB and %llu MiB are free beside the model: use a smaller one, or none",
             (unsigned long long)(weights >> 20), (unsigned long long)(available >> 20));
    return drafter_refuse(e, TR_ERR_MEMORY, why);
  }
  struct llama_model_params params = e->api.llama_model_default_params();
  params.progress_callback = drafter_goes_on;
  params.progress_callback_user_data = e;
  params.use_extra_bufts = e->options[TR_OPT_WEIGHTS_SHARED] == 0;
  int32_t layers = e->options[TR_OPT_GPU_LAYERS];
  params.n_gpu_layers = layers < 0 ? 0 : -1;
  library_complaint[0] = 0;
  d->model = e->api.llama_model_load_from_file(e->draft_path, params);
  if (!d->model && e->closing) return TR_ERR_CLOSED;
  if (!d->model) {
    snprintf(why, sizeof why, "cannot be loaded by llama.cpp: %s",
             library_complaint[0] ? library_complaint : "no reason given");
    return drafter_refuse(e, TR_ERR_MODEL, why);
  }
  d->vocab = e->api.llama_model_get_vocab(d->model);
  d->n_vocab = (uint32_t)e->api.llama_vocab_n_tokens(d->vocab);
  if (d->n_vocab == 0 || e->api.llama_model_has_encoder(d->model) ||
      !e->api.llama_model_has_decoder(d->model) || e->api.llama_model_is_diffusion(d->model) ||
      e->api.llama_model_is_recurrent(d->model) || e->api.llama_model_is_hybrid(d->model))
    return drafter_refuse(e, TR_ERR_MODEL,
                          "does not generate token by token with a state that can be taken back: "
                          "use a decoder-only model without recurrent layers");
  if (!drafter_pair(e, d)) return drafter_refuse(e, TR_ERR_MEMORY, "has no memory for its tables");
  uint32_t least = d->n_vocab < e->n_vocab ? d->n_vocab : e->n_vocab;
  if (d->n_mapped < least / DRAFTER_LEAST_SHARE) {
    snprintf(why, sizeof why,
             "writes other tokens than %s: of its %u and of %u only %u are the same text; use a "
             "model of the same family",
             e->model_path, d->n_vocab, e->n_vocab, d->n_mapped);
    return drafter_refuse(e, TR_ERR_MODEL, why);
  }
  return TR_OK;
}

/* Cells for as many tokens as the engine's own cache, or what the memory leaves of that. */
static int32_t drafter_load_context(struct tr_engine *e, struct drafter *d, uint64_t available,
                                    bool gpu) {
  struct llama_context_params params = e->api.llama_context_default_params();
  uint64_t bytes_per_token = load_kv_bytes_per_token(e, d->model, LLAMA_API_TYPE_F16);
  uint64_t fixed = (uint64_t)d->n_vocab * e->max_seqs * sizeof(float) +
                   (gpu ? 0 : e->api.llama_model_size(d->model));
  uint64_t left = available > fixed ? (available - fixed) / option(e, TR_OPT_SHARERS, 1) : 0;
  uint64_t cells = e->n_cells, most = left / (bytes_per_token ? bytes_per_token : 1);
  if (cells > most) cells = most / 256 * 256;
  if (cells < e->context_length) {
    char why[256];
    uint64_t needed = fixed + bytes_per_token * e->context_length;
    snprintf(why, sizeof why,
             "with its cache needs %llu MiB and %llu MiB are free beside the model: use a smaller "
             "one, a shorter context, or none",
             (unsigned long long)(needed >> 20), (unsigned long long)(available >> 20));
    return drafter_refuse(e, TR_ERR_MEMORY, why);
  }
  int32_t trained = e->api.llama_model_n_ctx_train(d->model);
  d->longest = trained > 0 ? (uint32_t)trained : e->context_length;
  uint64_t worth = 1 + e->api.llama_model_n_params(d->model) / 32000000ul;
  d->threads = worth < e->threads ? (uint32_t)worth : e->threads;
  params.n_ctx = (uint32_t)cells;
  params.n_batch = params.n_ubatch = DRAFTER_BATCH;
  params.n_seq_max = params.n_outputs_max = e->max_seqs;
  params.n_threads = params.n_threads_batch = (int32_t)d->threads;
  params.kv_unified = params.swa_full = true;
  params.pooling_type = LLAMA_API_POOLING_NONE;
  library_complaint[0] = 0;
  d->context = e->api.llama_init_from_model(d->model, params);
  d->memory = d->context ? e->api.llama_get_memory(d->context) : NULL;
  d->views = calloc(e->max_seqs, sizeof *d->views);
  if (d->memory) d->batch = e->api.llama_batch_init((int32_t)DRAFTER_BATCH, 0, 1);
  if (!d->memory || !d->views || !d->batch.token) {
    char why[512];
    snprintf(why, sizeof why, "has no context of %u tokens: %s", (uint32_t)cells,
             library_complaint[0] ? library_complaint : "no memory");
    return drafter_refuse(e, TR_ERR_MEMORY, why);
  }
  threads_attach(e, d->context);
  d->n_cells = e->api.llama_n_ctx(d->context);
  return TR_OK;
}

static void drafter_put(struct drafter *d, uint32_t id, int32_t token, uint32_t position,
                        bool draws) {
  int32_t k = d->batch.n_tokens++;
  d->batch.token[k] = token;
  d->batch.pos[k] = (int32_t)position;
  d->batch.n_seq_id[k] = 1;
  d->batch.seq_id[k][0] = (int32_t)id;
  d->batch.logits[k] = draws;
}

/* ms of a batch of `n` tokens of no sequence, the last of which draws, or all; negative: failed. */
static double drafter_try(struct tr_engine *e, struct drafter *d, uint32_t n, bool draws) {
  d->batch.n_tokens = 0;
  for (uint32_t k = 0; k < n; k++)
    drafter_put(d, 0, (int32_t)(k % d->n_vocab), k, draws || k + 1 == n);
  double start = now_ms();
  int32_t code = e->api.llama_decode(d->context, d->batch);
  if (code == 0) (void)e->api.llama_get_logits_ith(d->context, (int32_t)n - 1);
  e->api.llama_memory_seq_rm(d->memory, 0, -1, -1);
  return code == 0 ? now_ms() - start : -1;
}

/* What its batches cost, as drafts/batch-cost.c measures those of the engine's model. */
static void drafter_measure(struct tr_engine *e, struct drafter *d) {
  static const uint32_t sizes[] = {1, 8, 2, 4};
  double until = now_ms() + COST_MEASURE_MS;
  for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    if (sizes[i] > e->max_seqs) continue;
    if (i >= COST_LEAST_SIZES && now_ms() >= until) break;
    double ms = drafter_try(e, d, sizes[i], true);
    if (ms >= 0 && (i == 0 || ms < COST_SLOW_MS)) ms = drafter_try(e, d, sizes[i], true);
    if (ms < 0) return;
    cost_learn(&d->cost, sizes[i], ms);
  }
  double ms = drafter_try(e, d, DRAFTER_TRIED, false);
  if (ms > 0) d->prompt_token_ms = ms / DRAFTER_TRIED;
}

/* As drafts/known-costs.c has it of the engine's model. */
static void drafter_costs(struct tr_engine *e, struct drafter *d) {
  char key[COST_KEY_BYTES];
  struct known_costs costs;
  bool keeps = cost_key(e, "draft", e->draft_path, d->threads, LLAMA_API_TYPE_F16, key);
  memset(&costs, 0, sizeof costs);
  if (keeps && cost_read(e, key, &costs)) {
    d->cost = costs.batch;
    d->prompt_token_ms = costs.prompt.ms[0];
    return;
  }
  drafter_measure(e, d);
  costs.batch = d->cost;
  costs.prompt.ms[0] = d->prompt_token_ms;
  if (keeps) cost_write(e, key, &costs);
}

/* `available`: bytes that the engine's own model and cache leave. */
static int32_t drafter_load(struct tr_engine *e, uint64_t available, bool gpu) {
  if (!e->draft_path[0]) return TR_OK;
  if (!e->speculates) {
    snprintf(e->message, sizeof e->message,
             "no draft model can help %s, which generates nothing or has recurrent state: leave "
             "%s out",
             e->model_path, e->draft_path);
    return TR_ERR_MODEL;
  }
  struct drafter *d = e->drafter = calloc(1, sizeof *d);
  if (!d) return drafter_refuse(e, TR_ERR_MEMORY, "has no memory");
  int32_t code = drafter_load_model(e, d, available);
  if (code == TR_OK) code = drafter_load_context(e, d, available, gpu);
  if (code == TR_OK) drafter_costs(e, d);
  return code;
}

/* What load_describe says of it. */
static void drafter_describe(const struct tr_engine *e, char *to, size_t size) {
  const struct drafter *d = e->drafter;
  char description[96] = "";
  to[0] = 0;
  if (!d) return;
  e->api.llama_model_desc(d->model, description, sizeof description);
  snprintf(to, size, ", drafts by %s (threads: %u, cache: %u tokens, vocabulary: %s %u of %u)",
           description, d->threads, d->n_cells, d->logits ? "mapped," : "same,", d->n_mapped,
           d->n_vocab);
}
