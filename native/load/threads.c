/*
 * Threads that stay from batch to batch. A context without them starts its threads for each batch
 * and ends them behind it. The engine's model and the draft model compute in turn, so one set
 * serves both. A library without the functions has none, and computes as before.
 */

/* Rounds of 131,072 looks for more work, some milliseconds, before a thread sleeps: as long as the
   engine needs between two batches, so that the next one waits for no waking. */
#define THREADS_POLL 1

static void *threads_function(const struct llama_api *api, const char *name) {
  for (size_t i = 0; i < api->ggml_backend_dev_count(); i++) {
    void *device = api->ggml_backend_dev_get(i);
    if (api->ggml_backend_dev_type(device) != 0) continue; /* 0: the processor */
    void *registry = api->ggml_backend_dev_backend_reg(device);
    return registry ? api->ggml_backend_reg_get_proc_address(registry, name) : NULL;
  }
  return NULL;
}

static void threads_attach(struct tr_engine *e, struct llama_context *context) {
  if (e->compute_threads)
    e->api.llama_attach_threadpool(context, e->compute_threads, e->compute_threads);
}

/* With the engine's context made. */
static void threads_start(struct tr_engine *e) {
  struct ggml_threadpool_params params;
  void *(*start)(struct ggml_threadpool_params *);
  *(void **)&start = threads_function(&e->api, "ggml_threadpool_new");
  if (!start || !threads_function(&e->api, "ggml_threadpool_free") || e->threads < 2) return;
  e->api.ggml_threadpool_params_init(&params, (int)e->threads);
  params.poll = THREADS_POLL;
  e->compute_threads = start(&params);
  threads_attach(e, e->context);
}

/* With the contexts gone; the library may be missing. */
static void threads_end(struct tr_engine *e) {
  void (*end)(void *);
  if (!e->compute_threads) return;
  *(void **)&end = threads_function(&e->api, "ggml_threadpool_free");
  end(e->compute_threads);
  e->compute_threads = NULL;
}
