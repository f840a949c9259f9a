/*
 * How many guesses the draft model makes. One is made when the tokens that it may bring are worth
 * its time, by the two costs, of a batch of the engine's model and of one of its own:
 *
 *   tokens that the step is expected to bring, guesses that hold included
 *   ──────────────────────────────────────────────────────────────────────  as large as can be
 *   ms of the engine's batch + ms of the draft model's batches
 *
 * A guess holds as often as others of which it was as sure. So a lone answer is guessed far where
 * the draft model is small, and a full batch not at all.
 */
#define DRAFTER_PRIOR 2.0f
/* How often it is taken to be right before anything was seen, so that it is tried at all. */
#define DRAFTER_HOPE 0.8f
#define DRAFTER_KEEPS 0.99f
/* After so many steps without a guess it is tried again for so many, where that is cheap. */
#define DRAFTER_IDLE 256
#define DRAFTER_PROBES 8
/* Where a prompt has to be known first, its answer is taken to go on for so many tokens at most. */
#define DRAFTER_ANSWER 256

static const float sure_from[DRAFTER_SURE] = {0, 0.2f, 0.4f, 0.6f, 0.8f, 0.9f, 0.95f, 0.99f};
static const float sure_before[DRAFTER_SURE] = {0.1f,  0.3f,  0.5f,  0.7f,
                                                0.85f, 0.92f, 0.97f, 0.995f};

/* A sequence that may get guesses in this step. */
struct drafter_wish {
  uint32_t place;
  uint32_t most;
  uint32_t n;    /* that are planned */
  float hope;    /* that its next guess is right */
  float next;    /* that all of its planned guesses and one more are */
  bool open;     /* it may get another guess */
  bool near;     /* all but the last tokens are known */
};

struct drafter_plan {
  struct drafter_wish wishes[TR_MAX_SEQS];
  uint32_t n_wishes;
  uint32_t total;  /* tokens of the step without guesses of the model */
  double tokens;   /* that the step is expected to bring without them */
  uint32_t room;   /* guesses that the engine's batch has room for */
  double rate;     /* tokens a ms */
  double slope;    /* ms that one more guess adds to the engine's batch */
  double spent_ms; /* by the draft model */
};

static uint8_t drafter_kind(const struct tr_request *request) {
  return request->mask_key != 0 ? 2 : request->temperature > 0;
}

static float drafter_hope(const struct tr_engine *e, const struct drafter_view *view,
                          uint8_t sure) {
  const struct draft_sums *sums = &e->drafter->sums[view->kind][sure];
  return (sums->right + DRAFTER_PRIOR * sure_before[sure]) / (sums->tried + DRAFTER_PRIOR);
}

static struct drafter_wish *drafter_likeliest(struct drafter_plan *plan) {
  struct drafter_wish *best = NULL;
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    struct drafter_wish *wish = &plan->wishes[i];
    if (wish->n < wish->most && (!best || wish->next > best->next)) best = wish;
  }
  return best;
}

static void drafter_take(struct drafter_wish *wish) {
  wish->n++;
  wish->next *= wish->hope;
}

static uint32_t drafter_behind(const struct tr_engine *e, uint32_t place) {
  const struct seq *seq = &e->seqs[place];
  const struct drafter_view *view = &e->drafter->views[place];
  return e->slots[seq->slot].n - (view->order == seq->order ? view->known : 0);
}

/* What it has to compute before it guesses, where that is more than came since it did. */
static double drafter_first_ms(const struct tr_engine *e, uint32_t place) {
  uint32_t behind = drafter_behind(e, place);
  return behind > DRAFT_MOST + 1 ? behind * e->drafter->prompt_token_ms : 0;
}

/* How likely its next guess of a sequence is right, before it is made. */
static float drafter_expects(const struct tr_engine *e, uint32_t place, double step_ms) {
  const struct drafter *d = e->drafter;
  const struct draft_sums *own = &e->seqs[place].drafts[TR_DRAFT_MODEL];
  float all = (d->all.right + DRAFTER_PRIOR * DRAFTER_HOPE) / (d->all.tried + DRAFTER_PRIOR);
  float hope = (own->right + DRAFTER_PRIOR * all) / (own->tried + DRAFTER_PRIOR);
  bool probe = d->probes > 0 && drafter_first_ms(e, place) < 2 * step_ms;
  return probe && hope < DRAFTER_HOPE ? DRAFTER_HOPE : hope;
}

/* The sequences that may get guesses; nothing is decided yet. */
static void drafter_ask(struct tr_engine *e, struct drafter_plan *plan) {
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    struct seq *seq = &e->seqs[i];
    if (e->share[i] != 1 || seq->drafted > 0 || !drafts(e, seq)) continue;
    const struct slot *slot = &e->slots[seq->slot];
    uint32_t left = draft_left(e, slot, plan->room);
    const struct drafter_view *view = &e->drafter->views[i];
    bool begun = view->order == seq->order;
    uint32_t positions = slot->n + (begun ? view->n_past - view->known : 0);
    if (left == 0 || positions + left + 1 > e->drafter->longest) continue;
    struct drafter_wish *wish = &plan->wishes[plan->n_wishes++];
    wish->place = i;
    wish->most = left;
    wish->n = 0;
    wish->hope = wish->next = drafter_expects(e, i, cost_of(e, plan->total));
    wish->open = true;
  }
}

/*
 * Plans guesses as long as they make tokens come faster, each of the likeliest sequence. Returns
 * how many; the rate with them is in `plan->rate`.
 */
static uint32_t drafter_weigh(const struct tr_engine *e, struct drafter_plan *plan) {
  const struct drafter *d = e->drafter;
  uint32_t rounds[DRAFT_MOST + 1] = {0}, best = 0, n = 0;
  double tokens = plan->tokens, ms = 0, plain = cost_of(e, plan->total);
  plan->rate = tokens / plain;
  for (; n < plan->room; n++) {
    struct drafter_wish *wish = drafter_likeliest(plan);
    if (!wish) break;
    tokens += wish->next;
    drafter_take(wish);
    uint32_t *round = &rounds[wish->n];
    ms -= *round > 0 ? cost_at(&d->cost, *round) : 0;
    ms += cost_at(&d->cost, ++*round);
    double rate = tokens / (cost_of(e, plan->total + n + 1) + ms);
    if (rate <= plan->rate && !e->fixed_shapes) continue;
    plan->rate = rate;
    best = n + 1;
  }
  /* The same again, up to the best. */
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    plan->wishes[i].n = 0;
    plan->wishes[i].next = plan->wishes[i].hope;
  }
  for (n = 0; n < best; n++) drafter_take(drafter_likeliest(plan));
  double more = best > 0 ? (cost_of(e, plan->total + best) - plain) / best : 0;
  plan->slope = more > 0 ? more : 0;
  return best;
}

/*
 * Is what has to be known first worth it? Tokens that are saved, for as long as the answers may go
 * on, are weighed against the time for it.
 */
static bool drafter_pays(const struct tr_engine *e, const struct drafter_plan *plan) {
  double step_ms = cost_of(e, plan->total), plain = plan->tokens / step_ms, saved = 0, ms = 0;
  for (uint32_t i = 0; i < plan->n_wishes; i++) {
    const struct drafter_wish *wish = &plan->wishes[i];
    const struct slot *slot = &e->slots[e->seqs[wish->place].slot];
    double left = slot->request.n_tokens + slot->request.max_tokens - slot->n;
    double first_ms = drafter_first_ms(e, wish->place);
    if (wish->n == 0) continue;
    if (left > DRAFTER_ANSWER) left = DRAFTER_ANSWER;
    left -= first_ms / step_ms; /* tokens that come meanwhile */
    if (left > 0) saved += left * (1 / plain - 1 / plan->rate);
    ms += first_ms;
  }
  return e->fixed_shapes || saved > ms;
}

/* Another guess of this sequence is worth its time. */
static bool drafter_goes_on_with(const struct tr_engine *e, const struct drafter_plan *plan,
                                 const struct drafter_wish *wish, uint32_t together) {
  const struct drafter_view *view = &e->drafter->views[wish->place];
  if (view->n >= wish->most) return false;
  if (e->fixed_shapes) return true;
  double ms = cost_at(&e->drafter->cost, together) / together + plan->slope;
  return view->right * wish->hope > plan->rate * ms;
}
