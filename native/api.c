/* The calls JavaScript makes. None waits: they copy, push a command or pop a record. */

int32_t tr_abi(void) { return TR_ABI; }

static char *api_copy(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = malloc(size);
  if (copy) memcpy(copy, text, size);
  return copy;
}

static void api_discard(struct tr_engine *e) {
  free(e->library_path);
  free(e->folder);
  free(e->model_path);
  free(e->draft_path);
  free(e->costs_folder);
  if (e->wake_read >= 0) close(e->wake_read);
  if (e->wake_write >= 0) close(e->wake_write);
  for (uint32_t i = 0; i < TR_MASK_LANES; i++) {
    struct mask_lane *lane = &e->mask_lanes[i];
    if (lane->read >= 0) close(lane->read);
    if (lane->write >= 0) close(lane->write);
    ring_free(&lane->wanted);
    ring_free(&lane->made);
    free(lane->guess_masks);
    free(lane->guess_walks);
  }
  for (uint32_t i = 0; e->slots && i < e->n_slots; i++) free(e->slots[i].predicted);
  free(e->slots);
  free(e->seqs);
  free(e->waiting);
  free(e->token_memory);
  free(e->bias_memory);
  free(e->block_memory);
  free(e->match_memory);
  free(e->mask_memory);
  free(e->share);
  free(e->embed_sums);
  free(e->record);
  free(e->ends);
  ring_free(&e->commands);
  ring_free(&e->results);
  troupe_sem_free(&e->nudge);
  news_free(&e->cache.news);
  troupe_sem_free(&e->settled);
  troupe_sem_free(&e->notices);
  for (uint32_t i = 0; i < TR_MAX_ADAPTERS; i++) {
    free(e->adapters[i].path);
    if (e->adapters_ready) troupe_sem_free(&e->adapters[i].settled);
  }
  free(e);
}

struct tr_engine *tr_open(const char *llama_library, const char *folder, const char *model,
                          const char *draft_model, const char *costs_folder,
                          const int32_t *options) {
  struct tr_engine *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  int fds[2 + 2 * TR_MASK_LANES];
  const int n_fds = sizeof fds / sizeof *fds;
  for (int i = 0; i < n_fds; i++) fds[i] = -1;
  int failed = troupe_sem_init(&e->settled) | troupe_sem_init(&e->nudge);
  failed |= troupe_sem_init(&e->notices);
  for (int i = 0; i < n_fds; i += 2) failed |= pipe(fds + i);
  for (uint32_t i = 0; i < TR_MAX_ADAPTERS; i++) failed |= troupe_sem_init(&e->adapters[i].settled);
  e->adapters_ready = true;
  e->wake_read = fds[0];
  e->wake_write = fds[1];
  for (uint32_t i = 0; i < TR_MASK_LANES; i++) {
    e->mask_lanes[i].read = fds[2 + 2 * i];
    e->mask_lanes[i].write = fds[3 + 2 * i];
  }
  e->library_path = api_copy(llama_library);
  e->folder = api_copy(folder);
  e->model_path = api_copy(model);
  e->draft_path = api_copy(draft_model);
  e->costs_folder = api_copy(costs_folder);
  memcpy(e->options, options, sizeof e->options);
  e->state = e->outcome = TR_LOADING;
  for (int i = 0; i < n_fds && !failed; i++)
    failed = fcntl(fds[i], F_SETFL, O_NONBLOCK) | fcntl(fds[i], F_SETFD, FD_CLOEXEC);
  if (failed || !e->library_path || !e->folder || !e->model_path || !e->draft_path ||
      !e->costs_folder ||
      pthread_create(&e->thread, NULL, engine_main, e) != 0) {
    api_discard(e);
    return NULL;
  }
  return e;
}

int32_t tr_state(struct tr_engine *e, int32_t *permille) {
  while (troupe_sem_try(&e->settled)) e->state = e->outcome;
  if (permille) *permille = e->permille;
  return e->state;
}

int32_t tr_message(struct tr_engine *e, char *to, int32_t size) {
  if (e->state == TR_LOADING || size <= 0) return 0;
  int32_t length = snprintf(to, (size_t)size, "%s", e->message);
  return length < size ? length : size - 1;
}

int32_t tr_notice(struct tr_engine *e, char *to, int32_t size) {
  if (size <= 0 || !troupe_sem_try(&e->notices)) return 0;
  int32_t length = snprintf(to, (size_t)size, "%s", e->notice);
  return length < size ? length : size - 1;
}

int32_t tr_numbers(struct tr_engine *e, double *to) {
  if (tr_state(e, NULL) != TR_READY) return TR_ERR_NOT_READY;
  memcpy(to, e->numbers, sizeof e->numbers);
  return TR_OK;
}

int32_t tr_stats(struct tr_engine *e, double *to) {
  for (int i = 0; i < TR_STAT_COUNT; i++) to[i] = e->stats[i];
  return TR_OK;
}

int32_t tr_wake_fd(struct tr_engine *e) { return e->wake_read; }

static int32_t api_refusal(struct tr_engine *e, const int32_t *tokens, uint32_t n_tokens,
                           uint32_t more) {
  if (tr_state(e, NULL) != TR_READY)
    return e->state == TR_LOADING ? TR_ERR_NOT_READY : TR_ERR_CLOSED;
  if (e->closing) return TR_ERR_CLOSED;
  if (n_tokens == 0) return TR_ERR_BAD_REQUEST;
  if (n_tokens > e->context_length || more > e->context_length - n_tokens)
    return TR_ERR_CONTEXT_OVERFLOW;
  for (uint32_t i = 0; i < n_tokens; i++)
    if ((uint32_t)tokens[i] >= e->n_vocab) return TR_ERR_BAD_REQUEST;
  return TR_OK;
}

static int32_t api_take_slot(struct tr_engine *e) {
  for (uint32_t s = 0; s < e->n_slots; s++)
    if (!e->slots[s].taken) return (int32_t)s;
  return -1;
}

static void api_send(struct tr_engine *e, uint32_t command, int32_t slot) {
  uint32_t words[2] = {command, (uint32_t)slot};
  ring_room(&e->commands, 2); /* always: a submit and a cancel for each slot fit, see load.c */
  ring_push(&e->commands, words, 2);
  troupe_sem_post(&e->nudge);
}

/* Without memory for them there are no guesses: the answer is the same. */
static void api_keep_predicted(struct tr_engine *e, struct slot *slot, const int32_t *predicted) {
  uint32_t n = e->speculates ? slot->request.n_predicted : 0;
  if (n > e->context_length) n = e->context_length;
  free(slot->predicted);
  slot->predicted = n > 0 ? malloc(n * sizeof *predicted) : NULL;
  slot->request.n_predicted = slot->predicted ? n : 0;
  if (slot->predicted) memcpy(slot->predicted, predicted, n * sizeof *predicted);
}

int32_t tr_submit(struct tr_engine *e, const struct tr_request *request, const int32_t *tokens,
                  const int32_t *stop, const int32_t *bias_tokens, const float *bias_values,
                  const int32_t *predicted) {
  int32_t refusal = api_refusal(e, tokens, request->n_tokens, request->max_tokens);
  if (refusal != TR_OK) return refusal;
  if (e->pools_only) return TR_ERR_NOT_SUPPORTED;
  if (request->n_prompt == 0 || request->n_prompt > request->n_tokens ||
      request->n_stop > TR_MAX_STOP || request->n_bias > TR_MAX_BIAS ||
      request->logprobs > TR_MAX_TOP || request->adapter > TR_MAX_ADAPTERS ||
      !scores_valid(request))
    return TR_ERR_BAD_REQUEST;
  if (request->adapter > 0 && tr_adapter_state(e, request->adapter) != TR_ADAPTER_READY)
    return TR_ERR_NOT_SUPPORTED;
  for (uint32_t i = 0; i < request->n_bias; i++)
    if ((uint32_t)bias_tokens[i] >= e->n_vocab) return TR_ERR_BAD_REQUEST;
  for (uint32_t i = 0; i < request->n_predicted; i++)
    if ((uint32_t)predicted[i] >= e->n_vocab) return TR_ERR_BAD_REQUEST;
  int32_t s = api_take_slot(e);
  if (s < 0) return TR_ERR_QUEUE_FULL;
  struct slot *slot = &e->slots[s];
  slot->request = *request;
  api_keep_predicted(e, slot, predicted);
  slot->embed = false;
  slot->taken = true;
  slot->cancel_sent = false;
  memcpy(slot->tokens, tokens, request->n_tokens * sizeof *tokens);
  memcpy(slot->stop, stop, request->n_stop * sizeof *stop);
  memcpy(slot->bias_tokens, bias_tokens, request->n_bias * sizeof *bias_tokens);
  memcpy(slot->bias_values, bias_values, request->n_bias * sizeof *bias_values);
  api_send(e, COMMAND_SUBMIT, s);
  return TR_OK;
}

static bool api_pools(const struct tr_engine *e, int32_t kind) {
  bool ranks = e->pooling == LLAMA_API_POOLING_RANK;
  if (kind == TR_POOL_CLASSES) return ranks;
  if (kind == TR_POOL_TOKENS) return !ranks && e->n_embd > 0;
  bool pooled = kind == TR_POOL_UNIT || kind == TR_POOL_RAW;
  return pooled && !ranks && e->n_embd > 0 && e->pooling != LLAMA_API_POOLING_NONE;
}

int32_t tr_embed(struct tr_engine *e, uint32_t handle, const int32_t *tokens, uint32_t n_tokens,
                 int32_t kind) {
  int32_t refusal = api_refusal(e, tokens, n_tokens, 0);
  if (refusal != TR_OK) return refusal;
  if (!api_pools(e, kind)) return TR_ERR_NOT_SUPPORTED;
  int32_t s = api_take_slot(e);
  if (s < 0) return TR_ERR_QUEUE_FULL;
  struct slot *slot = &e->slots[s];
  memset(&slot->request, 0, sizeof slot->request);
  slot->request.handle = handle;
  slot->request.n_tokens = slot->request.n_prompt = n_tokens;
  slot->embed = true;
  slot->pool = kind;
  slot->taken = true;
  slot->cancel_sent = false;
  memcpy(slot->tokens, tokens, n_tokens * sizeof *tokens);
  api_send(e, COMMAND_SUBMIT, s);
  return TR_OK;
}

int32_t tr_cancel(struct tr_engine *e, uint32_t handle) {
  for (uint32_t s = 0; e->state == TR_READY && s < e->n_slots; s++) {
    struct slot *slot = &e->slots[s];
    if (!slot->taken || slot->cancel_sent || slot->request.handle != handle) continue;
    slot->cancel_sent = true;
    api_send(e, COMMAND_CANCEL, (int32_t)s);
    break;
  }
  return TR_OK;
}

int32_t tr_mask_again(struct tr_engine *e, uint32_t lane) {
  if (lane >= TR_MASK_LANES) return TR_ERR_BAD_REQUEST;
  if (tr_state(e, NULL) != TR_READY || e->closing) return TR_ERR_CLOSED;
  if (!ring_room(&e->commands, 2 + e->n_slots * 6 + TR_MAX_MOVES * 3 + 9)) return TR_ERR_QUEUE_FULL;
  api_send(e, COMMAND_MASKS, (int32_t)lane);
  return TR_OK;
}

int32_t tr_clear(struct tr_engine *e) {
  if (tr_state(e, NULL) != TR_READY || e->closing) return TR_ERR_CLOSED;
  /* What is kept free for the others: see load.c. */
  if (!ring_room(&e->commands, 2 + e->n_slots * 6 + TR_MAX_MOVES * 3 + 9)) return TR_ERR_QUEUE_FULL;
  api_send(e, COMMAND_CLEAR, 0);
  return TR_OK;
}

static struct adapter *api_adapter(struct tr_engine *e, uint32_t place) {
  return place > 0 && place <= TR_MAX_ADAPTERS ? &e->adapters[place - 1] : NULL;
}

/* Loads and unloads are rare, so they leave the ring to the others; see load.c. */
static bool api_adapter_room(struct tr_engine *e) {
  return ring_room(&e->commands, 2 + e->n_slots * 6 + TR_MAX_MOVES * 3 + 9);
}

int32_t tr_adapter_load(struct tr_engine *e, uint32_t place, const char *path) {
  struct adapter *adapter = api_adapter(e, place);
  if (tr_state(e, NULL) != TR_READY || e->closing) return TR_ERR_CLOSED;
  if (e->pools_only) return TR_ERR_NOT_SUPPORTED;
  if (!adapter || (tr_adapter_state(e, place) != TR_ADAPTER_EMPTY &&
                   tr_adapter_state(e, place) != TR_ADAPTER_FAILED))
    return TR_ERR_BAD_REQUEST;
  if (!api_adapter_room(e)) return TR_ERR_QUEUE_FULL;
  free(adapter->path);
  adapter->path = api_copy(path);
  if (!adapter->path) return TR_ERR_MEMORY;
  adapter->state = TR_ADAPTER_BUSY;
  api_send(e, COMMAND_ADAPTER_LOAD, (int32_t)place);
  return TR_OK;
}

int32_t tr_adapter_unload(struct tr_engine *e, uint32_t place, uint64_t *salt) {
  if (tr_state(e, NULL) != TR_READY || e->closing) return TR_ERR_CLOSED;
  struct adapter *adapter = api_adapter(e, place);
  if (!adapter || tr_adapter_state(e, place) != TR_ADAPTER_READY) return TR_ERR_BAD_REQUEST;
  if (!api_adapter_room(e)) return TR_ERR_QUEUE_FULL;
  adapter->salt = *salt;
  adapter->state = TR_ADAPTER_BUSY;
  api_send(e, COMMAND_ADAPTER_UNLOAD, (int32_t)place);
  return TR_OK;
}

int32_t tr_adapter_state(struct tr_engine *e, uint32_t place) {
  struct adapter *adapter = api_adapter(e, place);
  if (!adapter) return TR_ERR_BAD_REQUEST;
  while (troupe_sem_try(&adapter->settled)) adapter->state = adapter->outcome;
  return adapter->state;
}

int32_t tr_adapter_message(struct tr_engine *e, uint32_t place, char *to, int32_t size) {
  struct adapter *adapter = api_adapter(e, place);
  if (!adapter || size <= 0 || tr_adapter_state(e, place) != TR_ADAPTER_FAILED) return 0;
  int32_t length = snprintf(to, (size_t)size, "%s", adapter->message);
  return length < size ? length : size - 1;
}

#include "blocks/calls.c"

int32_t tr_poll(struct tr_engine *e, uint32_t *to, int32_t size, int32_t max_records) {
  int32_t at = 0, state = tr_state(e, NULL);
  if (state != TR_READY && state != TR_ERR_ENGINE) return 0;
  /* The first word of a record is the slot it ends, plus one; it becomes the record's length. */
  while (max_records-- > 0) {
    uint32_t n = ring_pop(&e->results, to + at, (uint32_t)(size - at));
    if (n == 0) break;
    if (to[at] > 0) e->slots[to[at] - 1].taken = false;
    if (to[at + 1] == TR_REC_MOVED) move_over(e, to[at + 2]);
    to[at] = n;
    at += (int32_t)n;
  }
  return at;
}

int32_t tr_kv_poll(struct tr_engine *e, uint32_t *to, int32_t size) {
  int32_t at = 0;
  if (tr_state(e, NULL) != TR_READY) return 0;
  for (;;) {
    uint32_t n = ring_pop(&e->cache.news.ring, to + at, (uint32_t)(size - at));
    if (n == 0) return at;
    /* Nothing was pushed behind the mark: the list finds an empty ring, and asks once. */
    if (to[at + 1] == TR_REC_KV_LOST && !e->closing) api_send(e, COMMAND_KV_LIST, 0);
    to[at] = n;
    at += (int32_t)n;
  }
}

int32_t tr_close(struct tr_engine *e) {
  if (e->closing) return TR_OK;
  e->closing = 1;
  if (tr_state(e, NULL) != TR_READY) return TR_OK;
  api_send(e, COMMAND_CLOSE, 0);
  troupe_sem_post(&e->results.freed); /* it may be asleep there; it looks at `closing` first */
  return TR_OK;
}

int32_t tr_free(struct tr_engine *e) {
  tr_close(e);
  pthread_join(e->thread, NULL);
  api_discard(e);
  return TR_OK;
}

int32_t tr_tokenize(struct tr_engine *e, const char *text, int32_t length, int32_t *to,
                    int32_t size, int32_t add_special, int32_t parse_special) {
  if (tr_state(e, NULL) != TR_READY) return 0;
  return e->api.llama_tokenize(e->vocab, text, length, to, size, add_special != 0,
                               parse_special != 0);
}
