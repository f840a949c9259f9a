/* kv.h, called by JavaScript: checks what it is given, hands out tasks, counts memory. */

static int32_t kv_fail(struct tr_kv *kv, int32_t code, const char *message) {
  snprintf(kv->message, sizeof kv->message, "%s", message);
  return code;
}

static bool mover_open(struct tr_kv *kv, int32_t number) {
  struct kv_mover *m = &kv->movers[number];
  m->kv = kv;
  m->number = number;
  uint32_t places = 4;
  while (places < (kv->n_tasks + 2) * 2) places *= 2;
  if (ring_init(&m->todo, places) != 0 || ring_init(&m->over, places) != 0) return false;
  m->tasks = calloc(kv->n_tasks, sizeof *m->tasks);
  m->idle = calloc(kv->n_tasks, sizeof *m->idle);
  void *page = NULL;
  if (!m->tasks || !m->idle || posix_memalign(&page, TR_KV_ALIGN, TR_KV_ALIGN) != 0) return false;
  m->page = page;
  for (uint32_t i = 0; i < kv->n_tasks; i++) {
    m->tasks[i].paths = malloc(KV_PATHS_BYTES);
    if (!m->tasks[i].paths) return false;
    m->idle[m->n_idle++] = kv->n_tasks - 1 - i;
  }
  m->running = pthread_create(&m->thread, NULL, mover_main, m) == 0;
  return m->running;
}

static void mover_close(struct tr_kv *kv, struct kv_mover *m) {
  if (m->running) {
    uint32_t task = KV_TASK_CLOSE;
    ring_room(&m->todo, 1);
    ring_push(&m->todo, &task, 1);
    pthread_join(m->thread, NULL);
  }
  for (uint32_t i = 0; m->tasks && i < kv->n_tasks; i++) free(m->tasks[i].paths);
  free(m->tasks);
  free(m->idle);
  free(m->page);
  free(m->scratch);
  ring_free(&m->todo);
  ring_free(&m->over);
}

struct tr_kv *tr_kv_open(int32_t threads, int32_t jobs, const char *cuda) {
  if (threads < 1 || threads > TR_KV_MAX_MOVERS || jobs < 1 || jobs > 4096) return NULL;
  struct tr_kv *kv = calloc(1, sizeof *kv);
  int fds[2];
  if (!kv) return NULL;
  if (pipe(fds) != 0) {
    free(kv);
    return NULL;
  }
  for (int i = 0; i < 2; i++) {
    fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    fcntl(fds[i], F_SETFL, O_NONBLOCK);
  }
  kv->wake_read = fds[0];
  kv->wake_write = fds[1];
  kv->n_tasks = (uint32_t)jobs;
  kv->cuda.device = -1;
  if (cuda && cuda_open(&kv->cuda, cuda) != TR_KV_OK) kv_fail(kv, 0, kv->cuda.message);
  for (int32_t i = 0; i < threads; i++) {
    kv->n_movers++;
    if (mover_open(kv, i)) continue;
    tr_kv_close(kv);
    return NULL;
  }
  return kv;
}

static void region_free(struct tr_kv *kv, struct kv_region *r) {
  if (r->kind == TR_KV_DEVICE) {
    /* Of a lost device nothing can be freed; the driver has it back when the process ends. */
    if (!kv->cuda.lost && cuda_use(&kv->cuda, kv->cuda.device) == TR_KV_OK) {
      if (r->borrowed) kv->cuda.cuIpcCloseMemHandle(r->device);
      else kv->cuda.cuMemFree(r->device);
    }
  } else {
    if (r->registered && !kv->cuda.lost) kv->cuda.cuMemHostUnregister(r->memory);
    munmap(r->memory, r->bytes);
    if (r->kind == TR_KV_SHARED && r->lock >= 0) close(r->lock);
  }
  memory_take(&kv->memory[r->kind], r->bytes);
  memset(r, 0, sizeof *r);
}

void tr_kv_close(struct tr_kv *kv) {
  for (int32_t i = 0; i < kv->n_movers; i++) mover_close(kv, &kv->movers[i]);
  for (int32_t i = 0; i < TR_KV_MAX_REGIONS; i++)
    if (kv->regions[i].open) region_free(kv, &kv->regions[i]);
  if (kv->cuda.library) cuda_close(&kv->cuda);
  close(kv->wake_write);
  /* The readable end is JavaScript's, which closes it with its stream. */
  free(kv);
}

int32_t tr_kv_message(struct tr_kv *kv, char *to, int32_t size) {
  return snprintf(to, (size_t)size, "%s", kv->message);
}

int32_t tr_kv_wake_fd(struct tr_kv *kv) { return kv->wake_read; }

static uint64_t whole(uint32_t low, uint32_t high) { return ((uint64_t)high << 32) | low; }

static int32_t region_place(struct tr_kv *kv) {
  for (int32_t i = 0; i < TR_KV_MAX_REGIONS; i++)
    if (!kv->regions[i].open) return i;
  return kv_fail(kv, TR_KV_ERR_FULL, "as many regions as may be are open");
}

static int32_t region_added(struct tr_kv *kv, int32_t at, struct kv_region region) {
  region.open = true;
  kv->regions[at] = region;
  memory_add(&kv->memory[region.kind], region.bytes);
  return at;
}

/* Copies to and from a device are quicker out of memory that the driver has pinned. */
static void region_pin(struct tr_kv *kv, struct kv_region *r) {
  if (kv->cuda.device < 0 || cuda_use(&kv->cuda, kv->cuda.device) != TR_KV_OK) return;
  r->registered =
      kv->cuda.cuMemHostRegister(r->memory, r->bytes, CU_HOST_REGISTER_PORTABLE) == 0;
}

int32_t tr_kv_region(struct tr_kv *kv, int32_t kind, uint32_t bytes_low, uint32_t bytes_high,
                     const char *name, int32_t create, int32_t device) {
  struct kv_region r = {0};
  r.kind = kind;
  r.bytes = whole(bytes_low, bytes_high);
  int32_t at = region_place(kv), code = TR_KV_ERR_BAD;
  if (at < 0) return at;
  if (r.bytes == 0 || r.bytes > (1ul << 46)) return kv_fail(kv, TR_KV_ERR_BAD, "no memory has such a size: give less");
  if (kind == TR_KV_HOST) code = region_map_host(&r);
  if (kind == TR_KV_SHARED) {
    int system = 0;
    code = region_map_shared(&r, name, create != 0, &system);
    if (system == KV_ENOSPC) code = TR_KV_ERR_NO_SPACE;
  }
  if (kind == TR_KV_DEVICE) {
    code = cuda_use(&kv->cuda, device);
    if (code == TR_KV_OK) {
      cu_result result = kv->cuda.cuMemAlloc(&r.device, r.bytes);
      if (result != 0) code = cuda_failed(&kv->cuda, "cuMemAlloc", result);
    }
    if (code != TR_KV_OK) return kv_fail(kv, code, kv->cuda.message);
  }
  if (code == TR_KV_ERR_FOREIGN) return kv_fail(kv, code, "the segment is smaller than it should be");
  if (code == TR_KV_ERR_NO_SPACE)
    return kv_fail(kv, code, "shared memory is full: give less, or mount a larger /dev/shm");
  if (code == TR_KV_ERR_SYSTEM)
    return kv_fail(kv, code, create ? "no segment: its name is taken, or /dev/shm is read-only"
                                    : "there is no such segment");
  if (code != TR_KV_OK) return kv_fail(kv, code, "so much memory is not free: give less");
  if (kind != TR_KV_DEVICE) region_pin(kv, &r);
  return region_added(kv, at, r);
}

static struct kv_region *region_of(struct tr_kv *kv, uint32_t region) {
  return region < TR_KV_MAX_REGIONS && kv->regions[region].open ? &kv->regions[region] : NULL;
}

int32_t tr_kv_region_free(struct tr_kv *kv, int32_t region) {
  struct kv_region *r = region_of(kv, (uint32_t)region);
  if (!r) return TR_KV_ERR_BAD;
  if (r->jobs > 0) return TR_KV_ERR_FULL;
  region_free(kv, r);
  return TR_KV_OK;
}

void *tr_kv_region_memory(struct tr_kv *kv, int32_t region) {
  struct kv_region *r = region_of(kv, (uint32_t)region);
  return r ? r->memory : NULL;
}

int32_t tr_kv_unlink(const char *name) {
  return shm_unlink(name) == 0 ? TR_KV_OK : file_error();
}

int32_t tr_kv_sweep(const char *name) { return region_sweep(name); }

void *tr_kv_map(const char *name, uint32_t bytes_low, uint32_t bytes_high) {
  struct kv_region r = {0};
  int system = 0;
  r.bytes = whole(bytes_low, bytes_high);
  return region_map_shared(&r, name, false, &system) == TR_KV_OK ? r.memory : NULL;
}

void tr_kv_unmap(void *memory, uint32_t bytes_low, uint32_t bytes_high) {
  munmap(memory, whole(bytes_low, bytes_high));
}

int32_t tr_kv_ipc_handle(struct tr_kv *kv, int32_t region, uint8_t *to) {
  struct kv_region *r = region_of(kv, (uint32_t)region);
  if (!r || r->kind != TR_KV_DEVICE || r->borrowed) return TR_KV_ERR_BAD;
  int32_t code = cuda_use(&kv->cuda, kv->cuda.device);
  if (code != TR_KV_OK) return code;
  cu_ipc_handle handle;
  cu_result result = kv->cuda.cuIpcGetMemHandle(&handle, r->device);
  if (result != 0)
    return kv_fail(kv, cuda_failed(&kv->cuda, "cuIpcGetMemHandle", result), kv->cuda.message);
  memcpy(to, handle.bytes, sizeof handle.bytes);
  return TR_KV_OK;
}

int32_t tr_kv_ipc_open(struct tr_kv *kv, const uint8_t *handle, uint32_t bytes_low,
                       uint32_t bytes_high, int32_t device) {
  struct kv_region r = {0};
  cu_ipc_handle copy;
  int32_t at = region_place(kv);
  if (at < 0) return at;
  r.kind = TR_KV_DEVICE;
  r.bytes = whole(bytes_low, bytes_high);
  r.borrowed = true;
  memcpy(copy.bytes, handle, sizeof copy.bytes);
  int32_t code = cuda_use(&kv->cuda, device);
  if (code != TR_KV_OK) return kv_fail(kv, code, kv->cuda.message);
  cu_result result = kv->cuda.cuIpcOpenMemHandle(&r.device, copy, CU_IPC_LAZY_PEER_ACCESS);
  if (result != 0)
    return kv_fail(kv, cuda_failed(&kv->cuda, "cuIpcOpenMemHandle", result), kv->cuda.message);
  return region_added(kv, at, r);
}

int32_t tr_kv_memory(struct tr_kv *kv, double *to) {
  for (int32_t kind = 0; kind < TR_KV_KINDS; kind++) {
    to[kind * 3] = (double)kv->memory[kind].bytes;
    to[kind * 3 + 1] = (double)kv->memory[kind].most;
    to[kind * 3 + 2] = (double)kv->memory[kind].regions;
  }
  return TR_KV_OK;
}

/* ── jobs ──────────────────────────────────────────────────────────────────────────────────── */

static bool job_reads(const struct tr_kv_job *j) {
  return j->kind == TR_KV_COPY || j->kind == TR_KV_STORE || j->kind == TR_KV_SUM;
}

static bool job_writes(const struct tr_kv_job *j) {
  return j->kind == TR_KV_COPY || j->kind == TR_KV_LOAD;
}

static bool job_files(const struct tr_kv_job *j) {
  return j->kind == TR_KV_STORE || j->kind == TR_KV_LOAD || j->kind == TR_KV_REMOVE;
}

static bool blocks_fit(const struct tr_kv_job *j, const struct kv_region *r, const uint32_t *blocks,
                       uint64_t block_stride, uint64_t plane_stride) {
  if (!r || !blocks) return false;
  if (job_files(j) && r->kind == TR_KV_DEVICE) return false;
  for (uint32_t i = 0; i < j->blocks; i++)
    if (!region_holds(r, blocks[i], block_stride, j->planes, plane_stride, j->plane_bytes))
      return false;
  return true;
}

static bool paths_fit(const struct tr_kv_job *j, const char *paths, int32_t bytes) {
  if (!paths || bytes <= 0 || bytes > KV_PATHS_BYTES || paths[bytes - 1] != 0) return false;
  uint32_t ends = 0;
  for (int32_t i = 0; i < bytes; i++) ends += paths[i] == 0;
  return ends == j->blocks;
}

static bool job_fits(struct tr_kv *kv, const struct tr_kv_job *j, const uint32_t *from,
                     const uint32_t *to, const char *paths, int32_t paths_bytes) {
  if (j->kind < TR_KV_COPY || j->kind > TR_KV_REMOVE) return false;
  if (j->blocks == 0 || j->blocks > TR_KV_MAX_BLOCKS) return false;
  if (job_files(j) && !paths_fit(j, paths, paths_bytes)) return false;
  if (j->kind == TR_KV_REMOVE) return true;
  if (j->planes == 0 || j->plane_bytes == 0) return false;
  if (job_reads(j) && !blocks_fit(j, region_of(kv, j->from), from, j->from_block_stride,
                                  j->from_plane_stride))
    return false;
  if (job_writes(j) &&
      !blocks_fit(j, region_of(kv, j->to), to, j->to_block_stride, j->to_plane_stride))
    return false;
  return !uses_device(kv, j) || job_bytes(j) <= CUDA_STAGING;
}

static struct kv_mover *mover_for(struct tr_kv *kv, const struct tr_kv_job *j) {
  struct kv_mover *best = &kv->movers[0];
  if (j->kind != TR_KV_REMOVE && uses_device(kv, j)) return best;
  for (int32_t i = 1; i < kv->n_movers; i++)
    if (kv->movers[i].n_idle > best->n_idle) best = &kv->movers[i];
  return best;
}

static void regions_count(struct tr_kv *kv, const struct tr_kv_job *j, int32_t by) {
  if (job_reads(j)) kv->regions[j->from].jobs += by;
  if (job_writes(j)) kv->regions[j->to].jobs += by;
}

int32_t tr_kv_submit(struct tr_kv *kv, const struct tr_kv_job *job, const uint32_t *from,
                     const uint32_t *to, const uint64_t *sums, const char *paths,
                     int32_t paths_bytes) {
  if (!job_fits(kv, job, from, to, paths, paths_bytes) || (job->verify && !sums))
    return kv_fail(kv, TR_KV_ERR_BAD, "the job does not fit its regions");
  struct kv_mover *m = mover_for(kv, job);
  if (m->n_idle == 0) return TR_KV_ERR_FULL;
  uint32_t at = m->idle[--m->n_idle];
  struct kv_task *t = &m->tasks[at];
  t->job = *job;
  if (job_reads(job)) memcpy(t->from, from, job->blocks * sizeof *from);
  if (job_writes(job)) memcpy(t->to, to, job->blocks * sizeof *to);
  memset(t->sums, 0, job->blocks * sizeof *t->sums);
  if (job->verify) memcpy(t->sums, sums, job->blocks * sizeof *sums);
  if (job_files(job)) memcpy(t->paths, paths, (size_t)paths_bytes);
  regions_count(kv, job, 1);
  ring_room(&m->todo, 1);
  ring_push(&m->todo, &at, 1);
  return TR_KV_OK;
}

int32_t tr_kv_done(struct tr_kv *kv, uint32_t *to, int32_t size) {
  int32_t words = 0;
  for (int32_t i = 0; i < kv->n_movers; i++) {
    struct kv_mover *m = &kv->movers[i];
    uint32_t at;
    while (size - words >= 3 + TR_KV_MAX_BLOCKS * 3 && ring_pop(&m->over, &at, 1) == 1) {
      const struct kv_task *t = &m->tasks[at];
      to[words++] = (uint32_t)t->job.id;
      to[words++] = (uint32_t)(t->job.id >> 32);
      to[words++] = t->job.blocks;
      for (uint32_t b = 0; b < t->job.blocks; b++) {
        to[words++] = (uint32_t)t->codes[b];
        to[words++] = (uint32_t)t->sums[b];
        to[words++] = (uint32_t)(t->sums[b] >> 32);
      }
      regions_count(kv, &t->job, -1);
      m->idle[m->n_idle++] = at;
    }
  }
  return words;
}

void tr_kv_sum(const void *bytes, uint32_t size, uint32_t *to) {
  uint64_t sum = xxh3(bytes, size);
  to[0] = (uint32_t)sum;
  to[1] = (uint32_t)(sum >> 32);
}
