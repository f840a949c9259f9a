/*
 * Movers: threads that carry blocks, so that no JavaScript thread and no engine thread copies,
 * hashes or waits for a disk.
 *
 * Each mover has tasks of its own, which two rings hand over and back; JavaScript picks the mover
 * with the least on its way. What has to do with the device goes to mover 0, which alone talks to
 * it. A block is contiguous while it is hashed or written: where a region has it so (and aligned),
 * in its place; else in the mover's own scratch.
 */
#define KV_PATHS_BYTES 65536

struct kv_task {
  struct tr_kv_job job;
  uint32_t from[TR_KV_MAX_BLOCKS];
  uint32_t to[TR_KV_MAX_BLOCKS];
  uint64_t sums[TR_KV_MAX_BLOCKS]; /* wanted, then found */
  int32_t codes[TR_KV_MAX_BLOCKS];
  char *paths;
};

struct kv_mover {
  struct tr_kv *kv;
  int32_t number;
  pthread_t thread;
  bool running;
  struct ring todo;
  struct ring over;
  struct kv_task *tasks;
  uint32_t *idle; /* JavaScript thread: tasks that nobody uses */
  uint32_t n_idle;
  uint8_t *page; /* mover thread: a file's header */
  uint8_t *scratch;
  uint64_t scratch_bytes;
};

struct tr_kv {
  struct kv_mover movers[TR_KV_MAX_MOVERS];
  int32_t n_movers;
  uint32_t n_tasks;
  struct kv_region regions[TR_KV_MAX_REGIONS];
  struct kv_memory memory[TR_KV_KINDS];
  struct cuda cuda;
  int wake_read;
  int wake_write;
  char message[512];
};

#define KV_TASK_CLOSE UINT32_MAX

static bool mover_scratch(struct kv_mover *m, uint64_t bytes) {
  uint64_t padded = file_padded(bytes);
  if (m->scratch_bytes >= padded) return true;
  free(m->scratch);
  m->scratch = NULL;
  m->scratch_bytes = 0;
  void *at = NULL;
  if (posix_memalign(&at, TR_KV_ALIGN, padded) != 0) return false;
  m->scratch = at;
  m->scratch_bytes = padded;
  memset(at, 0, padded);
  return true;
}

static uint64_t job_bytes(const struct tr_kv_job *j) { return j->planes * j->plane_bytes; }

static bool contiguous(const struct tr_kv_job *j, uint64_t plane_stride) {
  return j->planes == 1 || plane_stride == j->plane_bytes;
}

/* A block that direct I/O can use where it lies, its padding included. */
static bool in_place(const struct tr_kv_job *j, const struct kv_region *r, uint64_t block,
                     uint64_t block_stride, uint64_t plane_stride) {
  return contiguous(j, plane_stride) && block_stride % TR_KV_ALIGN == 0 &&
         block * block_stride + file_padded(job_bytes(j)) <= r->bytes;
}

static void block_gather(const struct tr_kv_job *j, const uint8_t *from, uint8_t *to) {
  for (uint32_t p = 0; p < j->planes; p++)
    memcpy(to + p * j->plane_bytes, from + p * j->from_plane_stride, j->plane_bytes);
}

static void block_scatter(const struct tr_kv_job *j, const uint8_t *from, uint8_t *to) {
  for (uint32_t p = 0; p < j->planes; p++)
    memcpy(to + p * j->to_plane_stride, from + p * j->plane_bytes, j->plane_bytes);
}

static int32_t sum_found(struct kv_task *t, uint32_t i, uint64_t sum) {
  bool differs = t->job.verify && sum != t->sums[i];
  t->sums[i] = sum;
  return differs ? TR_KV_ERR_CORRUPT : TR_KV_OK;
}

static int32_t sum_check(struct kv_task *t, uint32_t i, const uint8_t *bytes) {
  return sum_found(t, i, xxh3(bytes, (size_t)job_bytes(&t->job)));
}

/* The block in one piece: where it lies, or in scratch (also where the two sides may overlap). */
static const uint8_t *source_block(struct kv_mover *m, struct kv_task *t, uint32_t i) {
  const struct tr_kv_job *j = &t->job;
  const uint8_t *at = m->kv->regions[j->from].memory + t->from[i] * j->from_block_stride;
  bool within = j->kind == TR_KV_COPY && j->from == j->to;
  if (contiguous(j, j->from_plane_stride) && !within) return at;
  block_gather(j, at, m->scratch);
  return m->scratch;
}

static void copy_host(struct kv_mover *m, struct kv_task *t) {
  const struct tr_kv_job *j = &t->job;
  const struct kv_region *regions = m->kv->regions;
  if (j->kind == TR_KV_COPY && j->from != j->to && carry_fits(j)) {
    for (uint32_t i = 0; i < j->blocks; i++) {
      const uint8_t *from = regions[j->from].memory + t->from[i] * j->from_block_stride;
      uint8_t *to = regions[j->to].memory + t->to[i] * j->to_block_stride;
      t->codes[i] = sum_found(t, i, carry(j, from, to));
    }
    return;
  }
  for (uint32_t i = 0; i < j->blocks; i++) {
    const uint8_t *from = source_block(m, t, i);
    if (j->kind == TR_KV_COPY)
      block_scatter(j, from, regions[j->to].memory + t->to[i] * j->to_block_stride);
    t->codes[i] = sum_check(t, i, from);
  }
}

/* By way of pinned memory, as many blocks at once as fit there. */
static void copy_device(struct kv_mover *m, struct kv_task *t) {
  const struct tr_kv_job *j = &t->job;
  struct tr_kv *kv = m->kv;
  const struct kv_region *from = &kv->regions[j->from], *to = &kv->regions[j->to];
  uint64_t block = job_bytes(j);
  uint32_t most = (uint32_t)(CUDA_STAGING / block);
  for (uint32_t at = 0, n; at < j->blocks; at += n) {
    n = j->blocks - at < most ? j->blocks - at : most;
    int32_t code = cuda_use(&kv->cuda, kv->cuda.device);
    if (code == TR_KV_OK && from->kind == TR_KV_DEVICE)
      code = cuda_gather(&kv->cuda, from->device, j, t->from + at, n);
    for (uint32_t i = 0; i < n && code == TR_KV_OK; i++) {
      uint8_t *pinned = kv->cuda.pinned + i * block;
      if (from->kind != TR_KV_DEVICE)
        block_gather(j, from->memory + t->from[at + i] * j->from_block_stride, pinned);
      t->codes[at + i] = sum_check(t, at + i, pinned);
      if (j->kind == TR_KV_COPY && to->kind != TR_KV_DEVICE)
        block_scatter(j, pinned, to->memory + t->to[at + i] * j->to_block_stride);
    }
    if (code == TR_KV_OK && j->kind == TR_KV_COPY && to->kind == TR_KV_DEVICE)
      code = cuda_scatter(&kv->cuda, to->device, j, t->to + at, n);
    for (uint32_t i = 0; i < n && code != TR_KV_OK; i++) t->codes[at + i] = code;
  }
}

static int32_t store_block(struct kv_mover *m, struct kv_task *t, uint32_t i, const char *path) {
  const struct tr_kv_job *j = &t->job;
  const uint8_t *bytes = source_block(m, t, i);
  if (!in_place(j, &m->kv->regions[j->from], t->from[i], j->from_block_stride,
                j->from_plane_stride) &&
      bytes != m->scratch) {
    memcpy(m->scratch, bytes, job_bytes(j));
    bytes = m->scratch;
  }
  int32_t code = sum_check(t, i, bytes);
  if (code != TR_KV_OK) return code;
  return file_store(path, m->page, bytes, job_bytes(j), j->identity, t->sums[i], m->number);
}

static int32_t load_block(struct kv_mover *m, struct kv_task *t, uint32_t i, const char *path) {
  const struct tr_kv_job *j = &t->job;
  struct kv_region *to = &m->kv->regions[j->to];
  uint8_t *at = to->memory + t->to[i] * j->to_block_stride;
  bool direct = in_place(j, to, t->to[i], j->to_block_stride, j->to_plane_stride);
  uint64_t sum = 0;
  int32_t code = file_load(path, m->page, direct ? at : m->scratch, job_bytes(j), j->identity, &sum);
  if (code == TR_KV_OK && j->verify && sum != t->sums[i]) code = TR_KV_ERR_CORRUPT;
  t->sums[i] = sum;
  if (code == TR_KV_OK && !direct) block_scatter(j, m->scratch, at);
  return code;
}

static void move_files(struct kv_mover *m, struct kv_task *t) {
  const char *path = t->paths;
  for (uint32_t i = 0; i < t->job.blocks; i++, path += strlen(path) + 1) {
    if (t->job.kind == TR_KV_STORE) t->codes[i] = store_block(m, t, i, path);
    else if (t->job.kind == TR_KV_LOAD) t->codes[i] = load_block(m, t, i, path);
    else t->codes[i] = unlink(path) == 0 ? TR_KV_OK : file_error();
  }
}

static bool uses_device(const struct tr_kv *kv, const struct tr_kv_job *j) {
  return (j->kind == TR_KV_COPY || j->kind == TR_KV_SUM) &&
         (kv->regions[j->from].kind == TR_KV_DEVICE ||
          (j->kind == TR_KV_COPY && kv->regions[j->to].kind == TR_KV_DEVICE));
}

static void mover_do(struct kv_mover *m, struct kv_task *t) {
  bool device = uses_device(m->kv, &t->job);
  if (!device && t->job.kind != TR_KV_REMOVE && !mover_scratch(m, job_bytes(&t->job))) {
    for (uint32_t i = 0; i < t->job.blocks; i++) t->codes[i] = TR_KV_ERR_MEMORY;
    return;
  }
  if (device) copy_device(m, t);
  else if (t->job.kind == TR_KV_COPY || t->job.kind == TR_KV_SUM) copy_host(m, t);
  else move_files(m, t);
}

static void *mover_main(void *argument) {
  struct kv_mover *m = argument;
  for (;;) {
    uint32_t task = 0;
    ring_wait(&m->todo);
    ring_pop(&m->todo, &task, 1);
    if (task == KV_TASK_CLOSE) return NULL;
    mover_do(m, &m->tasks[task]);
    /* Room is certain: there are as many places as tasks. */
    ring_room(&m->over, 1);
    ring_push(&m->over, &task, 1);
    ssize_t written = write(m->kv->wake_write, "", 1);
    (void)written; /* a full pipe: JavaScript has plenty to wake up for */
  }
}
