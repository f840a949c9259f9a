/*
 * Prefix cache: which blocks of which beginnings are in the KV cells, and who holds them.
 *
 *   block   `block_size` tokens that follow `parent`; known by content, so the same beginning is
 *           found again
 *   range   a run of consecutive blocks of one chain, held in the cells by one sequence id
 *   ref     live sequences that share the block; a block with ref 0 and no children may go
 *   idle    blocks with ref 0, the least recently used first: who lets go of a chain does so from
 *           its end, so children stand before their parents
 *
 *       range 7: [ block ─ block ─ block ]          sequence ids 0..255:
 *                              └─ range 9: [ block ]   one a live sequence, one a range
 *
 * llama.cpp frees a cell when its last sequence id lets go, so sharing is llama_memory_seq_cp and
 * eviction is llama_memory_seq_rm on the range's id. Ids are few (256), therefore runs and not
 * blocks have them; a run is kept shorter than a sliding window, because llama.cpp reuses cells
 * that one sequence alone holds and that its window has left. Should a range lose cells anyway
 * (windows of a block and less, chunked windows), its blocks are unlisted: nobody finds them, and they
 * are given up when the last sequence lets go.
 *
 * So what is listed is what a request finds, and each change of it is news (news.c).
 * Single blocks are moved out and in by blocks.c.
 */
#define CACHE_SCRATCH_IDS 8 /* never given to ranges */
/* For one block that is moved in or out. The library saves the ids of a cell's sequences only below
   its n_seq_max, so that a block would weigh less under a higher id. */
#define CACHE_MOVE_ID 0

struct cache_block {
  uint64_t hash; /* of the whole beginning up to here */
  uint64_t salt; /* as its parent's: beginnings are shared within one salt alone */
  uint64_t last_used;
  int32_t parent; /* block index, -1 for the first */
  int32_t next;   /* in its hash bucket, or in the free list */
  int32_t range;  /* sequence id that holds it; -1 when free */
  bool listed;    /* in its hash bucket: requests find it */
  uint32_t serial; /* how many blocks were here before it: tells it from them */
  uint32_t index; /* which block of its chain: positions index * block_size .. */
  uint32_t ref;
  uint32_t children;
  int32_t older; /* its neighbours among the idle; -1: none */
  int32_t newer;
};

struct cache_range {
  uint32_t blocks; /* 0: not a range */
  uint32_t first;  /* index of its first block in the chain */
  int32_t before;  /* the block before its first, -1 without */
  int32_t tail;    /* block index of its last block */
};

struct cache {
  struct llama_api *api;
  llama_memory_t memory;
  uint32_t block_size;
  struct cache_block *blocks;
  int32_t *tokens; /* block_size of each block */
  int32_t *buckets;
  int32_t *chain; /* room for all blocks */
  int32_t n_blocks;
  int32_t free_block;
  int32_t oldest; /* idle block; -1: none */
  int32_t newest;
  uint32_t bucket_mask;
  uint32_t range_blocks_max;
  bool windowed;      /* the model has a sliding window: ranges may lose cells */
  uint32_t cached;    /* blocks in use */
  uint32_t evictable; /* of these, with ref 0 */
  uint64_t clock;
  struct cache_range ranges[LLAMA_API_MAX_SEQ];
  int32_t free_ids[LLAMA_API_MAX_SEQ];
  int32_t n_free_ids;
  int32_t reserved_ids; /* ids that ranges must leave for live sequences and scratch */
  struct news news; /* freed by the owner, when JavaScript reads no more */
};

static int cache_init(struct cache *c, struct llama_api *api, llama_memory_t memory,
                      uint32_t n_cells, uint32_t window, uint32_t max_seqs,
                      uint32_t block_size) {
  memset(c, 0, sizeof *c);
  c->block_size = block_size;
  c->api = api;
  c->memory = memory;
  c->n_blocks = (int32_t)(n_cells / c->block_size);
  uint32_t buckets = 16;
  while (buckets < (uint32_t)c->n_blocks * 2) buckets *= 2;
  c->bucket_mask = buckets - 1;
  c->blocks = calloc((size_t)c->n_blocks + 1, sizeof *c->blocks);
  c->buckets = calloc(buckets, sizeof *c->buckets);
  c->chain = calloc((size_t)c->n_blocks + 1, sizeof *c->chain);
  c->tokens = calloc((size_t)c->n_blocks + 1, block_size * sizeof *c->tokens);
  if (!c->blocks || !c->buckets || !c->chain || !c->tokens) return -1;
  for (uint32_t i = 0; i < buckets; i++) c->buckets[i] = -1;
  for (int32_t i = 0; i < c->n_blocks; i++) {
    c->blocks[i].next = i + 1 < c->n_blocks ? i + 1 : -1;
    c->blocks[i].range = -1;
  }
  c->free_block = c->n_blocks > 0 ? 0 : -1;
  c->oldest = c->newest = -1;
  c->windowed = window > 0;
  c->range_blocks_max = window == 0 ? UINT32_MAX : (window - 1) / c->block_size;
  if (c->range_blocks_max == 0) c->range_blocks_max = 1;
  for (int32_t id = LLAMA_API_MAX_SEQ - 1; id > CACHE_MOVE_ID; id--)
    c->free_ids[c->n_free_ids++] = id;
  c->reserved_ids = (int32_t)max_seqs + CACHE_SCRATCH_IDS;
  return news_init(&c->news, (uint32_t)c->n_blocks, block_size);
}

static void cache_free(struct cache *c) {
  free(c->blocks);
  free(c->buckets);
  free(c->chain);
  free(c->tokens);
}

/* A live sequence's id; ranges leave enough of them. */
static int32_t cache_take_id(struct cache *c) {
  c->reserved_ids--;
  return c->free_ids[--c->n_free_ids];
}

static void cache_give_id(struct cache *c, int32_t id) {
  c->reserved_ids++;
  c->free_ids[c->n_free_ids++] = id;
}

static int32_t *cache_tokens(const struct cache *c, int32_t block) {
  return c->tokens + (size_t)block * c->block_size;
}

static uint64_t cache_hash(const struct cache *c, uint64_t parent, const int32_t *tokens) {
  uint64_t h = parent ^ 0x9E3779B97F4A7C15ul;
  for (uint32_t i = 0; i < c->block_size; i++) {
    h = (h ^ (uint32_t)tokens[i]) * 0xFF51AFD7ED558CCDul;
    h ^= h >> 32;
  }
  return h;
}

static uint64_t cache_hash_behind(const struct cache *c, int32_t parent, uint64_t salt,
                                  const int32_t *tokens) {
  return cache_hash(c, parent < 0 ? salt : c->blocks[parent].hash, tokens);
}

/* The block that follows `parent` (-1: at the start) with these tokens, or -1. */
static int32_t cache_find(const struct cache *c, int32_t parent, uint64_t salt,
                          const int32_t *tokens) {
  uint64_t hash = cache_hash_behind(c, parent, salt, tokens);
  for (int32_t b = c->buckets[hash & c->bucket_mask]; b >= 0; b = c->blocks[b].next) {
    const struct cache_block *block = &c->blocks[b];
    if (block->hash == hash && block->parent == parent && block->salt == salt &&
        memcmp(cache_tokens(c, b), tokens, c->block_size * sizeof *tokens) == 0)
      return b;
  }
  return -1;
}

/* The longest cached beginning of `tokens`, at most `most` blocks, block indexes into `found`. */
static uint32_t cache_match(const struct cache *c, uint64_t salt, const int32_t *tokens,
                            uint32_t most, int32_t *found) {
  int32_t parent = -1;
  uint32_t n = 0;
  while (n < most) {
    int32_t block = cache_find(c, parent, salt, tokens + n * c->block_size);
    if (block < 0) break;
    found[n++] = parent = block;
  }
  return n;
}

/* Puts an idle block in front of `newer`, or behind all others when that is -1. */
static void cache_idle_add(struct cache *c, int32_t b, int32_t newer) {
  int32_t older = newer < 0 ? c->newest : c->blocks[newer].older;
  c->blocks[b].older = older;
  c->blocks[b].newer = newer;
  *(older < 0 ? &c->oldest : &c->blocks[older].newer) = b;
  *(newer < 0 ? &c->newest : &c->blocks[newer].older) = b;
}

static void cache_idle_remove(struct cache *c, int32_t b) {
  int32_t older = c->blocks[b].older, newer = c->blocks[b].newer;
  *(older < 0 ? &c->oldest : &c->blocks[older].newer) = newer;
  *(newer < 0 ? &c->newest : &c->blocks[newer].older) = older;
}

static void cache_ref(struct cache *c, int32_t block) {
  if (c->blocks[block].ref++ > 0) return;
  cache_idle_remove(c, block);
  c->evictable--;
}

static void cache_unref(struct cache *c, int32_t block) {
  c->blocks[block].last_used = ++c->clock;
  if (--c->blocks[block].ref > 0) return;
  cache_idle_add(c, block, -1);
  c->evictable++;
}

/* Nobody will find it any more: it goes before all others. */
static void cache_useless(struct cache *c, int32_t b) {
  c->blocks[b].last_used = 0;
  if (c->blocks[b].ref > 0) return;
  cache_idle_remove(c, b);
  cache_idle_add(c, b, c->oldest);
}

/* Makes a live sequence share the blocks: its cells from position 0 on are theirs. */
static void cache_share(struct cache *c, int32_t seq_id, const int32_t *found, uint32_t n) {
  for (uint32_t i = 0; i < n;) {
    int32_t range = c->blocks[found[i]].range;
    uint32_t end = i;
    while (end < n && c->blocks[found[end]].range == range) cache_ref(c, found[end++]);
    c->api->llama_memory_seq_cp(c->memory, range, seq_id, (int32_t)(i * c->block_size),
                                (int32_t)(end * c->block_size));
    i = end;
  }
}

static void cache_unlist(struct cache *c, int32_t b) {
  struct cache_block *block = &c->blocks[b];
  int32_t *link = &c->buckets[block->hash & c->bucket_mask];
  while (*link != b) link = &c->blocks[*link].next;
  *link = block->next;
  block->listed = false;
  news_removed(&c->news, b);
}

/* Ids of the ranges, each behind the one that it follows. Returns how many. */
static int32_t cache_ranges(const struct cache *c, int32_t *ids) {
  int32_t n = 0;
  for (int32_t id = 0; id < LLAMA_API_MAX_SEQ; id++) {
    int32_t at = n;
    if (c->ranges[id].blocks == 0) continue;
    for (; at > 0 && c->ranges[ids[at - 1]].first > c->ranges[id].first; at--)
      ids[at] = ids[at - 1];
    ids[at] = id;
    n++;
  }
  return n;
}

static bool cache_broken(const struct cache *c, int32_t id) {
  const struct cache_range *range = &c->ranges[id];
  if (range->blocks == 0 || !c->blocks[range->tail].listed) return false;
  return c->api->llama_memory_seq_pos_min(c->memory, id) !=
         (int32_t)(range->first * c->block_size);
}

/*
 * After each decode of a model with a sliding window: nobody may find a block whose cells are gone,
 * nor one behind it. llama.cpp keeps the positions of a sequence without gaps, so the first one
 * tells. All blocks of a range are listed, or none.
 */
static void cache_unlist_broken(struct cache *c) {
  bool any = false, broken[LLAMA_API_MAX_SEQ];
  int32_t ids[LLAMA_API_MAX_SEQ];
  for (int32_t id = 0; c->windowed && id < LLAMA_API_MAX_SEQ; id++)
    any |= broken[id] = cache_broken(c, id);
  if (!any) return;
  int32_t n = cache_ranges(c, ids);
  for (int32_t i = 0; i < n; i++) {
    int32_t before = c->ranges[ids[i]].before;
    if (before >= 0 && broken[c->blocks[before].range]) broken[ids[i]] = true;
  }
  for (int32_t i = n - 1; i >= 0; i--) {
    const struct cache_range *range = &c->ranges[ids[i]];
    if (!broken[ids[i]] || !c->blocks[range->tail].listed) continue;
    for (int32_t b = range->tail; b != range->before; b = c->blocks[b].parent) {
      cache_unlist(c, b);
      cache_useless(c, b);
    }
  }
}

/* Says everything again, parents first: for a reader that lost count. */
static void cache_tell_all(struct cache *c) {
  int32_t ids[LLAMA_API_MAX_SEQ];
  int32_t n = cache_ranges(c, ids);
  c->news.lost = false;
  news_reset(&c->news);
  for (int32_t i = 0; i < n; i++) {
    const struct cache_range *range = &c->ranges[ids[i]];
    if (!c->blocks[range->tail].listed) continue;
    int32_t at = (int32_t)range->blocks;
    for (int32_t b = range->tail; at > 0; b = c->blocks[b].parent) c->chain[--at] = b;
    for (; at < (int32_t)range->blocks; at++) {
      const struct cache_block *block = &c->blocks[c->chain[at]];
      news_stored(&c->news, c->chain[at], block->parent, block->index, block->salt, block->serial,
                  cache_tokens(c, c->chain[at]));
    }
  }
}

/* Drops one block that is the tail of its range and that nobody shares. */
static void cache_evict_block(struct cache *c, int32_t b) {
  struct cache_block *block = &c->blocks[b];
  struct cache_range *range = &c->ranges[block->range];
  int32_t from = (int32_t)(block->index * c->block_size);
  c->api->llama_memory_seq_rm(c->memory, block->range, from, from + (int32_t)c->block_size);
  if (--range->blocks == 0)
    c->free_ids[c->n_free_ids++] = block->range;
  else
    range->tail = block->parent;
  if (block->parent >= 0) c->blocks[block->parent].children--;
  if (block->listed) cache_unlist(c, b);
  cache_idle_remove(c, b);
  block->range = -1;
  block->serial++;
  block->next = c->free_block;
  c->free_block = b;
  c->cached--;
  c->evictable--;
}

/* Drops the least recently used block that may go. False when there is none. */
static bool cache_evict_oldest(struct cache *c) {
  int32_t b = c->oldest;
  while (b >= 0 && c->blocks[b].children > 0) b = c->blocks[b].newer; /* of useless ones alone */
  if (b < 0) return false;
  cache_evict_block(c, b);
  return true;
}

/* Drops the least recently used whole range that may go, to win its id. */
static bool cache_evict_range(struct cache *c) {
  int32_t oldest = -1;
  for (int32_t id = 0; id < LLAMA_API_MAX_SEQ; id++) {
    const struct cache_range *range = &c->ranges[id];
    if (range->blocks == 0 || c->blocks[range->tail].children > 0) continue;
    bool shared = false;
    int32_t b = range->tail;
    for (uint32_t i = 0; i < range->blocks && !shared; i++, b = c->blocks[b].parent)
      shared = c->blocks[b].ref > 0 || (i > 0 && c->blocks[b].children > 1);
    if (shared) continue;
    if (oldest < 0 ||
        c->blocks[range->tail].last_used < c->blocks[c->ranges[oldest].tail].last_used)
      oldest = id;
  }
  if (oldest < 0) return false;
  while (c->ranges[oldest].blocks > 0) cache_evict_block(c, c->ranges[oldest].tail);
  return true;
}

/* Drops every block that no live request refers to, whole ranges first, as that is quicker. */
static void cache_clear(struct cache *c) {
  while (cache_evict_range(c)) continue;
  while (cache_evict_oldest(c)) continue;
}

/* Drops every block of a salt that no live request refers to. */
static void cache_forget_salt(struct cache *c, uint64_t salt) {
  bool dropped = true;
  while (dropped) {
    dropped = false;
    for (int32_t b = c->oldest, newer; b >= 0; b = newer) {
      newer = c->blocks[b].newer;
      if (c->blocks[b].salt != salt || c->blocks[b].children > 0) continue;
      cache_evict_block(c, b);
      dropped = true;
    }
  }
}

/* The range that takes a block after `parent`: the parent's own when it can grow, or a new one. */
static int32_t cache_range_for(struct cache *c, int32_t parent, uint32_t index) {
  if (parent >= 0) {
    int32_t id = c->blocks[parent].range;
    struct cache_range *range = &c->ranges[id];
    if (range->tail == parent && range->blocks < c->range_blocks_max &&
        c->blocks[parent].children == 0)
      return id;
  }
  if (c->n_free_ids <= c->reserved_ids && !cache_evict_range(c)) return -1;
  int32_t id = c->free_ids[--c->n_free_ids];
  c->ranges[id].blocks = 0;
  c->ranges[id].first = index;
  c->ranges[id].before = parent;
  return id;
}

/*
 * Registers the block that a live sequence has just computed after `parent`, and makes the
 * sequence share it. When somebody else was first, the sequence's own cells are given up for
 * theirs. Returns the block, or -1 when it has to stay the sequence's own for now.
 */
static int32_t cache_insert(struct cache *c, int32_t seq_id, int32_t parent, uint32_t index,
                            uint64_t salt, const int32_t *tokens) {
  int32_t from = (int32_t)(index * c->block_size), to = from + (int32_t)c->block_size;
  if (parent >= 0 && !c->blocks[parent].listed) return -1;
  int32_t b = cache_find(c, parent, salt, tokens);
  if (b >= 0) {
    c->api->llama_memory_seq_rm(c->memory, seq_id, from, to);
    c->api->llama_memory_seq_cp(c->memory, c->blocks[b].range, seq_id, from, to);
    cache_ref(c, b);
    return b;
  }
  if (c->free_block < 0) return -1;
  /* Late (it waited for an id), and its window has passed: the cells may be another's by now. */
  if (c->windowed && c->api->llama_memory_seq_pos_min(c->memory, seq_id) > from) return -1;
  int32_t id = cache_range_for(c, parent, index);
  if (id < 0) return -1;
  c->api->llama_memory_seq_cp(c->memory, seq_id, id, from, to);
  b = c->free_block;
  struct cache_block *block = &c->blocks[b];
  c->free_block = block->next;
  block->hash = cache_hash_behind(c, parent, salt, tokens);
  block->salt = salt;
  block->last_used = ++c->clock;
  block->parent = parent;
  block->range = id;
  block->listed = true;
  block->index = index;
  block->ref = 1;
  block->children = 0;
  memcpy(cache_tokens(c, b), tokens, c->block_size * sizeof *tokens);
  block->next = c->buckets[block->hash & c->bucket_mask];
  c->buckets[block->hash & c->bucket_mask] = b;
  if (parent >= 0) c->blocks[parent].children++;
  c->ranges[id].tail = b;
  c->ranges[id].blocks++;
  c->cached++;
  news_stored(&c->news, b, parent, index, salt, block->serial, tokens);
  return b;
}
