/*
 * Single-producer single-consumer ring of variable-length records, preallocated.
 *
 *   words   [ len | … | len | … | free …………… ]
 *             ▲ read (consumer)     ▲ head (producer)      tail: producer's view of `read`
 *
 * The cursors never cross a thread: each pushed record is one post of `items`, each read record
 * one post of `freed`, and the producer walks its own tail over the lengths it once wrote. So
 * neither side holds a lock that the other could wait for. A full ring is the producer's to
 * handle: it asks `ring_room` first.
 */
struct ring {
  uint32_t *words;
  uint32_t mask;
  uint32_t head;
  uint32_t tail;
  uint32_t read;
  uint32_t taken; /* consumer: a record is taken off `items` but not read yet */
  troupe_sem items;
  troupe_sem freed;
};

static int ring_init(struct ring *ring, uint32_t capacity_pow2) {
  memset(ring, 0, sizeof *ring);
  ring->words = calloc(capacity_pow2, sizeof(uint32_t));
  ring->mask = capacity_pow2 - 1;
  if (!ring->words) return -1;
  if (troupe_sem_init(&ring->items) != 0) return -1;
  return troupe_sem_init(&ring->freed);
}

static void ring_free(struct ring *ring) {
  if (!ring->words) return;
  free(ring->words);
  troupe_sem_free(&ring->items);
  troupe_sem_free(&ring->freed);
}

/* Producer: is there room for a record of `n` words? */
static bool ring_room(struct ring *ring, uint32_t n) {
  while (troupe_sem_try(&ring->freed)) ring->tail += ring->words[ring->tail & ring->mask];
  return ring->mask + 1 - (ring->head - ring->tail) >= n + 1;
}

/* Producer: after `ring_room`, appends the `n` words as one record. */
static void ring_push(struct ring *ring, const uint32_t *record, uint32_t n) {
  ring->words[ring->head & ring->mask] = n + 1;
  for (uint32_t i = 0; i < n; i++) ring->words[(ring->head + 1 + i) & ring->mask] = record[i];
  ring->head += n + 1;
  troupe_sem_post(&ring->items);
}

/* Consumer: copies the next record into `to` when there is one of at most `size` words. */
static uint32_t ring_pop(struct ring *ring, uint32_t *to, uint32_t size) {
  if (!ring->taken && !troupe_sem_try(&ring->items)) return 0;
  ring->taken = 1;
  uint32_t n = ring->words[ring->read & ring->mask] - 1;
  if (n > size) return 0;
  for (uint32_t i = 0; i < n; i++) to[i] = ring->words[(ring->read + 1 + i) & ring->mask];
  ring->read += n + 1;
  ring->taken = 0;
  troupe_sem_post(&ring->freed);
  return n;
}

/* Consumer: sleeps until there is a record. */
static void ring_wait(struct ring *ring) {
  if (ring->taken) return;
  troupe_sem_wait(&ring->items);
  ring->taken = 1;
}
