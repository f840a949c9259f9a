/* The engine's own structures: who owns what, thread by thread. */

/* The mask for a slot's next token. */
enum mask_state { MASK_NONE, MASK_WANTED, MASK_ASKED, MASK_READY, MASK_FAILED };

/* A grammar thread, from the engine's side. */
struct mask_lane {
  struct ring wanted; /* engine thread → grammar thread */
  struct ring made;   /* grammar thread → engine thread */
  bool from_here;     /* TR_WANT_FROM_HERE is due */
  bool news;          /* something was pushed since the last wake */
  int read;
  int write;
  /* masks/guessed.c: of a step's guesses, by place */
  uint32_t *guess_masks; /* grammar thread until its record is read, then engine thread */
  uint32_t *guess_walks; /* engine thread: the walk that each was made in */
};

#define DRAFT_MOST 15 /* guesses of a sequence in one step */

struct slot {
  /* JavaScript thread, while the slot is free; the engine thread from tr_submit on, until the
     finished record has been read. */
  struct tr_request request;
  int32_t *tokens; /* prompt and answer, one behind the other, room for a context */
  int32_t *bias_tokens;
  float *bias_values;
  int32_t stop[TR_MAX_STOP];
  int32_t *predicted; /* request.n_predicted tokens, NULL without; the slot's until its next one */
  bool embed;
  int32_t pool; /* TR_POOL_*, of an embed */
  uint32_t *masks; /* one a lane: grammar thread until its record is read, then engine thread */
  /* engine thread */
  enum mask_state mask_state;
  const uint32_t *mask; /* where it lies, once it is MASK_READY */
  int32_t forced[DRAFT_MOST]; /* what a form leaves no choice of, */
  uint32_t n_forced;
  uint32_t forced_at;    /* from this token on, */
  uint32_t forced_asked; /* and from which it is looked for */
  uint32_t n;        /* tokens known */
  int32_t cached;    /* prompt tokens found in the cache at first admission, -1 before */
  int32_t seq;       /* index of its live sequence, -1 while waiting */
  bool open;         /* submitted and not finished */
  double began_ms;   /* of its first step, until its first token is told; 0: it is, or none was */
  uint32_t drafted;  /* guesses of its answer that were computed, and those that were right */
  uint32_t drafts_right;
  uint32_t predicted_at; /* where guesses were taken from `predicted` last */
  uint32_t scored;   /* index of the next score of its prompt; the last one's + 1: none is left */
  /* JavaScript thread */
  bool taken;
  bool cancel_sent;
};

/* Guesses that were checked, and those that were right; both fade (drafts/draft.c). */
struct draft_sums {
  float tried;
  float right;
};

#define TR_MAX_SEQS 64
#define DRAFT_LONGEST_MATCH 8  /* tokens */
#define COST_MOST 128          /* tokens of a batch */
#define RECENT_TABLES 2

/* ms that a batch of so many tokens takes when all of them draw; 0: none was seen. */
struct batch_cost {
  double ms[COST_MOST + 1];
};

#define PROMPT_DEPTHS 32
#define PROMPT_DEPTH 256 /* cells */

/* ms of a prompt's token, by how many cells it looks back at; 0: none was seen. */
struct prompt_cost {
  double ms[PROMPT_DEPTHS];
};

/* What is kept from one start to the next: drafts/known-costs.c. */
struct known_costs {
  struct batch_cost batch;
  struct prompt_cost prompt;
};

/* What was seen of prompts: drafts/prompt-share.c. */
struct prompt_seen {
  struct prompt_cost cost;
  uint32_t n[PROMPT_DEPTHS]; /* steps, as far as they count */
  uint32_t fresh;            /* steps since what was seen is held */
};

/* Tokens of the last answers, and where to find them: drafts/recent.c. */
struct recent_place {
  uint64_t scope;
  uint64_t at; /* 0: none */
};
struct recent {
  int32_t *tokens; /* NULL: nothing is kept */
  struct recent_place *places[RECENT_TABLES];
  uint64_t at; /* tokens that were ever written */
};

struct seq {
  bool live;
  int32_t slot;
  int32_t id;        /* llama sequence id */
  uint32_t n_past;   /* positions computed */
  uint32_t n_shared; /* blocks of `blocks`, from position 0, that belong to the cache */
  int32_t *blocks;
  uint64_t order; /* of admission */
  int32_t output; /* index of its logits in the batch of this step, -1 without */
  bool parked;    /* its mask was not there when its logits were, which are kept */
  uint32_t drafted; /* guesses behind its next token in this step */
  uint32_t forced;  /* those of them, the first, that a form leaves no choice of */
  uint32_t source;  /* of the others: TR_DRAFT_*, and how many tokens made them likely */
  uint32_t match;
  uint32_t walk_at; /* of an answer that keeps to a form: the place of the mask behind the first */
  struct draft_sums drafts[TR_DRAFT_SOURCES];
  float *kept;    /* n_vocab, from the first time on that it is parked */
  struct troupe_sampler *sampler;
};

#include "drafts/drafter.h"

/* Since the start; proto/model.proto says what each is. */
struct pass_sums {
  double prefill_passes;
  double prefill_tokens;
  double prefill_tokens_squared;
  double decode_passes;
  double decode_share;
  double busy_ms;
};

/* A LoRA adapter's place. What stands here changes with who may write it: see adapters.c. */
struct adapter {
  struct llama_adapter_lora *lora; /* engine thread */
  char *path;                      /* JavaScript thread until the load is sent, engine thread on */
  uint64_t salt;                   /* of its blocks; the same */
  bool leaving;                    /* engine thread: it is unloaded with its last request */
  troupe_sem settled;              /* posted when `outcome` changed */
  int32_t outcome;                 /* engine thread: TR_ADAPTER_* */
  int32_t state;                   /* JavaScript thread's view of it */
  char message[512];
};

struct tr_engine {
  struct llama_api api;
  struct llama_model *model;
  struct llama_context *context;
  const struct llama_vocab *vocab;
  llama_memory_t memory;
  llama_batch batch;
  void *compute_threads; /* NULL: the library starts its own for each batch */

  char *library_path;
  char *folder;
  char *model_path;
  char *draft_path; /* empty: there is no draft model */
  char *costs_folder; /* empty: what batches cost is measured at each start */
  int32_t options[TR_OPT_COUNT];
  char message[1024];
  char notice[640];    /* engine thread, until it is posted */
  troupe_sem notices;  /* posted once, when there is one */
  bool notice_given;   /* engine thread */
  double numbers[TR_NUM_COUNT];
  volatile double stats[TR_STAT_COUNT];

  uint32_t context_length;
  uint32_t n_cells;
  uint32_t block_size; /* tokens a cache block */
  uint32_t n_slots;
  uint32_t threads;
  uint32_t max_seqs;
  uint32_t max_outputs; /* logits of one batch */
  uint32_t batch_tokens;
  uint32_t prefill_chunk;
  uint32_t prefill_alone; /* where no answer waits for it */
  uint32_t n_vocab;
  uint32_t n_embd;
  uint32_t n_classes;
  int32_t pooling; /* -1: the model says nothing, which is taken for mean */
  bool pools_only; /* the model generates nothing: pool.c */
  bool prefix_cache;
  bool speculates;
  bool fixed_shapes; /* for tests */
  bool parts_apart;  /* next tokens and prompts of a step are batches of their own */
  struct drafter *drafter; /* NULL: there is none, or it has failed */
  struct batch_cost cost;
  bool costs_known; /* from an earlier start */
  struct known_costs held; /* does not change while a prompt is computed */
  struct prompt_seen prompt;
  struct draft_sums draft_sums[TR_DRAFT_SOURCES][DRAFT_LONGEST_MATCH + 1]; /* by match */
  struct recent recent;
  bool failed; /* engine thread: the library failed in a step */
  struct adapter adapters[TR_MAX_ADAPTERS]; /* place - 1 */
  uint32_t active;     /* place of the adapter that the context has now */
  uint32_t turn;       /* whose sequences are computed: a place, 0 for the model itself */
  double turn_ms;      /* when its turn began */
  uint32_t n_leaving;
  bool adapters_ready; /* JavaScript thread: their semaphores are there */
  struct pass_sums sums;

  int32_t *token_memory;
  int32_t *bias_memory;
  int32_t *block_memory;
  uint32_t *mask_memory;
  int32_t *match_memory; /* blocks of the request being admitted */
  uint32_t *share;       /* tokens each sequence computes this step */
  float *embed_sums;
  int32_t *ends; /* the model's end-of-generation tokens, then room for a request's stops */
  uint32_t n_ends;
  uint32_t *record; /* room for the largest record */
  uint32_t record_words;

  struct slot *slots;
  struct seq *seqs;
  int32_t *waiting; /* slots, oldest first */
  uint32_t n_waiting;
  uint32_t n_live;
  uint64_t admissions;
  struct cache cache;
  struct moves *moves;
  struct troupe_sampler_scratch *scratch;

  struct ring commands;
  struct ring results;
  struct mask_lane mask_lanes[TR_MASK_LANES];
  troupe_sem nudge;  /* posted with each command and each mask */
  uint32_t n_masked; /* engine thread: open requests with a key */
  uint32_t n_wanted; /* slots in MASK_WANTED */
  uint32_t walks;    /* the last one's number */
  bool asks_forced;  /* guesses pay, so what is forced is looked for */
  uint32_t forced_late; /* times in a row that it came too late for a step */
  int wake_read;
  int wake_write;
  bool news; /* engine thread: something was pushed since the last wake */

  pthread_t thread;
  troupe_sem settled; /* posted when `outcome` changed: ready, failed, closed */
  int32_t outcome;    /* engine thread */
  int32_t state;      /* JavaScript thread's view of it */
  volatile int32_t permille;
  volatile int32_t closing;
};

#define COMMAND_SUBMIT 1
#define COMMAND_CANCEL 2
#define COMMAND_CLOSE 3
#define COMMAND_KV_LIST 4
#define COMMAND_CLEAR 5
#define COMMAND_ADAPTER_LOAD 6
#define COMMAND_ADAPTER_UNLOAD 7
#define COMMAND_MASKS 8
#define COMMAND_MOVE 9

static uint32_t mask_words(const struct tr_engine *e) { return (e->n_vocab + 31) / 32; }

static uint32_t option(const struct tr_engine *e, int index, uint32_t otherwise) {
  return e->options[index] > 0 ? (uint32_t)e->options[index] : otherwise;
}

static double now_ms(void) {
  struct troupe_timespec t;
  clock_gettime(TROUPE_CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void engine_wake(struct tr_engine *e) {
  /* The pipe is non-blocking: when it is full, JavaScript has plenty to wake up for already. */
  ssize_t written = write(e->wake_write, "", 1);
  (void)written;
}

/* Only one line is ever told: a draft model fails once. */
static void engine_notice(struct tr_engine *e, const char *text) {
  if (e->notice_given) return;
  e->notice_given = true;
  snprintf(e->notice, sizeof e->notice, "%s", text);
  troupe_sem_post(&e->notices);
  engine_wake(e);
}

/* drafts/known-costs.c */
static void cost_begin(struct tr_engine *e);
static void cost_rest(struct tr_engine *e);

/* drafts/drafter-load.c, drafts/drafter.c */
static int32_t drafter_load(struct tr_engine *e, uint64_t available, bool gpu);
static void drafter_describe(const struct tr_engine *e, char *to, size_t size);
static void drafter_free(struct tr_engine *e);
static void drafter_forget(struct tr_engine *e, uint32_t place);

/* scores.c */
static bool scores_valid(const struct tr_request *r);
static bool scores_left(const struct slot *slot);
static uint32_t scores_words(const struct tr_engine *e);
static void step_score(struct tr_engine *e);

/*
 * Words that one step can push at most: a token (two of a sequence that sat out, more where guesses
 * were right) and two ends a sequence, and vectors of tokens.
 */
static uint32_t results_a_step(const struct tr_engine *e) {
  uint32_t vectors = e->pools_only ? e->batch_tokens : e->max_outputs;
  return (2 * e->max_seqs + e->max_outputs) * (28 + 2 * TR_MAX_TOP) + scores_words(e) +
         (vectors + 1) * (e->record_words + 1);
}
