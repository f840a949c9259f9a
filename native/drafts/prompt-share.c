/*
 * How much of prompts a step computes beside running answers, so that these go on evenly:
 *
 *   a step's time     next tokens of the answers │ prompts: PROMPT_MS, or PROMPT_TIMES as long as
 *                     ├──────── step_ms ────────┼──── the answers' part, whichever is more ─────┤
 *                                                     and that as often as prompts wait
 *   of which tokens   ms ÷ what a token takes that looks back at so many cells
 *
 * Each prompt that waits is somebody's first token. Where many wait, a next token of an answer is
 * set back by what sets all of these forward, and answers that begin together fill the steps behind.
 *
 * A token far into a prompt costs more than one at its beginning. So the parts of a prompt get
 * smaller, where parts of one size would make the answers slower and slower.
 *
 * Costs that the rule goes by are held while a prompt is computed: how its steps are shaped depends
 * on the number of answers and on where their prompts are, and not on the clock. With a target of
 * its own (TR_OPT_ITL_TARGET_MS) an engine goes by what it has seen up to now.
 */
#define PROMPT_MS 100.0
#define PROMPT_TIMES 2.0
/* A prompt goes on in such steps even where no bound can be kept. */
#define PROMPT_LEAST 8
/*
 * What a batch's rows are multiples of where a prompt is cut: kernels compute so many at once, and
 * the rest as if it were as many. Of the larger number where that takes a quarter away at most.
 */
#define PROMPT_ROWS 8
#define PROMPT_TILE 64
/* What was seen of a depth counts as so many steps at most; so many say enough. */
#define PROMPT_COUNTS 10
#define PROMPT_ENOUGH 8
/* Held costs are given up for others of which one differs by so much. */
#define PROMPT_OFF 0.2

/* ms of a step for prompts beside answers whose next tokens take `step_ms`. */
static double prompt_ms(double step_ms) {
  return step_ms * PROMPT_TIMES > PROMPT_MS ? step_ms * PROMPT_TIMES : PROMPT_MS;
}

static uint32_t prompt_depth(double cells) {
  return cells < PROMPT_DEPTH * (PROMPT_DEPTHS - 1) ? (uint32_t)cells / PROMPT_DEPTH
                                                    : PROMPT_DEPTHS - 1;
}

/* ms of a token behind `cells` others, or where that was not seen of one less deep, or deeper. */
static double prompt_each(const struct prompt_cost *cost, double cells) {
  uint32_t low = prompt_depth(cells), high = low;
  while (low > 0 && cost->ms[low] == 0) low--;
  while (high < PROMPT_DEPTHS - 1 && cost->ms[high] == 0) high++;
  return cost->ms[low] > 0 ? cost->ms[low] : cost->ms[high];
}

/* What prompts may take of a step. */
struct prompt_room {
  uint32_t tokens;
  double ms; /* negative: no bound */
  uint32_t rows; /* of the batch so far */
  const struct prompt_cost *cost;
};

/* Of `n` tokens behind `rows` others those that make the batch even. */
static uint32_t prompt_even(uint32_t rows, uint32_t n) {
  uint32_t tiles = (rows + n) / PROMPT_TILE * PROMPT_TILE;
  uint32_t few = (rows + n) / PROMPT_ROWS * PROMPT_ROWS;
  if (tiles > rows && 4 * (tiles - rows) >= 3 * n) return tiles - rows;
  return few > rows ? few - rows : 0;
}

/*
 * Of the `left` tokens of a prompt behind `from` others those that are computed in this step, and
 * taken out of the room. The first prompt of a step always goes on.
 */
static uint32_t prompt_take(struct prompt_room *room, uint32_t from, uint32_t left, bool first) {
  double each = prompt_each(room->cost, from);
  bool bound = room->ms >= 0 && each > 0;
  uint32_t most = room->tokens, n = left;
  if (bound && room->ms / each < most) most = (uint32_t)(room->ms / each);
  if (left > most) {
    n = prompt_even(room->rows, most);
    if (n < PROMPT_LEAST) n = first ? PROMPT_LEAST : 0;
    if (n > left) n = left;
    if (n > room->tokens) n = room->tokens;
  }
  if (bound) room->ms = room->ms > each * n ? room->ms - each * n : 0;
  room->tokens -= n;
  room->rows += n;
  return n;
}

/*
 * The room of `waiting` prompts beside `decoding` answers. Where costs are not known it is
 * --prefill-chunk for each.
 */
static struct prompt_room prompt_room(const struct tr_engine *e, uint32_t decoding,
                                      uint32_t waiting) {
  uint32_t tokens = decoding > 0 ? e->prefill_chunk : e->prefill_alone;
  struct prompt_room room = {.tokens = tokens, .ms = -1, .cost = &e->held.prompt};
  if (!e->parts_apart) room.rows = decoding;
  int32_t target = e->options[TR_OPT_ITL_TARGET_MS];
  if (target > 0) room.cost = &e->prompt.cost;
  if (target > 0 && decoding > 0) {
    room.ms = target - cost_of(e, decoding);
    if (room.ms < 0) room.ms = 0;
  }
  if (target >= 0) return room;
  if (waiting == 0) waiting = 1;
  if (e->options[TR_OPT_PREFILL_CHUNK] == 0) room.tokens = tokens * waiting;
  if (room.tokens > e->batch_tokens) room.tokens = e->batch_tokens;
  if (decoding > 0) room.ms = prompt_ms(cost_at(&e->held.batch, decoding)) * waiting;
  return room;
}

/* ── learning ──────────────────────────────────────────────────────────────────────────────── */

static void prompt_begin(struct prompt_seen *seen, const struct prompt_cost *held) {
  seen->cost = *held;
  for (uint32_t i = 0; i < PROMPT_DEPTHS; i++) seen->n[i] = held->ms[i] > 0 ? PROMPT_COUNTS - 1 : 0;
}

/* A token took `each` ms where it looked back at `cells`. */
static void prompt_learn(struct prompt_seen *seen, double cells, double each) {
  uint32_t at = prompt_depth(cells);
  double known = prompt_each(&seen->cost, cells);
  if (each <= 0) return;
  if (known > 0 && each > COST_OUTLIER * known) each = COST_OUTLIER * known;
  seen->cost.ms[at] += (each - seen->cost.ms[at]) / (seen->n[at] + 1);
  if (seen->n[at] < PROMPT_COUNTS - 1) seen->n[at]++;
  seen->fresh++;
}

/*
 * `tokens` of prompts were computed in a batch in which `decoding` sequences drew; all of them
 * together looked back at `cells`. Ends of prompts are not told: what a batch takes beside its
 * tokens would be shared by few.
 */
static void prompt_saw(struct tr_engine *e, uint32_t tokens, double cells, uint32_t decoding,
                       double ms) {
  double each = (ms - (decoding > 0 ? cost_of(e, decoding) : 0)) / tokens;
  prompt_learn(&e->prompt, cells / tokens, each);
}

static bool prompt_is_off(const struct prompt_cost *held, const struct prompt_cost *seen) {
  for (uint32_t i = 0; i < PROMPT_DEPTHS; i++) {
    double a = held->ms[i], b = seen->ms[i];
    if (b > a * (1 + PROMPT_OFF) || a > b * (1 + PROMPT_OFF)) return true;
  }
  return false;
}
