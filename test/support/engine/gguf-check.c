/* native/load/gguf.c alone, without llama.cpp: for tests with files that no library should see. */
#include "../../../native/troupe.c"

/* ggml's types that the tests write: F32, F16, Q8_0, I8, F64. */
static int64_t check_block(int type) { return type == 8 ? 32 : 1; }
static size_t check_size(int type) {
  return type == 0 ? 4 : type == 1 ? 2 : type == 8 ? 34 : type == 24 ? 1 : type == 28 ? 8 : 0;
}

int32_t check_gguf(const char *path, char *message, int32_t size) {
  struct llama_api api = {0};
  struct gguf_facts facts = {0};
  api.ggml_blck_size = check_block;
  api.ggml_type_size = check_size;
  return gguf_check(path, &api, &facts, message, (size_t)size);
}
