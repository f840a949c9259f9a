/*
 * Scores: how likely the model finds the tokens of a prompt, each after those before it.
 *
 *   position   0    1    2  …  n-2   n-1
 *   logits of  ▼    ▼    ▼      ▼     └─ draw the first token of the answer: step_generate
 *   score      0    1    2     n-2
 *   of token   1    2    3     n-1
 *
 * Each position has logits of its own, as many floats as the vocabulary has tokens. They are reduced
 * to a few words here, right after the step that made them.
 */

/* False: what only a broken caller asks. Who has a part of the answer has all scores. */
static bool scores_valid(const struct tr_request *r) {
  if (!r->scores) return true;
  if (r->logprobs < 0 || r->scores > r->n_prompt) return false;
  return r->scores == r->n_prompt || r->n_tokens == r->n_prompt;
}

static bool scores_left(const struct slot *slot) {
  return slot->scored + 1 < slot->request.n_prompt;
}

/* What the records of one step take in the ring, with their lengths. */
static uint32_t scores_words(const struct tr_engine *e) {
  return e->max_outputs * (8 + 2 * TR_MAX_TOP);
}

static uint32_t rank_of(const float *logits, uint32_t n_vocab, int32_t token) {
  float logit = logits[token];
  uint32_t rank = 0;
  for (uint32_t i = 0; i < n_vocab; i++) rank += logits[i] >= logit;
  return rank > 0 ? rank : n_vocab; /* not a number */
}

static void push_score(struct tr_engine *e, struct slot *slot, const float *logits) {
  int32_t token = slot->tokens[slot->scored + 1];
  e->record[0] = 0;
  e->record[1] = TR_REC_SCORE;
  e->record[2] = slot->request.handle;
  e->record[3] = slot->scored;
  e->record[4] = rank_of(logits, e->n_vocab, token);
  e->record[5] = write_logprobs(e, &e->record[6], token, slot->request.logprobs, logits);
  push_record(e, 6 + e->record[5]);
  slot->scored++;
}

/* Tokens that each scored sequence computes, the oldest first, into `e->share`; their sum. */
static uint32_t score_plan(struct tr_engine *e) {
  uint32_t total = 0, outputs = 0;
  memset(e->share, 0, e->max_seqs * sizeof *e->share);
  while (total < e->prefill_chunk && outputs < e->max_outputs) {
    struct seq *next = NULL;
    for (uint32_t i = 0; i < e->max_seqs; i++) {
      struct seq *seq = &e->seqs[i];
      const struct slot *slot = &e->slots[seq->slot];
      if (!seq->live || e->share[i] > 0 || !scores_left(slot)) continue;
      if (slot->request.adapter != e->turn) continue;
      if (!next || seq->order < next->order) next = seq;
    }
    if (!next) break;
    const struct slot *slot = &e->slots[next->slot];
    uint32_t silent = slot->scored - next->n_past; /* positions whose scores are known */
    uint32_t n = slot->request.n_prompt - 1 - next->n_past;
    if (n > silent + e->max_outputs - outputs) n = silent + e->max_outputs - outputs;
    if (n > e->prefill_chunk - total) n = e->prefill_chunk - total;
    e->share[next - e->seqs] = n;
    outputs += n > silent ? n - silent : 0;
    total += n;
  }
  return total;
}

static void score_add(struct tr_engine *e, struct seq *seq, uint32_t n) {
  int32_t first = e->batch.n_tokens;
  batch_add(e, seq, n, true);
  for (uint32_t i = 0; i < n; i++)
    e->batch.logits[first + (int32_t)i] = seq->n_past + i >= e->slots[seq->slot].scored;
}

/* One batch of prompts that are scored. */
static void step_score(struct tr_engine *e) {
  uint32_t total;
  for (;;) {
    total = score_plan(e);
    if (total == 0) return;
    enum room room = room_make(e, total);
    if (room == ROOM_MADE) break;
    if (room == ROOM_COUNT_AGAIN) continue;
    step_failed(e, DECODE_NO_ROOM); /* cannot be, as in step_plan_with_room */
    return;
  }
  e->batch.n_tokens = 0;
  for (uint32_t i = 0; i < e->max_seqs; i++)
    if (e->share[i] > 0) score_add(e, &e->seqs[i], e->share[i]);
  count_pass(e, total, false);
  int32_t code = step_decode(e, e->turn), at = 0;
  if (code != 0) {
    step_not_done(e, code);
    return;
  }
  cache_unlist_broken(&e->cache);
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    for (uint32_t k = 0; k < e->share[i]; k++, at++)
      if (e->batch.logits[at])
        push_score(e, &e->slots[seq->slot], e->api.llama_get_logits_ith(e->context, at));
    seq->n_past += e->share[i];
  }
  wake_for_news(e);
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    if (e->share[i] == 0) continue;
    const struct slot *slot = &e->slots[seq->slot];
    seq_publish(e, seq);
    if (slot->request.max_tokens == 0 && !scores_left(slot))
      seq_finish(e, seq, TR_REASON_LENGTH, -1);
  }
}
