/* native/drafts/batch-cost.c for tests: what was seen goes in, and what any batch costs comes out. */
#include "../../../native/troupe.c"

/* ms of a batch of `n` tokens, where `ms` was seen of 1 to 128 tokens; 0: it was not. */
double check_cost(const double *ms, int32_t n) {
  struct batch_cost cost;
  memset(&cost, 0, sizeof cost);
  memcpy(cost.ms + 1, ms, COST_MOST * sizeof *ms);
  return cost_at(&cost, (uint32_t)n);
}
