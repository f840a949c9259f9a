/*
 * Drafts: tokens that an answer may go on with, guessed from what its prompt, the answer and the
 * engine's last answers say already, or from what the client predicts, and computed in the same
 * batch as its next token. A draft is right when the draw at its index gives the same token. Draws
 * are functions of (seed, choice, index, logits), so the answer is the one that would have been
 * made without drafts; a wrong draft costs its place in the batch.
 *
 *   … the cat sat on the mat. "the cat│ sat  on  the        known │ drafted
 *         └── the same two tokens ──┘   ▲    ▲    ▲
 *                                     drawn from the logits of the token before each
 *
 * How many are computed is decided for all sequences of a step together: the expected tokens over
 * the time that a batch of that size takes (`cost`), which is measured at the start and goes on
 * being measured. A full batch drafts nothing, a lone stream much. How often drafts are right is
 * learned by source and length of the match, over all answers, and by source for each answer.
 */
#define DRAFT_LEAST_MATCH 2
/* Tokens that are looked through, from the end: a step must not wait for the search. */
#define DRAFT_WINDOW 16384
/* Guesses that weigh as much as what is known without them: of all answers, of a sequence. */
#define DRAFT_PRIOR 2.0f
/* What was seen of a sequence fades with each check, and while it drafts nothing. */
#define DRAFT_KEEPS_OWN 0.9f
#define DRAFT_KEEPS_IDLE 0.98f
#define DRAFT_KEEPS_ALL 0.999f

/* drafts/drafter.c */
static uint32_t drafter_guess(struct tr_engine *e, uint32_t total, double tokens, uint32_t room);
static void drafter_learn(struct tr_engine *e, const struct seq *seq, uint32_t tried,
                          uint32_t right);

/* ── guesses ───────────────────────────────────────────────────────────────────────────────── */

/*
 * The end of the longest earlier part, up to DRAFT_LONGEST_MATCH tokens, that is as the end of
 * `tokens`; the latest of several. Its length is in `*length`, 0: there is none worth it.
 */
static uint32_t draft_find(const int32_t *tokens, uint32_t n, uint32_t *length) {
  uint32_t found = 0, first = n > DRAFT_WINDOW ? n - DRAFT_WINDOW : 0;
  *length = 0;
  if (n < DRAFT_LEAST_MATCH + 1) return 0;
  int32_t last = tokens[n - 1], before = tokens[n - 2];
  for (uint32_t end = n - 1; end > first + 1; end--) {
    if (tokens[end - 1] != last || tokens[end - 2] != before) continue;
    uint32_t same = 2;
    while (same < DRAFT_LONGEST_MATCH && same < end - first &&
           tokens[end - 1 - same] == tokens[n - 1 - same])
      same++;
    if (same <= *length) continue;
    *length = same;
    found = end;
    if (same == DRAFT_LONGEST_MATCH) break;
  }
  return found;
}

/*
 * The same in what the client predicts. Of several the first at or behind where guesses came from
 * last. An answer that has no token yet begins as it is predicted.
 */
static uint32_t draft_predicted(const struct slot *slot, uint32_t *length) {
  const int32_t *predicted = slot->predicted, *tokens = slot->tokens;
  uint32_t n = slot->n, answer = n - slot->request.n_prompt, found = 0;
  *length = answer == 0 && slot->request.n_predicted > 0 ? DRAFT_LONGEST_MATCH : 0;
  if (answer < DRAFT_LEAST_MATCH) return 0;
  for (uint32_t end = DRAFT_LEAST_MATCH; end < slot->request.n_predicted; end++) {
    uint32_t same = 0;
    while (same < DRAFT_LONGEST_MATCH && same < end && same < answer &&
           predicted[end - 1 - same] == tokens[n - 1 - same])
      same++;
    if (same < DRAFT_LEAST_MATCH || same < *length) continue;
    if (same == *length && (found >= slot->predicted_at || end < slot->predicted_at)) continue;
    *length = same;
    found = end;
  }
  return found;
}

/* How likely the next guess of a sequence is right, made so; a longer match is hoped more of. */
static float draft_hope(const struct tr_engine *e, const struct seq *seq, uint32_t source,
                        uint32_t match) {
  const struct draft_sums *of_match = &e->draft_sums[source][match];
  const struct draft_sums *own = &seq->drafts[source];
  float before = 1.0f - 1.0f / (float)match;
  float all = (of_match->right + DRAFT_PRIOR * before) / (of_match->tried + DRAFT_PRIOR);
  return (own->right + DRAFT_PRIOR * all) / (own->tried + DRAFT_PRIOR);
}

struct draft_guess {
  const int32_t *from; /* NULL: there is none */
  uint32_t n;
  uint32_t source;
  uint32_t match;
  float hope;
};

/* Keeps the better of two guesses, the one before if they are as good. */
static void draft_offer(const struct tr_engine *e, const struct seq *seq,
                        struct draft_guess *best, struct draft_guess guess) {
  if (guess.match < DRAFT_LEAST_MATCH || guess.n == 0) return;
  guess.hope = draft_hope(e, seq, guess.source, guess.match);
  if (!best->from || guess.hope > best->hope) *best = guess;
}

/* Writes guesses behind the slot's tokens, at most `most`; returns how many. */
static uint32_t draft_find_best(struct tr_engine *e, struct slot *slot, struct seq *seq,
                                uint32_t most, float *hope) {
  struct draft_guess best = {.from = NULL}, other = {.source = TR_DRAFT_PREDICTED};
  seq->source = seq->match = 0;
  uint32_t at = draft_predicted(slot, &other.match), left = slot->request.n_predicted - at;
  other.from = slot->predicted + at;
  other.n = left < most ? left : most;
  draft_offer(e, seq, &best, other);
  at = draft_find(slot->tokens, slot->n, &other.match);
  other.source = at < slot->request.n_prompt ? TR_DRAFT_PROMPT : TR_DRAFT_OWN;
  other.from = slot->tokens + at;
  other.n = most;
  draft_offer(e, seq, &best, other);
  other.source = TR_DRAFT_RECENT;
  other.from = recent_find(&e->recent, slot, &other.match, &other.n);
  draft_offer(e, seq, &best, other);
  if (!best.from) return 0;
  if (best.source == TR_DRAFT_PREDICTED)
    slot->predicted_at = (uint32_t)(best.from - slot->predicted);
  /* A guess may be the source of a later one: so a period goes on. */
  for (uint32_t i = 0; i < best.n; i++) slot->tokens[slot->n + i] = best.from[i];
  seq->source = best.source;
  seq->match = best.match;
  *hope = best.hope;
  return best.n;
}

/*
 * The same: what a form forces, and what is found behind it; or what is found, where that says
 * something else and is likelier. `*forced`: the hope of the first.
 */
static uint32_t draft_guess(struct tr_engine *e, struct slot *slot, struct seq *seq, uint32_t most,
                            float *hope, float *forced) {
  seq->source = seq->match = seq->forced = 0; /* before anything can be found */
  if (e->options[TR_OPT_SPECULATE] >= 3) return 0;
  uint32_t n = draft_find_best(e, slot, seq, most, hope), n_forced;
  const int32_t *first = forced_find(slot, &n_forced);
  *forced = draft_hope(e, seq, TR_DRAFT_FORCED, 0);
  if (n_forced > most) n_forced = most;
  if (n_forced == 0) return n;
  if (n > 0 && slot->tokens[slot->n] != *first && *hope > *forced) return n;
  memcpy(slot->tokens + slot->n, first, n_forced * sizeof *first);
  seq->forced = n_forced;
  slot->n += n_forced;
  n = draft_find_best(e, slot, seq, most - n_forced, hope);
  slot->n -= n_forced;
  return n_forced + n;
}

/* ── how many ──────────────────────────────────────────────────────────────────────────────── */

struct draft_choice {
  uint32_t place[TR_MAX_SEQS]; /* of sequences that have guesses */
  uint32_t most[TR_MAX_SEQS];
  uint32_t n[TR_MAX_SEQS];
  uint32_t forced[TR_MAX_SEQS]; /* of them, the first */
  float hope[TR_MAX_SEQS];
  float hope_forced[TR_MAX_SEQS];
  float next[TR_MAX_SEQS]; /* that all of its guesses up to the next are right */
  uint32_t n_seqs;
};

static uint32_t draft_best(const struct draft_choice *c) {
  uint32_t best = c->n_seqs;
  for (uint32_t i = 0; i < c->n_seqs; i++)
    if (c->n[i] < c->most[i] && (best == c->n_seqs || c->next[i] > c->next[best])) best = i;
  return best;
}

static float draft_hope_of_next(const struct draft_choice *c, uint32_t i) {
  return c->n[i] < c->forced[i] ? c->hope_forced[i] : c->hope[i];
}

static void draft_take(struct draft_choice *c, uint32_t i) {
  c->n[i]++;
  c->next[i] *= draft_hope_of_next(c, i);
}

/* `n` more guesses of `c`, the likeliest first. */
static void draft_take_many(struct draft_choice *c, uint32_t n) {
  for (uint32_t i = 0; i < c->n_seqs; i++) {
    c->n[i] = 0;
    c->next[i] = draft_hope_of_next(c, i);
  }
  while (n-- > 0) draft_take(c, draft_best(c));
}

/* Guesses that a sequence may have in this step. */
static uint32_t draft_left(const struct tr_engine *e, const struct slot *slot, uint32_t room) {
  uint32_t end = slot->request.n_tokens + slot->request.max_tokens;
  uint32_t left = (e->fixed_shapes ? e->context_length : end) - slot->n - 1;
  if (left > DRAFT_MOST) left = DRAFT_MOST;
  return left < room ? left : room;
}

static bool drafts(const struct tr_engine *e, const struct seq *seq) {
  return e->share[seq - e->seqs] == 1 && seq_decodes(e, seq);
}

/*
 * Guesses of the sequences that decode in this step, if their batch has nothing else. Cached blocks
 * give way to them, nobody is preempted.
 */
static void draft_plan(struct tr_engine *e, struct step *step) {
  struct draft_choice c = {.n_seqs = 0};
  uint32_t total = step->decoding;
  uint32_t most = e->max_outputs < e->batch_tokens ? e->max_outputs : e->batch_tokens;
  uint32_t cells = room_without_preempting(e, 0);
  for (uint32_t i = 0; i < e->max_seqs; i++) e->seqs[i].drafted = 0;
  if (!e->speculates || total == 0 || (step->prompts > 0 && !e->parts_apart)) return;
  cells = cells > step->prompts ? cells - step->prompts : 0;
  if (total >= most || cells <= total) {
    e->asks_forced = false;
    return;
  }
  uint32_t room = most - total;
  if (room > cells - total) room = cells - total;
  if (room > COST_MOST - total) room = COST_MOST - total;
  forced_wait(e, total);
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    if (!drafts(e, seq)) continue;
    struct slot *slot = &e->slots[seq->slot];
    uint32_t left = draft_left(e, slot, room);
    uint32_t at = c.n_seqs;
    uint32_t n =
        left > 0 ? draft_guess(e, slot, seq, left, &c.hope[at], &c.hope_forced[at]) : 0;
    if (n == 0 && e->drafter) continue;
    while (e->fixed_shapes && n < left) slot->tokens[slot->n + n++] = 0;
    if (n == 0) continue;
    c.place[c.n_seqs] = i;
    c.most[c.n_seqs] = n;
    c.forced[c.n_seqs] = seq->forced;
    c.n_seqs++;
  }
  draft_take_many(&c, 0);
  double tokens = total, best = total / cost_of(e, total);
  uint32_t n_best = 0;
  for (uint32_t n = 1; n <= room; n++) {
    uint32_t i = draft_best(&c);
    if (i == c.n_seqs) break;
    tokens += c.next[i];
    draft_take(&c, i);
    double rate = tokens / cost_of(e, total + n);
    if (rate <= best && !e->fixed_shapes) continue;
    best = rate;
    n_best = n;
  }
  draft_take_many(&c, n_best);
  for (uint32_t i = 0; i < c.n_seqs; i++) {
    struct seq *seq = &e->seqs[c.place[i]];
    seq->drafted = c.n[i];
    if (seq->forced > c.n[i]) seq->forced = c.n[i];
    e->share[c.place[i]] += c.n[i];
  }
  n_best += drafter_guess(e, total + n_best, best * cost_of(e, total + n_best), room - n_best);
  /* Who does not draft forgets why: its text may have become another one. */
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    if (!drafts(e, seq)) continue;
    for (uint32_t source = 0; source < TR_DRAFT_SOURCES; source++) {
      seq->drafts[source].tried *= DRAFT_KEEPS_IDLE;
      seq->drafts[source].right *= DRAFT_KEEPS_IDLE;
    }
  }
  step->drafted = n_best;
  (void)room_make(e, total + n_best + step->prompts); /* it is there, as was counted above */
  if (n_best > 0 && e->n_masked > 0) guesses_ask(e);
}

/* ── what became of them ───────────────────────────────────────────────────────────────────── */

/* Of one source: computed, looked at, and right. */
struct draft_counts {
  uint32_t drafted;
  uint32_t tried;
  uint32_t right;
};

static void draft_learn_of(struct tr_engine *e, struct seq *seq, uint32_t source, uint32_t match,
                           struct draft_counts counts) {
  struct draft_sums *sums[] = {&seq->drafts[source], &e->draft_sums[source][match]};
  uint32_t right = counts.right, tried = counts.tried;
  if (counts.drafted == 0) return;
  for (uint32_t i = 0; i < 2; i++) {
    float keeps = i == 0 ? DRAFT_KEEPS_OWN : DRAFT_KEEPS_ALL;
    sums[i]->tried = sums[i]->tried * keeps + (float)tried;
    sums[i]->right = sums[i]->right * keeps + (float)right;
  }
  if (source == TR_DRAFT_MODEL) drafter_learn(e, seq, tried, right);
  e->stats[TR_STAT_DRAFTS + source] += 1;
  e->stats[TR_STAT_DRAFTED + source] += counts.drafted;
  e->stats[TR_STAT_DRAFTS_RIGHT + source] += right;
}

static void draft_learn(struct tr_engine *e, struct seq *seq, uint32_t right) {
  /* Guesses behind a wrong one say nothing, nor do those that no mask has come for. */
  uint32_t tried = right < seq->drafted && !seq->parked ? right + 1 : right;
  uint32_t n = seq->forced;
  struct draft_counts forced = {n, tried < n ? tried : n, right < n ? right : n};
  struct draft_counts found = {seq->drafted - n, tried - forced.tried, right - forced.right};
  draft_learn_of(e, seq, TR_DRAFT_FORCED, 0, forced);
  draft_learn_of(e, seq, seq->source, seq->match, found);
}

/*
 * Draws token by token as long as the draw is what was guessed: each next logits are of the guess.
 * Cells of guesses that were wrong, or that no mask has come for, are given back.
 */
static void draft_check(struct tr_engine *e, struct seq *seq) {
  struct slot *slot = &e->slots[seq->slot];
  uint32_t right = 0;
  slot->drafted += seq->drafted;
  for (;;) {
    uint32_t at = slot->n;
    int32_t guess = slot->tokens[at];
    float *logits = e->api.llama_get_logits_ith(e->context, seq->output + (int32_t)right);
    if (!guess_may_draw(e, seq, right, logits)) break;
    seq_draw(e, seq, logits);
    /* The answer has ended, and its cells are gone; or nothing was guessed from here on. */
    if (!seq->live || right == seq->drafted || slot->tokens[at] != guess) break;
    right++;
    slot->drafts_right++;
    seq->n_past++;
  }
  if (seq->live && right < seq->drafted)
    e->api.llama_memory_seq_rm(e->memory, seq->id, (int32_t)seq->n_past, -1);
  draft_learn(e, seq, right);
}
