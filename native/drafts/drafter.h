/*
 * The draft model: a second, smaller one whose guesses the engine's own model checks. All of it is
 * the engine thread's, between two batches.
 */
#define DRAFTER_SURE 8 /* how sure it was of a guess, in steps */
#define DRAFTER_KINDS 3 /* of answers: greedy, drawn, held to a form */

/* What it has computed of a live sequence. Its cells have the place of the sequence as their id. */
struct drafter_view {
  uint64_t order;   /* of the sequence, which tells it from the one before it; 0: of none */
  uint64_t used;    /* when it guessed last: who did so longest ago gives way */
  uint32_t known;   /* tokens of the slot that stand in its cells */
  uint32_t n_past;  /* its own tokens for them */
  uint32_t fed;     /* guesses that stand in cells behind them */
  uint32_t n;       /* guesses of this step, of which the engine takes as many as pay */
  int32_t guessed[DRAFT_MOST]; /* the engine's tokens */
  uint8_t sure[DRAFT_MOST];
  uint8_t kind;
  float right;      /* how likely all of them are right */
};

struct drafter {
  struct llama_model *model;
  struct llama_context *context;
  const struct llama_vocab *vocab;
  llama_memory_t memory;
  llama_batch batch;
  uint32_t n_vocab;
  uint32_t n_cells;
  uint32_t longest; /* positions that it was trained on */
  uint32_t threads;
  uint32_t n_mapped; /* of its tokens, those that the engine's model has as well */
  int32_t first;     /* what a text begins with; -1: nothing */
  int32_t *to_own;    /* by the engine's tokens: its own, -1 without */
  int32_t *to_engine; /* the other way round */
  float *logits; /* by the engine's tokens; NULL where its own are in that order */
  struct drafter_view *views; /* by place of the sequence */
  struct batch_cost cost; /* of a guess each of so many sequences, its draws included */
  double prompt_token_ms; /* of a token that draws nothing */
  struct draft_sums sums[DRAFTER_KINDS][DRAFTER_SURE]; /* by how sure it was */
  struct draft_sums all; /* the same of all its guesses */
  uint64_t turns;  /* steps with guesses of it */
  uint32_t idle;   /* steps without since the last of them */
  uint32_t probes; /* steps in which it is tried once more */
  uint32_t decodes;
};
