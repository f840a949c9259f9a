/*
 * A CUDA device by the driver's own library, opened at run time: there is nothing to link, and a
 * machine without a GPU never looks for it. One device, one stream; the mover that owns it is the
 * only thread that copies, so nothing here is locked.
 *
 * The kernel is PTX text: the driver makes code of it for whatever device there is.
 */
typedef uint64_t cu_address;
typedef int32_t cu_result;
typedef struct {
  uint8_t bytes[64];
} cu_ipc_handle;

#define CU_OUT_OF_MEMORY 2
#define CU_IPC_LAZY_PEER_ACCESS 1
#define CU_HOST_REGISTER_PORTABLE 1

struct cuda {
  void *library;
  cu_result (*cuInit)(uint32_t flags);
  cu_result (*cuDeviceGet)(int32_t *device, int32_t ordinal);
  cu_result (*cuDevicePrimaryCtxRetain)(void **context, int32_t device);
  cu_result (*cuDevicePrimaryCtxRelease)(int32_t device);
  cu_result (*cuCtxSetCurrent)(void *context);
  cu_result (*cuMemAlloc)(cu_address *at, size_t bytes);
  cu_result (*cuMemFree)(cu_address at);
  cu_result (*cuMemHostRegister)(void *at, size_t bytes, uint32_t flags);
  cu_result (*cuMemHostUnregister)(void *at);
  cu_result (*cuMemcpyHtoDAsync)(cu_address to, const void *from, size_t bytes, void *stream);
  cu_result (*cuMemcpyDtoHAsync)(void *to, cu_address from, size_t bytes, void *stream);
  cu_result (*cuStreamCreate)(void **stream, uint32_t flags);
  cu_result (*cuStreamDestroy)(void *stream);
  cu_result (*cuStreamSynchronize)(void *stream);
  cu_result (*cuModuleLoadData)(void **module, const void *image);
  cu_result (*cuModuleUnload)(void *module);
  cu_result (*cuModuleGetFunction)(void **function, void *module, const char *name);
  cu_result (*cuLaunchKernel)(void *function, uint32_t gx, uint32_t gy, uint32_t gz, uint32_t bx,
                              uint32_t by, uint32_t bz, uint32_t shared, void *stream, void **args,
                              void **extra);
  cu_result (*cuIpcGetMemHandle)(cu_ipc_handle *handle, cu_address at);
  cu_result (*cuIpcOpenMemHandle)(cu_address *at, cu_ipc_handle handle, uint32_t flags);
  cu_result (*cuIpcCloseMemHandle)(cu_address at);
  cu_result (*cuGetErrorName)(cu_result code, const char **name);

  int32_t device; /* -1: none is open */
  void *context;
  void *stream;
  void *module;
  void *move;
  cu_address staging; /* on the device: blocks plane by plane, and behind them two index lists */
  uint8_t *pinned;    /* of this process, the same size */
  cu_address index;
  bool registered; /* `pinned` is pinned */
  bool ready;      /* the library is open and has every function */
  bool lost;       /* a call failed that says the device is gone: nothing more is asked of it */
  char message[256];
};

#define CUDA_STAGING (16u << 20)

/* Moves 16-byte vectors: block y, plane z, as many threads a plane as x has. */
static const char CUDA_PTX[] =
    ".version 6.0\n"
    ".target sm_50\n"
    ".address_size 64\n"
    ".visible .entry tr_kv_move(\n"
    "  .param .u64 p_from, .param .u64 p_to, .param .u64 p_from_blocks, .param .u64 p_to_blocks,\n"
    "  .param .u64 p_vectors, .param .u64 p_from_block, .param .u64 p_from_plane,\n"
    "  .param .u64 p_to_block, .param .u64 p_to_plane)\n"
    "{\n"
    "  .reg .pred %p;\n"
    "  .reg .b32 %r<8>;\n"
    "  .reg .b64 %d<24>;\n"
    "  ld.param.u64 %d0, [p_from];\n"
    "  ld.param.u64 %d1, [p_to];\n"
    "  ld.param.u64 %d2, [p_from_blocks];\n"
    "  ld.param.u64 %d3, [p_to_blocks];\n"
    "  ld.param.u64 %d4, [p_vectors];\n"
    "  mov.u32 %r0, %ctaid.y;\n"
    "  mul.wide.u32 %d5, %r0, 4;\n"
    "  add.u64 %d6, %d2, %d5;\n"
    "  add.u64 %d7, %d3, %d5;\n"
    "  ld.global.u32 %r1, [%d6];\n"
    "  ld.global.u32 %r2, [%d7];\n"
    "  mov.u32 %r3, %ctaid.z;\n"
    "  cvt.u64.u32 %d8, %r1;\n"
    "  cvt.u64.u32 %d9, %r2;\n"
    "  cvt.u64.u32 %d10, %r3;\n"
    "  ld.param.u64 %d11, [p_from_block];\n"
    "  ld.param.u64 %d12, [p_from_plane];\n"
    "  ld.param.u64 %d13, [p_to_block];\n"
    "  ld.param.u64 %d14, [p_to_plane];\n"
    "  mad.lo.u64 %d0, %d8, %d11, %d0;\n"
    "  mad.lo.u64 %d0, %d10, %d12, %d0;\n"
    "  mad.lo.u64 %d1, %d9, %d13, %d1;\n"
    "  mad.lo.u64 %d1, %d10, %d14, %d1;\n"
    "  mov.u32 %r4, %ctaid.x;\n"
    "  mov.u32 %r5, %ntid.x;\n"
    "  mov.u32 %r6, %tid.x;\n"
    "  mad.lo.u32 %r4, %r4, %r5, %r6;\n"
    "  cvt.u64.u32 %d15, %r4;\n"
    "  mov.u32 %r7, %nctaid.x;\n"
    "  mul.wide.u32 %d16, %r5, %r7;\n"
    "next:\n"
    "  setp.ge.u64 %p, %d15, %d4;\n"
    "  @%p bra done;\n"
    "  shl.b64 %d17, %d15, 4;\n"
    "  add.u64 %d18, %d0, %d17;\n"
    "  add.u64 %d19, %d1, %d17;\n"
    "  ld.global.v2.u64 {%d20, %d21}, [%d18];\n"
    "  st.global.v2.u64 [%d19], {%d20, %d21};\n"
    "  add.u64 %d15, %d15, %d16;\n"
    "  bra next;\n"
    "done:\n"
    "  ret;\n"
    "}\n";

static int cuda_failed(struct cuda *c, const char *what, cu_result code) {
  const char *name = NULL;
  if (c->cuGetErrorName) c->cuGetErrorName(code, &name);
  snprintf(c->message, sizeof c->message, "%s: %s (%d)", what, name ? name : "error", (int)code);
  if (code == CU_OUT_OF_MEMORY) return TR_KV_ERR_MEMORY;
  c->lost = true;
  return TR_KV_ERR_DEVICE;
}

#define CUDA_TRY(call)                                    \
  do {                                                    \
    cu_result code_ = c->call;                            \
    if (code_ != 0) return cuda_failed(c, #call, code_);  \
  } while (0)

static bool cuda_symbols(struct cuda *c) {
  const struct {
    const char *name;
    void **to;
  } wanted[] = {
      {"cuInit", (void **)&c->cuInit},
      {"cuDeviceGet", (void **)&c->cuDeviceGet},
      {"cuDevicePrimaryCtxRetain", (void **)&c->cuDevicePrimaryCtxRetain},
      {"cuDevicePrimaryCtxRelease_v2", (void **)&c->cuDevicePrimaryCtxRelease},
      {"cuCtxSetCurrent", (void **)&c->cuCtxSetCurrent},
      {"cuMemAlloc_v2", (void **)&c->cuMemAlloc},
      {"cuMemFree_v2", (void **)&c->cuMemFree},
      {"cuMemHostRegister_v2", (void **)&c->cuMemHostRegister},
      {"cuMemHostUnregister", (void **)&c->cuMemHostUnregister},
      {"cuMemcpyHtoDAsync_v2", (void **)&c->cuMemcpyHtoDAsync},
      {"cuMemcpyDtoHAsync_v2", (void **)&c->cuMemcpyDtoHAsync},
      {"cuStreamCreate", (void **)&c->cuStreamCreate},
      {"cuStreamDestroy_v2", (void **)&c->cuStreamDestroy},
      {"cuStreamSynchronize", (void **)&c->cuStreamSynchronize},
      {"cuModuleLoadData", (void **)&c->cuModuleLoadData},
      {"cuModuleUnload", (void **)&c->cuModuleUnload},
      {"cuModuleGetFunction", (void **)&c->cuModuleGetFunction},
      {"cuLaunchKernel", (void **)&c->cuLaunchKernel},
      {"cuIpcGetMemHandle", (void **)&c->cuIpcGetMemHandle},
      {"cuIpcOpenMemHandle_v2", (void **)&c->cuIpcOpenMemHandle},
      {"cuIpcCloseMemHandle", (void **)&c->cuIpcCloseMemHandle},
      {"cuGetErrorName", (void **)&c->cuGetErrorName},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    *wanted[i].to = dlsym(c->library, wanted[i].name);
    if (*wanted[i].to) continue;
    snprintf(c->message, sizeof c->message, "the driver has no %s: it is too old", wanted[i].name);
    return false;
  }
  return true;
}

/* Opens the library and looks for its functions. The device is opened by its first region. */
static int cuda_open(struct cuda *c, const char *path) {
  memset(c, 0, sizeof *c);
  c->device = -1;
  c->library = dlopen(path, RTLD_NOW);
  if (!c->library) {
    snprintf(c->message, sizeof c->message, "cannot open %s: there is no CUDA driver here", path);
    return TR_KV_ERR_NO_DEVICE;
  }
  c->ready = cuda_symbols(c);
  return c->ready ? TR_KV_OK : TR_KV_ERR_NO_DEVICE;
}

static int cuda_start(struct cuda *c, int32_t device) {
  int32_t handle = 0;
  CUDA_TRY(cuInit(0));
  CUDA_TRY(cuDeviceGet(&handle, device));
  CUDA_TRY(cuDevicePrimaryCtxRetain(&c->context, handle));
  c->device = device;
  CUDA_TRY(cuCtxSetCurrent(c->context));
  CUDA_TRY(cuStreamCreate(&c->stream, 1));
  CUDA_TRY(cuModuleLoadData(&c->module, CUDA_PTX));
  CUDA_TRY(cuModuleGetFunction(&c->move, c->module, "tr_kv_move"));
  CUDA_TRY(cuMemAlloc(&c->staging, CUDA_STAGING));
  CUDA_TRY(cuMemAlloc(&c->index, TR_KV_MAX_BLOCKS * 2 * sizeof(uint32_t)));
  void *at = mmap(NULL, CUDA_STAGING, KV_PROT_RW, KV_MAP_PRIVATE | KV_MAP_ANONYMOUS, -1, 0);
  if (at == KV_MAP_FAILED) return TR_KV_ERR_MEMORY;
  c->pinned = at;
  CUDA_TRY(cuMemHostRegister(c->pinned, CUDA_STAGING, CU_HOST_REGISTER_PORTABLE));
  c->registered = true;
  return TR_KV_OK;
}

/* Everything back, as far as the driver still answers. */
static void cuda_close(struct cuda *c) {
  if (c->device >= 0) {
    c->cuCtxSetCurrent(c->context);
    if (c->registered) c->cuMemHostUnregister(c->pinned);
    if (c->pinned) munmap(c->pinned, CUDA_STAGING);
    if (c->index) c->cuMemFree(c->index);
    if (c->staging) c->cuMemFree(c->staging);
    if (c->module) c->cuModuleUnload(c->module);
    if (c->stream) c->cuStreamDestroy(c->stream);
    c->cuDevicePrimaryCtxRelease(c->device);
  }
  c->device = -1;
  c->registered = false;
  c->pinned = NULL;
  c->index = c->staging = 0;
  c->module = c->stream = NULL;
}

/*
 * Makes the device this thread's; the first call opens it, whole or not at all. A device that could
 * not be opened may be there later; one that failed while it worked is not asked again.
 */
static int cuda_use(struct cuda *c, int32_t device) {
  if (c->lost) return TR_KV_ERR_DEVICE;
  if (!c->ready || device < 0) return TR_KV_ERR_NO_DEVICE;
  if (c->device < 0) {
    int code = cuda_start(c, device);
    if (code == TR_KV_OK) return code;
    cuda_close(c);
    c->lost = false;
    return code == TR_KV_ERR_MEMORY ? code : TR_KV_ERR_NO_DEVICE;
  }
  if (c->device != device) return TR_KV_ERR_NO_DEVICE;
  CUDA_TRY(cuCtxSetCurrent(c->context));
  return TR_KV_OK;
}

/* What one launch moves: both sides on the device. */
struct cuda_move {
  cu_address from, to;
  const uint32_t *from_blocks, *to_blocks;
  uint32_t blocks, planes;
  uint64_t plane_bytes, from_block, from_plane, to_block, to_plane;
};

static bool cuda_fits(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
  return ((a | b | c | d | e) & 15) == 0;
}

/* Starts it on the stream; who needs the bytes waits for the stream. */
static int cuda_launch(struct cuda *c, const struct cuda_move *m) {
  if (!cuda_fits(m->plane_bytes, m->from_block, m->from_plane, m->to_block, m->to_plane))
    return TR_KV_ERR_BAD;
  size_t bytes = m->blocks * sizeof(uint32_t);
  cu_address from_index = c->index, to_index = c->index + TR_KV_MAX_BLOCKS * sizeof(uint32_t);
  CUDA_TRY(cuMemcpyHtoDAsync(from_index, m->from_blocks, bytes, c->stream));
  CUDA_TRY(cuMemcpyHtoDAsync(to_index, m->to_blocks, bytes, c->stream));
  uint64_t vectors = m->plane_bytes / 16;
  struct cuda_move copy = *m;
  void *args[] = {&copy.from,       &copy.to,         &from_index,    &to_index,     &vectors,
                  &copy.from_block, &copy.from_plane, &copy.to_block, &copy.to_plane};
  uint64_t groups = (vectors + 255) / 256;
  if (groups > 32) groups = 32;
  CUDA_TRY(cuLaunchKernel(c->move, (uint32_t)groups, m->blocks, m->planes, 256, 1, 1, 0, c->stream,
                          args, NULL));
  /* The index lists are this call's: the next launch overwrites them on the same stream. */
  return TR_KV_OK;
}

static const uint32_t *cuda_counting(void) {
  static uint32_t numbers[TR_KV_MAX_BLOCKS];
  if (numbers[1] == 0)
    for (uint32_t i = 0; i < TR_KV_MAX_BLOCKS; i++) numbers[i] = i;
  return numbers;
}

/* Device → `c->pinned`, plane behind plane, block behind block. */
static int cuda_gather(struct cuda *c, cu_address from, const struct tr_kv_job *job,
                       const uint32_t *blocks, uint32_t n) {
  uint64_t block = job->planes * job->plane_bytes;
  struct cuda_move m = {from, c->staging, blocks, cuda_counting(), n, job->planes, job->plane_bytes,
                        job->from_block_stride, job->from_plane_stride, block, job->plane_bytes};
  int code = cuda_launch(c, &m);
  if (code != TR_KV_OK) return code;
  CUDA_TRY(cuMemcpyDtoHAsync(c->pinned, c->staging, n * block, c->stream));
  CUDA_TRY(cuStreamSynchronize(c->stream));
  return TR_KV_OK;
}

/* The way back. */
static int cuda_scatter(struct cuda *c, cu_address to, const struct tr_kv_job *job,
                        const uint32_t *blocks, uint32_t n) {
  uint64_t block = job->planes * job->plane_bytes;
  CUDA_TRY(cuMemcpyHtoDAsync(c->staging, c->pinned, n * block, c->stream));
  struct cuda_move m = {c->staging, to, cuda_counting(), blocks, n, job->planes, job->plane_bytes,
                        block, job->plane_bytes, job->to_block_stride, job->to_plane_stride};
  int code = cuda_launch(c, &m);
  if (code != TR_KV_OK) return code;
  CUDA_TRY(cuStreamSynchronize(c->stream));
  return TR_KV_OK;
}
