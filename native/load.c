/* From a path to a ready context, on the engine thread; every failure is a code and one line. */

static bool load_progress(float progress, void *user_data) {
  struct tr_engine *e = user_data;
  int32_t permille = (int32_t)(progress * 1000.0f);
  if (permille / 10 != e->permille / 10) {
    e->permille = permille;
    engine_wake(e);
  }
  return !e->closing; /* false aborts the load */
}

/* Free bytes of all GPUs, 0 without one or when none is wanted. */
static uint64_t load_gpu_bytes(struct tr_engine *e) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < e->api.ggml_backend_dev_count(); i++) {
    void *device = e->api.ggml_backend_dev_get(i);
    int type = e->api.ggml_backend_dev_type(device);
    size_t free_bytes = 0, total = 0;
    if ((type != 1 && type != 2) || e->options[TR_OPT_GPU_LAYERS] < 0) continue;
    e->api.ggml_backend_dev_memory(device, &free_bytes, &total);
    bytes += free_bytes;
  }
  return bytes;
}

/* How the model pools, and whether it generates. */
static void load_heads(struct tr_engine *e) {
  char value[32];
  load_own_key(e, e->model, "pooling_type", value, sizeof value);
  e->pooling = value[0] ? (int32_t)strtol(value, NULL, 10) : -1;
  if (e->pooling == LLAMA_API_POOLING_RANK) e->n_classes = e->api.llama_model_n_cls_out(e->model);
  load_own_key(e, e->model, "attention.causal", value, sizeof value);
  e->pools_only = e->pooling == LLAMA_API_POOLING_RANK || strcmp(value, "false") == 0;
}

static int32_t load_model(struct tr_engine *e, uint64_t available) {
  struct gguf_facts facts;
  int32_t code = gguf_check(e->model_path, &e->api, &facts, e->message, sizeof e->message);
  if (code != TR_OK) return code;
  uint64_t weights = pages_bytes(e->model_path, facts.n_splits);
  if (weights > available) return fit_refuse_weights(e, weights, available);
  e->stats[TR_STAT_FILE_BYTES] = (double)weights;
  pages_fetch(e, facts.n_splits);
  if (e->closing) return TR_ERR_CLOSED;
  struct llama_model_params params = e->api.llama_model_default_params();
  params.progress_callback = load_progress;
  params.progress_callback_user_data = e;
  params.use_extra_bufts = e->options[TR_OPT_WEIGHTS_SHARED] == 0;
  int32_t layers = e->options[TR_OPT_GPU_LAYERS];
  params.n_gpu_layers = layers == 0 ? -1 : layers < 0 ? 0 : layers;
  library_complaint[0] = 0;
  e->model = e->api.llama_model_load_from_file(e->model_path, params);
  if (!e->model) {
    if (e->closing) return TR_ERR_CLOSED;
    snprintf(e->message, sizeof e->message, "llama.cpp cannot load the model %s: %s",
             e->model_path, library_complaint[0] ? library_complaint : "no reason given");
    return TR_ERR_MODEL;
  }
  e->vocab = e->api.llama_model_get_vocab(e->model);
  e->n_vocab = (uint32_t)e->api.llama_vocab_n_tokens(e->vocab);
  e->n_embd = (uint32_t)e->api.llama_model_n_embd_out(e->model);
  load_heads(e);
  if (facts.n_heads == 0 && e->pooling == LLAMA_API_POOLING_RANK) {
    snprintf(e->message, sizeof e->message,
             "the model %s says that it ranks, and has no classification head: get another file",
             e->model_path);
    return TR_ERR_MODEL;
  }
  if (e->n_vocab == 0 || e->api.llama_model_has_encoder(e->model) ||
      !e->api.llama_model_has_decoder(e->model) || e->api.llama_model_is_diffusion(e->model)) {
    snprintf(e->message, sizeof e->message,
             "the model %s neither generates text token by token nor embeds it: use a decoder-only "
             "model or an encoder",
             e->model_path);
    return TR_ERR_MODEL;
  }
  return TR_OK;
}

/* Compute threads spin at a barrier after every operation, so a small model loses more by waiting
   for a second core that something else has than it wins by it. */
static uint32_t load_threads(struct tr_engine *e) {
  uint64_t worth = 1 + e->api.llama_model_n_params(e->model) / 32000000ul;
  uint32_t cores = option(e, TR_OPT_CORES, 1);
  return option(e, TR_OPT_THREADS, worth < cores ? (uint32_t)worth : cores);
}

/* A prefill chunk is about 100 ms of work, so that a cancel and the other streams wait no longer
   (seen: 270 M parameters, two cores, 64 tokens in 100 ms). From the model and the number of
   threads alone: batch shapes must not depend on how busy the machine is, the logits' last bits
   do depend on the shapes. */
static uint32_t load_prefill_chunk(struct tr_engine *e, bool gpu) {
  uint64_t parameters = e->api.llama_model_n_params(e->model) + 1;
  uint64_t wanted = gpu ? e->batch_tokens : (uint64_t)e->threads * 10000000000ul / parameters;
  uint32_t chunk = 16;
  while (chunk * 2 <= wanted && chunk * 2 <= e->batch_tokens) chunk *= 2;
  return option(e, TR_OPT_PREFILL_CHUNK, chunk);
}

/* A step costs time beside its tokens, which more of them share: seen as above, 64 tokens a step
   give 470 tokens a second, 256 give 590, 512 no more. Cancels and new prompts wait for it. */
#define PREFILL_ALONE 4

static uint32_t load_prefill_alone(const struct tr_engine *e) {
  if (e->options[TR_OPT_PREFILL_CHUNK] > 0) return e->prefill_chunk;
  uint32_t wanted = PREFILL_ALONE * e->prefill_chunk;
  return wanted < e->batch_tokens ? wanted : e->batch_tokens;
}

/*
 * A context for whole inputs at once: such models look at a text from both ends, or at all of it
 * before they judge. The library pools for a classification head alone; vectors are pooled here.
 */
static int32_t load_pool_context(struct tr_engine *e, struct llama_context_params *params) {
  if (e->batch_tokens < e->context_length) e->batch_tokens = e->context_length;
  e->prefill_chunk = e->prefill_alone = e->batch_tokens;
  params->n_ctx = params->n_batch = params->n_ubatch = e->batch_tokens;
  params->n_seq_max = e->max_seqs;
  params->n_outputs_max = e->batch_tokens;
  params->n_threads = params->n_threads_batch = (int32_t)e->threads;
  params->kv_unified = params->swa_full = params->embeddings = true;
  params->pooling_type = e->pooling == LLAMA_API_POOLING_RANK ? LLAMA_API_POOLING_RANK
                                                              : LLAMA_API_POOLING_NONE;
  library_complaint[0] = 0;
  e->context = e->api.llama_init_from_model(e->model, *params);
  if (!e->context) {
    snprintf(e->message, sizeof e->message,
             "llama.cpp cannot make a context of %u tokens for %s: %s", e->batch_tokens,
             e->model_path, library_complaint[0] ? library_complaint : "no reason given");
    return TR_ERR_MEMORY;
  }
  e->memory = e->api.llama_get_memory(e->context); /* NULL of most encoders */
  return TR_OK;
}

/* So that the scores of a prompt are not made one by one where one sequence runs at a time. */
#define LEAST_OUTPUTS 16

/* Others would be told apart by nobody who reads its news. */
static int32_t load_block_size(struct tr_engine *e) {
  e->block_size = option(e, TR_OPT_BLOCK_SIZE, TR_BLOCK_SIZE);
  if (e->block_size == 16 || e->block_size == 32 || e->block_size == TR_BLOCK_SIZE_MOST)
    return TR_OK;
  snprintf(e->message, sizeof e->message, "a cache block has 16, 32 or %d tokens, not %u",
           TR_BLOCK_SIZE_MOST, e->block_size);
  return TR_ERR_BAD_REQUEST;
}

static int32_t load_context(struct tr_engine *e, uint64_t available, bool gpu) {
  struct llama_context_params params = e->api.llama_context_default_params();
  e->threads = load_threads(e);
  int32_t trained = e->api.llama_model_n_ctx_train(e->model);
  uint32_t longest = trained > 0 ? (uint32_t)trained : 8192;
  e->context_length = option(e, TR_OPT_CONTEXT_LENGTH, longest < 8192 ? longest : 8192);
  if (e->context_length > longest) e->context_length = longest;
  e->max_seqs = option(e, TR_OPT_MAX_SEQS, TR_MAX_SEQS);
  if (e->max_seqs > TR_MAX_SEQS) e->max_seqs = TR_MAX_SEQS;
  e->n_slots = e->max_seqs + option(e, TR_OPT_MAX_QUEUE, 256);
  e->batch_tokens = option(e, TR_OPT_BATCH_TOKENS, 512);
  if (e->batch_tokens < e->max_seqs + 16) e->batch_tokens = e->max_seqs + 16;
  e->prefill_chunk = load_prefill_chunk(e, gpu);
  e->prefill_alone = load_prefill_alone(e);
  e->max_outputs = e->max_seqs < LEAST_OUTPUTS ? LEAST_OUTPUTS : e->max_seqs;
  if (e->pools_only) return load_pool_context(e, &params);
  struct fit fit = fit_of(e, available, gpu);
  if (e->options[TR_OPT_CONTEXT_IS_WISH] > 0)
    e->context_length = fit_context(&fit, e->context_length);
  uint32_t cells = fit_engine_cells(e, &fit, gpu);
  if (fit_needed(&fit, cells) > available) return fit_refuse(e, &fit, cells);
  params.n_ctx = cells;
  params.n_batch = params.n_ubatch = e->batch_tokens;
  params.n_seq_max = e->max_seqs;
  params.n_outputs_max = e->max_outputs;
  params.n_threads = params.n_threads_batch = (int32_t)e->threads;
  params.kv_unified = params.swa_full = true;
  params.pooling_type = LLAMA_API_POOLING_NONE;
  if (e->options[TR_OPT_KV_TYPE] > 0) {
    params.type_k = params.type_v = e->options[TR_OPT_KV_TYPE];
    params.flash_attn_type = 1; /* other attention reads no quantized values */
  }
  library_complaint[0] = 0;
  e->context = e->api.llama_init_from_model(e->model, params);
  e->memory = e->context ? e->api.llama_get_memory(e->context) : NULL;
  if (!e->memory) {
    snprintf(e->message, sizeof e->message,
             "llama.cpp cannot make a context of %u tokens for %s: %s", cells, e->model_path,
             library_complaint[0] ? library_complaint : "no reason given");
    return TR_ERR_MEMORY;
  }
  e->n_cells = e->api.llama_n_ctx(e->context);
  e->prefix_cache = e->options[TR_OPT_NO_PREFIX_CACHE] == 0 &&
                    !e->api.llama_model_is_recurrent(e->model) &&
                    !e->api.llama_model_is_hybrid(e->model);
  /* Recurrent state cannot be taken back to before a wrong guess. */
  e->speculates = e->options[TR_OPT_SPECULATE] != 0 && !e->api.llama_model_is_recurrent(e->model) &&
                  !e->api.llama_model_is_hybrid(e->model);
  e->fixed_shapes = e->options[TR_OPT_SPECULATE] >= 2;
  /* Until something else is seen. */
  e->draft_sums[TR_DRAFT_FORCED][0].tried = 20;
  e->draft_sums[TR_DRAFT_FORCED][0].right = 18;
  return TR_OK;
}

static int32_t load_no_buffers(struct tr_engine *e) {
  snprintf(e->message, sizeof e->message,
           "no memory for the buffers of %u requests: use a shorter context", e->n_slots);
  return TR_ERR_MEMORY;
}

/* Everything the loop will ever need. calloc of this size is virtual until touched. */
static int32_t load_memory(struct tr_engine *e) {
  uint32_t blocks = e->context_length / e->block_size + 1;
  uint32_t window = (uint32_t)e->api.llama_model_n_swa(e->model);
  uint32_t results = 1 << 16, commands = 64;
  /* a submit and a cancel each, the moves of blocks, and a few */
  while (commands < e->n_slots * 6 + TR_MAX_MOVES * 3 + 16) commands *= 2;
  e->record_words = 16 + 2 * TR_MAX_TOP;
  if (e->record_words < e->n_embd + 8) e->record_words = e->n_embd + 8;
  if (e->record_words < e->n_classes + 8) e->record_words = e->n_classes + 8;
  if (e->record_words < TR_MAX_MOVED + 8) e->record_words = TR_MAX_MOVED + 8;
  while (results < e->max_seqs * e->record_words * 4) results *= 2;
  while (results < results_a_step(e) + 1024) results *= 2;
  e->slots = calloc(e->n_slots, sizeof *e->slots);
  e->seqs = calloc(e->max_seqs, sizeof *e->seqs);
  e->waiting = calloc(e->n_slots, sizeof *e->waiting);
  e->token_memory = calloc((size_t)e->n_slots * e->context_length, sizeof(int32_t));
  e->bias_memory = calloc((size_t)e->n_slots * TR_MAX_BIAS * 2, sizeof(int32_t));
  e->block_memory = calloc((size_t)e->max_seqs * blocks, sizeof(int32_t));
  e->mask_memory =
      calloc((size_t)e->n_slots * TR_MASK_LANES * mask_words(e), sizeof(uint32_t));
  e->match_memory = calloc(blocks, sizeof(int32_t));
  e->share = calloc(e->max_seqs, sizeof(uint32_t));
  e->embed_sums = calloc((size_t)e->max_seqs * e->n_embd, sizeof(float));
  e->record = calloc(e->record_words, sizeof(uint32_t));
  e->ends = calloc((size_t)e->n_vocab + TR_MAX_STOP, sizeof(int32_t));
  e->scratch = troupe_sampler_scratch_new((int32_t)e->n_vocab);
  e->batch = e->api.llama_batch_init((int32_t)e->batch_tokens, 0, 1);
  if (!e->slots || !e->seqs || !e->waiting || !e->token_memory || !e->bias_memory ||
      !e->block_memory || !e->match_memory || !e->share || !e->embed_sums || !e->record ||
      !e->ends || !e->scratch || !e->mask_memory ||
      cache_init(&e->cache, &e->api, e->memory, e->n_cells, window, e->max_seqs,
                 e->block_size) != 0 ||
      moves_init(e) != 0 || ring_init(&e->commands, commands) != 0 ||
      ring_init(&e->results, results) != 0)
    return load_no_buffers(e);
  for (uint32_t i = 0; i < TR_MASK_LANES; i++) {
    struct mask_lane *lane = &e->mask_lanes[i];
    /* See mask_room. */
    lane->guess_masks = calloc((size_t)e->max_outputs * mask_words(e), sizeof(uint32_t));
    lane->guess_walks = calloc(e->max_outputs, sizeof(uint32_t));
    if (!lane->guess_masks || !lane->guess_walks || ring_init(&lane->wanted, 2 * commands) != 0 ||
        ring_init(&lane->made, 2 * commands) != 0)
      return load_no_buffers(e);
  }
  for (uint32_t i = 0; i < e->n_slots; i++) {
    e->slots[i].tokens = e->token_memory + (size_t)i * e->context_length;
    e->slots[i].masks = e->mask_memory + (size_t)i * TR_MASK_LANES * mask_words(e);
    e->slots[i].bias_tokens = e->bias_memory + (size_t)i * TR_MAX_BIAS * 2;
    e->slots[i].bias_values = (float *)(e->slots[i].bias_tokens + TR_MAX_BIAS);
  }
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    e->seqs[i].blocks = e->block_memory + (size_t)i * blocks;
    e->seqs[i].sampler = troupe_sampler_new((int32_t)e->n_vocab);
    if (!e->seqs[i].sampler) return load_no_buffers(e);
  }
  for (uint32_t t = 0; t < e->n_vocab; t++)
    if (e->api.llama_vocab_is_eog(e->vocab, (int32_t)t)) e->ends[e->n_ends++] = (int32_t)t;
  return TR_OK;
}

static int32_t load_gpu_layers(struct tr_engine *e, bool gpu) {
  int32_t all = e->api.llama_model_n_layer(e->model), wanted = e->options[TR_OPT_GPU_LAYERS];
  if (!gpu || wanted < 0) return 0;
  return wanted == 0 || wanted > all ? all : wanted;
}

static void load_describe(struct tr_engine *e, bool gpu, uint64_t left) {
  char description[128] = "", drafts[256];
  drafter_describe(e, drafts, sizeof drafts);
  e->api.llama_model_desc(e->model, description, sizeof description);
  void *device = e->api.ggml_backend_dev_get(0);
  const char *cache = e->pools_only                             ? ", generates nothing"
                      : e->prefix_cache                         ? ""
                      : e->options[TR_OPT_NO_PREFIX_CACHE] != 0 ? ", no prefix cache (switched off)"
                                                                : ", no prefix cache (recurrent)";
  int32_t gpu_layers = load_gpu_layers(e, gpu);
  snprintf(e->message, sizeof e->message,
           "llama.cpp %s, %s, threads: %u, cache: %u tokens, batch: %u, prefill chunk: %u, "
           "GPU layers: %d, %s%s%s%s",
           LLAMA_API_RELEASE, description, e->threads, e->n_cells, e->batch_tokens,
           e->prefill_chunk, gpu_layers, e->api.ggml_backend_dev_description(device), cache, drafts,
#if defined(__TINYC__)
           ", shim built by Bun"
#else
           ", shim built by cc -O3"
#endif
  );
  e->numbers[TR_NUM_CONTEXT_LENGTH] = e->context_length;
  e->numbers[TR_NUM_BLOCK_SIZE] = e->block_size;
  e->numbers[TR_NUM_TOTAL_BLOCKS] = e->n_cells / e->block_size;
  e->numbers[TR_NUM_MAX_SEQS] = e->max_seqs;
  e->numbers[TR_NUM_BATCH_TOKENS] = e->batch_tokens;
  e->numbers[TR_NUM_VOCAB_SIZE] = e->n_vocab;
  e->numbers[TR_NUM_EMBEDDING_SIZE] = e->n_embd;
  e->numbers[TR_NUM_PREFILL_CHUNK] = e->prefill_chunk;
  e->numbers[TR_NUM_THREADS] = e->threads;
  e->numbers[TR_NUM_KV_TOKENS] = e->n_cells;
  e->numbers[TR_NUM_GPU_LAYERS] = gpu_layers;
  e->numbers[TR_NUM_PREFIX_CACHE] = e->prefix_cache;
  e->numbers[TR_NUM_POOLING] = e->pooling;
  e->numbers[TR_NUM_CLASSES] = e->n_classes;
  e->numbers[TR_NUM_GENERATES] = !e->pools_only;
  e->numbers[TR_NUM_MAX_RECORD_WORDS] = e->record_words;
  e->numbers[TR_NUM_COSTS_KNOWN] = e->costs_known;
  e->numbers[TR_NUM_WEIGHT_BYTES] = (double)e->api.llama_model_size(e->model);
  e->numbers[TR_NUM_OWN_WEIGHT_BYTES] = sizes.own;
  e->numbers[TR_NUM_GPU_WEIGHT_BYTES] = sizes.gpu;
  e->numbers[TR_NUM_KV_BYTES] = sizes.cache;
  e->numbers[TR_NUM_BUFFER_BYTES] = sizes.buffers;
  e->numbers[TR_NUM_FREE_BYTES] = (double)left;
  e->numbers[TR_NUM_KV_TYPE] = e->options[TR_OPT_KV_TYPE];
  e->numbers[TR_NUM_TRAINED_CONTEXT] = e->api.llama_model_n_ctx_train(e->model);
}

/* Bytes that model and cache leave of those that are available. */
static uint64_t load_left(const struct tr_engine *e, uint64_t available, bool gpu) {
  struct fit fit = fit_of(e, available, gpu);
  uint64_t taken = fit_needed(&fit, e->n_cells);
  return available > taken ? available - taken : 0;
}

static int32_t load_all(struct tr_engine *e) {
  int32_t code =
      library_open(&e->api, e->library_path, e->folder, e->message, sizeof e->message);
  if (code != TR_OK) return code;
  uint64_t gpu = load_gpu_bytes(e);
  /* Asked for some layers alone, the rest stays in the machine's memory. */
  uint64_t host = (uint64_t)option(e, TR_OPT_MEMORY_LIMIT_MIB, 0) << 20;
  if (host == 0) host = memory_available();
  if (gpu && e->options[TR_OPT_GPU_LAYERS] == 0) host = 0;
  uint64_t available = host > UINT64_MAX - gpu ? UINT64_MAX : gpu + host;
  memset(&sizes, 0, sizeof sizes);
  if ((code = load_block_size(e)) != TR_OK) return code;
  if ((code = load_model(e, available)) != TR_OK) return code;
  if ((code = load_context(e, available, gpu > 0)) != TR_OK) return code;
  e->parts_apart = load_gpu_layers(e, gpu > 0) == 0;
  threads_start(e);
  if ((code = load_memory(e)) != TR_OK) return code;
  if (e->speculates) recent_init(&e->recent);
  bool bounds = e->options[TR_OPT_ITL_TARGET_MS] != 0 && !e->pools_only;
  if (e->speculates || bounds) cost_begin(e);
  uint64_t left = load_left(e, available, gpu > 0);
  if ((code = drafter_load(e, left, gpu > 0)) != TR_OK) return code;
  load_describe(e, gpu > 0, left);
  return TR_READY;
}

/* Gives back what load_all made, in whatever state it stopped. */
static void unload_all(struct tr_engine *e) {
  for (uint32_t i = 0; e->seqs && i < e->max_seqs; i++) {
    troupe_sampler_free(e->seqs[i].sampler);
    free(e->seqs[i].kept);
  }
  if (e->scratch) troupe_sampler_scratch_free(e->scratch);
  drafter_free(e);
  cache_free(&e->cache);
  recent_free(&e->recent);
  moves_free(e);
  e->moves = NULL;
  if (e->batch.token) e->api.llama_batch_free(e->batch);
  if (e->context) e->api.llama_free(e->context);
  threads_end(e);
  for (uint32_t i = 0; i < TR_MAX_ADAPTERS; i++)
    if (e->adapters[i].lora) e->api.llama_adapter_lora_free(e->adapters[i].lora);
  if (e->model) e->api.llama_model_free(e->model);
  e->batch.token = NULL;
  e->context = NULL;
  e->model = NULL;
}
