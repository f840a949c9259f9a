/*
 * Two vocabularies: which token of the draft model stands for which of the engine's. Tokens are
 * partners when they write the same text, the one of the same number first, so that models of one
 * family are partners number by number. A token without a partner ends a guess; in what is known
 * already it is spelled in other tokens.
 */
#define PIECE_MOST 512 /* bytes; a longer token has no partner */
#define TOKEN_CONTROL 8 /* as llama.h numbers LLAMA_TOKEN_ATTR_* */
#define TOKEN_BYTE 32

struct vocab_side {
  const struct llama_vocab *vocab;
  uint32_t n;
};

static uint32_t piece_of(const struct tr_engine *e, const struct vocab_side *side, uint32_t token,
                         char *to) {
  int32_t length =
      e->api.llama_token_to_piece(side->vocab, (int32_t)token, to, PIECE_MOST, 0, true);
  return length > 0 ? (uint32_t)length : 0;
}

static int32_t attributes_of(const struct tr_engine *e, const struct vocab_side *side,
                             uint32_t token) {
  return e->api.llama_vocab_get_attr(side->vocab, (int32_t)token);
}

static bool same_at(const struct tr_engine *e, const struct vocab_side *a,
                    const struct vocab_side *b, uint32_t token) {
  char one[PIECE_MOST], other[PIECE_MOST];
  uint32_t length = piece_of(e, a, token, one);
  return length == piece_of(e, b, token, other) && memcmp(one, other, length) == 0 &&
         (attributes_of(e, a, token) & TOKEN_CONTROL) ==
             (attributes_of(e, b, token) & TOKEN_CONTROL);
}

static uint64_t hash_piece(const char *piece, uint32_t length) {
  uint64_t h = 0x9E3779B97F4A7C15ul;
  for (uint32_t i = 0; i < length; i++) {
    h = (h ^ (uint8_t)piece[i]) * 0xFF51AFD7ED558CCDul;
    h ^= h >> 32;
  }
  return h;
}

static void pair(struct drafter *d, uint32_t own, uint32_t engine) {
  d->to_own[engine] = (int32_t)own;
  d->to_engine[own] = (int32_t)engine;
}

/*
 * Pairs what writes the same text, of tokens that have no partner yet. `bytes`: those that stand
 * for one byte, which are asked last, as another token may write the same one.
 */
static void pair_pieces(struct tr_engine *e, struct drafter *d, const struct vocab_side *own,
                        const struct vocab_side *engine, int32_t *table, uint32_t mask,
                        bool bytes) {
  char piece[PIECE_MOST], other[PIECE_MOST];
  memset(table, -1, ((size_t)mask + 1) * sizeof *table);
  for (uint32_t t = 0; t < own->n; t++) {
    int32_t kind = attributes_of(e, own, t);
    uint32_t length = piece_of(e, own, t, piece);
    if (d->to_engine[t] >= 0 || length == 0) continue;
    if ((kind & TOKEN_CONTROL) || ((kind & TOKEN_BYTE) != 0) != bytes) continue;
    uint32_t at = (uint32_t)hash_piece(piece, length) & mask;
    while (table[at] >= 0) at = (at + 1) & mask;
    table[at] = (int32_t)t;
  }
  for (uint32_t t = 0; t < engine->n; t++) {
    int32_t kind = attributes_of(e, engine, t);
    uint32_t length = piece_of(e, engine, t, piece);
    if (d->to_own[t] >= 0 || (kind & TOKEN_CONTROL) || length == 0) continue;
    for (uint32_t at = (uint32_t)hash_piece(piece, length) & mask; table[at] >= 0;
         at = (at + 1) & mask) {
      uint32_t own_token = (uint32_t)table[at];
      if (d->to_engine[own_token] >= 0) continue;
      if (piece_of(e, own, own_token, other) != length) continue;
      if (memcmp(piece, other, length) != 0) continue;
      pair(d, own_token, t);
      break;
    }
  }
}

/* What the models call the beginning of a text, its end, and the end of a turn. */
static void pair_marks(struct tr_engine *e, struct drafter *d) {
  int32_t marks[][2] = {
      {e->api.llama_vocab_bos(d->vocab), e->api.llama_vocab_bos(e->vocab)},
      {e->api.llama_vocab_eos(d->vocab), e->api.llama_vocab_eos(e->vocab)},
      {e->api.llama_vocab_eot(d->vocab), e->api.llama_vocab_eot(e->vocab)},
  };
  for (uint32_t i = 0; i < sizeof marks / sizeof *marks; i++) {
    int32_t own = marks[i][0], engine = marks[i][1];
    if (own < 0 || engine < 0 || d->to_engine[own] >= 0 || d->to_own[engine] >= 0) continue;
    pair(d, (uint32_t)own, (uint32_t)engine);
  }
}

/* Fills both tables and the rest that says how one vocabulary is the other. False: no memory. */
static bool drafter_pair(struct tr_engine *e, struct drafter *d) {
  const struct vocab_side own = {d->vocab, d->n_vocab}, engine = {e->vocab, e->n_vocab};
  uint32_t mask = 1, aligned = 0;
  while (mask < 2 * own.n) mask *= 2;
  mask--;
  int32_t *table = malloc(((size_t)mask + 1) * sizeof *table);
  d->to_own = malloc((size_t)engine.n * sizeof *d->to_own);
  d->to_engine = malloc((size_t)own.n * sizeof *d->to_engine);
  if (!table || !d->to_own || !d->to_engine) {
    free(table);
    return false;
  }
  memset(d->to_own, -1, (size_t)engine.n * sizeof *d->to_own);
  memset(d->to_engine, -1, (size_t)own.n * sizeof *d->to_engine);
  for (uint32_t t = 0; t < own.n && t < engine.n; t++) {
    if (!same_at(e, &own, &engine, t)) continue;
    pair(d, t, t);
    aligned++;
  }
  if (aligned < engine.n) {
    pair_marks(e, d);
    pair_pieces(e, d, &own, &engine, table, mask, false);
    pair_pieces(e, d, &own, &engine, table, mask, true);
  }
  free(table);
  for (uint32_t t = 0; t < own.n; t++) d->n_mapped += d->to_engine[t] >= 0;
  d->first = e->api.llama_vocab_get_add_bos(d->vocab) ? e->api.llama_vocab_bos(d->vocab) : -1;
  if (aligned == engine.n) return true; /* its logits are read as they are */
  d->logits = malloc((size_t)engine.n * sizeof *d->logits);
  for (uint32_t t = 0; d->logits && t < engine.n; t++) d->logits[t] = -1.0f / 0.0f;
  return d->logits != NULL;
}

/*
 * The draft model's own tokens for one of the engine's, into `to`, which has room for `size`;
 * returns how many. A mark that it does not know is left out.
 */
static uint32_t drafter_spell(const struct tr_engine *e, const struct drafter *d, int32_t token,
                              int32_t *to, uint32_t size) {
  const struct vocab_side engine = {e->vocab, e->n_vocab};
  char piece[PIECE_MOST];
  if (d->to_own[token] >= 0) {
    to[0] = d->to_own[token];
    return 1;
  }
  if (attributes_of(e, &engine, (uint32_t)token) & TOKEN_CONTROL) return 0;
  uint32_t length = piece_of(e, &engine, (uint32_t)token, piece);
  int32_t n = e->api.llama_tokenize(d->vocab, piece, (int32_t)length, to, (int32_t)size, false,
                                    false);
  return n > 0 ? (uint32_t)n : 0;
}
