/*
 * What a form leaves no choice of is guessed: behind `{"` comes `name": "`. The grammar thread finds
 * it with each token, before it makes that token's mask, and the plan of a step waits for it a
 * little, as it is found in less than a hundredth of a step. Behind what is forced the guesses go
 * on from where these tokens stand elsewhere (draft.c).
 */

/* Of the time that the step takes without guesses. */
#define FORCED_WAIT_SHARE 0.02
#define FORCED_WAIT_US 1000.0
/* Who was late so many times is waited for now and then alone. */
#define FORCED_LATE_MOST 8
#define FORCED_LATE_EVERY 64

/* Does one guess more, that is right for sure, pay in a step of so many tokens? */
static bool forced_pays(const struct tr_engine *e, uint32_t total) {
  return e->fixed_shapes || (total + 1) * cost_of(e, total) > total * cost_of(e, total + 1);
}

static bool forced_is_late(const struct tr_engine *e) {
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    if (e->share[i] == 0) continue;
    const struct slot *slot = &e->slots[e->seqs[i].slot];
    if (slot->forced_asked == slot->n && slot->forced_at != slot->n) return true;
  }
  return false;
}

/* `total` tokens are in the step so far. */
static void forced_wait(struct tr_engine *e, uint32_t total) {
  e->asks_forced = forced_pays(e, total);
  if (e->n_masked == 0) return;
  masks_take(e);
  if (!e->asks_forced || !forced_is_late(e)) return;
  if (e->forced_late >= FORCED_LATE_MOST && ++e->forced_late % FORCED_LATE_EVERY != 0) return;
  double us = cost_of(e, total) * 1000 * FORCED_WAIT_SHARE;
  if (us > FORCED_WAIT_US) us = FORCED_WAIT_US;
  if (e->fixed_shapes) us = GUESS_TEST_US;
  double until = now_ms() + us / 1000;
  while (forced_is_late(e)) {
    double left = (until - now_ms()) * 1000;
    if (left < 1 || !troupe_sem_wait_us(&e->nudge, (uint32_t)left)) {
      if (e->forced_late < FORCED_LATE_MOST) e->forced_late++;
      return;
    }
    masks_take(e);
  }
  e->forced_late = 0;
}

/* What is forced behind the slot's tokens, as far as it is known; `*n` is how many. */
static const int32_t *forced_find(const struct slot *slot, uint32_t *n) {
  *n = 0;
  if (slot->forced_at > slot->n || slot->n - slot->forced_at >= slot->n_forced) return NULL;
  uint32_t come = slot->n - slot->forced_at;
  if (memcmp(slot->forced, slot->tokens + slot->forced_at, come * sizeof *slot->forced) != 0)
    return NULL;
  *n = slot->n_forced - come;
  return slot->forced + come;
}
