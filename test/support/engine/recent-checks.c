/* native/drafts/recent.c for tests: answers go in, and what is found comes out. */
#include "../../../native/troupe.c"

static struct recent checked;

int32_t check_begin(void) {
  recent_free(&checked);
  recent_init(&checked);
  return checked.tokens != NULL;
}

void check_end(void) { recent_free(&checked); }

void check_forget(void) { recent_clear(&checked); }

static struct slot check_slot(const uint64_t *scope, int32_t *tokens, int32_t n, int32_t n_prompt) {
  struct slot slot = {.tokens = tokens, .n = (uint32_t)n};
  slot.request.guess_scope = *scope;
  slot.request.n_prompt = (uint32_t)n_prompt;
  return slot;
}

void check_add(const uint64_t *scope, int32_t *tokens, int32_t n, int32_t n_prompt) {
  struct slot slot = check_slot(scope, tokens, n, n_prompt);
  recent_add(&checked, &slot);
}

/* Writes what is found, at most `most` tokens; returns how many. The match is in `*length`. */
int32_t check_find(const uint64_t *scope, int32_t *tokens, int32_t n, int32_t *to, int32_t most,
                   int32_t *length) {
  struct slot slot = check_slot(scope, tokens, n, n);
  uint32_t found = (uint32_t)most;
  const int32_t *from = recent_find(&checked, &slot, (uint32_t *)length, &found);
  if (!from) return 0;
  memcpy(to, from, found * sizeof *to);
  return (int32_t)found;
}
