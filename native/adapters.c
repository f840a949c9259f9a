/*
 * LoRA adapters, on the engine thread. A context has one set of adapters, so a decode computes the
 * sequences of one adapter (or of the model itself), and those of different ones take turns:
 *
 *   turn   a ─────── TURN_MS ───────▶ b ─────▶ (no work left) ─▶ a …
 *
 * Another set makes llama.cpp plan its graph anew, which is worth some steps of a small model: so a
 * turn lasts a while. Who waits, waits for the turns of the others. While all work is of one
 * adapter nothing is ever switched, and a model without adapters pays one comparison a step.
 */
#define TURN_MS 40.0

/* Embeddings and prompts that are scored need more than the last token's logits. */
static bool has_own_step(const struct slot *slot) { return slot->embed || scores_left(slot); }

static bool has_turn(const struct tr_engine *e, const struct seq *seq) {
  const struct slot *slot = &e->slots[seq->slot];
  return seq->live && !has_own_step(slot) && slot->request.adapter == e->turn;
}

/* Has the next adapter its turn? Embeds count as work of the model itself. */
static void pick_turn(struct tr_engine *e) {
  bool own = false, others = false;
  uint32_t next = 0, least = UINT32_MAX;
  for (uint32_t i = 0; i < e->max_seqs; i++) {
    if (!e->seqs[i].live || e->seqs[i].parked) continue; /* see masks.c */
    uint32_t place = e->slots[e->seqs[i].slot].request.adapter;
    own |= place == e->turn;
    others |= place != e->turn;
    /* The next place behind this one, round and round. */
    uint32_t ahead = (place + TR_MAX_ADAPTERS + 1 - e->turn) % (TR_MAX_ADAPTERS + 1);
    if (ahead > 0 && ahead < least) {
      least = ahead;
      next = place;
    }
  }
  if (!others) return;
  double now = now_ms();
  if (own && now - e->turn_ms < TURN_MS) return;
  e->turn = next;
  e->turn_ms = now;
}

static void adapter_activate(struct tr_engine *e, uint32_t place) {
  if (e->active == place) return;
  struct llama_adapter_lora *lora = place > 0 ? e->adapters[place - 1].lora : NULL;
  float scale = 1.0f;
  e->api.llama_set_adapters_lora(e->context, lora ? &lora : NULL, lora ? 1 : 0, &scale);
  e->active = place;
}

static void adapter_settle(struct tr_engine *e, struct adapter *adapter, int32_t outcome) {
  adapter->outcome = outcome;
  troupe_sem_post(&adapter->settled);
  engine_wake(e);
}

/* Reads the file; the library compares its shapes with the model's. */
static void adapter_load(struct tr_engine *e, uint32_t place) {
  struct adapter *adapter = &e->adapters[place - 1];
  struct gguf_facts facts;
  adapter->leaving = false;
  int32_t code = gguf_check(adapter->path, &e->api, &facts, adapter->message,
                            sizeof adapter->message);
  if (code == TR_OK) {
    library_complaint[0] = 0;
    adapter->lora = e->api.llama_adapter_lora_init(e->model, adapter->path);
    if (!adapter->lora)
      snprintf(adapter->message, sizeof adapter->message,
               "llama.cpp cannot load the adapter %s: %s", adapter->path,
               library_complaint[0] ? library_complaint : "no reason given");
  }
  adapter_settle(e, adapter, adapter->lora ? TR_ADAPTER_READY : TR_ADAPTER_FAILED);
}

static void adapter_leave(struct tr_engine *e, uint32_t place) {
  e->adapters[place - 1].leaving = true;
  e->n_leaving++;
}

/* Lets those go that no request uses any more. */
static void adapters_unload(struct tr_engine *e) {
  for (uint32_t i = 0; i < TR_MAX_ADAPTERS; i++) {
    struct adapter *adapter = &e->adapters[i];
    bool used = false;
    for (uint32_t s = 0; adapter->leaving && s < e->n_slots; s++)
      used |= e->slots[s].open && e->slots[s].request.adapter == i + 1;
    if (!adapter->leaving || used) continue;
    if (e->active == i + 1) adapter_activate(e, 0);
    if (e->turn == i + 1) e->turn = 0;
    e->api.llama_adapter_lora_free(adapter->lora);
    adapter->lora = NULL;
    adapter->leaving = false;
    e->n_leaving--;
    cache_forget_salt(&e->cache, adapter->salt);
    recent_clear(&e->recent); /* rare enough to forget the others as well */
    adapter_settle(e, adapter, TR_ADAPTER_EMPTY);
  }
}
