/*
 * The floor that the service is measured against: the same library, model and sampler with
 * nothing between two decodes. Runs on the caller's thread, in a context of its own, while the
 * engine thread sleeps.
 */
#define BARE_MAX 8

static bool bare_decode(struct tr_engine *e, struct llama_context *context, llama_batch *batch) {
  return e->api.llama_decode(context, *batch) == 0;
}

static void bare_add(llama_batch *batch, int32_t token, int32_t position, int32_t seq,
                     bool output) {
  int32_t k = batch->n_tokens++;
  batch->token[k] = token;
  batch->pos[k] = position;
  batch->n_seq_id[k] = 1;
  batch->seq_id[k][0] = seq;
  batch->logits[k] = output;
}

int32_t tr_bare(struct tr_engine *e, int32_t parallel, const int32_t *prompts,
                const int32_t *lengths, int32_t n_tokens, const struct tr_request *r,
                double *seconds) {
  struct troupe_sampler *samplers[BARE_MAX];
  int32_t position[BARE_MAX], current[BARE_MAX];
  if (tr_state(e, NULL) != TR_READY || parallel < 1 || parallel > BARE_MAX) return TR_ERR_ENGINE;
  struct llama_context_params params = e->api.llama_context_default_params();
  params.n_ctx = 4096;
  params.n_batch = params.n_ubatch = 512;
  params.n_seq_max = params.n_outputs_max = BARE_MAX;
  params.n_threads = params.n_threads_batch = (int32_t)e->threads;
  params.kv_unified = true;
  struct llama_context *context = e->api.llama_init_from_model(e->model, params);
  if (!context) return TR_ERR_ENGINE;
  threads_attach(e, context);
  llama_batch batch = e->api.llama_batch_init(512, 0, 1);
  struct troupe_sampling sampling = {r->temperature,       r->top_k,
                                     r->top_p,             r->min_p,
                                     r->typical_p,         r->repetition_penalty,
                                     r->frequency_penalty, r->presence_penalty,
                                     r->seed,              0,
                                     NULL,                 NULL};
  bool ok = true;
  for (int32_t s = 0; s < parallel; s++) {
    samplers[s] = troupe_sampler_new((int32_t)e->n_vocab);
    ok = ok && samplers[s] &&
         troupe_sampler_begin(samplers[s], &sampling, prompts, lengths[s], lengths[s]) == 0;
    for (int32_t at = 0; ok && at < lengths[s];) {
      batch.n_tokens = 0;
      for (; at < lengths[s] && batch.n_tokens < 512; at++)
        bare_add(&batch, prompts[at], at, s, at + 1 == lengths[s]);
      ok = bare_decode(e, context, &batch);
    }
    if (ok)
      current[s] = troupe_sampler_sample(
          samplers[s], e->scratch, e->api.llama_get_logits_ith(context, batch.n_tokens - 1),
          (uint32_t)s, 0, NULL, 0);
    position[s] = lengths[s];
    prompts += lengths[s];
  }
  double start = now_ms();
  for (int32_t step = 1; ok && step <= n_tokens; step++) {
    batch.n_tokens = 0;
    for (int32_t s = 0; s < parallel; s++) bare_add(&batch, current[s], position[s]++, s, true);
    ok = bare_decode(e, context, &batch);
    for (int32_t s = 0; ok && s < parallel; s++) {
      troupe_sampler_accept(samplers[s], current[s]);
      current[s] =
          troupe_sampler_sample(samplers[s], e->scratch, e->api.llama_get_logits_ith(context, s),
                                (uint32_t)s, (uint32_t)step, NULL, 0);
    }
  }
  *seconds = (now_ms() - start) * 1e-3;
  for (int32_t s = 0; s < parallel; s++) troupe_sampler_free(samplers[s]);
  e->api.llama_batch_free(batch);
  e->api.llama_free(context);
  return ok ? TR_OK : TR_ERR_ENGINE;
}
