/*
 * What a batch costs, by its tokens, where each of them draws: measured at the start, and again with
 * each step that computes no prompt. Guesses are worth it by this.
 */
#define COST_FORGETS 0.1
/* What is slower than so many times as before counts as that: most of it is somebody else's doing. */
#define COST_OUTLIER 3.0
#define COST_MEASURE_MS 500.0
/* A prompt's part that would take longer is learned from prompts. */
#define COST_PROMPT_MS 400.0
/*
 * Sizes that are measured however long it takes. A curve that ends at 8 makes 16 seem dearer than
 * they are, and 8 answers make fewer guesses than would pay.
 */
#define COST_LEAST_SIZES 3
/* What takes so long is not measured twice: next to it the graph of a new size is nothing. */
#define COST_SLOW_MS 40.0

static void cost_learn(struct batch_cost *cost, uint32_t n, double ms) {
  if (n == 0 || n > COST_MOST) return;
  double known = cost->ms[n];
  if (known > 0 && ms > COST_OUTLIER * known) ms = COST_OUTLIER * known;
  cost->ms[n] = known > 0 ? known + COST_FORGETS * (ms - known) : ms;
}

static void cost_saw(struct tr_engine *e, uint32_t n, double ms) { cost_learn(&e->cost, n, ms); }

/* How it rises from one size that was seen to a larger one. */
static double cost_slope(const double *ms, uint32_t from, uint32_t to) {
  return from > 0 && from < to ? (ms[to] - ms[from]) / (to - from) : ms[to] / to;
}

/*
 * Between two sizes that were seen it is linear. Beyond the last it rises as before it, or as from
 * the first on, whichever is more: kernels compute rows by eights or so, and some sizes cost no more
 * than half of them.
 */
static double cost_at(const struct batch_cost *cost, uint32_t n) {
  const double *ms = cost->ms;
  uint32_t low = n, high = n;
  while (low > 0 && ms[low] == 0) low--;
  while (high <= COST_MOST && ms[high] == 0) high++;
  if (low == n) return ms[n];
  if (low == 0) return high <= COST_MOST ? ms[high] : 1;
  if (high > COST_MOST) {
    uint32_t before = low - 1, first = 1;
    while (before > 0 && ms[before] == 0) before--;
    while (ms[first] == 0) first++;
    double last = cost_slope(ms, before, low), all = cost_slope(ms, first, low);
    double slope = last > all ? last : all;
    return ms[low] + (slope > 0 ? slope : 0) * (n - low);
  }
  return ms[low] + (ms[high] - ms[low]) * (n - low) / (high - low);
}

static double cost_of(const struct tr_engine *e, uint32_t n) { return cost_at(&e->cost, n); }

/* ms of a batch of `n` tokens of no request, of which all draw or the last; negative: it failed. */
static double cost_try(struct tr_engine *e, uint32_t n, bool all_draw) {
  llama_batch *b = &e->batch;
  for (uint32_t k = 0; k < n; k++) {
    b->token[k] = (int32_t)(k % e->n_vocab);
    b->pos[k] = (int32_t)k;
    b->n_seq_id[k] = 1;
    b->seq_id[k][0] = 0;
    b->logits[k] = all_draw || k + 1 == n;
  }
  b->n_tokens = (int32_t)n;
  double start = now_ms();
  int32_t code = e->api.llama_decode(e->context, *b);
  (void)e->api.llama_get_logits_ith(e->context, (int32_t)n - 1); /* waits for a device */
  e->api.llama_memory_seq_rm(e->memory, 0, -1, -1);
  return code == 0 ? now_ms() - start : -1;
}

/* Batches of some sizes, before any request; what a slow model has no time for is learned later. */
static void cost_measure(struct tr_engine *e) {
  static const uint32_t sizes[] = {1, 8, 16, 4, 32, 2};
  double until = now_ms() + COST_MEASURE_MS;
  for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    if (sizes[i] > e->max_outputs) continue;
    if (i >= COST_LEAST_SIZES && now_ms() >= until) return;
    double ms = cost_try(e, sizes[i], true);
    /* The first of a size prepares its graph, and the first of all finds cold weights. */
    if (ms >= 0 && (i == 0 || ms < COST_SLOW_MS)) ms = cost_try(e, sizes[i], true);
    if (ms < 0) return;
    cost_saw(e, sizes[i], ms);
  }
}

/* ms of a prompt's token at its beginning, by a part as large as they get; 0: not known. */
static double cost_measure_prompt(struct tr_engine *e) {
  uint32_t n = e->prefill_chunk < e->context_length ? e->prefill_chunk : e->context_length;
  if (e->cost.ms[1] == 0 || cost_of(e, 8) / 8 * n > COST_PROMPT_MS) return 0;
  double ms = cost_try(e, n, false);
  if (ms > 0 && ms < COST_SLOW_MS) ms = cost_try(e, n, false);
  return ms > 0 ? ms / n : 0;
}
