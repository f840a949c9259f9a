/*
 * Opening llama.cpp at run time, and being sure that it is the llama.cpp this shim was written
 * against: every function is there, the release is the one of llama_api.h, and the default
 * parameters, which the library fills in through ITS struct layout, read back as the release's
 * known defaults through OURS. A shifted field shows as a wrong default.
 */
struct llama_api {
#define X(type, name, parameters) type(*name) parameters;
  LLAMA_API_FUNCTIONS(X)
#undef X
};

/* The first complaint of llama.cpp since it was emptied: what follows only says "failed". */
static char library_complaint[400];

static void library_log(int level, const char *text, void *user_data) {
  (void)user_data;
  if (level == 2 && text) sizes_read(text); /* 2: information */
  if (level != 4 || library_complaint[0] || !text || text[0] == '\n') return; /* 4: error */
  snprintf(library_complaint, sizeof library_complaint, "%s", text);
  for (char *c = library_complaint; *c; c++)
    if (*c == '\n') *c = ' ';
}

static bool library_structs_match(const struct llama_api *api) {
  struct llama_model_params m = api->llama_model_default_params();
  struct llama_context_params c = api->llama_context_default_params();
  bool model = !m.devices && m.n_gpu_layers == -1 && m.split_mode == 1 && m.load_mode == -1 &&
               m.lazy_mode == 1 && m.main_gpu == 0 && !m.progress_callback && !m.kv_overrides &&
               !m.vocab_only && !m.check_tensors && m.use_extra_bufts && !m.no_host && !m.no_alloc;
  bool context = c.n_ctx == 512 && c.n_batch == 2048 && c.n_ubatch == 512 && c.n_seq_max == 1 &&
                 c.n_outputs_max_per_seq == 1 && c.n_threads == c.n_threads_batch &&
                 c.rope_scaling_type == -1 && c.pooling_type == -1 && c.attention_type == -1 &&
                 c.flash_attn_type == -1 && c.yarn_ext_factor == -1.0f &&
                 c.defrag_thold == -1.0f && !c.cb_eval && c.type_k == LLAMA_API_TYPE_F16 &&
                 c.type_v == LLAMA_API_TYPE_F16 && !c.abort_callback && !c.embeddings &&
                 c.offload_kqv && c.no_perf && c.op_offload && c.swa_full && !c.kv_unified &&
                 !c.samplers && c.n_samplers == 0 && !c.ctx_other;
  return model && context;
}

/* Fills `api` and loads the compute backends of `folder`. TR_OK or TR_ERR_LIBRARY with a line. */
static int32_t library_open(struct llama_api *api, const char *path, const char *folder,
                            char *message, size_t size) {
  void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    snprintf(message, size, "cannot open the llama.cpp library: %s; run `bun install` again",
             dlerror());
    return TR_ERR_LIBRARY;
  }
  const char *missing = NULL;
#define X(type, name, parameters)                      \
  *(void **)&api->name = dlsym(library, #name);        \
  if (!api->name && !missing) missing = #name;
  LLAMA_API_FUNCTIONS(X)
#undef X
  if (missing) {
    snprintf(message, size,
             "%s has no function %s: this build needs llama.cpp %s; run `bun install`", path,
             missing, LLAMA_API_RELEASE);
    return TR_ERR_LIBRARY;
  }
  const char *version = api->llama_version();
  /* The release's own build calls itself "0.5.0-dev". */
  if (strncmp(version, LLAMA_API_RELEASE + 1, strlen(LLAMA_API_RELEASE + 1)) != 0) {
    snprintf(message, size, "%s is llama.cpp %s: this build needs %s; run `bun install`", path,
             version, LLAMA_API_RELEASE);
    return TR_ERR_LIBRARY;
  }
  if (!library_structs_match(api)) {
    snprintf(message, size, "%s was built with other structs than llama.cpp %s; run `bun install`",
             path, LLAMA_API_RELEASE);
    return TR_ERR_LIBRARY;
  }
  api->llama_log_set(library_log, NULL);
  /* A second engine in one process must not register every device a second time. */
  if (api->ggml_backend_dev_count() == 0) api->ggml_backend_load_all_from_path(folder);
  if (api->ggml_backend_dev_count() == 0) {
    snprintf(message, size, "no compute backend for this processor in %s", folder);
    return TR_ERR_LIBRARY;
  }
  return TR_OK;
}
