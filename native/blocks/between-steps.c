/* Moves on the engine thread: a few blocks between two steps. See blocks.h. */
#define MOVE_STEP_MS 2.0
#define MOVE_IDLE_MS 20.0

/* The block's positions as a sequence of their own. Returns its id, until `block_done`. */
static int32_t block_alone(struct tr_engine *e, int32_t b) {
  const struct cache_block *block = &e->cache.blocks[b];
  int32_t id = CACHE_MOVE_ID, size = (int32_t)e->block_size, from = (int32_t)block->index * size;
  e->api.llama_memory_seq_cp(e->memory, block->range, id, from, from + size);
  return id;
}

static void block_done(struct tr_engine *e, int32_t id) {
  e->api.llama_memory_seq_rm(e->memory, id, -1, -1);
}

static int32_t move_out(struct tr_engine *e, struct move *m) {
  uint32_t b = m->blocks[m->at];
  if (b >= (uint32_t)e->cache.n_blocks || !e->cache.blocks[b].listed ||
      e->cache.blocks[b].serial != m->serials[m->at])
    return TR_MOVED_GONE;
  int32_t id = block_alone(e, (int32_t)b);
  size_t size = e->api.llama_state_seq_get_size(e->context, id), got = 0;
  if (size == m->bytes)
    got = e->api.llama_state_seq_get_data(e->context, m->memory[m->at], size, id);
  block_done(e, id);
  return size == m->bytes && got == size ? TR_MOVED : TR_MOVED_ODD;
}

/* What the first block of a move follows has to be here, and stays until the move is over. */
static bool move_begin(struct tr_engine *e, struct move *m) {
  m->parent = -1;
  m->n_held = 0;
  m->begun = true;
  if (cache_match(&e->cache, m->salt, m->tokens, m->first, m->held) < m->first) return false;
  while (m->n_held < m->first) cache_ref(&e->cache, m->held[m->n_held++]);
  if (m->first > 0) m->parent = m->held[m->first - 1];
  return true;
}

static int32_t move_in(struct tr_engine *e, struct move *m) {
  uint32_t index = m->first + m->at;
  const int32_t *tokens = m->tokens + index * e->block_size;
  int32_t size = (int32_t)e->block_size, from = (int32_t)index * size;
  int32_t b = cache_find(&e->cache, m->parent, m->salt, tokens);
  if (b >= 0) {
    cache_ref(&e->cache, b);
  } else {
    /* Only what nobody uses gives way: no answer is set back for a block that might be of use. */
    while (cells_free(e) < e->block_size || e->cache.free_block < 0)
      if (!cache_evict_oldest(&e->cache)) return TR_MOVED_NO_ROOM;
    int32_t id = CACHE_MOVE_ID;
    size_t got = e->api.llama_state_seq_set_data(e->context, m->memory[m->at], m->bytes, id);
    bool right = got == m->bytes && e->api.llama_memory_seq_pos_min(e->memory, id) == from &&
                 e->api.llama_memory_seq_pos_max(e->memory, id) == from + size - 1;
    if (right) b = cache_insert(&e->cache, id, m->parent, index, m->salt, tokens);
    block_done(e, id);
    if (b < 0) return right ? TR_MOVED_NO_ROOM : TR_MOVED_ODD;
  }
  m->held[m->n_held++] = m->parent = b;
  return TR_MOVED;
}

static void move_end(struct tr_engine *e, struct move *m) {
  uint32_t *r = e->record;
  while (m->n_held > 0) cache_unref(&e->cache, m->held[--m->n_held]);
  r[0] = 0;
  r[1] = TR_REC_MOVED;
  r[2] = m->id;
  r[3] = m->n;
  for (uint32_t i = 0; i < m->n; i++) r[4 + i] = (uint32_t)m->codes[i];
  m->begun = false;
  push_record(e, 4 + m->n);
}

/* One block; behind one that could not come in, none can. */
static void move_one(struct tr_engine *e, struct move *m) {
  int32_t code = TR_MOVED_GONE;
  if (!m->in) code = move_out(e, m);
  else if (m->begun || move_begin(e, m)) code = move_in(e, m);
  m->codes[m->at++] = code;
  while (m->in && code != TR_MOVED && m->at < m->n) m->codes[m->at++] = code;
}

/* Moves what the time is enough for, at least one block: the next one takes as long as the last. */
static void moves_run(struct tr_engine *e) {
  double now = now_ms(), until = now + (e->n_live > 0 ? MOVE_STEP_MS : MOVE_IDLE_MS);
  struct moves *all = e->moves;
  while (all->n > 0 && ring_room(&e->results, TR_MAX_MOVED + 8)) {
    struct move *m = &all->all[all->order[0]];
    double start = now;
    move_one(e, m);
    if (m->at == m->n) {
      /* The slot is JavaScript's again with the record: out of the list before it is pushed. */
      memmove(all->order, all->order + 1, --all->n * sizeof *all->order);
      move_end(e, m);
    }
    now = now_ms();
    if (now + (now - start) > until) return;
  }
}

/* What a block weighs, once there is one. */
static void moves_weigh(struct tr_engine *e) {
  if (e->stats[TR_STAT_BLOCK_BYTES] > 0 || e->cache.cached == 0) return;
  for (int32_t b = 0; b < e->cache.n_blocks; b++) {
    if (e->cache.blocks[b].range < 0 || !e->cache.blocks[b].listed) continue;
    int32_t id = block_alone(e, b);
    e->stats[TR_STAT_BLOCK_BYTES] = (double)e->api.llama_state_seq_get_size(e->context, id);
    block_done(e, id);
    return;
  }
}
