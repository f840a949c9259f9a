/*
 * What the engine's last answers said, so that a new one can be guessed from them: a ring of their
 * tokens, and tables of where the last few tokens before each place of it stand.
 *
 *   ring    … prompt's end, answer, -1 │ prompt's end, answer, -1 │ …     the oldest are overwritten
 *   tables  hash(scope, 6 tokens) ─▶ place, hash(scope, 3 tokens) ─▶ place     the latest stands
 *
 * A place is found by its scope and its tokens, both compared and not only hashed: an answer is
 * guessed only from answers with the same prefix cache, of the same API key. An answer is written
 * once it has ended. Writing and finding are O(1) a token.
 */
#define RECENT_TOKENS (1u << 16) /* of the ring: 256 KiB */
#define RECENT_PLACES (1u << 16) /* of each table: 1 MiB */
/* Of one answer, from its beginning. */
#define RECENT_ANSWER (RECENT_TOKENS / 8)
/* Of the prompt: what an answer's first tokens are found by. */
#define RECENT_CONTEXT DRAFT_LONGEST_MATCH

static const uint32_t recent_lengths[RECENT_TABLES] = {6, 3}; /* tokens, the longest first */

static void recent_free(struct recent *r) {
  free(r->tokens);
  for (uint32_t i = 0; i < RECENT_TABLES; i++) free(r->places[i]);
  memset(r, 0, sizeof *r);
}

/* Without memory for it nothing is found: the answers are the same. */
static void recent_init(struct recent *r) {
  bool all = true;
  r->tokens = calloc(RECENT_TOKENS, sizeof *r->tokens);
  for (uint32_t i = 0; i < RECENT_TABLES; i++) {
    r->places[i] = calloc(RECENT_PLACES, sizeof *r->places[i]);
    all = all && r->places[i];
  }
  if (!all || !r->tokens) recent_free(r);
}

static void recent_clear(struct recent *r) {
  if (!r->tokens) return;
  for (uint32_t i = 0; i < RECENT_TABLES; i++)
    memset(r->places[i], 0, RECENT_PLACES * sizeof *r->places[i]);
  memset(r->tokens, 0, RECENT_TOKENS * sizeof *r->tokens);
}

/* Where the place of the tokens before `end` stands. */
static struct recent_place *recent_place(const struct recent *r, uint32_t table, uint64_t scope,
                                         const int32_t *end) {
  uint64_t h = (scope ^ 0x9E3779B97F4A7C15ul) * 0xFF51AFD7ED558CCDul;
  h ^= h >> 32;
  for (uint32_t i = recent_lengths[table]; i > 0; i--) {
    h = (h ^ (uint32_t)end[-(int32_t)i]) * 0xFF51AFD7ED558CCDul;
    h ^= h >> 32;
  }
  return &r->places[table][h & (RECENT_PLACES - 1)];
}

/* An answer has ended. */
static void recent_add(struct recent *r, const struct slot *slot) {
  const struct tr_request *q = &slot->request;
  uint32_t from = q->n_prompt > RECENT_CONTEXT ? q->n_prompt - RECENT_CONTEXT : 0;
  uint32_t answer = slot->n - q->n_prompt, at = (uint32_t)(r->at % RECENT_TOKENS);
  if (!r->tokens || slot->embed || slot->n <= q->n_prompt) return;
  if (answer > RECENT_ANSWER) answer = RECENT_ANSWER;
  uint32_t n = q->n_prompt + answer - from;
  /* It stands in one piece. */
  if (at + n + 1 > RECENT_TOKENS) {
    r->at += RECENT_TOKENS - at;
    while (at < RECENT_TOKENS) r->tokens[at++] = -1;
    at = 0;
  }
  int32_t *tokens = r->tokens + at;
  memcpy(tokens, slot->tokens + from, n * sizeof *tokens);
  tokens[n] = -1;
  for (uint32_t i = q->n_prompt - from; i < n; i++) {
    for (uint32_t table = 0; table < RECENT_TABLES; table++) {
      if (i < recent_lengths[table]) continue;
      struct recent_place *place = recent_place(r, table, q->guess_scope, tokens + i);
      place->scope = q->guess_scope;
      place->at = r->at + i;
    }
  }
  r->at += n + 1;
}

/* The token at a place, or -1 where another one has been written since. */
static int32_t recent_token(const struct recent *r, uint64_t at) {
  return at < r->at && r->at - at <= RECENT_TOKENS ? r->tokens[at % RECENT_TOKENS] : -1;
}

/*
 * Where the end of the slot's tokens stands in an earlier answer: the tokens from there on, at
 * most `*n`, which becomes how many there are. The length of the match is in `*length`.
 */
static const int32_t *recent_find(const struct recent *r, const struct slot *slot,
                                  uint32_t *length, uint32_t *n) {
  const int32_t *end = slot->tokens + slot->n;
  for (uint32_t table = 0; r->tokens && table < RECENT_TABLES; table++) {
    uint32_t least = recent_lengths[table], same = 0, there = 0;
    if (slot->n < least) continue;
    const struct recent_place *place = recent_place(r, table, slot->request.guess_scope, end);
    if (place->at == 0 || place->scope != slot->request.guess_scope) continue;
    while (same < DRAFT_LONGEST_MATCH && same < slot->n && same < place->at &&
           recent_token(r, place->at - 1 - same) == end[-1 - (int32_t)same])
      same++;
    if (same < least) continue;
    while (there < *n && recent_token(r, place->at + there) >= 0) there++;
    if (there == 0) continue;
    *length = same;
    *n = there;
    return r->tokens + place->at % RECENT_TOKENS;
  }
  *length = 0;
  return NULL;
}
