/*
 * Regions: the memory that blocks lie in, counted by kind.
 *
 * A shared segment is named, so that it outlives the process that filled it: whoever made it (the
 * machine's keeper of blocks) removes the name, and the system gives the memory back when nobody
 * maps it. The maker holds a lock on it, which ends with the process however that ends: a segment
 * that can be locked is left over.
 */
int shm_open(const char *name, int flags, ...);
int shm_unlink(const char *name);
int ftruncate(int fd, int64_t bytes);
int posix_fallocate(int fd, int64_t offset, int64_t bytes);
int flock(int fd, int operation);
#define KV_LOCK_NOW (2 | 4) /* exclusive, and without waiting */
#define KV_PROT_RW 3
#define KV_MAP_SHARED 1
#define KV_MAP_PRIVATE 2
#define KV_O_RDWR 2
#if defined(__APPLE__)
#define KV_O_CREAT 0x200
#define KV_O_EXCL 0x800
#define KV_MAP_ANONYMOUS 0x1000
#else
#define KV_O_CREAT 0100
#define KV_O_EXCL 0200
#define KV_MAP_ANONYMOUS 0x20
#endif
#define KV_MAP_FAILED ((void *)-1)

struct kv_region {
  bool open;
  int32_t kind;
  uint64_t bytes;
  uint8_t *memory;  /* host and shared */
  uint64_t device;  /* address on the device */
  bool registered;  /* pinned for the device */
  bool borrowed;    /* another process's device memory */
  int lock;         /* of a shared one's maker: its file, locked for as long as the maker lives */
  int32_t jobs;     /* that use it and are on their way; JavaScript thread */
};

struct kv_memory {
  uint64_t bytes;
  uint64_t most;
  uint32_t regions;
};

static void memory_add(struct kv_memory *m, uint64_t bytes) {
  m->bytes += bytes;
  m->regions++;
  if (m->bytes > m->most) m->most = m->bytes;
}

static void memory_take(struct kv_memory *m, uint64_t bytes) {
  m->bytes -= bytes;
  m->regions--;
}

/* Pages of this process, zeroed by their first use. */
static int region_map_host(struct kv_region *r) {
  void *at = mmap(NULL, r->bytes, KV_PROT_RW, KV_MAP_PRIVATE | KV_MAP_ANONYMOUS, -1, 0);
  if (at == KV_MAP_FAILED) return TR_KV_ERR_MEMORY;
  r->memory = at;
  return TR_KV_OK;
}

/*
 * Space is reserved when the segment is made: without that a full /dev/shm would end the process
 * that touches a page for the first time (SIGBUS), in the middle of a block.
 */
static int region_map_shared(struct kv_region *r, const char *name, bool create, int *system) {
  *system = 0;
  /* /dev/shm may be larger than what is free: the system would end processes to fill it. */
  if (create && r->bytes > memory_available()) return TR_KV_ERR_MEMORY;
  int fd = shm_open(name, KV_O_RDWR | (create ? KV_O_CREAT | KV_O_EXCL : 0), 0600);
  if (fd < 0) return TR_KV_ERR_SYSTEM;
  int failed = 0;
#if defined(__APPLE__)
  if (create) failed = ftruncate(fd, (int64_t)r->bytes) != 0 ? -1 : 0;
#else
  if (create) failed = posix_fallocate(fd, 0, (int64_t)r->bytes);
#endif
  *system = failed;
  bool small = !create && lseek(fd, 0, SEEK_END) < (int64_t)r->bytes;
  void *at = KV_MAP_FAILED;
  if (failed == 0 && !small) at = mmap(NULL, r->bytes, KV_PROT_RW, KV_MAP_SHARED, fd, 0);
  r->lock = -1;
  if (at != KV_MAP_FAILED) {
    r->memory = at;
    if (create && flock(fd, KV_LOCK_NOW) == 0) r->lock = fd;
    else close(fd);
    return TR_KV_OK;
  }
  close(fd);
  if (create) shm_unlink(name);
  return small ? TR_KV_ERR_FOREIGN : TR_KV_ERR_MEMORY;
}

static bool region_holds(const struct kv_region *r, uint64_t block, uint64_t block_stride,
                         uint64_t planes, uint64_t plane_stride, uint64_t plane_bytes) {
  /* Each below 2^40, so that no product of two wraps. */
  const uint64_t most = 1ul << 40;
  if (block_stride > most || plane_stride > most || plane_bytes > most) return false;
  if (planes == 0 || planes > (1u << 20) || block > (1u << 23)) return false;
  return block * block_stride + (planes - 1) * plane_stride + plane_bytes <= r->bytes;
}

/* A segment whose maker is gone loses its name. 1: it had one. */
static int32_t region_sweep(const char *name) {
  int fd = shm_open(name, KV_O_RDWR, 0600);
  if (fd < 0) return 0;
  bool left = flock(fd, KV_LOCK_NOW) == 0;
  if (left) shm_unlink(name);
  close(fd);
  return left ? 1 : 0;
}
