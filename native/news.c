/*
 * News of the prefix cache on its way to JavaScript: blocks stored and removed, in order.
 *
 *   stored, removed, stored …                       no reader: the ring fills up
 *   … LOST │ (nothing is said) │ RESET, stored × all, removed …
 *          └─ tr_kv_poll reads it and asks for the list
 *
 * A ring of its own, because nobody may wait for it: when JavaScript does not read, the engine goes
 * on and news are dropped, which the mark says. After the mark the reader has read everything, and
 * the ring is large enough for a list of all blocks: the list always fits.
 */
#define NEWS_STORED_WORDS 8 /* and the block's tokens */
#define NEWS_MARK_WORDS 2

struct news {
  struct ring ring;
  uint32_t block_size;
  bool lost;  /* a mark was pushed and the list was not asked for yet */
  bool fresh; /* engine thread: something was pushed since the last wake */
};

static int news_init(struct news *news, uint32_t n_blocks, uint32_t block_size) {
  uint32_t wanted = (n_blocks + 8) * (NEWS_STORED_WORDS + block_size + 1), capacity = 1024;
  news->block_size = block_size;
  news->lost = news->fresh = false;
  while (capacity < wanted) capacity *= 2;
  return ring_init(&news->ring, capacity);
}

static void news_free(struct news *news) { ring_free(&news->ring); }

/* There is always room left for the mark: two words and the length. */
static void news_push(struct news *news, const uint32_t *record, uint32_t words) {
  uint32_t mark[NEWS_MARK_WORDS] = {0, TR_REC_KV_LOST};
  if (news->lost) return;
  if (ring_room(&news->ring, words + NEWS_MARK_WORDS + 1)) {
    ring_push(&news->ring, record, words);
  } else {
    news->lost = true;
    ring_push(&news->ring, mark, NEWS_MARK_WORDS);
  }
  news->fresh = true;
}

static void news_stored(struct news *news, int32_t block, int32_t parent, uint32_t index,
                        uint64_t salt, uint32_t serial, const int32_t *tokens) {
  uint32_t record[NEWS_STORED_WORDS + TR_BLOCK_SIZE_MOST] = {0, TR_REC_KV_STORED, (uint32_t)block,
                                        (uint32_t)(parent + 1), index, (uint32_t)salt,
                                        (uint32_t)(salt >> 32), serial};
  memcpy(record + NEWS_STORED_WORDS, tokens, news->block_size * sizeof *tokens);
  news_push(news, record, NEWS_STORED_WORDS + news->block_size);
}

static void news_removed(struct news *news, int32_t block) {
  uint32_t record[3] = {0, TR_REC_KV_REMOVED, (uint32_t)block};
  news_push(news, record, 3);
}

static void news_reset(struct news *news) {
  uint32_t record[2] = {0, TR_REC_KV_RESET};
  news_push(news, record, 2);
}
