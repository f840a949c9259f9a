/*
 * The part of llama.cpp's C API (include/llama.h, ggml/include/ggml-backend.h) that the shim uses,
 * of release v0.5.0, with pointers and enums reduced to what crosses the boundary. The functions
 * are looked up by name in the prebuilt library at run time; library.c checks at start that these
 * structs are the library's own.
 *
 * Copyright (c) 2023-2026 The ggml authors. MIT License:
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software
 * and associated documentation files (the "Software"), to deal in the Software without
 * restriction, including without limitation the rights to use, copy, modify, merge, publish,
 * distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
 * Software is furnished to do so, subject to the following conditions: The above copyright notice
 * and this permission notice shall be included in all copies or substantial portions of the
 * Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED,
 * INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE
 * AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
 */
#ifndef TROUPE_LLAMA_API_H
#define TROUPE_LLAMA_API_H

#include "libc.h"

#define LLAMA_API_RELEASE "v0.5.0"
/* LLAMA_MAX_SEQ of src/llama-cparams.h: sequence ids of a unified cache are 0..255. */
#define LLAMA_API_MAX_SEQ 256

struct llama_model;
struct llama_adapter_lora;
struct llama_context;
struct llama_vocab;
typedef struct llama_memory_i *llama_memory_t;
typedef int32_t llama_pos;
typedef int32_t llama_token;
typedef int32_t llama_seq_id;
typedef bool (*llama_progress_callback)(float progress, void *user_data);
typedef void (*ggml_log_callback)(int level, const char *text, void *user_data);

typedef struct llama_batch {
  int32_t n_tokens;
  llama_token *token;
  float *embd;
  llama_pos *pos;
  int32_t *n_seq_id;
  llama_seq_id **seq_id;
  int8_t *logits;
} llama_batch;

struct llama_model_params {
  void *devices;
  const void *tensor_buft_overrides;
  int32_t n_gpu_layers; /* negative: all */
  int32_t split_mode;
  int32_t load_mode;
  int32_t lazy_mode;
  int32_t main_gpu;
  const float *tensor_split;
  llama_progress_callback progress_callback;
  void *progress_callback_user_data;
  const void *kv_overrides;
  bool vocab_only;
  bool check_tensors;
  bool use_extra_bufts;
  bool no_host;
  bool no_alloc;
  bool load_mtp;
};

struct llama_context_params {
  uint32_t n_ctx;
  uint32_t n_batch;
  uint32_t n_ubatch;
  uint32_t n_seq_max;
  uint32_t n_rs_seq;
  uint32_t n_outputs_max;
  uint32_t n_outputs_max_per_seq;
  int32_t n_threads;
  int32_t n_threads_batch;
  int32_t ctx_type;
  int32_t rope_scaling_type;
  int32_t pooling_type;
  int32_t attention_type;
  int32_t flash_attn_type;
  float rope_freq_base;
  float rope_freq_scale;
  float yarn_ext_factor;
  float yarn_attn_factor;
  float yarn_beta_fast;
  float yarn_beta_slow;
  uint32_t yarn_orig_ctx;
  float defrag_thold;
  void *cb_eval;
  void *cb_eval_user_data;
  int32_t type_k;
  int32_t type_v;
  void *abort_callback;
  void *abort_callback_data;
  bool embeddings;
  bool offload_kqv;
  bool no_perf;
  bool op_offload;
  bool swa_full;
  bool kv_unified;
  void *samplers;
  size_t n_samplers;
  struct llama_context *ctx_other;
};

struct ggml_threadpool_params {
  bool cpumask[512];
  int32_t n_threads;
  int32_t prio;
  uint32_t poll;
  bool strict_cpu;
  bool paused;
};

#define LLAMA_API_TYPE_F16 1
#define LLAMA_API_TYPE_Q4_0 2
#define LLAMA_API_TYPE_Q8_0 8
#define LLAMA_API_POOLING_NONE 0
#define LLAMA_API_POOLING_MEAN 1
#define LLAMA_API_POOLING_CLS 2
#define LLAMA_API_POOLING_LAST 3
#define LLAMA_API_POOLING_RANK 4

/* X(return type, name, parameters): one line a function, so that table and lookup cannot differ. */
#define LLAMA_API_FUNCTIONS(X)                                                                    \
  X(void, ggml_backend_load_all_from_path, (const char *))                                        \
  X(size_t, ggml_backend_dev_count, (void))                                                       \
  X(void *, ggml_backend_dev_get, (size_t))                                                       \
  X(const char *, ggml_backend_dev_description, (void *))                                         \
  X(int, ggml_backend_dev_type, (void *))                                                         \
  X(void, ggml_backend_dev_memory, (void *, size_t *, size_t *))                                  \
  X(void *, ggml_backend_dev_backend_reg, (void *))                                               \
  X(void *, ggml_backend_reg_get_proc_address, (void *, const char *))                            \
  X(void, ggml_threadpool_params_init, (struct ggml_threadpool_params *, int))                    \
  X(size_t, ggml_type_size, (int))                                                                \
  X(int64_t, ggml_blck_size, (int))                                                               \
  X(const char *, llama_version, (void))                                                          \
  X(void, llama_log_set, (ggml_log_callback, void *))                                             \
  X(struct llama_model_params, llama_model_default_params, (void))                                \
  X(struct llama_context_params, llama_context_default_params, (void))                            \
  X(struct llama_model *, llama_model_load_from_file, (const char *, struct llama_model_params))  \
  X(void, llama_model_free, (struct llama_model *))                                               \
  X(struct llama_context *, llama_init_from_model,                                                \
    (struct llama_model *, struct llama_context_params))                                          \
  X(void, llama_free, (struct llama_context *))                                                   \
  X(void, llama_attach_threadpool, (struct llama_context *, void *, void *))                      \
  X(uint32_t, llama_n_ctx, (const struct llama_context *))                                        \
  X(llama_memory_t, llama_get_memory, (const struct llama_context *))                             \
  X(const struct llama_vocab *, llama_model_get_vocab, (const struct llama_model *))              \
  X(int32_t, llama_model_n_ctx_train, (const struct llama_model *))                               \
  X(int32_t, llama_model_n_embd, (const struct llama_model *))                                    \
  X(int32_t, llama_model_n_embd_out, (const struct llama_model *))                                \
  X(int32_t, llama_model_n_layer, (const struct llama_model *))                                   \
  X(int32_t, llama_model_n_head, (const struct llama_model *))                                    \
  X(int32_t, llama_model_n_head_kv, (const struct llama_model *))                                 \
  X(int32_t, llama_model_n_swa, (const struct llama_model *))                                     \
  X(int32_t, llama_model_meta_val_str,                                                            \
    (const struct llama_model *, const char *, char *, size_t))                                   \
  X(int32_t, llama_model_desc, (const struct llama_model *, char *, size_t))                      \
  X(uint64_t, llama_model_size, (const struct llama_model *))                                     \
  X(uint64_t, llama_model_n_params, (const struct llama_model *))                                 \
  X(bool, llama_model_has_encoder, (const struct llama_model *))                                  \
  X(bool, llama_model_has_decoder, (const struct llama_model *))                                  \
  X(bool, llama_model_is_recurrent, (const struct llama_model *))                                 \
  X(bool, llama_model_is_hybrid, (const struct llama_model *))                                    \
  X(bool, llama_model_is_diffusion, (const struct llama_model *))                                 \
  X(int32_t, llama_vocab_n_tokens, (const struct llama_vocab *))                                  \
  X(bool, llama_vocab_is_eog, (const struct llama_vocab *, llama_token))                          \
  X(int32_t, llama_vocab_get_attr, (const struct llama_vocab *, llama_token))                     \
  X(llama_token, llama_vocab_bos, (const struct llama_vocab *))                                   \
  X(llama_token, llama_vocab_eos, (const struct llama_vocab *))                                   \
  X(llama_token, llama_vocab_eot, (const struct llama_vocab *))                                   \
  X(bool, llama_vocab_get_add_bos, (const struct llama_vocab *))                                  \
  X(int32_t, llama_token_to_piece,                                                                \
    (const struct llama_vocab *, llama_token, char *, int32_t, int32_t, bool))                    \
  X(void, llama_memory_clear, (llama_memory_t, bool))                                             \
  X(bool, llama_memory_seq_rm, (llama_memory_t, llama_seq_id, llama_pos, llama_pos))              \
  X(void, llama_memory_seq_cp,                                                                    \
    (llama_memory_t, llama_seq_id, llama_seq_id, llama_pos, llama_pos))                           \
  X(llama_pos, llama_memory_seq_pos_min, (llama_memory_t, llama_seq_id))                          \
  X(llama_pos, llama_memory_seq_pos_max, (llama_memory_t, llama_seq_id))                          \
  X(size_t, llama_state_seq_get_size, (struct llama_context *, llama_seq_id))                     \
  X(size_t, llama_state_seq_get_data,                                                             \
    (struct llama_context *, uint8_t *, size_t, llama_seq_id))                                    \
  X(size_t, llama_state_seq_set_data,                                                             \
    (struct llama_context *, const uint8_t *, size_t, llama_seq_id))                              \
  X(llama_batch, llama_batch_init, (int32_t, int32_t, int32_t))                                   \
  X(void, llama_batch_free, (llama_batch))                                                        \
  X(int32_t, llama_decode, (struct llama_context *, llama_batch))                                 \
  X(void, llama_set_embeddings, (struct llama_context *, bool))                                   \
  X(struct llama_adapter_lora *, llama_adapter_lora_init, (struct llama_model *, const char *))    \
  X(void, llama_adapter_lora_free, (struct llama_adapter_lora *))                                 \
  X(int32_t, llama_set_adapters_lora,                                                             \
    (struct llama_context *, struct llama_adapter_lora **, size_t, float *))                      \
  X(float *, llama_get_logits_ith, (struct llama_context *, int32_t))                             \
  X(float *, llama_get_embeddings_ith, (struct llama_context *, int32_t))                         \
  X(float *, llama_get_embeddings_seq, (struct llama_context *, llama_seq_id))                    \
  X(uint32_t, llama_model_n_cls_out, (const struct llama_model *))                                \
  X(int32_t, llama_tokenize,                                                                      \
    (const struct llama_vocab *, const char *, int32_t, llama_token *, int32_t, bool, bool))

#endif
