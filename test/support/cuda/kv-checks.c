/*
 * Checks of native/kv in C alone, so that sanitizers see every byte: argument 1 is the stand-in for
 * the driver, 2 an empty folder. Prints one line and ends with 0, or says what failed and ends with 1.
 */
#include "../../../native/libc.h"
#include "../../../native/kv/kv.h"

#include "../../../native/load/memory.c"
#include "../../../native/ring.c"
#include "../../../native/kv/xxh3.c"
#include "../../../native/kv/region.c"
#include "../../../native/kv/file.c"
#include "../../../native/kv/cuda.c"
#include "../../../native/kv/carry.c"
#include "../../../native/kv/mover.c"
#include "../../../native/kv/api.c"

int printf(const char *format, ...);
void exit(int code);
int usleep(unsigned us);
ssize_t pwrite(int fd, const void *from, size_t size, int64_t offset);
int fflush(void *stream);

static int checks;
#define CHECK(condition)                                             \
  do {                                                               \
    checks++;                                                        \
    if (!(condition)) {                                              \
      printf("%s:%d: not %s\n", __FILE__, __LINE__, #condition);     \
      fflush(NULL);                                                  \
      exit(1);                                                       \
    }                                                                \
  } while (0)

static uint64_t seed = 1;
static uint32_t draw(uint32_t below) {
  seed = seed * 6364136223846793005ul + 1442695040888963407ul;
  return (uint32_t)(seed >> 33) % below;
}

static uint32_t record[3 + TR_KV_MAX_BLOCKS * 3 + 8];

/* Waits for one job, at most 20 s. */
static uint32_t *done(struct tr_kv *kv) {
  for (int i = 0; i < 20000; i++) {
    if (tr_kv_done(kv, record, sizeof record / 4) > 0) return record;
    usleep(1000);
  }
  CHECK(!"a job that never ended");
  return NULL;
}

static int32_t code_of(const uint32_t *r, uint32_t block) { return (int32_t)r[3 + block * 3]; }
static uint64_t sum_of(const uint32_t *r, uint32_t block) {
  return whole(r[4 + block * 3], r[5 + block * 3]);
}

static int32_t region(struct tr_kv *kv, int32_t kind, uint64_t bytes, const char *name) {
  return tr_kv_region(kv, kind, (uint32_t)bytes, (uint32_t)(bytes >> 32), name, 1, 0);
}

static void fill(uint8_t *at, uint64_t bytes) {
  for (uint64_t i = 0; i < bytes; i++) at[i] = (uint8_t)draw(256);
}

enum { BLOCKS = 12, PLANES = 6 };
#define PLANE 1600ul
#define BLOCK (PLANE * PLANES)
#define PADDED 12288ul

/* From a region whose layers are apart to contiguous blocks in a region of `kind`, and back. */
static void check_layouts(struct tr_kv *kv, int32_t kind, const char *name) {
  int32_t apart = region(kv, TR_KV_HOST, BLOCKS * BLOCK, NULL);
  int32_t whole_blocks = region(kv, kind, BLOCKS * PADDED, name);
  int32_t back = region(kv, TR_KV_HOST, BLOCKS * BLOCK, NULL);
  CHECK(apart >= 0 && whole_blocks >= 0 && back >= 0);
  uint8_t *a = tr_kv_region_memory(kv, apart), *b = tr_kv_region_memory(kv, back);
  uint32_t from[BLOCKS], to[BLOCKS];
  uint64_t sums[BLOCKS];
  fill(a, BLOCKS * BLOCK);
  for (uint32_t i = 0; i < BLOCKS; i++) from[i] = i, to[i] = BLOCKS - 1 - i;
  struct tr_kv_job out = {1,      PLANE, PLANE, BLOCKS * PLANE, PADDED,         PLANE, {0, 0}, TR_KV_COPY,
                          PLANES, BLOCKS, (uint32_t)apart, (uint32_t)whole_blocks, 0};
  CHECK(tr_kv_submit(kv, &out, from, to, NULL, NULL, 0) == TR_KV_OK);
  CHECK(tr_kv_region_free(kv, apart) == TR_KV_ERR_FULL || kv->regions[apart].jobs == 0);
  uint32_t *r = done(kv);
  CHECK(r[0] == 1 && r[2] == BLOCKS);
  for (uint32_t i = 0; i < BLOCKS; i++) {
    CHECK(code_of(r, i) == TR_KV_OK);
    sums[i] = sum_of(r, i);
  }
  for (uint32_t i = 0; i < BLOCKS; i++) {
    uint8_t one[BLOCK];
    for (uint32_t p = 0; p < PLANES; p++)
      memcpy(one + p * PLANE, a + p * BLOCKS * PLANE + i * PLANE, PLANE);
    CHECK(xxh3(one, BLOCK) == sums[i]);
  }
  struct tr_kv_job in = {2,      PLANE, PADDED, PLANE, PLANE, BLOCKS * PLANE, {0, 0}, TR_KV_COPY,
                         PLANES, BLOCKS, (uint32_t)whole_blocks, (uint32_t)back, 1};
  CHECK(tr_kv_submit(kv, &in, to, from, sums, NULL, 0) == TR_KV_OK);
  r = done(kv);
  for (uint32_t i = 0; i < BLOCKS; i++) CHECK(code_of(r, i) == TR_KV_OK);
  CHECK(memcmp(a, b, BLOCKS * BLOCK) == 0);
  sums[3] ^= 1;
  CHECK(tr_kv_submit(kv, &in, to, from, sums, NULL, 0) == TR_KV_OK);
  r = done(kv);
  for (uint32_t i = 0; i < BLOCKS; i++)
    CHECK(code_of(r, i) == (i == 3 ? TR_KV_ERR_CORRUPT : TR_KV_OK));
  CHECK(tr_kv_region_free(kv, apart) == TR_KV_OK);
  CHECK(tr_kv_region_free(kv, whole_blocks) == TR_KV_OK);
  CHECK(tr_kv_region_free(kv, back) == TR_KV_OK);
  if (kind == TR_KV_SHARED) CHECK(tr_kv_unlink(name) == TR_KV_OK);
}

/* Overwrites or cuts a file. */
static void spoil(const char *path, int64_t at, int64_t cut) {
  int fd = open(path, KV_O_RDWR);
  CHECK(fd >= 0);
  uint8_t byte = 0;
  if (cut >= 0) CHECK(ftruncate(fd, cut) == 0);
  else {
    CHECK(pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    CHECK(pwrite(fd, &byte, 1, at) == 1);
  }
  close(fd);
}

static void check_files(struct tr_kv *kv, const char *folder) {
  int32_t memory = region(kv, TR_KV_HOST, BLOCKS * PADDED, NULL);
  uint8_t *at = tr_kv_region_memory(kv, memory);
  char paths[BLOCKS * 300], path[BLOCKS][300];
  int32_t bytes = 0;
  uint32_t blocks[BLOCKS];
  uint8_t before[BLOCKS * PADDED];
  fill(at, BLOCKS * PADDED);
  memcpy(before, at, sizeof before);
  for (uint32_t i = 0; i < BLOCKS; i++) {
    blocks[i] = i;
    snprintf(path[i], sizeof path[i], "%s/%u.kv", folder, i);
    memcpy(paths + bytes, path[i], strlen(path[i]) + 1);
    bytes += (int32_t)strlen(path[i]) + 1;
  }
  struct tr_kv_job job = {3, BLOCK, PADDED, 0, PADDED, 0, {11, 12}, TR_KV_STORE, 1, BLOCKS,
                          (uint32_t)memory, (uint32_t)memory, 0};
  CHECK(tr_kv_submit(kv, &job, blocks, blocks, NULL, paths, bytes) == TR_KV_OK);
  uint32_t *r = done(kv);
  for (uint32_t i = 0; i < BLOCKS; i++) CHECK(code_of(r, i) == TR_KV_OK);
  memset(at, 0, BLOCKS * PADDED);
  spoil(path[0], TR_KV_ALIGN + 77, -1);       /* a bit of the block */
  spoil(path[1], 20, -1);                     /* a bit of the header */
  spoil(path[2], 0, TR_KV_ALIGN + 4096);      /* the end is missing */
  spoil(path[3], 0, 100);                     /* not even a header */
  spoil(path[4], 0, 0);                       /* empty */
  CHECK(unlink(path[5]) == 0);
  spoil(path[6], 0, -1);                      /* another kind of file */
  job.kind = TR_KV_LOAD;
  CHECK(tr_kv_submit(kv, &job, blocks, blocks, NULL, paths, bytes) == TR_KV_OK);
  r = done(kv);
  const int32_t wanted[] = {TR_KV_ERR_CORRUPT, TR_KV_ERR_TORN, TR_KV_ERR_TORN,   TR_KV_ERR_TORN,
                            TR_KV_ERR_TORN,    TR_KV_ERR_MISSING, TR_KV_ERR_FOREIGN};
  for (uint32_t i = 0; i < 7; i++) CHECK(code_of(r, i) == wanted[i]);
  for (uint32_t i = 7; i < BLOCKS; i++) {
    CHECK(code_of(r, i) == TR_KV_OK);
    CHECK(memcmp(at + i * PADDED, before + i * PADDED, BLOCK) == 0);
  }
  job.identity[0]++;
  CHECK(tr_kv_submit(kv, &job, blocks, blocks, NULL, paths, bytes) == TR_KV_OK);
  r = done(kv);
  for (uint32_t i = 7; i < BLOCKS; i++) CHECK(code_of(r, i) == TR_KV_ERR_FOREIGN);
  job.kind = TR_KV_STORE;
  char nowhere[64] = "/proc/no/such.kv";
  job.blocks = 1;
  CHECK(tr_kv_submit(kv, &job, blocks, blocks, NULL, nowhere, (int32_t)strlen(nowhere) + 1) == 0);
  CHECK(code_of(done(kv), 0) != TR_KV_OK);
  job.kind = TR_KV_REMOVE;
  job.blocks = BLOCKS;
  CHECK(tr_kv_submit(kv, &job, NULL, NULL, NULL, paths, bytes) == TR_KV_OK);
  r = done(kv);
  for (uint32_t i = 0; i < BLOCKS; i++)
    CHECK(code_of(r, i) == (i == 5 ? TR_KV_ERR_MISSING : TR_KV_OK));
  CHECK(tr_kv_region_free(kv, memory) == TR_KV_OK);
}

/* Jobs with any numbers at all: refused, or done within the regions. */
static void check_odd_jobs(struct tr_kv *kv) {
  int32_t a = region(kv, TR_KV_HOST, 65536, NULL), b = region(kv, TR_KV_HOST, 65536, NULL);
  const uint64_t sizes[] = {0, 1, 16, 4096, 65536, 65537, 1ul << 39, 1ul << 63, UINT64_MAX};
  uint32_t taken = 0;
  for (int i = 0; i < 20000; i++) {
    uint32_t blocks[TR_KV_MAX_BLOCKS];
    for (int k = 0; k < TR_KV_MAX_BLOCKS; k++)
      blocks[k] = draw(8) == 0 ? UINT32_MAX - draw(3) : draw(4);
    uint64_t n[5];
    for (int k = 0; k < 5; k++) n[k] = draw(3) ? draw(5000) : sizes[draw(9)];
    struct tr_kv_job j = {7, n[0], n[1], n[2], n[3], n[4], {0, 0}, draw(7),
                          draw(4) ? draw(5) : draw(UINT32_MAX),
                          draw(4) ? draw(5) : draw(UINT32_MAX), draw(4) ? (uint32_t)a : draw(70),
                          draw(4) ? (uint32_t)b : draw(70), draw(2)};
    uint64_t sums[TR_KV_MAX_BLOCKS] = {0};
    if (j.kind == TR_KV_STORE || j.kind == TR_KV_REMOVE) continue; /* they want paths */
    if (tr_kv_submit(kv, &j, blocks, blocks, sums, "x", 2) == TR_KV_OK) {
      taken++;
      done(kv);
    }
  }
  CHECK(taken > 100);
  CHECK(tr_kv_region_free(kv, a) == TR_KV_OK && tr_kv_region_free(kv, b) == TR_KV_OK);
  CHECK(tr_kv_region_free(kv, a) == TR_KV_ERR_BAD && tr_kv_region_free(kv, -1) == TR_KV_ERR_BAD);
}

typedef void (*fail_function)(const char *, int, int);
typedef void (*mend_function)(void);
typedef void (*held_function)(double *);

/* Every call of the driver fails once, with each kind of failure, and nothing is left behind. */
static void check_device_failures(const char *cuda) {
  void *library = dlopen(cuda, RTLD_NOW);
  fail_function fail = (fail_function)dlsym(library, "stand_in_fail");
  mend_function mend = (mend_function)dlsym(library, "stand_in_mend");
  held_function held = (held_function)dlsym(library, "stand_in_held");
  CHECK(fail && mend && held);
  const char *calls[] = {"cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxSetCurrent",
                         "cuStreamCreate", "cuModuleLoadData", "cuModuleGetFunction",
                         "cuMemAlloc_v2", "cuMemHostRegister_v2", "cuMemcpyHtoDAsync_v2",
                         "cuMemcpyDtoHAsync_v2", "cuLaunchKernel", "cuStreamSynchronize",
                         "cuIpcGetMemHandle", "cuIpcOpenMemHandle_v2"};
  const int codes[] = {2, 719};
  int failed = 0;
  for (uint32_t c = 0; c < sizeof calls / sizeof *calls; c++) {
    for (int k = 0; k < 2; k++) {
      struct tr_kv *kv = tr_kv_open(1, 4, cuda);
      fail(calls[c], 1, codes[k]);
      int32_t device = region(kv, TR_KV_DEVICE, BLOCKS * PADDED, NULL);
      int32_t host = region(kv, TR_KV_HOST, BLOCKS * PADDED, NULL);
      CHECK(host >= 0);
      uint32_t blocks[] = {0, 1, 2};
      struct tr_kv_job job = {9, PLANE, PADDED, PLANE, PADDED, PLANE, {0, 0}, TR_KV_COPY,
                              PLANES, 3, (uint32_t)host, (uint32_t)device, 0};
      bool bad = device < 0;
      if (device >= 0) {
        for (int way = 0; way < 2; way++) {
          CHECK(tr_kv_submit(kv, &job, blocks, blocks, NULL, NULL, 0) == TR_KV_OK);
          bad |= code_of(done(kv), 2) != TR_KV_OK;
          job.from = (uint32_t)device;
          job.to = (uint32_t)host;
        }
        uint8_t handle[64];
        bool given = tr_kv_ipc_handle(kv, device, handle) == TR_KV_OK;
        int32_t other = given ? tr_kv_ipc_open(kv, handle, BLOCKS * PADDED, 0, 0) : -1;
        bad |= other < 0;
        if (other >= 0) CHECK(tr_kv_region_free(kv, other) == TR_KV_OK);
      }
      failed += bad;
      tr_kv_close(kv);
      if (codes[k] == 719) mend();
      double left[5];
      held(left);
      for (int i = 0; i < 5; i++) CHECK(left[i] == 0);
    }
  }
  CHECK(failed >= 25);
}

static void check_limits(const char *cuda) {
  struct tr_kv *kv = tr_kv_open(1, 2, cuda);
  int32_t a = region(kv, TR_KV_HOST, 64ul << 20, NULL);
  uint32_t blocks[64];
  for (uint32_t i = 0; i < 64; i++) blocks[i] = i;
  struct tr_kv_job sum = {5, 1ul << 20, 1ul << 20, 0, 0, 0, {0, 0}, TR_KV_SUM, 1, 64, (uint32_t)a, 0, 0};
  int32_t code = TR_KV_OK;
  int taken = 0;
  while ((code = tr_kv_submit(kv, &sum, blocks, NULL, NULL, NULL, 0)) == TR_KV_OK && taken < 50) taken++;
  CHECK(code == TR_KV_ERR_FULL && taken >= 2);
  CHECK(tr_kv_region_free(kv, a) == TR_KV_ERR_FULL);
  double memory[TR_KV_MEMORY_COUNT];
  tr_kv_memory(kv, memory);
  CHECK(memory[0] == (double)(64ul << 20) && memory[2] == 1);
  CHECK(region(kv, TR_KV_DEVICE, 1ul << 40, NULL) == TR_KV_ERR_MEMORY);
  CHECK(region(kv, TR_KV_SHARED, 4096, "/troupe-kv-checks") >= 0);
  CHECK(region(kv, TR_KV_SHARED, 4096, "/troupe-kv-checks") == TR_KV_ERR_SYSTEM);
  CHECK(tr_kv_region(kv, TR_KV_SHARED, 8192, 0, "/troupe-kv-checks", 0, 0) == TR_KV_ERR_FOREIGN);
  CHECK(tr_kv_unlink("/troupe-kv-checks") == TR_KV_OK);
  CHECK(tr_kv_unlink("/troupe-kv-checks") == TR_KV_ERR_MISSING);
  tr_kv_close(kv); /* with jobs on their way */
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  struct tr_kv *kv = tr_kv_open(3, 8, argv[1]);
  check_layouts(kv, TR_KV_HOST, NULL);
  check_layouts(kv, TR_KV_SHARED, "/troupe-kv-layouts");
  check_layouts(kv, TR_KV_DEVICE, NULL);
  check_files(kv, argv[2]);
  check_odd_jobs(kv);
  double memory[TR_KV_MEMORY_COUNT];
  tr_kv_memory(kv, memory);
  for (int kind = 0; kind < TR_KV_KINDS; kind++) {
    CHECK(memory[kind * 3] == 0 && memory[kind * 3 + 2] == 0);
    CHECK(memory[kind * 3 + 1] >= (double)(BLOCKS * PADDED));
  }
  close(tr_kv_wake_fd(kv));
  tr_kv_close(kv);
  check_limits(argv[1]);
  check_device_failures(argv[1]);
  printf("%d checks\n", checks);
  return 0;
}
