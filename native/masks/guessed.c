/*
 * Masks behind guesses (drafts/) of answers that keep to a grammar.
 *
 *   engine thread                                    grammar thread
 *   step planned ──guesses──▶ (slot, key, walk) ───▶ takes them one by one, as if they had come,
 *   llama_decode …                                   writes the mask behind each, and goes back
 *   draws, guess by guess ◀── (walk, place) ◀─────── made
 *
 * A walk is a step's. Its masks lie in the lane's own memory, as many as a batch can draw tokens,
 * from place 0 on: who hears of a walk makes nothing more of the one before, so a place that was
 * made for this step is written no more while it lasts.
 *
 * Guesses that the grammar forbids are drawn by nobody, and get no mask. Where a mask is late the
 * sequence sits out, as it does without guesses, and the guesses behind are given back.
 */

/* What no answer waits for leaves room for what one does; see load.c for the sizes. */
static bool mask_has_room(const struct tr_engine *e, struct ring *ring, uint32_t n) {
  return ring_room(ring, n + e->n_slots * (MASK_ASK_WORDS + 1));
}

/* Tells the grammar threads what is guessed in this step. Without room the masks come too late. */
static void guesses_ask(struct tr_engine *e) {
  uint32_t place = 0;
  e->walks++;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    const struct slot *slot = &e->slots[seq->slot];
    if (!seq->live || seq->drafted == 0 || slot->request.mask_key == 0) continue;
    struct mask_lane *lane = mask_lane_of(e, slot->request.mask_key);
    uint32_t ask[TR_MASK_WORDS] = {TR_WANT_GUESSES,
                                   (uint32_t)seq->slot,
                                   slot->request.mask_key,
                                   slot->n - slot->request.n_prompt,
                                   e->walks,
                                   place};
    memcpy(ask + 6, slot->tokens + slot->n, seq->drafted * sizeof *ask);
    seq->walk_at = place;
    place += seq->drafted;
    if (mask_has_room(e, &lane->wanted, 6 + seq->drafted))
      mask_lane_push(lane, ask, 6 + seq->drafted);
  }
  mask_lanes_wake(e);
}

/* How long a test waits for a mask, so that what is guessed right is not given back. */
#define GUESS_TEST_US 50000

static bool guess_is_made(struct tr_engine *e, const struct seq *seq, uint32_t guess) {
  const struct mask_lane *lane = mask_lane_of(e, e->slots[seq->slot].request.mask_key);
  const uint32_t *walk = &lane->guess_walks[seq->walk_at + guess];
  while (*walk != e->walks) {
    if (!e->fixed_shapes || !troupe_sem_wait_us(&e->nudge, GUESS_TEST_US)) return false;
    masks_take(e);
  }
  return true;
}

/*
 * The mask for the draw behind `right` guesses that were right is the slot's. False: it is not
 * there, so the sequence keeps the logits for later, or its answer has ended in an error.
 */
static bool guess_may_draw(struct tr_engine *e, struct seq *seq, uint32_t right,
                           const float *logits) {
  struct slot *slot = &e->slots[seq->slot];
  if (slot->request.mask_key == 0) return true;
  if (right > 0 && guess_is_made(e, seq, right - 1)) {
    const struct mask_lane *lane = mask_lane_of(e, slot->request.mask_key);
    if (slot->mask_state == MASK_WANTED) e->n_wanted--;
    slot->mask_state = MASK_READY;
    slot->mask = lane->guess_masks + (size_t)(seq->walk_at + right - 1) * mask_words(e);
    return true;
  }
  if (slot->mask_state == MASK_READY) return true;
  if (mask_is_late(slot) && seq_park(e, seq, logits)) return false;
  seq_finish(e, seq, TR_REASON_ERROR, -1);
  return false;
}

/* ── calls of the grammar threads ──────────────────────────────────────────────────────────── */

int32_t tr_mask_put_forced(struct tr_engine *e, uint32_t s, uint32_t key, uint32_t n_answer,
                           const int32_t *tokens, uint32_t n) {
  uint32_t made[MASK_MADE_WORDS + DRAFT_MOST] = {MADE_FORCED, s, key, n_answer};
  if (s >= e->n_slots) return TR_ERR_BAD_REQUEST;
  if (n > DRAFT_MOST) n = DRAFT_MOST;
  for (uint32_t i = 0; i < n; i++) {
    if (tokens[i] < 0 || (uint32_t)tokens[i] >= e->n_vocab) return TR_ERR_BAD_REQUEST;
    made[MASK_MADE_WORDS + i] = (uint32_t)tokens[i];
  }
  struct ring *ring = &mask_lane_of(e, key)->made;
  if (!mask_has_room(e, ring, MASK_MADE_WORDS + n)) return TR_ERR_QUEUE_FULL;
  ring_push(ring, made, MASK_MADE_WORDS + n);
  troupe_sem_post(&e->nudge);
  return TR_OK;
}

int32_t tr_mask_put_guess(struct tr_engine *e, uint32_t key, uint32_t walk, uint32_t place,
                          const uint32_t *words) {
  uint32_t made[MASK_MADE_WORDS] = {MADE_GUESS, walk, place, 0};
  struct mask_lane *lane = mask_lane_of(e, key);
  if (place >= e->max_outputs) return TR_ERR_BAD_REQUEST;
  if (!mask_has_room(e, &lane->made, MASK_MADE_WORDS)) return TR_ERR_QUEUE_FULL;
  memcpy(lane->guess_masks + (size_t)place * mask_words(e), words,
         mask_words(e) * sizeof *words);
  ring_push(&lane->made, made, MASK_MADE_WORDS);
  troupe_sem_post(&e->nudge);
  return TR_OK;
}
