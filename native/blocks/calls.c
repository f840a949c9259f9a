/* The calls that JavaScript makes to move blocks. See blocks.h. */

/* Its record was read. */
static void move_over(struct tr_engine *e, uint32_t id) {
  for (int i = 0; i < TR_MAX_MOVES; i++)
    if (e->moves->all[i].taken && e->moves->all[i].id == id) e->moves->all[i].taken = false;
}

static int32_t move_slot(struct tr_engine *e, uint32_t n) {
  if (tr_state(e, NULL) != TR_READY || e->closing) return TR_ERR_CLOSED;
  if (!e->prefix_cache) return TR_ERR_NOT_SUPPORTED;
  if (n == 0 || n > TR_MAX_MOVED) return TR_ERR_BAD_REQUEST;
  for (int32_t i = 0; i < TR_MAX_MOVES; i++)
    if (!e->moves->all[i].taken) return i;
  return TR_ERR_QUEUE_FULL;
}

static void move_send(struct tr_engine *e, int32_t at, uint32_t id, uint32_t n,
                      const uint64_t *memory, double bytes) {
  struct move *m = &e->moves->all[at];
  m->taken = true;
  m->begun = false;
  m->id = id;
  m->n = n;
  m->at = 0;
  m->bytes = (uint64_t)bytes;
  m->n_held = 0;
  for (uint32_t i = 0; i < n; i++) m->memory[i] = (uint8_t *)memory[i];
  api_send(e, COMMAND_MOVE, at);
}

int32_t tr_blocks_out(struct tr_engine *e, uint32_t id, const uint32_t *blocks,
                      const uint32_t *serials, const uint64_t *memory, uint32_t n, double bytes) {
  int32_t at = move_slot(e, n);
  if (at < 0) return at;
  struct move *m = &e->moves->all[at];
  m->in = false;
  memcpy(m->blocks, blocks, n * sizeof *blocks);
  memcpy(m->serials, serials, n * sizeof *serials);
  move_send(e, at, id, n, memory, bytes);
  return TR_OK;
}

int32_t tr_blocks_in(struct tr_engine *e, uint32_t id, const int32_t *tokens, uint32_t first,
                     const uint64_t *salt, const uint64_t *memory, uint32_t n, double bytes) {
  int32_t at = move_slot(e, n);
  if (at < 0) return at;
  if ((uint64_t)(first + n) * e->block_size > e->context_length) return TR_ERR_CONTEXT_OVERFLOW;
  struct move *m = &e->moves->all[at];
  m->in = true;
  m->first = first;
  m->salt = *salt;
  memcpy(m->tokens, tokens, (size_t)(first + n) * e->block_size * sizeof *tokens);
  move_send(e, at, id, n, memory, bytes);
  return TR_OK;
}
