/*
 * What llama.cpp has taken memory for since `sizes` was emptied, in bytes, as its log says it: nothing
 * else tells which weights it laid out anew, and where.
 */
static struct {
  double mapped; /* weights in the file's pages */
  double own;    /* laid out for this processor, in memory of this process */
  double gpu;
  double cache;
  double buffers; /* of a batch: what is computed on the way, and its logits */
} sizes;

static bool sizes_names(const char *text, const char *end, const char *name) {
  size_t length = strlen(name);
  return (size_t)(end - text) >= length && memcmp(end - length, name, length) == 0;
}

/* As `load_tensors:   CPU_Mapped model buffer size =   235.16 MiB`. */
static void sizes_read(const char *text) {
  const char *end = strstr(text, " buffer size =");
  if (!end) return;
  double bytes = strtod(end + strlen(" buffer size ="), NULL) * 1024 * 1024;
  if (sizes_names(text, end, "_Mapped model")) sizes.mapped += bytes;
  else if (sizes_names(text, end, " model") && strstr(text, " CPU")) sizes.own += bytes;
  else if (sizes_names(text, end, " model")) sizes.gpu += bytes;
  else if (sizes_names(text, end, " KV") || sizes_names(text, end, " RS")) sizes.cache += bytes;
  else if (sizes_names(text, end, " output") || sizes_names(text, end, " compute"))
    sizes.buffers += bytes;
}
