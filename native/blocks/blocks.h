/*
 * Blocks of the prefix cache out of the cells and back into them, for whoever keeps them beyond the
 * engine (kv/).
 *
 *   tr_blocks_out, tr_blocks_in ──ring──▶ moves[] ──between two steps──▶ TR_REC_MOVED
 *
 * A block's bytes are what llama.cpp says of its positions in one sequence: opaque, of one length,
 * and good for the same model, library and cache type alone. A move takes at most MOVE_STEP_MS
 * between two steps, so that what others decode is hardly late for it. Blocks that come in are
 * inserted as if they had been computed, behind a beginning that is in the cache.
 */
struct move {
  /* JavaScript thread, until the command is sent and from the record on; else the engine thread. */
  bool taken;
  bool in;
  bool begun;
  uint32_t id;
  uint32_t n;
  uint32_t at; /* the next one */
  uint32_t first; /* in: which block of its chain the first one is */
  uint64_t bytes; /* of a block */
  uint64_t salt;  /* in: of the requests that share it */
  int32_t parent;
  uint32_t n_held;
  int32_t *tokens; /* in: everything up to the end of the last block */
  int32_t *held;   /* in: blocks of the chain, which may not go meanwhile */
  uint32_t blocks[TR_MAX_MOVED];  /* out */
  uint32_t serials[TR_MAX_MOVED]; /* out */
  uint8_t *memory[TR_MAX_MOVED];
  int32_t codes[TR_MAX_MOVED];
};

struct moves {
  struct move all[TR_MAX_MOVES];
  int32_t order[TR_MAX_MOVES]; /* engine thread: oldest first */
  uint32_t n;
};

static int moves_init(struct tr_engine *e) {
  uint32_t blocks = e->context_length / e->block_size + 1;
  e->moves = calloc(1, sizeof *e->moves);
  if (!e->moves) return -1;
  for (int i = 0; i < TR_MAX_MOVES; i++) {
    struct move *m = &e->moves->all[i];
    m->tokens = calloc(e->context_length, sizeof *m->tokens);
    m->held = calloc(blocks, sizeof *m->held);
    if (!m->tokens || !m->held) return -1;
  }
  return 0;
}

static void moves_free(struct tr_engine *e) {
  for (int i = 0; e->moves && i < TR_MAX_MOVES; i++) {
    free(e->moves->all[i].tokens);
    free(e->moves->all[i].held);
  }
  free(e->moves);
}
