/*
 * A program for the address sanitizer: many answers of an engine with a draft model, more than it
 * runs at once, some cancelled, some of one prompt, and then its end. Arguments: the folder of
 * libllama, its file, two models, TR_OPT_SPECULATE, TR_OPT_DRAFT_FAIL_AT. Prints what was counted
 * as JSON.
 */
#include "../../../native/troupe.c"
int printf(const char *format, ...);
int usleep(unsigned us);

#define ANSWERS 60
#define AT_ONCE 12
#define WORDS 65536

static uint32_t records[WORDS];

static bool ask(struct tr_engine *e, uint32_t h) {
  int32_t tokens[128], none[1] = {0};
  float nothing[1] = {0};
  bool same = h % 6 == 0; /* choices of one long prompt */
  struct tr_request r = {.seed = h, .handle = h, .logprobs = h % 2 ? -1 : 3, .top_p = 1};
  r.n_tokens = r.n_prompt = same ? 120 : 10 + h % 40;
  r.max_tokens = same ? 60 : 40 + h * 7 % 100;
  r.choice = h;
  r.ignore_eos = h % 3 != 0;
  r.temperature = h % 2 ? 0 : 0.8f;
  r.typical_p = 1;
  r.repetition_penalty = h % 4 ? 1 : 1.2f;
  for (uint32_t i = 0; i < r.n_tokens; i++)
    tokens[i] = (int32_t)(((same ? 7 : h * 13) + i * i * 31) % 250);
  return tr_submit(e, &r, tokens, none, none, nothing, none) == TR_OK;
}

int main(int count, char **given) {
  int32_t options[TR_OPT_COUNT] = {0}, permille;
  uint32_t asked = 0, ended = 0, made = 0;
  char text[1024];
  double stats[TR_STAT_COUNT];
  if (count < 7) return 2;
  options[TR_OPT_THREADS] = options[TR_OPT_CORES] = 2; /* threads that stay */
  options[TR_OPT_CONTEXT_LENGTH] = 256;
  options[TR_OPT_KV_TOKENS] = 512;
  options[TR_OPT_MAX_SEQS] = 8;
  options[TR_OPT_SPECULATE] = (int32_t)strtol(given[5], NULL, 10);
  options[TR_OPT_DRAFT_FAIL_AT] = (int32_t)strtol(given[6], NULL, 10);
  struct tr_engine *e = tr_open(given[2], given[1], given[3], given[4], "", options);
  while (tr_state(e, &permille) == TR_LOADING) usleep(1000);
  if (tr_state(e, &permille) != TR_READY) {
    tr_message(e, text, sizeof text);
    printf("%s\n", text);
    tr_free(e);
    return 1;
  }
  while (ended < ANSWERS) {
    while (asked < ANSWERS && asked - ended < AT_ONCE && ask(e, asked + 1)) {
      asked++;
      if (asked % 5 == 0) tr_cancel(e, asked - 2);
    }
    int32_t n = tr_poll(e, records, WORDS, 1000);
    for (int32_t at = 0; at < n; at += (int32_t)records[at]) {
      made += records[at + 1] == TR_REC_TOKEN;
      ended += records[at + 1] == TR_REC_FINISHED;
    }
    while (tr_kv_poll(e, records, WORDS) > 0) continue;
    if (n == 0) usleep(500);
  }
  tr_stats(e, stats);
  printf("{\"made\":%u,\"right\":%.0f,\"used\":%.0f,\"told\":%d}\n", made,
         stats[TR_STAT_DRAFTS_RIGHT + TR_DRAFT_MODEL], stats[TR_STAT_USED_BLOCKS],
         tr_notice(e, text, sizeof text) > 0);
  tr_free(e);
  return 0;
}
