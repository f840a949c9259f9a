/*
 * Models that generate nothing: encoders, which see a text from both ends, and classifiers. Nothing
 * of an input outlives its step, so there is no cache and no admission: a step takes as many of the
 * oldest inputs as fit into one batch, each whole.
 */

/* Puts waiting inputs into the batch, oldest first; returns how many. Their sequence ids count. */
static uint32_t pool_take(struct tr_engine *e) {
  llama_batch *b = &e->batch;
  uint32_t taken = 0;
  b->n_tokens = 0;
  while (taken < e->n_waiting && taken < e->max_seqs) {
    const struct slot *slot = &e->slots[e->waiting[taken]];
    if ((uint32_t)b->n_tokens + slot->n > e->batch_tokens) break;
    for (uint32_t i = 0; i < slot->n; i++) {
      int32_t k = b->n_tokens++;
      b->token[k] = slot->tokens[i];
      b->pos[k] = (int32_t)i;
      b->n_seq_id[k] = 1;
      b->seq_id[k][0] = (int32_t)taken;
      b->logits[k] = 1;
    }
    taken++;
  }
  return taken;
}

/* What the step says of input `id`, whose tokens begin at `from` in the batch. */
static void pool_read(struct tr_engine *e, int32_t s, int32_t id, uint32_t from) {
  const struct slot *slot = &e->slots[s];
  if (slot->pool == TR_POOL_CLASSES) {
    const float *classes = e->api.llama_get_embeddings_seq(e->context, id);
    if (classes) push_embedding(e, s, classes, e->n_classes);
    else push_finished(e, s, TR_REASON_ERROR, -1);
    return;
  }
  memset(e->embed_sums, 0, e->n_embd * sizeof *e->embed_sums);
  for (uint32_t i = 0; i < slot->n; i++) {
    const float *hidden = e->api.llama_get_embeddings_ith(e->context, (int32_t)(from + i));
    pool_token(e, s, i, hidden, e->embed_sums);
  }
  pool_end(e, s, e->embed_sums);
}

static void step_pool(struct tr_engine *e) {
  uint32_t from = 0, taken = pool_take(e);
  int32_t slots[LLAMA_API_MAX_SEQ];
  if (taken == 0) return;
  count_pass(e, (uint32_t)e->batch.n_tokens, false);
  int32_t code = step_decode(e, 0);
  if (code != 0) {
    step_failed(e, code);
    return;
  }
  memcpy(slots, e->waiting, taken * sizeof *slots);
  memmove(e->waiting, e->waiting + taken, (e->n_waiting - taken) * sizeof *e->waiting);
  e->n_waiting -= taken;
  for (uint32_t i = 0; i < taken; i++) {
    e->stats[TR_STAT_PROMPT_TOKENS] += e->slots[slots[i]].n;
    pool_read(e, slots[i], (int32_t)i, from);
    from += e->slots[slots[i]].n;
  }
  if (e->memory) e->api.llama_memory_clear(e->memory, false);
  wake_for_news(e);
}
