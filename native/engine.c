/*
 * The engine thread: one loop over all live sequences.
 *
 *   waiting ──admit──▶ live (prefill in chunks, then one token a step) ──▶ finished
 *      ▲                 │ out of cells: the youngest goes back and is computed again later
 *      └────preempt──────┘
 *
 * Cells are not reserved for max_tokens (clients that set none would queue behind each other);
 * a sequence that finds no cell evicts the prefix cache, then preempts the youngest sequence. The
 * oldest is never preempted and fits alone, because a request is at most context_length and the
 * cache at least that: so there is always progress. A preempted answer goes on where it was, since
 * sampling is a function of (seed, choice, index) and its tokens are kept in its slot.
 *
 * Long because admission, preemption and the step change the same sequences, in turn, on one thread.
 */

static uint32_t cells_private(const struct tr_engine *e) {
  uint32_t cells = 0;
  for (uint32_t i = 0; i < e->max_seqs; i++)
    if (e->seqs[i].live) cells += e->seqs[i].n_past - e->seqs[i].n_shared * e->block_size;
  return cells;
}

/* Cells that live sequences hold, those in shared blocks once. */
static uint32_t cells_used(const struct tr_engine *e) {
  return (e->cache.cached - e->cache.evictable) * e->block_size + cells_private(e);
}

/* Tokens to compute before each request here can have its next one; of one that decodes, none. */
static uint32_t waiting_prefill(const struct tr_engine *e) {
  uint32_t tokens = 0;
  for (uint32_t i = 0; i < e->n_waiting; i++) tokens += e->slots[e->waiting[i]].n;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    const struct seq *seq = &e->seqs[i];
    if (!seq->live) continue;
    uint32_t left = e->slots[seq->slot].n - seq->n_past;
    if (left > 1) tokens += left;
  }
  return tokens;
}

/* Before a record of an end is pushed: who reads the record finds the request gone. */
static void publish_stats(struct tr_engine *e) {
  e->stats[TR_STAT_RUNNING] = e->n_live;
  e->stats[TR_STAT_WAITING] = e->n_waiting;
  e->stats[TR_STAT_USED_BLOCKS] = (cells_used(e) + e->block_size - 1) / e->block_size;
  e->stats[TR_STAT_CACHED_BLOCKS] = e->cache.evictable;
  e->stats[TR_STAT_WAITING_PREFILL] = waiting_prefill(e);
}

static void push_record(struct tr_engine *e, uint32_t words) {
  ring_push(&e->results, e->record, words);
  e->news = true;
}

static void wake_for_news(struct tr_engine *e) {
  if (e->news || e->cache.news.fresh) engine_wake(e);
  e->news = e->cache.news.fresh = false;
}

/* The token's logprob, then pairs of the likeliest; returns how many words they are. */
static uint32_t write_logprobs(struct tr_engine *e, uint32_t *to, int32_t token, int32_t top_n,
                               const float *logits) {
  int32_t tokens[TR_MAX_TOP];
  float values[TR_MAX_TOP];
  int32_t top = troupe_sampler_logprobs(logits, (int32_t)e->n_vocab, token, top_n, (float *)to,
                                        tokens, values);
  uint32_t n = 1;
  for (int32_t i = 0; i < top; i++) {
    to[n++] = (uint32_t)tokens[i];
    memcpy(&to[n++], &values[i], sizeof values[i]);
  }
  return n;
}

/* The first word of a record tells tr_poll which slot to give back, 0 for none. */
static void push_end(struct tr_engine *e, int32_t s, uint32_t reason, int32_t stop_token,
                     const float *logits) {
  struct slot *slot = &e->slots[s];
  e->record[0] = (uint32_t)s + 1;
  e->record[1] = TR_REC_FINISHED;
  e->record[2] = slot->request.handle;
  e->record[3] = reason;
  e->record[4] = (uint32_t)(stop_token + 1);
  e->record[5] = slot->request.n_prompt;
  e->record[6] = slot->cached > 0 ? (uint32_t)slot->cached : 0;
  e->record[7] = slot->drafts_right;
  e->record[8] = slot->drafted - slot->drafts_right;
  e->record[9] = 0;
  if (logits && slot->request.logprobs >= 0)
    e->record[9] =
        write_logprobs(e, &e->record[10], stop_token, slot->request.logprobs, logits);
  slot->open = false;
  mask_forget(e, slot);
  publish_stats(e);
  if (reason != TR_REASON_ERROR) recent_add(&e->recent, slot); /* the record gives the slot back */
  push_record(e, 10 + e->record[9]);
}

static void push_finished(struct tr_engine *e, int32_t s, uint32_t reason, int32_t stop_token) {
  push_end(e, s, reason, stop_token, NULL);
}

static void push_token(struct tr_engine *e, int32_t s, int32_t token, const float *logits) {
  struct slot *slot = &e->slots[s];
  uint32_t n = 0;
  e->record[0] = 0;
  e->record[1] = TR_REC_TOKEN;
  e->record[2] = slot->request.handle;
  e->record[3] = slot->n - slot->request.n_prompt;
  e->record[4] = (uint32_t)token;
  if (slot->request.logprobs >= 0)
    n = write_logprobs(e, &e->record[6], token, slot->request.logprobs, logits);
  e->record[5] = n;
  if (slot->began_ms > 0) {
    float prefill_ms = (float)(now_ms() - slot->began_ms);
    memcpy(&e->record[6 + n++], &prefill_ms, sizeof prefill_ms);
    slot->began_ms = 0;
  }
  push_record(e, 6 + n);
}

/* Ends an embed with `n` numbers; TR_POOL_UNIT is brought to unit length here. */
static void push_embedding(struct tr_engine *e, int32_t s, const float *values, uint32_t n) {
  struct slot *slot = &e->slots[s];
  double square = 0;
  for (uint32_t i = 0; i < n; i++) square += (double)values[i] * values[i];
  float scale = square > 0 ? (float)(1.0 / sqrt(square)) : 0.0f;
  if (slot->pool != TR_POOL_UNIT) scale = 1.0f;
  e->record[0] = (uint32_t)s + 1;
  e->record[1] = TR_REC_EMBEDDING;
  e->record[2] = slot->request.handle;
  e->record[3] = slot->request.n_prompt;
  e->record[4] = n;
  for (uint32_t i = 0; i < n; i++) {
    float value = values[i] * scale;
    memcpy(&e->record[5 + i], &value, sizeof value);
  }
  slot->open = false;
  publish_stats(e);
  push_record(e, 5 + n);
}

/* One token's vector of an embed that wants them all. */
static void push_vector(struct tr_engine *e, int32_t s, uint32_t index, const float *values) {
  e->record[0] = 0;
  e->record[1] = TR_REC_VECTOR;
  e->record[2] = e->slots[s].request.handle;
  e->record[3] = index;
  e->record[4] = e->n_embd;
  memcpy(&e->record[5], values, e->n_embd * sizeof *values);
  push_record(e, 5 + e->n_embd);
}

/* ── sequences ─────────────────────────────────────────────────────────────────────────────── */

/* The sequence lets go of its cells; blocks it shared stay in the cache. */
static void seq_release(struct tr_engine *e, struct seq *seq) {
  e->api.llama_memory_seq_rm(e->memory, seq->id, -1, -1);
  drafter_forget(e, (uint32_t)(seq - e->seqs));
  for (uint32_t i = seq->n_shared; i > 0; i--) cache_unref(&e->cache, seq->blocks[i - 1]);
  cache_give_id(&e->cache, seq->id);
  e->slots[seq->slot].seq = -1;
  seq->live = false;
  e->n_live--;
}

static void seq_finish(struct tr_engine *e, struct seq *seq, uint32_t reason, int32_t stop_token) {
  int32_t slot = seq->slot;
  seq_release(e, seq);
  push_finished(e, slot, reason, stop_token);
}

/* A stop token was drawn from these logits. */
static void seq_stop(struct tr_engine *e, struct seq *seq, int32_t stop_token,
                     const float *logits) {
  int32_t slot = seq->slot;
  seq_release(e, seq);
  push_end(e, slot, TR_REASON_STOP, stop_token, logits);
}

/* Full blocks that the sequence has computed go to the cache, where twins find them at once. */
static void seq_publish(struct tr_engine *e, struct seq *seq) {
  const struct slot *slot = &e->slots[seq->slot];
  while (e->prefix_cache && !slot->embed && (seq->n_shared + 1) * e->block_size <= seq->n_past) {
    uint32_t i = seq->n_shared;
    int32_t block = cache_insert(&e->cache, seq->id, i > 0 ? seq->blocks[i - 1] : -1, i,
                                 slot->request.salt, slot->tokens + i * e->block_size);
    if (block < 0) break;
    seq->blocks[seq->n_shared++] = block;
  }
}

static uint32_t cells_free(const struct tr_engine *e) {
  return e->n_cells - e->cache.cached * e->block_size - cells_private(e);
}

static struct seq *seq_extreme(struct tr_engine *e, bool youngest, bool embed) {
  struct seq *found = NULL;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    if (!seq->live || (embed && !e->slots[seq->slot].embed)) continue;
    if (!found || (youngest ? seq->order > found->order : seq->order < found->order)) found = seq;
  }
  return found;
}

static void seq_preempt(struct tr_engine *e, struct seq *seq) {
  int32_t slot = seq->slot;
  seq_release(e, seq);
  memmove(e->waiting + 1, e->waiting, e->n_waiting * sizeof *e->waiting);
  e->waiting[0] = slot;
  e->n_waiting++;
  e->stats[TR_STAT_PREEMPTIONS] += 1;
}

/*
 * The capacity rule, written here alone. `n_cells` cells are free, in cached blocks, or a live
 * sequence's own. Who needs some takes, in this order:
 *
 *   1. free ones   2. blocks that no live sequence shares, the least recently used first
 *   3. those of the youngest sequence, as long as it is not the only one
 *
 * What a preempted sequence had published is cached now and gives way in the next round, and what
 * this step computes has changed with it: the caller counts again before anybody may say that one
 * sequence alone does not fit.
 */
enum room { ROOM_MADE, ROOM_COUNT_AGAIN, ROOM_NEVER };

static enum room room_make(struct tr_engine *e, uint32_t needed) {
  while (cells_free(e) < needed) {
    if (cache_evict_oldest(&e->cache)) continue;
    if (e->n_live <= 1) return ROOM_NEVER;
    seq_preempt(e, seq_extreme(e, true, false));
    return ROOM_COUNT_AGAIN;
  }
  return ROOM_MADE;
}

/* One more round of the rule, for cells that were counted but could not be used. */
static bool room_more(struct tr_engine *e) {
  bool evicted = false;
  while (cache_evict_oldest(&e->cache)) evicted = true;
  if (evicted) return true;
  if (e->n_live <= 1) return false;
  seq_preempt(e, seq_extreme(e, true, false));
  return true;
}

/* Cells that 1 and 2 of the rule give, when `revived` blocks that could go are to stay. */
static uint32_t room_without_preempting(const struct tr_engine *e, uint32_t revived) {
  return cells_free(e) + (e->cache.evictable - revived) * e->block_size;
}

/* ── admission ─────────────────────────────────────────────────────────────────────────────── */

/*
 * Is a live sequence just computing blocks that this request could share? Then it waits for them
 * instead of computing them a second time (`n` choices of one prompt arrive together).
 */
static bool admit_should_wait(const struct tr_engine *e, const struct slot *slot,
                              uint32_t matched) {
  uint32_t most = (slot->n - 1) / e->block_size;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    const struct seq *seq = &e->seqs[i];
    if (!seq->live || seq->n_past + 1 >= e->slots[seq->slot].n) continue;
    const struct slot *other = &e->slots[seq->slot];
    if (other->embed || other->n / e->block_size <= matched || most <= matched) continue;
    if (other->request.salt != slot->request.salt) continue;
    uint32_t block = seq->n_past / e->block_size; /* the one it computes next */
    if (block < matched) block = matched;
    if (block >= most || block >= other->n / e->block_size) continue;
    if (memcmp(slot->tokens, other->tokens, (block + 1) * e->block_size * sizeof(int32_t)) == 0)
      return true;
  }
  return false;
}

static void admit_start(struct tr_engine *e, int32_t s, const int32_t *found, uint32_t matched) {
  struct slot *slot = &e->slots[s];
  uint32_t i = 0;
  while (e->seqs[i].live) i++;
  struct seq *seq = &e->seqs[i];
  seq->live = true;
  seq->slot = s;
  seq->id = cache_take_id(&e->cache);
  seq->n_shared = matched;
  seq->n_past = matched * e->block_size;
  seq->order = ++e->admissions;
  seq->parked = false;
  seq->drafted = 0;
  memset(seq->drafts, 0, sizeof seq->drafts);
  slot->seq = (int32_t)i;
  e->n_live++;
  memcpy(seq->blocks, found, matched * sizeof *found);
  cache_share(&e->cache, seq->id, found, matched);
  if (slot->embed) {
    memset(e->embed_sums + (size_t)i * e->n_embd, 0, e->n_embd * sizeof(float));
    slot->cached = 0;
    return;
  }
  const struct tr_request *r = &slot->request;
  if (slot->cached < 0) {
    slot->began_ms = now_ms();
    slot->cached = (int32_t)(seq->n_past < r->n_prompt ? seq->n_past : r->n_prompt);
    e->stats[TR_STAT_PROMPT_TOKENS] += r->n_prompt;
    e->stats[TR_STAT_CACHED_TOKENS] += slot->cached;
  }
  struct troupe_sampling sampling = {r->temperature,
                                     r->top_k,
                                     r->top_p,
                                     r->min_p,
                                     r->typical_p,
                                     r->repetition_penalty,
                                     r->frequency_penalty,
                                     r->presence_penalty,
                                     r->seed,
                                     (int32_t)r->n_bias,
                                     slot->bias_tokens,
                                     slot->bias_values};
  if (troupe_sampler_begin(seq->sampler, &sampling, slot->tokens, (int32_t)slot->n,
                           (int32_t)r->n_prompt))
    seq_finish(e, seq, TR_REASON_ERROR, -1);
}

/* Takes waiting requests, oldest first, while there are sequences and cells for them. */
static void admit(struct tr_engine *e) {
  uint32_t committed = 0, at = 0, looked = 0;
  if (e->n_waiting == 0 || e->n_live == e->max_seqs) return;
  for (uint32_t i = 0; i < e->max_seqs; i++)
    if (e->seqs[i].live) committed += e->slots[e->seqs[i].slot].n - e->seqs[i].n_past + 16;
  while (at < e->n_waiting && e->n_live < e->max_seqs && looked++ < 64) {
    int32_t s = e->waiting[at];
    struct slot *slot = &e->slots[s];
    uint32_t matched = 0, revived = 0;
    if (e->prefix_cache && !slot->embed) {
      /* A score needs the logits of its position, which no cache has. */
      uint32_t from = scores_left(slot) ? slot->scored : slot->n - 1;
      matched = cache_match(&e->cache, slot->request.salt, slot->tokens, from / e->block_size,
                            e->match_memory);
      if (!scores_left(slot) && admit_should_wait(e, slot, matched)) {
        at++;
        continue;
      }
    }
    for (uint32_t i = 0; i < matched; i++)
      revived += e->cache.blocks[e->match_memory[i]].ref == 0;
    uint32_t needed = slot->n - matched * e->block_size + 16;
    if (e->n_live > 0 && needed + committed > room_without_preempting(e, revived)) break;
    memmove(e->waiting + at, e->waiting + at + 1, (e->n_waiting - at - 1) * sizeof *e->waiting);
    e->n_waiting--;
    committed += needed;
    admit_start(e, s, e->match_memory, matched);
  }
}

/* ── one step ──────────────────────────────────────────────────────────────────────────────── */

static void batch_add(struct tr_engine *e, struct seq *seq, uint32_t n, bool all_outputs) {
  const struct slot *slot = &e->slots[seq->slot];
  llama_batch *b = &e->batch;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t position = seq->n_past + i;
    int32_t k = b->n_tokens++;
    b->token[k] = slot->tokens[position];
    b->pos[k] = (int32_t)position;
    b->n_seq_id[k] = 1;
    b->seq_id[k][0] = seq->id;
    b->logits[k] = all_outputs || position + 1 >= slot->n;
  }
  /* Behind its last known token are guesses alone. */
  if (seq->n_past + n >= slot->n) seq->output = b->n_tokens - 1 - (int32_t)seq->drafted;
}

/* What a step computes: next tokens with guesses behind them, and prompts. */
struct step {
  uint32_t decoding;
  uint32_t drafted;
  uint32_t prompts;
};

/* All that it knows is computed but the last token, of which it draws the next one. */
static bool seq_decodes(const struct tr_engine *e, const struct seq *seq) {
  return e->slots[seq->slot].n - seq->n_past == 1;
}

#include "adapters.c"
static void seq_draw(struct tr_engine *e, struct seq *seq, float *logits);
static int32_t seq_choose(struct tr_engine *e, struct seq *seq, float *logits, uint32_t index,
                          bool guess);
static bool is_end(const struct tr_engine *e, const struct slot *slot, int32_t token);
#include "drafts/batch-cost.c"
#include "drafts/prompt-share.c"
#include "drafts/known-costs.c"
#include "masks/guessed.c"
#include "drafts/drafter-vocab.c"
#include "drafts/drafter-load.c"
#include "drafts/forced.c"
#include "drafts/draft.c"
#include "drafts/drafter-plan.c"
#include "drafts/drafter.c"

/* Prompts that are not computed to their end, those of this turn. */
static uint32_t prompts_waiting(const struct tr_engine *e) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    const struct seq *seq = &e->seqs[i];
    n += has_turn(e, seq) && !seq->parked && !seq_decodes(e, seq);
  }
  return n;
}

/* Tokens each sequence computes this step, into `e->share`. */
static struct step step_plan(struct tr_engine *e) {
  struct step step = {0, 0, 0};
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    const struct seq *seq = &e->seqs[i];
    bool decodes = has_turn(e, seq) && seq_decodes(e, seq);
    e->share[i] = decodes;
    step.decoding += decodes;
  }
  struct prompt_room room = prompt_room(e, step.decoding, prompts_waiting(e));
  uint32_t most = e->batch_tokens - (e->parts_apart ? 0 : step.decoding);
  if (room.tokens > most) room.tokens = most;
  for (bool first = true;; first = false) {
    struct seq *next = NULL;
    for (uint32_t i = 0; room.tokens > 0 && i < e->max_seqs; i++) {
      struct seq *seq = &e->seqs[i];
      if (!has_turn(e, seq) || e->share[i] > 0) continue;
      if (seq->parked) continue; /* all of it is computed */
      if (!next || seq->order < next->order) next = seq;
    }
    if (!next) return step;
    uint32_t left = e->slots[next->slot].n - next->n_past;
    uint32_t n = prompt_take(&room, next->n_past, left, first);
    if (n == 0) return step;
    e->share[next - e->seqs] = n;
    step.prompts += n;
  }
}

static bool is_end(const struct tr_engine *e, const struct slot *slot, int32_t token) {
  /* A mask lets an end be drawn in spite of ignore_eos when nothing else may come. */
  bool ends = !slot->request.ignore_eos || slot->request.mask_key != 0;
  for (uint32_t i = 0; ends && i < e->n_ends; i++)
    if (e->ends[i] == token) return true;
  for (uint32_t i = 0; i < slot->request.n_stop; i++)
    if (slot->stop[i] == token) return true;
  return false;
}

/*
 * The token at `index` of its answer, from these logits; `guess`: they are another model's, and
 * only the next token's mask may be there.
 */
static int32_t seq_choose(struct tr_engine *e, struct seq *seq, float *logits, uint32_t index,
                          bool guess) {
  struct slot *slot = &e->slots[seq->slot];
  const struct tr_request *r = &slot->request;
  const int32_t *banned = e->ends;
  int32_t n_banned = 0;
  if (index < r->min_tokens) { /* the model's ends and the request's stops, side by side */
    memcpy(e->ends + e->n_ends, slot->stop, r->n_stop * sizeof *slot->stop);
    n_banned = (int32_t)(e->n_ends + r->n_stop);
  } else if (r->ignore_eos) {
    n_banned = (int32_t)e->n_ends;
  }
  bool masked = guess ? slot->mask_state == MASK_READY && index == slot->n - r->n_prompt
                      : r->mask_key != 0;
  if (guess && !masked)
    return troupe_sampler_guess(seq->sampler, e->scratch, logits, r->choice, index, banned,
                                n_banned);
  if (!masked)
    return troupe_sampler_sample(seq->sampler, e->scratch, logits, r->choice, index, banned,
                                 n_banned);
  return troupe_sampler_sample_allowed(seq->sampler, e->scratch, logits, r->choice, index, banned,
                                       n_banned, slot->mask);
}

/* Draws the next token of a sequence from its logits, and says so. */
static void seq_draw(struct tr_engine *e, struct seq *seq, float *logits) {
  int32_t s = seq->slot;
  struct slot *slot = &e->slots[s];
  const struct tr_request *r = &slot->request;
  uint32_t index = slot->n - r->n_prompt;
  int32_t token = seq_choose(e, seq, logits, index, false);
  /* Where a mask allows nothing but ends, or nothing at all, min_tokens cannot be kept. */
  bool may_end = index >= r->min_tokens || r->mask_key != 0;
  if (token < 0 || (may_end && is_end(e, slot, token))) {
    seq_publish(e, seq);
    seq_stop(e, seq, token, token < 0 ? NULL : logits);
    return;
  }
  push_token(e, s, token, logits);
  troupe_sampler_accept(seq->sampler, token);
  slot->tokens[slot->n++] = token;
  e->stats[TR_STAT_GENERATED_TOKENS] += 1;
  if (slot->n < r->n_tokens + r->max_tokens) {
    if (r->mask_key != 0) mask_want(e, slot);
    return;
  }
  seq_publish(e, seq); /* what it computed stays, be it a prompt for one token */
  seq_finish(e, seq, TR_REASON_LENGTH, -1);
}

/* The logits of a sequence are there, and the mask if it wants one; or the logits are kept. */
static void step_sample(struct tr_engine *e, struct seq *seq) {
  struct slot *slot = &e->slots[seq->slot];
  float *logits = e->api.llama_get_logits_ith(e->context, seq->output);
  bool failed = slot->mask_state == MASK_FAILED;
  if (mask_is_late(slot)) failed = !seq_park(e, seq, logits);
  else if (!failed) seq_draw(e, seq, logits);
  if (failed) seq_finish(e, seq, TR_REASON_ERROR, -1);
}

/* Sequences that sat out and whose masks have come draw from the logits they kept. */
static void step_parked(struct tr_engine *e) {
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    if (!seq->live || !seq->parked || mask_is_late(&e->slots[seq->slot])) continue;
    seq->parked = false;
    if (e->slots[seq->slot].mask_state == MASK_FAILED) seq_finish(e, seq, TR_REASON_ERROR, -1);
    else seq_draw(e, seq, seq->kept);
  }
  masks_ask(e);
}

/* The library failed: nobody's cells can be trusted any more, and nothing here can mend it. */
static void step_failed(struct tr_engine *e, int32_t code) {
  e->failed = true;
  snprintf(e->message, sizeof e->message, "llama.cpp failed in a step with code %d: %s", code,
           library_complaint[0] ? library_complaint : "no reason given");
}

/* Runs the batch; anything but 0 is llama_decode's code. */
static int32_t step_decode(struct tr_engine *e, uint32_t adapter) {
  adapter_activate(e, adapter);
  library_complaint[0] = 0;
  if (e->options[TR_OPT_FAIL_AT_STEP] > 0 &&
      e->stats[TR_STAT_STEPS] + 1 >= e->options[TR_OPT_FAIL_AT_STEP])
    return -3;
  return e->api.llama_decode(e->context, e->batch);
}

/* llama_decode's word for no room; it has changed nothing then. */
#define DECODE_NO_ROOM 1

/* The batch was not computed. What was counted as room could not be used: more is made of it. */
static void step_not_done(struct tr_engine *e, int32_t code) {
  if (code == DECODE_NO_ROOM && room_more(e)) return;
  step_failed(e, code);
}

/* `prefill` tokens of prompts are computed in this pass, and others may draw one each. */
static void count_pass(struct tr_engine *e, uint32_t prefill, bool decodes) {
  struct pass_sums *sums = &e->sums;
  if (prefill > 0) {
    sums->prefill_passes += 1;
    sums->prefill_tokens += prefill;
    sums->prefill_tokens_squared += (double)prefill * prefill;
  }
  if (!decodes) return;
  sums->decode_passes += 1;
  sums->decode_share += (double)cells_used(e) / e->n_cells;
}

/* At the end of a step alone: passes without their time would say that they cost nothing. */
static void publish_sums(struct tr_engine *e, double step_ms) {
  struct pass_sums *sums = &e->sums;
  sums->busy_ms += step_ms;
  e->stats[TR_STAT_STEPS] += 1;
  e->stats[TR_STAT_STEP_MS] = step_ms;
  e->stats[TR_STAT_PREFILL_PASSES] = sums->prefill_passes;
  e->stats[TR_STAT_PREFILL_TOKENS] = sums->prefill_tokens;
  e->stats[TR_STAT_PREFILL_TOKENS_SQUARED] = sums->prefill_tokens_squared;
  e->stats[TR_STAT_DECODE_PASSES] = sums->decode_passes;
  e->stats[TR_STAT_DECODE_SHARE] = sums->decode_share;
  e->stats[TR_STAT_BUSY_MS] = sums->busy_ms;
}

/* The step, with cells for all of its tokens; no tokens: there are none, or it has failed. */
static struct step step_plan_with_room(struct tr_engine *e) {
  for (;;) {
    struct step step = step_plan(e);
    enum room room = room_make(e, step.decoding + step.prompts);
    if (room == ROOM_COUNT_AGAIN) continue;
    if (room == ROOM_MADE) {
      draft_plan(e, &step);
      return step;
    }
    step_failed(e, DECODE_NO_ROOM); /* cannot be, see the head of this file; but never spin */
    return (struct step){0, 0, 0};
  }
}

/* What a batch has of a step. */
enum part { PART_NEXT_TOKENS, PART_PROMPTS, PART_ALL };

static bool part_has(const struct tr_engine *e, enum part part, const struct seq *seq) {
  if (e->share[seq - e->seqs] == 0) return false;
  return part == PART_ALL || seq_decodes(e, seq) == (part == PART_NEXT_TOKENS);
}

/* Fills the batch. Cells that tokens of prompts look back at are in `*cells`. False: a prompt ends. */
static bool part_begin(struct tr_engine *e, enum part part, double *cells) {
  bool goes_on = true;
  *cells = 0;
  e->batch.n_tokens = 0;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    seq->output = -1;
    if (!part_has(e, part, seq)) continue;
    batch_add(e, seq, e->share[i], false);
    if (seq_decodes(e, seq)) continue;
    *cells += (double)e->share[i] * (seq->n_past + e->share[i] / 2);
    goes_on = goes_on && seq->output < 0;
  }
  return goes_on;
}

/*
 * Computes one batch of a step, and draws from it. What was computed is taken out of `e->share`.
 * False: the step is over.
 */
static bool step_part(struct tr_engine *e, const struct step *step, enum part part) {
  bool had[TR_MAX_SEQS], alone = part == PART_NEXT_TOKENS || step->prompts == 0;
  double cells, start = now_ms();
  bool goes_on = part_begin(e, part, &cells);
  int32_t code = step_decode(e, e->turn);
  if (code != 0) {
    step_not_done(e, code);
    return false;
  }
  cache_unlist_broken(&e->cache);
  if (e->n_masked > 0) masks_take(e);
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    had[i] = part_has(e, part, seq);
    if (!had[i]) continue;
    seq->n_past += e->share[i] - seq->drafted;
    e->share[i] = 0;
    if (seq->drafted > 0) draft_check(e, seq);
    else if (seq->output >= 0) step_sample(e, seq);
  }
  double ms = now_ms() - start;
  if (alone) cost_saw(e, step->decoding + step->drafted, ms);
  else if (goes_on) prompt_saw(e, step->prompts, cells, part == PART_ALL ? step->decoding : 0, ms);
  if (e->n_wanted > 0) masks_ask(e);
  /* After the samples are out: bookkeeping must not delay the stream. */
  wake_for_news(e);
  for (uint32_t i = 0; i < e->max_seqs; i++)
    if (had[i] && e->seqs[i].live) seq_publish(e, &e->seqs[i]);
  return true;
}

/*
 * On a processor next tokens and prompts are batches of their own. Attention takes 64 rows of a
 * batch at once there, and computes for all of them what one of them looks at: next tokens beside
 * a prompt would have its rows look at the cells of all answers.
 */
static void step_generate(struct tr_engine *e) {
  pick_turn(e);
  struct step step = step_plan_with_room(e);
  if (step.decoding + step.prompts == 0) return;
  count_pass(e, step.prompts, step.decoding > 0);
  bool apart = e->parts_apart && step.decoding > 0 && step.prompts > 0;
  if (!apart) {
    step_part(e, &step, PART_ALL);
  } else if (step_part(e, &step, PART_NEXT_TOKENS)) {
    step_part(e, &step, PART_PROMPTS);
  }
  if (step.prompts == 0) cost_rest(e);
}

/*
 * The vector of the token at `index` becomes part of what the embed in slot `s` is about: `pooled`,
 * which begins as zeros and ends as a sum, the first one, or the last. A mean is a sum here: who
 * wants it raw gets it divided at the end.
 */
static void pool_token(struct tr_engine *e, int32_t s, uint32_t index, const float *hidden,
                       float *pooled) {
  const struct slot *slot = &e->slots[s];
  if (!hidden) return;
  if (slot->pool == TR_POOL_TOKENS) {
    push_vector(e, s, index, hidden);
    return;
  }
  if (e->pooling == LLAMA_API_POOLING_CLS && index != 0) return;
  if (e->pooling == LLAMA_API_POOLING_LAST && index + 1 != slot->n) return;
  for (uint32_t k = 0; k < e->n_embd; k++) pooled[k] += hidden[k];
}

/* All tokens of an embed are in `pooled`. */
static void pool_end(struct tr_engine *e, int32_t s, float *pooled) {
  const struct slot *slot = &e->slots[s];
  bool mean = e->pooling != LLAMA_API_POOLING_CLS && e->pooling != LLAMA_API_POOLING_LAST;
  if (slot->pool == TR_POOL_RAW && mean)
    for (uint32_t k = 0; k < e->n_embd; k++) pooled[k] /= (float)slot->n;
  push_embedding(e, s, pooled, slot->pool == TR_POOL_TOKENS ? 0 : e->n_embd);
}

/* One chunk of the oldest embedding. */
static void step_embed(struct tr_engine *e) {
  struct seq *seq = seq_extreme(e, false, true);
  if (!seq || e->turn != 0) return; /* vectors are the model's own */
  struct slot *slot = &e->slots[seq->slot];
  float *sum = e->embed_sums + (size_t)(seq - e->seqs) * e->n_embd;
  uint32_t n = slot->n - seq->n_past;
  if (n > e->max_outputs) n = e->max_outputs;
  if (n > e->prefill_chunk) n = e->prefill_chunk;
  if (room_make(e, n) != ROOM_MADE || !seq->live) return;
  e->batch.n_tokens = 0;
  batch_add(e, seq, n, true);
  count_pass(e, n, false);
  e->api.llama_set_embeddings(e->context, true);
  int32_t code = step_decode(e, 0);
  for (uint32_t i = 0; code == 0 && i < n; i++) {
    const float *hidden = e->api.llama_get_embeddings_ith(e->context, (int32_t)i);
    pool_token(e, seq->slot, seq->n_past + i, hidden, sum);
  }
  e->api.llama_set_embeddings(e->context, false);
  if (code != 0) {
    step_not_done(e, code);
    return;
  }
  cache_unlist_broken(&e->cache);
  seq->n_past += n;
  if (seq->n_past < slot->n) return;
  int32_t s = seq->slot;
  seq_release(e, seq);
  pool_end(e, s, sum);
}

#include "pool.c"
#include "blocks/between-steps.c"

/* ── the thread ────────────────────────────────────────────────────────────────────────────── */

static void command_cancel(struct tr_engine *e, int32_t s) {
  struct slot *slot = &e->slots[s];
  if (!slot->open) return; /* it finished while the command was under way */
  if (slot->seq >= 0) {
    seq_finish(e, &e->seqs[slot->seq], TR_REASON_CANCELLED, -1);
    return;
  }
  uint32_t at = 0;
  while (e->waiting[at] != s) at++;
  memmove(e->waiting + at, e->waiting + at + 1, (e->n_waiting - at - 1) * sizeof *e->waiting);
  e->n_waiting--;
  push_finished(e, s, TR_REASON_CANCELLED, -1);
}

static void take_commands(struct tr_engine *e) {
  uint32_t command[2];
  /* A command may make one record; the rest waits in its ring until JavaScript has read some. */
  while (!e->closing && ring_room(&e->results, 10) && ring_pop(&e->commands, command, 2)) {
    int32_t s = (int32_t)command[1];
    struct slot *slot = &e->slots[s]; /* of a submit or a cancel */
    if (command[0] == COMMAND_CANCEL) command_cancel(e, s);
    if (command[0] == COMMAND_KV_LIST) cache_tell_all(&e->cache);
    if (command[0] == COMMAND_CLEAR) cache_clear(&e->cache);
    if (command[0] == COMMAND_CLEAR) recent_clear(&e->recent);
    if (command[0] == COMMAND_ADAPTER_LOAD) adapter_load(e, command[1]);
    if (command[0] == COMMAND_ADAPTER_UNLOAD) adapter_leave(e, command[1]);
    if (command[0] == COMMAND_MASKS) masks_again(e, command[1]);
    if (command[0] == COMMAND_MOVE) e->moves->order[e->moves->n++] = s;
    if (command[0] != COMMAND_SUBMIT) continue;
    slot->n = slot->request.n_tokens;
    slot->cached = -1;
    slot->began_ms = 0;
    slot->seq = -1;
    slot->open = true;
    slot->drafted = slot->drafts_right = slot->predicted_at = 0;
    slot->n_forced = slot->forced_at = slot->forced_asked = 0;
    slot->scored = slot->request.scores > 0 ? slot->request.scores - 1 : slot->request.n_prompt;
    slot->mask_state = MASK_NONE;
    if (slot->request.mask_key != 0) {
      e->n_masked++;
      if (slot->request.max_tokens > 0) mask_want(e, slot);
    }
    if (!slot->embed && slot->request.max_tokens == 0 && !scores_left(slot))
      push_finished(e, s, TR_REASON_LENGTH, -1);
    else
      e->waiting[e->n_waiting++] = s;
  }
}

/* False: all sequences wait for masks, so that a step would have nothing to compute. */
static bool masks_step(struct tr_engine *e) {
  masks_take(e);
  if (masks_are_all(e)) masks_gather(e);
  step_parked(e);
  wake_for_news(e);
  return !masks_are_all(e);
}

static void engine_loop(struct tr_engine *e) {
  while (!e->closing && !e->failed) {
    while (troupe_sem_try(&e->nudge)) {
      /* what they announced is looked at below */
    }
    take_commands(e);
    if (e->n_leaving > 0) adapters_unload(e);
    if (e->n_wanted > 0 || masks_from_here(e)) masks_ask(e);
    if (e->moves->n > 0) moves_run(e);
    wake_for_news(e);
    bool idle = e->n_live == 0 && e->n_waiting == 0;
    if (idle && e->moves->n == 0) {
      cost_rest(e);
      publish_stats(e);
      if (!e->closing) ring_wait(&e->commands);
      continue;
    }
    if (!ring_room(&e->results, idle ? TR_MAX_MOVED + 10 : results_a_step(e))) {
      /* JavaScript does not read: stop making tokens until it has read a record. */
      troupe_sem_wait(&e->results.freed);
      if (!e->closing) e->results.tail += e->results.words[e->results.tail & e->results.mask];
      continue;
    }
    if (idle) continue; /* there are blocks to move alone */
    double start = now_ms();
    if (e->pools_only) {
      step_pool(e);
    } else {
      admit(e);
      if (e->n_masked > 0 && !masks_step(e)) continue;
      step_generate(e);
      if (!e->failed) step_score(e);
      if (!e->failed) step_embed(e);
    }
    moves_weigh(e);
    publish_sums(e, now_ms() - start);
    publish_stats(e);
  }
}

static void *engine_main(void *argument) {
  struct tr_engine *e = argument;
  e->outcome = load_all(e);
  if (e->outcome == TR_READY) {
    e->permille = 1000;
    troupe_sem_post(&e->settled);
    engine_wake(e);
    engine_loop(e);
    if (!e->failed) cost_rest(e);
    unload_all(e);
    e->outcome = e->failed ? TR_ERR_ENGINE : TR_ERR_CLOSED;
  } else {
    unload_all(e);
  }
  troupe_sem_post(&e->settled);
  engine_wake(e);
  return NULL;
}
