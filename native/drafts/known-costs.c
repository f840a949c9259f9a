/*
 * What batches cost, from one start to the next: a file for each machine, model and setting, in a
 * folder of COST_FILES at most. So the second start measures nothing.
 *
 *   key ─hash─▶ one of COST_FILES names ─▶ { key, costs, checksum }     renamed there when whole
 *
 * What prompts cost is learned while they are computed, and written again when none is.
 * A file with another key, with a wrong checksum or with numbers that cannot be is as none; two
 * keys of one name take turns. Costs that a busy machine made implausible are not kept.
 */
#define COST_FILES 64
#define COST_KEY_BYTES 512
/* A batch of n that takes longer than so many times n batches of one was measured badly. */
#define COST_PLAUSIBLE 1.1
#define COST_MS_MOST 600000.0
/* Of a model's file, from its beginning: what it is stands there. */
#define COST_HEAD_BYTES 65536

struct cost_file {
  char key[COST_KEY_BYTES]; /* all of its bytes, zeros behind the text */
  struct known_costs costs;
  uint64_t sum; /* of all before it */
};

static uint64_t cost_hash(const void *from, size_t size) {
  uint64_t h = 14695981039346656037ul;
  for (size_t i = 0; i < size; i++) h = (h ^ ((const uint8_t *)from)[i]) * 1099511628211ul;
  return h ^ h >> 32;
}

/* Size and beginning of the file; 0: it cannot be read any more. */
static uint64_t cost_file_id(const char *path) {
  uint64_t id = 0;
  char *head = malloc(COST_HEAD_BYTES);
  int fd = open(path, O_RDONLY);
  if (fd >= 0 && head) {
    ssize_t got = pread(fd, head, COST_HEAD_BYTES, 0);
    if (got > 0) id = cost_hash(head, (size_t)got) ^ (uint64_t)lseek(fd, 0, SEEK_END);
  }
  if (fd >= 0) close(fd);
  free(head);
  return id;
}

/*
 * All that batches of this context, "engine" or "draft", cost by. False: they are not to be kept.
 */
static bool cost_key(const struct tr_engine *e, const char *of, const char *path, uint32_t threads,
                     int32_t kv_type, char *key) {
  uint64_t id = e->costs_folder[0] ? cost_file_id(path) : 0;
  memset(key, 0, COST_KEY_BYTES);
  if (id == 0) return false;
  snprintf(key, COST_KEY_BYTES,
           "troupe %d, %s, llama.cpp %s, %zu devices, %s, cores %d, threads %u, GPU layers %d, "
           "KV type %d, sequences %u, file %llx",
           TR_ABI, of, LLAMA_API_RELEASE, e->api.ggml_backend_dev_count(),
           e->api.ggml_backend_dev_description(e->api.ggml_backend_dev_get(0)),
           e->options[TR_OPT_CORES], threads, e->options[TR_OPT_GPU_LAYERS], kv_type, e->max_seqs,
           (unsigned long long)id);
  return true;
}

static void cost_path(const struct tr_engine *e, const char *key, char *to, size_t size) {
  unsigned place = (unsigned)(cost_hash(key, COST_KEY_BYTES) % COST_FILES);
  snprintf(to, size, "%s/%02u.costs", e->costs_folder, place);
}

static bool cost_is_one(double ms) { return ms >= 0 && ms < COST_MS_MOST; }

static bool cost_is_plausible(const struct known_costs *costs) {
  const double *ms = costs->batch.ms;
  if (!(ms[1] > 0)) return false;
  for (uint32_t n = 1; n <= COST_MOST; n++)
    if (!cost_is_one(ms[n]) || ms[n] > COST_PLAUSIBLE * ms[1] * n) return false;
  for (uint32_t i = 0; i < PROMPT_DEPTHS; i++)
    if (!cost_is_one(costs->prompt.ms[i])) return false;
  return true;
}

static bool cost_read(const struct tr_engine *e, const char *key, struct known_costs *costs) {
  struct cost_file file;
  char path[1024];
  cost_path(e, key, path, sizeof path);
  int fd = open(path, O_RDONLY);
  if (fd < 0) return false;
  ssize_t got = read(fd, &file, sizeof file);
  char more;
  bool whole = got == (ssize_t)sizeof file && read(fd, &more, 1) == 0;
  close(fd);
  if (!whole || file.sum != cost_hash(&file, sizeof file - sizeof file.sum) ||
      memcmp(file.key, key, COST_KEY_BYTES) != 0 || !cost_is_plausible(&file.costs))
    return false;
  *costs = file.costs;
  return true;
}

/* A folder that cannot be written costs a measurement at each start, and nothing else. */
static void cost_write(const struct tr_engine *e, const char *key,
                       const struct known_costs *costs) {
  struct cost_file file;
  char path[1024], partial[1100];
  if (!cost_is_plausible(costs)) return;
  memset(&file, 0, sizeof file);
  memcpy(file.key, key, COST_KEY_BYTES);
  file.costs = *costs;
  file.sum = cost_hash(&file, sizeof file - sizeof file.sum);
  cost_path(e, key, path, sizeof path);
  /* Engines of one process write beside each other, too. */
  snprintf(partial, sizeof partial, "%s.%d.%llx", path, getpid(), (unsigned long long)(size_t)e);
  mkdir(e->costs_folder, 0700);
  int fd = open(partial, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0) return;
  bool written = write(fd, &file, sizeof file) == (ssize_t)sizeof file;
  written = close(fd) == 0 && written;
  if (!written || rename(partial, path) != 0) unlink(partial);
}

static bool cost_key_of_engine(const struct tr_engine *e, char *key) {
  return cost_key(e, "engine", e->model_path, e->threads, e->options[TR_OPT_KV_TYPE], key);
}

/* The costs of the engine's model: known, or measured now. */
static void cost_begin(struct tr_engine *e) {
  char key[COST_KEY_BYTES];
  bool keeps = cost_key_of_engine(e, key);
  e->costs_known = keeps && cost_read(e, key, &e->held);
  if (e->costs_known) {
    e->cost = e->held.batch;
  } else {
    cost_measure(e);
    e->held.batch = e->cost;
    e->held.prompt.ms[0] = cost_measure_prompt(e);
    if (keeps) cost_write(e, key, &e->held);
  }
  prompt_begin(&e->prompt, &e->held.prompt);
}

/* No prompt is under way: what was seen of prompts is held from now on, and kept, where it was
   another. */
static void cost_rest(struct tr_engine *e) {
  char key[COST_KEY_BYTES];
  if (e->held.batch.ms[1] == 0) return; /* nobody goes by costs here */
  if (e->prompt.fresh < PROMPT_ENOUGH || !prompt_is_off(&e->held.prompt, &e->prompt.cost)) return;
  e->held.prompt = e->prompt.cost;
  e->prompt.fresh = 0;
  if (cost_key_of_engine(e, key)) cost_write(e, key, &e->held);
}
