/*
 * Guesses of the draft model, for sequences that nothing else was guessed for. Before the batch of
 * the engine's own model it makes one token after the other, of all its sequences together:
 *
 *   known       … the cat sat on the│ mat  .  It            known │ came since it guessed last
 *   1st decode                        ▲    ▲   ▲─▶ was
 *   2nd decode                                  was ─▶ soft
 *   the engine's own batch                  It  was   soft     checked as other guesses (draft.c)
 *
 * It draws as the engine will: from its own logits, around the number of the same (seed, choice,
 * index) and with the same penalties and limits (troupe_sampler_guess). Of 240 tokens of Gemma 3
 * 270M Q4_K_M at temperature 1, its Q4_0 guesses .35 greedily, .40 by that number and .46 around it;
 * at .7 with top-p .95 .66, .68 and .69.
 *
 * How many it makes: drafter-plan.c. A sequence whose prompt it does not know costs that first, in
 * parts of about the time of a step.
 */
#define DRAFTER_SPELLED 64 /* own tokens for one of the engine's */
/* Of its own tokens in one step: a prompt is known in parts of about the time of a step. */
#define DRAFTER_LEAST_CHUNK 16

/* ── its cells ─────────────────────────────────────────────────────────────────────────────── */

/* What this step's guesses were stays: whether they were right is learned once it has ended. */
static void drafter_forget(struct tr_engine *e, uint32_t place) {
  struct drafter *d = e->drafter;
  if (!d || d->views[place].order == 0) return;
  struct drafter_view *view = &d->views[place];
  e->api.llama_memory_seq_rm(d->memory, (int32_t)place, -1, -1);
  view->order = 0;
  view->known = view->n_past = view->fed = 0;
}

/* One line for the log; answers go on without it. */
static void drafter_give_up(struct tr_engine *e, int32_t code) {
  char notice[512];
  snprintf(notice, sizeof notice,
           "the draft model %s failed in a step with code %d (%s): answers go on without its "
           "guesses",
           e->draft_path, code, library_complaint[0] ? library_complaint : "no reason given");
  drafter_free(e);
  engine_notice(e, notice);
}

/* A text begins with a mark that the engine's model does not write there. */
static bool drafter_begins(const struct drafter *d, const struct slot *slot) {
  return d->first >= 0 && d->to_own[slot->tokens[0]] != d->first;
}

static uint32_t drafter_cells(const struct tr_engine *e) {
  uint32_t cells = 0;
  for (uint32_t i = 0; i < e->max_seqs; i++)
    cells += e->drafter->views[i].n_past + e->drafter->views[i].fed;
  return cells;
}

/* Room for `needed` cells; who guessed last in this turn keeps its own. */
static bool drafter_room(struct tr_engine *e, uint32_t needed) {
  struct drafter *d = e->drafter;
  while (drafter_cells(e) + needed > d->n_cells) {
    uint32_t oldest = e->max_seqs;
    for (uint32_t i = 0; i < e->max_seqs; i++) {
      if (d->views[i].order == 0 || d->views[i].used == d->turns) continue;
      if (oldest == e->max_seqs || d->views[i].used < d->views[oldest].used) oldest = i;
    }
    if (oldest == e->max_seqs) return false;
    drafter_forget(e, oldest);
  }
  return true;
}

/* What came as it was guessed is known; cells of other guesses are given back. */
static void drafter_settle(struct tr_engine *e, const struct seq *seq) {
  struct drafter *d = e->drafter;
  uint32_t place = (uint32_t)(seq - e->seqs), kept = 0;
  struct drafter_view *view = &d->views[place];
  const struct slot *slot = &e->slots[seq->slot];
  if (view->order != seq->order) {
    drafter_forget(e, place);
    view->order = seq->order;
  }
  /* The last token is computed again where it was guessed: its logits are wanted. */
  while (kept < view->fed && view->known + kept + 1 < slot->n &&
         slot->tokens[view->known + kept] == view->guessed[kept])
    kept++;
  view->known += kept;
  view->n_past += kept;
  if (kept < view->fed)
    e->api.llama_memory_seq_rm(d->memory, (int32_t)place, (int32_t)view->n_past, -1);
  view->fed = view->n = 0;
}

/* Tokens that both begin with. */
static uint32_t same_beginning(const struct slot *a, const struct slot *b) {
  uint32_t n = 0, most = a->n < b->n ? a->n : b->n;
  while (n < most && a->tokens[n] == b->tokens[n]) n++;
  return n;
}

/* Its own tokens for the first `n` of a slot. */
static uint32_t drafter_length(const struct tr_engine *e, const struct slot *slot, uint32_t n) {
  const struct drafter *d = e->drafter;
  int32_t spelled[DRAFTER_SPELLED];
  uint32_t length = drafter_begins(d, slot);
  for (uint32_t i = 0; i < n; i++)
    length += drafter_spell(e, d, slot->tokens[i], spelled, DRAFTER_SPELLED);
  return length;
}

/*
 * What is known of another answer to the same prompt need not be computed again: they share its
 * cells. (Each is counted as if it had them alone, so that the other may end.)
 */
static void drafter_share(struct tr_engine *e, const struct seq *seq) {
  struct drafter *d = e->drafter;
  uint32_t place = (uint32_t)(seq - e->seqs), from = place;
  struct drafter_view *view = &d->views[place];
  const struct slot *slot = &e->slots[seq->slot];
  uint32_t best = view->known, before = view->n_past;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    const struct drafter_view *other = &d->views[i];
    if (i == place || other->order == 0 || other->known <= best) continue;
    const struct slot *theirs = &e->slots[e->seqs[i].slot];
    if (theirs->request.salt != slot->request.salt) continue;
    uint32_t n = same_beginning(slot, theirs);
    if (n > other->known) n = other->known;
    if (n > slot->n - 1) n = slot->n - 1;
    if (n <= best) continue;
    best = n;
    from = i;
  }
  if (from == place) return;
  view->known = best;
  view->n_past = drafter_length(e, slot, best);
  e->api.llama_memory_seq_cp(d->memory, (int32_t)from, (int32_t)place, (llama_pos)before,
                             (llama_pos)view->n_past);
}

/* ── its batches ───────────────────────────────────────────────────────────────────────────── */

static bool drafter_decode(struct tr_engine *e) {
  struct drafter *d = e->drafter;
  library_complaint[0] = 0;
  int32_t fail_at = e->options[TR_OPT_DRAFT_FAIL_AT];
  int32_t code = fail_at > 0 && ++d->decodes >= (uint32_t)fail_at
                     ? -3
                     : e->api.llama_decode(d->context, d->batch);
  if (code != 0) drafter_give_up(e, code);
  return code == 0;
}

/*
 * Puts tokens that it does not know into the batch, at most `most` of its own. True: it knows all
 * of the sequence, whose last token draws.
 */
static bool drafter_catch_up(struct tr_engine *e, const struct seq *seq, uint32_t most) {
  struct drafter *d = e->drafter;
  uint32_t place = (uint32_t)(seq - e->seqs);
  struct drafter_view *view = &d->views[place];
  const struct slot *slot = &e->slots[seq->slot];
  int32_t spelled[DRAFTER_SPELLED];
  uint32_t left = most, used = drafter_cells(e), cells = used < d->n_cells ? d->n_cells - used : 0;
  bool put = false;
  if (left > DRAFTER_BATCH - (uint32_t)d->batch.n_tokens)
    left = DRAFTER_BATCH - (uint32_t)d->batch.n_tokens;
  if (left > cells) left = cells;
  if (view->n_past == 0 && drafter_begins(d, slot) && left > 0) {
    drafter_put(d, place, d->first, view->n_past++, false);
    left--;
  }
  while (view->known < slot->n) {
    uint32_t n = drafter_spell(e, d, slot->tokens[view->known], spelled, DRAFTER_SPELLED);
    if (n > left || view->n_past + n > d->longest) return false;
    for (uint32_t i = 0; i < n; i++) drafter_put(d, place, spelled[i], view->n_past++, false);
    put = n > 0;
    left -= n;
    view->known++;
  }
  /* Behind a mark that it leaves out there are no logits to draw from. */
  if (put) d->batch.logits[d->batch.n_tokens - 1] = true;
  return put;
}

/*
 * Its guess for the token `behind` the slot's, and in `*sure` how sure it is; -1: none that the
 * engine can compute, or the answer's end.
 */
static int32_t drafter_draw(struct tr_engine *e, struct seq *seq, int32_t output, uint32_t behind,
                            uint8_t *sure) {
  struct drafter *d = e->drafter;
  struct slot *slot = &e->slots[seq->slot];
  float *own = e->api.llama_get_logits_ith(d->context, output), *logits = own, logprob;
  if (d->logits) {
    if (d->to_engine[troupe_sampler_argmax(own, (int32_t)d->n_vocab)] < 0) return -1;
    logits = d->logits;
    for (uint32_t t = 0; t < d->n_vocab; t++)
      if (d->to_engine[t] >= 0) logits[d->to_engine[t]] = own[t];
  }
  int32_t token = seq_choose(e, seq, logits, slot->n + behind - slot->request.n_prompt, true);
  if (token < 0 || is_end(e, slot, token) || d->to_own[token] < 0) return -1;
  (void)troupe_sampler_logprobs(own, (int32_t)d->n_vocab, d->to_own[token], 0, &logprob, NULL,
                                NULL);
  float probability = expf(logprob);
  *sure = DRAFTER_SURE - 1;
  while (*sure > 0 && probability < sure_from[*sure]) --*sure;
  return token;
}

/* ── guessing ──────────────────────────────────────────────────────────────────────────────── */

static bool drafter_is_near(const struct tr_engine *e, uint32_t place) {
  return drafter_behind(e, place) <= DRAFT_MOST + 1;
}

/* Before anything is put into the batch: whose cells are whose. */
static void drafter_prepare(struct tr_engine *e, struct drafter_plan *plan) {
  struct drafter *d = e->drafter;
  d->turns++;
  for (uint32_t i = 0; i < plan->n_wishes; i++)
    if (plan->wishes[i].n > 0) d->views[plan->wishes[i].place].used = d->turns;
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    struct drafter_wish *wish = &plan->wishes[i];
    const struct seq *seq = &e->seqs[wish->place];
    if (wish->n == 0) continue;
    drafter_settle(e, seq);
    d->views[wish->place].right = 1;
    d->views[wish->place].kind = drafter_kind(&e->slots[seq->slot].request);
    if (drafter_room(e, drafter_behind(e, wish->place) + DRAFT_MOST)) {
      if (!drafter_is_near(e, wish->place)) drafter_share(e, seq);
    } else {
      drafter_forget(e, wish->place); /* others have the cells: it begins anew later */
      wish->n = 0;
    }
  }
}

/* The first batch: what came since, and as much of prompts as a step has time for. */
static bool drafter_begin(struct tr_engine *e, struct drafter_plan *plan, int32_t *outputs) {
  struct drafter *d = e->drafter;
  double chunk = DRAFTER_BATCH;
  if (d->prompt_token_ms > 0) chunk = cost_of(e, plan->total) / d->prompt_token_ms;
  uint32_t left = chunk < DRAFTER_LEAST_CHUNK ? DRAFTER_LEAST_CHUNK
                  : chunk < DRAFTER_BATCH     ? (uint32_t)chunk
                                              : DRAFTER_BATCH;
  d->batch.n_tokens = 0;
  /* Those that know nearly all come first: a long prompt must not keep them waiting. */
  for (uint32_t i = 0; i < 2 * plan->n_wishes; i++) {
    struct drafter_wish *wish = &plan->wishes[i % plan->n_wishes];
    bool first = i < plan->n_wishes, near = first && drafter_is_near(e, wish->place);
    if (first) wish->near = near;
    if (wish->n == 0 || wish->near != first) continue;
    uint32_t before = (uint32_t)d->batch.n_tokens;
    wish->open = drafter_catch_up(e, &e->seqs[wish->place], near ? DRAFTER_BATCH : left);
    outputs[i % plan->n_wishes] = wish->open ? d->batch.n_tokens - 1 : -1;
    if (!near) left -= (uint32_t)d->batch.n_tokens - before;
  }
  return d->batch.n_tokens > 0 && drafter_decode(e);
}

/* Guesses from the logits of the last batch. */
static void drafter_round(struct tr_engine *e, struct drafter_plan *plan, const int32_t *outputs) {
  uint32_t together = 0;
  for (uint32_t i = 0; i < plan->n_wishes; i++)
    together += plan->wishes[i].open && plan->wishes[i].n > 0;
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    struct drafter_wish *wish = &plan->wishes[i];
    struct drafter_view *view = &e->drafter->views[wish->place];
    struct seq *seq = &e->seqs[wish->place];
    uint8_t sure;
    if (wish->n == 0 || !wish->open) continue;
    int32_t token = drafter_draw(e, seq, outputs[i], view->n, &sure);
    wish->open = token >= 0;
    if (!wish->open) continue;
    view->guessed[view->n] = token;
    view->sure[view->n++] = sure;
    view->right *= drafter_hope(e, view, sure);
    wish->open = drafter_goes_on_with(e, plan, wish, together);
  }
}

/* Its last guesses become known to it; false: nobody wants another one, or it failed. */
static bool drafter_next(struct tr_engine *e, struct drafter_plan *plan, int32_t *outputs) {
  struct drafter *d = e->drafter;
  d->batch.n_tokens = 0;
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    struct drafter_wish *wish = &plan->wishes[i];
    struct drafter_view *view = &d->views[wish->place];
    if (wish->n == 0 || !wish->open) continue;
    wish->open = drafter_room(e, 1) && view->n_past + view->fed < d->longest;
    if (!wish->open) continue;
    int32_t token = d->to_own[view->guessed[view->n - 1]];
    outputs[i] = d->batch.n_tokens;
    drafter_put(d, wish->place, token, view->n_past + view->fed++, true);
  }
  return d->batch.n_tokens > 0 && drafter_decode(e);
}

/* The last batch and its draws took `ms`. */
static void drafter_spent(struct drafter *d, struct drafter_plan *plan, double ms) {
  uint32_t n = (uint32_t)d->batch.n_tokens, draws = 0;
  for (uint32_t i = 0; i < n; i++) draws += d->batch.logits[i];
  plan->spent_ms += ms;
  if (n <= 2 * draws) {
    cost_learn(&d->cost, draws, ms);
    return;
  }
  double each = (ms - (draws > 0 ? cost_at(&d->cost, draws) : 0)) / (n - draws);
  if (each > 0) d->prompt_token_ms += (each - d->prompt_token_ms) * COST_FORGETS;
}

/* Of the guesses that there are, the engine takes those that pay; returns how many. */
static uint32_t drafter_hand_over(struct tr_engine *e, struct drafter_plan *plan) {
  float next[TR_MAX_SEQS];
  uint32_t taken[TR_MAX_SEQS] = {0}, best[TR_MAX_SEQS] = {0}, n_best = 0;
  double tokens = plan->tokens, rate = tokens / (cost_of(e, plan->total) + plan->spent_ms);
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    const struct drafter_view *view = &e->drafter->views[plan->wishes[i].place];
    bool any = plan->wishes[i].n > 0 && view->n > 0;
    next[i] = any ? drafter_hope(e, view, view->sure[0]) : 0;
  }
  for (uint32_t n = 1; n <= plan->room; n++) {
    uint32_t likeliest = 0;
    for (uint32_t i = 1; i < plan->n_wishes; i++)
      if (next[i] > next[likeliest]) likeliest = i;
    if (next[likeliest] <= 0) break;
    const struct drafter_wish *wish = &plan->wishes[likeliest];
    const struct drafter_view *view = &e->drafter->views[wish->place];
    tokens += next[likeliest];
    uint32_t k = ++taken[likeliest];
    next[likeliest] = k < view->n ? next[likeliest] * drafter_hope(e, view, view->sure[k]) : 0;
    double with = tokens / (cost_of(e, plan->total + n) + plan->spent_ms);
    if (with <= rate && !e->fixed_shapes) continue;
    rate = with;
    n_best = n;
    memcpy(best, taken, sizeof best);
  }
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    uint32_t place = plan->wishes[i].place;
    struct seq *seq = &e->seqs[place];
    struct slot *slot = &e->slots[seq->slot];
    while (e->fixed_shapes && n_best < plan->room && best[i] < plan->wishes[i].most) {
      e->drafter->views[place].guessed[best[i]] = 0;
      e->drafter->views[place].sure[best[i]++] = 0;
      n_best++;
    }
    if (best[i] == 0) continue;
    memcpy(slot->tokens + slot->n, e->drafter->views[place].guessed, best[i] * sizeof(int32_t));
    seq->source = TR_DRAFT_MODEL;
    seq->match = 0;
    seq->drafted = best[i];
    e->share[place] += best[i];
  }
  return n_best;
}

/*
 * Guesses of the draft model behind those that the step has. `total` are the step's tokens,
 * `tokens` what it is expected to bring, `room` how many guesses it has room for. Returns how many
 * were made.
 */
static uint32_t drafter_guess(struct tr_engine *e, uint32_t total, double tokens, uint32_t room) {
  struct drafter *d = e->drafter;
  struct drafter_plan plan = {.total = total, .tokens = tokens, .room = room};
  int32_t outputs[TR_MAX_SEQS];
  if (!d || room == 0) return 0;
  drafter_ask(e, &plan);
  if (plan.n_wishes == 0) return 0;
  if (drafter_weigh(e, &plan) == 0 || !drafter_pays(e, &plan)) {
    if (++d->idle % DRAFTER_IDLE == 0) d->probes = DRAFTER_PROBES;
    return 0;
  }
  d->idle = 0;
  if (d->probes > 0) d->probes--;
  drafter_prepare(e, &plan);
  double start = now_ms();
  for (bool more = drafter_begin(e, &plan, outputs); more;
       more = drafter_next(e, &plan, outputs)) {
    drafter_round(e, &plan, outputs);
    double now = now_ms();
    drafter_spent(d, &plan, now - start);
    start = now;
  }
  return e->drafter ? drafter_hand_over(e, &plan) : 0;
}

/* Of the guesses that the engine took `tried` were checked, and `right` of them were right. */
static void drafter_learn(struct tr_engine *e, const struct seq *seq, uint32_t tried,
                          uint32_t right) {
  struct drafter *d = e->drafter;
  if (!d) return;
  const struct drafter_view *view = &d->views[seq - e->seqs];
  for (uint32_t i = 0; i < tried; i++) {
    struct draft_sums *sums = &d->sums[view->kind][view->sure[i]];
    sums->tried = sums->tried * DRAFT_KEEPS_ALL + 1;
    sums->right = sums->right * DRAFT_KEEPS_ALL + (i < right);
    d->all.tried = d->all.tried * DRAFTER_KEEPS + 1;
    d->all.right = d->all.right * DRAFTER_KEEPS + (i < right);
  }
}
