/*
 * A stand-in for libcuda.so.1: the entry points that native/kv/cuda.c asks for, on host memory, so
 * that every path of a device runs on a machine without one. The kernel is not executed: its launch
 * does in C what the PTX text says. A "device" has STAND_IN_BYTES; addresses are host addresses.
 *
 * Failures are planned by name: stand_in_fail("cuMemAlloc_v2", 2, 2) lets the second call from now
 * fail with code 2 (out of memory). Code 719 (launch failed) loses the device: all later calls fail.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define API __attribute__((visibility("default")))
#define STAND_IN_BYTES (256u << 20)
#define MOST_ALLOCATIONS 256
#define OUT_OF_MEMORY 2
#define INVALID_VALUE 1
#define LAUNCH_FAILED 719

static struct {
  void *at;
  size_t bytes;
} allocations[MOST_ALLOCATIONS];
static size_t used;
static int pinned, contexts, streams, modules, lost;
static char failing[64];
static int fail_after, fail_code;

API void stand_in_fail(const char *call, int after, int code) {
  strncpy(failing, call, sizeof failing - 1);
  fail_after = after;
  fail_code = code;
}

/* Back to a device that works. Of a lost one the driver takes back what it held. */
API void stand_in_mend(void) {
  failing[0] = 0;
  if (!lost) return;
  lost = used = pinned = contexts = streams = modules = 0;
  for (int i = 0; i < MOST_ALLOCATIONS; i++) {
    free(allocations[i].at);
    allocations[i].at = NULL;
  }
}

/* What the process has not given back: bytes, pinned ranges, contexts, streams, modules. */
API void stand_in_held(double *to) {
  to[0] = (double)used;
  to[1] = pinned;
  to[2] = contexts;
  to[3] = streams;
  to[4] = modules;
}

static int planned(const char *call) {
  if (lost) return LAUNCH_FAILED;
  if (strcmp(call, failing) != 0 || --fail_after > 0) return 0;
  failing[0] = 0;
  if (fail_code == LAUNCH_FAILED) lost = 1;
  return fail_code;
}

#define PLANNED()                        \
  do {                                   \
    int code_ = planned(__func__);       \
    if (code_ != 0) return code_;        \
  } while (0)

API int cuInit(unsigned flags) {
  (void)flags;
  PLANNED();
  return 0;
}

API int cuDeviceGet(int *device, int ordinal) {
  PLANNED();
  if (ordinal != 0) return 101;
  *device = 0;
  return 0;
}

API int cuDevicePrimaryCtxRetain(void **context, int device) {
  (void)device;
  PLANNED();
  *context = &contexts;
  contexts++;
  return 0;
}

API int cuDevicePrimaryCtxRelease_v2(int device) {
  (void)device;
  contexts--;
  return 0;
}

API int cuCtxSetCurrent(void *context) {
  (void)context;
  PLANNED();
  return 0;
}

API int cuMemAlloc_v2(uint64_t *at, size_t bytes) {
  PLANNED();
  if (used + bytes > STAND_IN_BYTES) return OUT_OF_MEMORY;
  for (int i = 0; i < MOST_ALLOCATIONS; i++) {
    if (allocations[i].at) continue;
    void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (!memory) return OUT_OF_MEMORY;
    allocations[i].at = memory;
    allocations[i].bytes = bytes;
    used += bytes;
    *at = (uint64_t)(uintptr_t)memory;
    return 0;
  }
  return OUT_OF_MEMORY;
}

API int cuMemFree_v2(uint64_t at) {
  PLANNED();
  for (int i = 0; i < MOST_ALLOCATIONS; i++) {
    if (allocations[i].at != (void *)(uintptr_t)at) continue;
    free(allocations[i].at);
    used -= allocations[i].bytes;
    allocations[i].at = NULL;
    return 0;
  }
  return INVALID_VALUE;
}

API int cuMemHostRegister_v2(void *at, size_t bytes, unsigned flags) {
  (void)at, (void)bytes, (void)flags;
  PLANNED();
  pinned++;
  return 0;
}

API int cuMemHostUnregister(void *at) {
  (void)at;
  PLANNED();
  pinned--;
  return 0;
}

/* A range that does not lie in one allocation is the caller's fault, as on a device. */
static int holds(uint64_t at, size_t bytes) {
  for (int i = 0; i < MOST_ALLOCATIONS; i++) {
    uint64_t from = (uint64_t)(uintptr_t)allocations[i].at;
    if (from && at >= from && at + bytes <= from + allocations[i].bytes) return 1;
  }
  return 0;
}

API int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
  (void)stream;
  PLANNED();
  if (!holds(to, bytes)) return INVALID_VALUE;
  memcpy((void *)(uintptr_t)to, from, bytes);
  return 0;
}

API int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
  (void)stream;
  PLANNED();
  if (!holds(from, bytes)) return INVALID_VALUE;
  memcpy(to, (const void *)(uintptr_t)from, bytes);
  return 0;
}

API int cuStreamCreate(void **stream, unsigned flags) {
  (void)flags;
  PLANNED();
  *stream = &streams;
  streams++;
  return 0;
}

API int cuStreamDestroy_v2(void *stream) {
  (void)stream;
  streams--;
  return 0;
}

API int cuStreamSynchronize(void *stream) {
  (void)stream;
  PLANNED();
  return 0;
}

API int cuModuleLoadData(void **module, const void *image) {
  PLANNED();
  if (strncmp(image, ".version", 8) != 0) return 218;
  *module = &modules;
  modules++;
  return 0;
}

API int cuModuleUnload(void *module) {
  (void)module;
  modules--;
  return 0;
}

API int cuModuleGetFunction(void **function, void *module, const char *name) {
  PLANNED();
  if (strcmp(name, "tr_kv_move") != 0) return 500;
  *function = module;
  return 0;
}

/* Arguments as the PTX names them; grid: x vectors, y blocks, z planes. */
API int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                       unsigned by, unsigned bz, unsigned shared, void *stream, void **args,
                       void **extra) {
  (void)function, (void)gx, (void)bx, (void)by, (void)bz, (void)shared, (void)stream, (void)extra;
  PLANNED();
  uint64_t a[9];
  for (int i = 0; i < 9; i++) memcpy(&a[i], args[i], sizeof a[i]);
  const uint32_t *from = (const uint32_t *)(uintptr_t)a[2], *to = (const uint32_t *)(uintptr_t)a[3];
  for (unsigned b = 0; b < gy; b++) {
    for (unsigned p = 0; p < gz; p++) {
      uint64_t source = a[0] + from[b] * a[5] + p * a[6], target = a[1] + to[b] * a[7] + p * a[8];
      if (!holds(source, a[4] * 16) || !holds(target, a[4] * 16)) {
        lost = 1;
        return LAUNCH_FAILED;
      }
      memcpy((void *)(uintptr_t)target, (const void *)(uintptr_t)source, a[4] * 16);
    }
  }
  return 0;
}

typedef struct {
  uint8_t bytes[64];
} ipc_handle;

/* Within one process the "other side" sees the same memory. */
API int cuIpcGetMemHandle(ipc_handle *handle, uint64_t at) {
  PLANNED();
  memset(handle, 0, sizeof *handle);
  memcpy(handle->bytes, &at, sizeof at);
  return holds(at, 1) ? 0 : INVALID_VALUE;
}

API int cuIpcOpenMemHandle_v2(uint64_t *at, ipc_handle handle, unsigned flags) {
  (void)flags;
  PLANNED();
  memcpy(at, handle.bytes, sizeof *at);
  return holds(*at, 1) ? 0 : INVALID_VALUE;
}

API int cuIpcCloseMemHandle(uint64_t at) {
  (void)at;
  PLANNED();
  return 0;
}

API int cuGetErrorName(int code, const char **name) {
  *name = code == OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : code == INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE"
          : code == LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED"
                                  : "CUDA_ERROR_UNKNOWN";
  return 0;
}
