/*
 * Masks: which tokens of the vocabulary may come next in an answer that keeps to a grammar.
 *
 *   engine thread                                    grammar thread
 *   token drawn ──wanted──▶ (slot, key, index) ────▶ reads the answer's new tokens from the slot
 *   next step's llama_decode …                       writes the mask into the slot
 *   before it draws ◀─────── (slot, key, index) ◀─── made
 *
 * There are several grammar threads, a lane each; a request's key says which one makes its masks, so
 * that one compiles while the other goes on. A slot's mask of a lane has one writer at a time: it is
 * wanted, then made, then used, and only then wanted again. A record whose key or index is not the
 * slot's is of a request that is gone. Masks behind guesses lie elsewhere: guessed.c.
 *
 * A sequence whose mask is late keeps its logits and sits out: it has nothing in the next batch,
 * and draws as soon as the mask is there. Where all sequences wait for masks, the thread sleeps.
 */

/* Sequences that wait together go on together: a batch of one costs nearly as much as one of all. */
#define MASK_GATHER_US 500
/* Words of the records about a slot's next mask, either way. */
#define MASK_ASK_WORDS 5
#define MASK_MADE_WORDS 4

/* `made` says of which. */
enum mask_made { MADE_NONE, MADE_MASK, MADE_GUESS, MADE_FORCED };

static struct mask_lane *mask_lane_of(struct tr_engine *e, uint32_t key) {
  return &e->mask_lanes[key % TR_MASK_LANES];
}

/*
 * Each lane has its own: a late mask for the request before may still be written by its thread
 * while another thread writes the one of this request.
 */
static uint32_t *slot_mask(const struct tr_engine *e, const struct slot *slot, uint32_t key) {
  return slot->masks + (size_t)(key % TR_MASK_LANES) * mask_words(e);
}

static bool mask_lane_push(struct mask_lane *lane, const uint32_t *ask, uint32_t n) {
  if (!ring_room(&lane->wanted, n)) return false;
  ring_push(&lane->wanted, ask, n);
  lane->news = true;
  return true;
}

static bool masks_from_here(const struct tr_engine *e) {
  for (uint32_t i = 0; i < TR_MASK_LANES; i++)
    if (e->mask_lanes[i].from_here) return true;
  return false;
}

/* A full pipe wakes as well. */
static void mask_lanes_wake(struct tr_engine *e) {
  for (uint32_t i = 0; i < TR_MASK_LANES; i++) {
    struct mask_lane *lane = &e->mask_lanes[i];
    if (!lane->news) continue;
    lane->news = false;
    ssize_t written = write(lane->write, "", 1);
    (void)written;
  }
}

/* Tells the grammar threads what is wanted, as far as their rings have room. */
static void masks_ask(struct tr_engine *e) {
  for (uint32_t i = 0; i < TR_MASK_LANES; i++) {
    struct mask_lane *lane = &e->mask_lanes[i];
    uint32_t mark = TR_WANT_FROM_HERE;
    if (lane->from_here && mask_lane_push(lane, &mark, 1)) lane->from_here = false;
  }
  for (uint32_t i = 0; e->n_wanted > 0 && i < e->n_slots; i++) {
    struct slot *slot = &e->slots[i];
    if (slot->mask_state != MASK_WANTED) continue;
    struct mask_lane *lane = mask_lane_of(e, slot->request.mask_key);
    uint32_t ask[MASK_ASK_WORDS] = {TR_WANT_MASK, i, slot->request.mask_key,
                                    slot->n - slot->request.n_prompt, e->asks_forced};
    if (lane->from_here || !mask_lane_push(lane, ask, MASK_ASK_WORDS)) continue;
    if (e->asks_forced) slot->forced_asked = slot->n;
    slot->mask_state = MASK_ASKED;
    e->n_wanted--;
  }
  mask_lanes_wake(e);
}

static void mask_want(struct tr_engine *e, struct slot *slot) {
  slot->mask_state = MASK_WANTED;
  e->n_wanted++;
}

/* The request is over, in whatever state its mask is. */
static void mask_forget(struct tr_engine *e, struct slot *slot) {
  if (slot->request.mask_key == 0 || slot->embed) return;
  if (slot->mask_state == MASK_WANTED) e->n_wanted--;
  slot->mask_state = MASK_NONE;
  e->n_masked--;
}

/* A new grammar thread: what the one before has not made is wanted again. */
static void masks_again(struct tr_engine *e, uint32_t lane) {
  e->mask_lanes[lane].from_here = true;
  for (uint32_t i = 0; i < e->n_slots; i++) {
    struct slot *slot = &e->slots[i];
    if (slot->mask_state == MASK_ASKED && slot->request.mask_key % TR_MASK_LANES == lane)
      mask_want(e, slot);
  }
}

static void masks_take(struct tr_engine *e) {
  uint32_t made[MASK_MADE_WORDS + DRAFT_MOST], n;
  for (uint32_t i = 0; i < TR_MASK_LANES; i++) {
    struct mask_lane *lane = &e->mask_lanes[i];
    while ((n = ring_pop(&lane->made, made, MASK_MADE_WORDS + DRAFT_MOST)) > 0) {
      if (made[0] == MADE_GUESS) {
        lane->guess_walks[made[2]] = made[1];
        continue;
      }
      struct slot *slot = &e->slots[made[1]];
      if (made[0] == MADE_FORCED) {
        if (!slot->open || slot->request.mask_key != made[2]) continue;
        slot->forced_at = slot->request.n_prompt + made[3];
        slot->n_forced = n - MASK_MADE_WORDS;
        memcpy(slot->forced, made + MASK_MADE_WORDS, slot->n_forced * sizeof *made);
        continue;
      }
      if (slot->mask_state != MASK_ASKED || slot->request.mask_key != made[2]) continue;
      if (slot->n - slot->request.n_prompt != made[3]) continue;
      slot->mask_state = made[0] == MADE_MASK ? MASK_READY : MASK_FAILED;
      slot->mask = slot_mask(e, slot, made[2]);
    }
  }
}

static bool mask_is_late(const struct slot *slot) {
  return slot->mask_state == MASK_WANTED || slot->mask_state == MASK_ASKED;
}

/* Keeps the logits, which the next step overwrites; false without memory for them. */
static bool seq_park(struct tr_engine *e, struct seq *seq, const float *logits) {
  size_t size = (size_t)e->n_vocab * sizeof *logits;
  if (!seq->kept) seq->kept = malloc(size);
  if (!seq->kept) return false;
  memcpy(seq->kept, logits, size);
  seq->parked = true;
  return true;
}

/* True: there are sequences, and each waits for a mask or has just got one. */
static bool masks_are_all(const struct tr_engine *e) {
  for (uint32_t i = 0; i < e->max_seqs; i++)
    if (e->seqs[i].live && !e->seqs[i].parked) return false;
  return e->n_live > 0;
}

static uint32_t masks_late(const struct tr_engine *e, uint32_t *there) {
  uint32_t late = 0;
  *there = 0;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    const struct seq *seq = &e->seqs[i];
    if (!seq->live || !seq->parked) continue;
    if (mask_is_late(&e->slots[seq->slot])) late++;
    else (*there)++;
  }
  return late;
}

/* With nothing to compute: sleeps until the first mask or command, then a moment for the others. */
static void masks_gather(struct tr_engine *e) {
  uint32_t there;
  while (masks_late(e, &there) > 0) {
    if (there == 0) {
      troupe_sem_wait(&e->nudge);
      masks_take(e);
      masks_late(e, &there);
      if (there == 0) return; /* a command: the loop takes it */
    }
    if (!troupe_sem_wait_us(&e->nudge, MASK_GATHER_US)) return;
    masks_take(e);
  }
}

/* ── calls of the grammar threads ──────────────────────────────────────────────────────────── */

int32_t tr_mask_fd(struct tr_engine *e, uint32_t lane) {
  return lane < TR_MASK_LANES ? e->mask_lanes[lane].read : -1;
}

int32_t tr_mask_poll(struct tr_engine *e, uint32_t lane, uint32_t *to, int32_t size) {
  if (lane >= TR_MASK_LANES) return TR_ERR_BAD_REQUEST;
  struct ring *wanted = &e->mask_lanes[lane].wanted;
  int32_t at = 0;
  while (at + TR_MASK_WORDS <= size) {
    uint32_t n = ring_pop(wanted, to + at + 1, TR_MASK_WORDS - 1);
    if (n == 0) break;
    to[at] = n + 1;
    at += (int32_t)n + 1;
  }
  return at;
}

int32_t tr_mask_tokens(struct tr_engine *e, uint32_t s, uint32_t from, uint32_t n, int32_t *to) {
  if (s >= e->n_slots) return TR_ERR_BAD_REQUEST;
  const struct slot *slot = &e->slots[s];
  uint32_t first = slot->request.n_prompt + from;
  if (first > e->context_length || n > e->context_length - first) return TR_ERR_BAD_REQUEST;
  memcpy(to, slot->tokens + first, n * sizeof *to);
  return TR_OK;
}

int32_t tr_mask_put(struct tr_engine *e, uint32_t s, uint32_t key, uint32_t n_answer,
                    const uint32_t *words) {
  uint32_t made[MASK_MADE_WORDS] = {words ? MADE_MASK : MADE_NONE, s, key, n_answer};
  if (s >= e->n_slots) return TR_ERR_BAD_REQUEST;
  struct ring *ring = &mask_lane_of(e, key)->made;
  if (!ring_room(ring, MASK_MADE_WORDS)) return TR_ERR_QUEUE_FULL;
  if (words) memcpy(slot_mask(e, &e->slots[s], key), words, mask_words(e) * sizeof *words);
  ring_push(ring, made, MASK_MADE_WORDS);
  troupe_sem_post(&e->nudge);
  return TR_OK;
}
