/* native/drafts/drafter-plan.c for tests: costs and hopes go in, and how many guesses come out. */
#include "../../../native/troupe.c"

static struct tr_engine engine;
static struct drafter drafter;
static struct seq seqs[TR_MAX_SEQS];
static struct slot slots[TR_MAX_SEQS];
static struct drafter_view views[TR_MAX_SEQS];
static uint32_t shares[TR_MAX_SEQS];

static void check_curve(struct batch_cost *cost, const double *ms, int32_t n) {
  memset(cost, 0, sizeof *cost);
  for (int32_t i = 0; i < n; i++) cost->ms[i + 1] = ms[i];
}

/*
 * `n_seqs` answers draw in a step, and the draft model was right as `tried` and `right` say of
 * each. `engine_ms` and `draft_ms` are costs of batches of 1 to 64. Writes the guesses of each into
 * `to`, and what the step brings a ms without them and with them into `rates`; returns how many
 * they are.
 */
int32_t check_plan(const double *engine_ms, const double *draft_ms, int32_t n_seqs, int32_t room,
                   const float *tried, const float *right, int32_t *to, double *rates) {
  struct drafter_plan plan = {.total = (uint32_t)n_seqs, .tokens = n_seqs, .room = (uint32_t)room};
  memset(&engine, 0, sizeof engine);
  memset(&drafter, 0, sizeof drafter);
  check_curve(&engine.cost, engine_ms, 64);
  check_curve(&drafter.cost, draft_ms, 64);
  engine.drafter = &drafter;
  engine.seqs = seqs;
  engine.slots = slots;
  engine.share = shares;
  engine.max_seqs = (uint32_t)n_seqs;
  engine.context_length = 4096;
  drafter.views = views;
  drafter.longest = 4096;
  memset(seqs, 0, sizeof seqs);
  memset(slots, 0, sizeof slots);
  memset(views, 0, sizeof views);
  for (int32_t i = 0; i < n_seqs; i++) {
    shares[i] = 1;
    seqs[i].slot = i;
    seqs[i].n_past = 9;
    seqs[i].drafts[TR_DRAFT_MODEL].tried = tried[i];
    seqs[i].drafts[TR_DRAFT_MODEL].right = right[i];
    slots[i].n = 10;
    slots[i].request.n_tokens = 10;
    slots[i].request.max_tokens = 1000;
  }
  drafter_ask(&engine, &plan);
  uint32_t n = drafter_weigh(&engine, &plan);
  for (uint32_t i = 0; i < plan.n_wishes; i++) to[plan.wishes[i].place] = (int32_t)plan.wishes[i].n;
  rates[0] = plan.tokens / cost_of(&engine, plan.total);
  rates[1] = plan.rate;
  return (int32_t)n;
}
