/* native/drafts/prompt-share.c for tests: costs go in, and the parts of prompts come out. */
#include "../../../native/troupe.c"

#define BATCH_TOKENS 4096

static struct tr_engine engine;

/*
 * An engine that knows `step_ms`, of batches of 1 to 64, and `token_ms`, of prompts' tokens by
 * PROMPT_DEPTHS depths. Held costs and those that were seen are the same. `given`: a person chose the
 * chunk.
 */
void check_engine(const double *step_ms, const double *token_ms, int32_t chunk, int32_t alone,
                  int32_t target_ms, int32_t given) {
  memset(&engine, 0, sizeof engine);
  for (int32_t i = 0; i < 64; i++) engine.cost.ms[i + 1] = step_ms[i];
  engine.held.batch = engine.cost;
  memcpy(engine.held.prompt.ms, token_ms, sizeof engine.held.prompt.ms);
  prompt_begin(&engine.prompt, &engine.held.prompt);
  engine.prefill_chunk = (uint32_t)chunk;
  engine.prefill_alone = (uint32_t)alone;
  engine.batch_tokens = BATCH_TOKENS;
  engine.parts_apart = true;
  engine.options[TR_OPT_ITL_TARGET_MS] = target_ms;
  engine.options[TR_OPT_PREFILL_CHUNK] = given ? chunk : 0;
}

/* Tokens that `n` prompts have in one step, of which `left` are left behind `from` others. */
int32_t check_step(int32_t decoding, int32_t n, const int32_t *from, const int32_t *left,
                   int32_t *to) {
  struct prompt_room room = prompt_room(&engine, (uint32_t)decoding, (uint32_t)n);
  int32_t sum = 0;
  for (int32_t i = 0; i < n; i++) {
    to[i] = (int32_t)prompt_take(&room, (uint32_t)from[i], (uint32_t)left[i], i == 0);
    sum += to[i];
  }
  return sum;
}

/* `n` steps of prompts alone were seen, with the ms that they took; writes what a token costs by
   depth, and says whether that is another cost than the one that is held. */
int32_t check_learn(int32_t n, const double *tokens, const double *cells, const double *ms,
                    double *to) {
  for (int32_t i = 0; i < n; i++)
    prompt_saw(&engine, (uint32_t)tokens[i], cells[i] * tokens[i], 0, ms[i]);
  memcpy(to, engine.prompt.cost.ms, sizeof engine.prompt.cost.ms);
  return prompt_is_off(&engine.held.prompt, &engine.prompt.cost);
}
