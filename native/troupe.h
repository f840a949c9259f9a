/*
 * The shim between Troupe and llama.cpp: one model, one context, one thread that batches.
 *
 *   JavaScript thread                         engine thread (engine.c)
 *   tr_submit, tr_embed, tr_cancel ──ring──▶  admit → prefill in chunks → decode all together
 *   tr_poll                        ◀──ring──  tokens, finished, embeddings      │
 *   tr_kv_poll                     ◀──ring──  blocks stored and removed         │
 *
 *   grammar thread
 *   tr_mask_poll                   ◀──ring──  masks are wanted (masks/)         │
 *   tr_mask_put, _put_guess        ──ring──▶  which tokens may come next        │
 *
 *   reads a pipe (tr_wake_fd)      ◀──1 byte──────────────────────────────── a step
 *
 * Every call returns a code (or a pointer, NULL on failure) and none waits: what takes time
 * (opening the library, loading the model, decoding) happens on the engine thread. The exceptions
 * are named: tr_free joins the thread, tr_bare is a benchmark. All calls of one engine are made by
 * one thread, but those of tr_mask_*, which the grammar thread of a lane makes. Memory is handed out
 * once, when the engine becomes ready: a slot a request, each with room for a whole context of
 * tokens (virtual until touched), and the rings.
 */
#ifndef TROUPE_H
#define TROUPE_H

#include "libc.h"

#define TR_ABI 20

/* Codes. Negative ones are refusals or failures. */
#define TR_OK 0
#define TR_LOADING 1
#define TR_READY 2
#define TR_ERR_QUEUE_FULL (-1)
#define TR_ERR_CONTEXT_OVERFLOW (-2)
#define TR_ERR_BAD_REQUEST (-3)
#define TR_ERR_NOT_SUPPORTED (-4)
#define TR_ERR_CLOSED (-5)
#define TR_ERR_NOT_READY (-6)
#define TR_ERR_LIBRARY (-10) /* cannot be opened, lacks a function, or has other structs */
#define TR_ERR_MODEL (-11)   /* missing, truncated, corrupt, or of a kind not served */
#define TR_ERR_MEMORY (-12)  /* model and cache are larger than the free memory */
#define TR_ERR_THREAD (-13)
#define TR_ERR_ENGINE (-14) /* the library failed while decoding */

/* Options: 32-bit integers by index; 0 means the default of the right column. */
enum {
  TR_OPT_THREADS,          /* one for each 32 M parameters, at most TR_OPT_CORES */
  TR_OPT_CONTEXT_LENGTH,   /* min(the model's own, 8192) */
  TR_OPT_KV_TOKENS,        /* cells of the cache; by free memory, see load/fit.c */
  TR_OPT_MAX_SEQS,         /* 64; also the most */
  TR_OPT_MAX_QUEUE,        /* 256; waiting requests */
  TR_OPT_BATCH_TOKENS,     /* 512; tokens of one step */
  TR_OPT_PREFILL_CHUNK,    /* from model size and threads: about 100 ms of work, and
                              four times as much where no answer runs */
  TR_OPT_GPU_LAYERS,       /* all; -1: none */
  TR_OPT_MEMORY_LIMIT_MIB, /* what the machine has free */
  TR_OPT_NO_PREFIX_CACHE,  /* 1: finished sequences leave nothing behind */
  TR_OPT_CORES,            /* 1; of this machine */
  TR_OPT_FAIL_AT_STEP,     /* never; for tests: the library fails in this step */
  TR_OPT_SHARERS,          /* 1; engines that share this machine's free memory, this one included */
  TR_OPT_SPECULATE,        /* 0; 1: answers are guessed where it pays; for tests, each step of an
                              answer that runs alone has the same shape: 2: guesses, filled up
                              with wrong ones; 3: wrong ones alone; 4: as 2, by the draft model
                              alone */
  TR_OPT_KV_TYPE,          /* f16; 2: q4_0, 8: q8_0, as ggml numbers them */
  TR_OPT_ITL_TARGET_MS,    /* none: a step's prompt tokens are TR_OPT_PREFILL_CHUNK at most; -1: by
                              what steps cost, drafts/prompt-share.c */
  TR_OPT_DRAFT_FAIL_AT,    /* never; for tests: the draft model fails in this batch of its own */
  TR_OPT_WEIGHTS_SHARED,   /* 0: laid out in this process's memory where that is faster; 1: in the
                              pages of the file, which other processes have too */
  TR_OPT_CONTEXT_IS_WISH,  /* 0; 1: where memory holds less, it is shorter */
  TR_OPT_BLOCK_SIZE,       /* TR_BLOCK_SIZE; tokens a cache block: 16, 32 or 64 */
  TR_OPT_COUNT
};

#define TR_BLOCK_SIZE 64      /* tokens a cache block, unless an option says otherwise */
#define TR_BLOCK_SIZE_MOST 64
#define TR_MAX_TOP 20    /* likeliest tokens beside the chosen one */
#define TR_MAX_STOP 1056 /* these three: llm/model/request-limits.ts */
#define TR_MAX_BIAS 4096
#define TR_MAX_ADAPTERS 64 /* loaded at once */

/* A request as JavaScript lays it out: 64-bit fields first, so that there is no padding. */
struct tr_request {
  uint64_t seed;
  uint64_t salt; /* cached blocks are shared only among requests with the same one */
  uint64_t guess_scope; /* an answer is guessed from other answers only of the same one */
  uint32_t handle;
  uint32_t n_tokens; /* prompt and delivered answer */
  uint32_t n_prompt;
  uint32_t choice;
  uint32_t max_tokens; /* still to make */
  uint32_t min_tokens; /* of the whole answer */
  uint32_t ignore_eos;
  int32_t logprobs; /* -1 none, 0 the chosen token's, N and the N likeliest */
  float temperature;
  int32_t top_k;
  float top_p;
  float min_p;
  float typical_p;
  float repetition_penalty;
  float frequency_penalty;
  float presence_penalty;
  uint32_t n_stop;
  uint32_t n_bias;
  uint32_t adapter; /* its place, counted from 1; 0: the model itself */
  uint32_t scores;  /* of the prompt's tokens: the first that is wanted + 1; 0: none */
  uint32_t mask_key; /* 0: any token may come; else a number of its own, for tr_mask_put */
  uint32_t n_predicted; /* tokens that the answer is likely to have, for guesses */
};

/*
 * Records of tr_poll, 32-bit words:
 *   TR_REC_TOKEN     kind, handle, answer index, token, n  then n words: when n > 0, the
 *                    logprob (f32), then pairs (token, logprob f32) of the likeliest. Behind
 *                    them, of a request's first token alone: ms (f32) since its first step began
 *   TR_REC_FINISHED  kind, handle, reason, stop token + 1 (0: none), prompt tokens, cached tokens,
 *                    right drafts, wrong drafts, n  then n words as of a token: the stop token's
 *   TR_REC_EMBEDDING kind, handle, prompt tokens, n  then n words of f32; ends the request
 *   TR_REC_VECTOR    kind, handle, index of its token, n  then n words of f32: of TR_POOL_TOKENS one
 *                    a token, in order, and an empty TR_REC_EMBEDDING behind the last
 *   TR_REC_SCORE     kind, handle, score index, rank, n  then n words as of a token. Rank: how many
 *                    tokens are at least as likely. All scores come before the first token
 *   TR_REC_MOVED     kind, id, n  then a TR_MOVED code for each block of tr_blocks_out or _in
 */
#define TR_REC_TOKEN 1
#define TR_REC_FINISHED 2
#define TR_REC_EMBEDDING 3

/*
 * Records of tr_kv_poll, oldest first: what a request that comes now would find in the prefix
 * cache. A block is the TR_NUM_BLOCK_SIZE tokens behind its parent; no two blocks have the same
 * parent and tokens. `block` is below TR_NUM_TOTAL_BLOCKS and free for another one once removed; a block is
 * stored after its parent and removed before it.
 *   TR_REC_KV_STORED  kind, block, parent + 1 (0: first of its sequence), index in its sequence,
 *                     salt (low half, high half), serial, then its tokens
 *   TR_REC_KV_REMOVED kind, block
 *   TR_REC_KV_RESET   kind: nothing is cached but what is stored from here on
 *   TR_REC_KV_LOST    kind: nobody read and records were dropped; a RESET and a list of all
 *                     blocks follow as soon as the engine thread comes to it
 */
#define TR_REC_VECTOR 8
#define TR_REC_KV_STORED 4
#define TR_REC_KV_REMOVED 5
#define TR_REC_KV_RESET 6
#define TR_REC_KV_LOST 7
#define TR_REC_SCORE 9 /* of tr_poll */
#define TR_REC_MOVED 10 /* of tr_poll */

#define TR_MAX_MOVED 256 /* blocks of one move */
#define TR_MAX_MOVES 16
#define TR_MOVED 0
#define TR_MOVED_GONE 1    /* it is not in the cache, or what it follows is not */
#define TR_MOVED_NO_ROOM 2 /* every cell is in use */
#define TR_MOVED_ODD 3     /* the library made or took another number of bytes */

/* What tr_embed makes of its tokens. */
#define TR_POOL_UNIT 0    /* one vector, pooled as the model says, of unit length */
#define TR_POOL_RAW 1     /* the same as it is */
#define TR_POOL_TOKENS 2  /* one vector a token, as it is */
#define TR_POOL_CLASSES 3 /* what the model's classification head says, one number a class */

#define TR_REASON_STOP 0
#define TR_REASON_LENGTH 1
#define TR_REASON_CANCELLED 2
#define TR_REASON_ERROR 3

/* What guesses are made from. */
enum {
  TR_DRAFT_OWN,       /* the answer itself */
  TR_DRAFT_PROMPT,    /* its prompt */
  TR_DRAFT_PREDICTED, /* what the client predicts */
  TR_DRAFT_RECENT,    /* other answers of the same guess_scope */
  TR_DRAFT_MODEL,     /* the draft model */
  TR_DRAFT_FORCED,    /* what a form leaves no choice of */
  TR_DRAFT_SOURCES
};

/* Numbers of tr_numbers and tr_stats, doubles by index. */
enum {
  TR_NUM_CONTEXT_LENGTH,
  TR_NUM_BLOCK_SIZE,
  TR_NUM_TOTAL_BLOCKS,
  TR_NUM_MAX_SEQS,
  TR_NUM_BATCH_TOKENS,
  TR_NUM_VOCAB_SIZE,
  TR_NUM_EMBEDDING_SIZE,
  TR_NUM_PREFILL_CHUNK,
  TR_NUM_MAX_RECORD_WORDS,
  TR_NUM_THREADS,
  TR_NUM_KV_TOKENS,
  TR_NUM_GPU_LAYERS,
  TR_NUM_PREFIX_CACHE, /* 0: switched off, or the model has recurrent state; no KV records then */
  TR_NUM_POOLING, /* how the model pools, llama.h's LLAMA_POOLING_TYPE; -1: it does not say */
  TR_NUM_CLASSES, /* of its classification head; 0 without */
  TR_NUM_GENERATES, /* 0: an encoder or a classifier, see pool.c; TR_ERR_NOT_SUPPORTED of tr_submit */
  TR_NUM_COSTS_KNOWN, /* 1: what batches cost was measured at an earlier start */
  TR_NUM_WEIGHT_BYTES,     /* all of the models' */
  TR_NUM_OWN_WEIGHT_BYTES, /* of them in memory of this process alone, and on GPUs */
  TR_NUM_GPU_WEIGHT_BYTES,
  TR_NUM_KV_BYTES,
  TR_NUM_BUFFER_BYTES,
  TR_NUM_FREE_BYTES,      /* what all that left when it was loaded */
  TR_NUM_TRAINED_CONTEXT, /* the model's own; 0: it does not say */
  TR_NUM_KV_TYPE,         /* as TR_OPT_KV_TYPE */
  TR_NUM_COUNT
};
enum {
  TR_STAT_RUNNING,
  TR_STAT_WAITING,
  TR_STAT_USED_BLOCKS,
  TR_STAT_CACHED_BLOCKS,
  TR_STAT_PROMPT_TOKENS,
  TR_STAT_CACHED_TOKENS,
  TR_STAT_GENERATED_TOKENS,
  TR_STAT_STEPS,
  TR_STAT_STEP_MS,
  TR_STAT_PREEMPTIONS,
  TR_STAT_WAITING_PREFILL, /* tokens, waiting and live, that have to be computed before a next one */
  /* Sums over all passes since the start; proto/model.proto, PassSums. */
  TR_STAT_PREFILL_PASSES,
  TR_STAT_PREFILL_TOKENS,
  TR_STAT_PREFILL_TOKENS_SQUARED,
  TR_STAT_DECODE_PASSES,
  TR_STAT_DECODE_SHARE,
  TR_STAT_BUSY_MS,
  TR_STAT_BLOCK_BYTES, /* of one block outside; 0: there was none yet */
  TR_STAT_FILE_BYTES, /* of the model, and those of them that are in the system's memory so far */
  TR_STAT_READ_BYTES,
  /* By TR_DRAFT_*: answers' steps with guesses, guesses that were computed, and right ones. */
  TR_STAT_DRAFTS,
  TR_STAT_DRAFTED = TR_STAT_DRAFTS + TR_DRAFT_SOURCES,
  TR_STAT_DRAFTS_RIGHT = TR_STAT_DRAFTED + TR_DRAFT_SOURCES,
  TR_STAT_COUNT = TR_STAT_DRAFTS_RIGHT + TR_DRAFT_SOURCES
};

struct tr_engine;

/* TR_ABI of this build, so that a cached library of another version is seen. */
int32_t tr_abi(void);

/*
 * Starts the engine thread, which opens `llama_library` (a file; the others of its folder are
 * found beside it) and loads `model` (a GGUF file), and `draft_model` unless it is empty. What
 * batches cost is kept in `costs_folder`, which is made, for the next start; empty: nowhere. Strings
 * are copied. NULL without memory or thread.
 */
struct tr_engine *tr_open(const char *llama_library, const char *folder, const char *model,
                          const char *draft_model, const char *costs_folder,
                          const int32_t *options);
/* TR_LOADING, TR_READY or the failure; `*permille` is how far the model is loaded. */
int32_t tr_state(struct tr_engine *engine, int32_t *permille);
/* One line: why it failed, at start or later, or once ready what it runs on. Returns its length; cuts at `size`. */
int32_t tr_message(struct tr_engine *engine, char *to, int32_t size);
/* One line on what went wrong in a step and harms no answer, once; 0: nothing did. A wake comes. */
int32_t tr_notice(struct tr_engine *engine, char *to, int32_t size);
/* TR_NUM_COUNT doubles; TR_ERR_NOT_READY before it is ready. */
int32_t tr_numbers(struct tr_engine *engine, double *to);
/* TR_STAT_COUNT doubles, each as of the last step. */
int32_t tr_stats(struct tr_engine *engine, double *to);
/* The readable end of a non-blocking pipe: bytes arrive when state, tr_poll or tr_kv_poll has
   news. */
int32_t tr_wake_fd(struct tr_engine *engine);

/*
 * Takes the request, or says why not. `stop` holds n_stop ids, `bias_tokens` and `bias_values`
 * n_bias entries each, `predicted` n_predicted tokens; everything is copied before the call returns.
 * Predicted tokens beyond a context are left out, and all of them where nothing is guessed.
 */
int32_t tr_submit(struct tr_engine *engine, const struct tr_request *request,
                  const int32_t *tokens, const int32_t *stop, const int32_t *bias_tokens,
                  const float *bias_values, const int32_t *predicted);
/* `kind`: TR_POOL_*; TR_ERR_NOT_SUPPORTED when the model makes no such thing. */
int32_t tr_embed(struct tr_engine *engine, uint32_t handle, const int32_t *tokens,
                 uint32_t n_tokens, int32_t kind);
/* Ends the request at the next step; unknown handles are ignored. */
int32_t tr_cancel(struct tr_engine *engine, uint32_t handle);
/*
 * LoRA adapters. Each has a place, 1..TR_MAX_ADAPTERS, that the caller chooses. The engine thread
 * reads the file, between two steps, so answers wait for that. A decode has one set of adapters:
 * sequences of different ones take turns (engine.c, pick_turn).
 */
/* TR_OK: it is being loaded. TR_ERR_BAD_REQUEST: there is none such place, or it is not empty. */
int32_t tr_adapter_load(struct tr_engine *engine, uint32_t place, const char *path);
/*
 * Gives the place up once no request uses it any more, and what the cache holds of `salt` with it.
 * The caller submits none for it from here on.
 */
int32_t tr_adapter_unload(struct tr_engine *engine, uint32_t place, uint64_t *salt);
/* TR_ADAPTER_*; a wake comes when it changes. */
int32_t tr_adapter_state(struct tr_engine *engine, uint32_t place);
#define TR_ADAPTER_EMPTY 0
#define TR_ADAPTER_BUSY 1 /* being loaded, or to be unloaded */
#define TR_ADAPTER_READY 2
#define TR_ADAPTER_FAILED 3 /* tr_adapter_message says why; the place is empty after that */
int32_t tr_adapter_message(struct tr_engine *engine, uint32_t place, char *to, int32_t size);
/*
 * Forgets what the prefix cache holds beside the blocks of live requests, before any request that
 * is submitted later. TR_ERR_QUEUE_FULL: the thread has not come to what was asked before.
 */
int32_t tr_clear(struct tr_engine *engine);
/*
 * Copies at most `max_records` whole records into `size` words. Returns the words written. When the
 * library fails in a step, no request can be trusted: the thread ends, tr_state is TR_ERR_ENGINE,
 * what was made before is still read here, and live requests get no further record.
 */
int32_t tr_poll(struct tr_engine *engine, uint32_t *to, int32_t size, int32_t max_records);
/*
 * The same for what happened in the prefix cache, as many records as fit. What an answer stored is
 * here before its finished record is in tr_poll. Not calling it costs the engine nothing.
 */
int32_t tr_kv_poll(struct tr_engine *engine, uint32_t *to, int32_t size);

/*
 * Masks. The engine thread wants one for each token of a request with a key, from the moment it
 * takes the request, and draws no token of it before the mask is there. Meanwhile it computes.
 *
 * Several grammar threads share the work: a lane each, and a request is its key's modulo their number.
 * tr_mask_poll copies what is wanted, records that begin with their length in words:
 *   TR_WANT_FROM_HERE  kind: what is wanted and not there yet follows from here on. A new grammar
 *                      thread asks for that (tr_mask_again, on the JavaScript thread) and skips
 *                      what was before
 *   TR_WANT_MASK       kind, slot, key, answer tokens so far, 1: what is forced behind them too
 *   TR_WANT_GUESSES    kind, slot, key, answer tokens so far, walk, place, then tokens that are
 *                      guessed behind them: the mask behind each is wanted. They are of no use
 *                      once another record of the key comes
 * tr_mask_tokens copies the answer tokens `from` to `from + n` of the slot, which do not change
 * while a mask for it is wanted. tr_mask_put hands over the mask, a bit a token, lowest first, or
 * NULL when there can be none, which ends the answer in an error. A key that is gone is ignored.
 * tr_mask_put_guess does so for a guess: the first one's place is the record's, each next one has
 * the next. tr_mask_put_forced says which tokens are likely behind `n_answer` of the answer, as the
 * form leaves little else; none is said too. What has no room is not missed, so that guesses hold up
 * no mask.
 * tr_mask_fd is the readable end of a pipe: a byte arrives when tr_mask_poll has news.
 */
#define TR_WANT_FROM_HERE 0
#define TR_WANT_MASK 1
#define TR_WANT_GUESSES 2
#define TR_MASK_WORDS 32 /* of the longest of these records */
#define TR_MASK_LANES 2
int32_t tr_mask_fd(struct tr_engine *engine, uint32_t lane);
int32_t tr_mask_again(struct tr_engine *engine, uint32_t lane);
int32_t tr_mask_poll(struct tr_engine *engine, uint32_t lane, uint32_t *to, int32_t size);
int32_t tr_mask_tokens(struct tr_engine *engine, uint32_t slot, uint32_t from, uint32_t n,
                       int32_t *to);
/* TR_ERR_QUEUE_FULL: the engine thread has not read the ones before; try again. */
int32_t tr_mask_put(struct tr_engine *engine, uint32_t slot, uint32_t key, uint32_t n_answer,
                    const uint32_t *words);
int32_t tr_mask_put_forced(struct tr_engine *engine, uint32_t slot, uint32_t key,
                           uint32_t n_answer, const int32_t *tokens, uint32_t n);
int32_t tr_mask_put_guess(struct tr_engine *engine, uint32_t key, uint32_t walk, uint32_t place,
                          const uint32_t *words);

/*
 * Copies `n` blocks of the prefix cache out to memory of the caller's, `bytes` each, between two
 * steps: by the number and serial of their KV_STORED records. A TR_REC_MOVED with `id` says what
 * became of each; until then the memory is the engine's. At most TR_MAX_MOVES are on their way.
 */
int32_t tr_blocks_out(struct tr_engine *engine, uint32_t id, const uint32_t *blocks,
                      const uint32_t *serials, const uint64_t *memory, uint32_t n, double bytes);
/*
 * Takes `n` blocks in, which follow each other from block `first` of `tokens` on; those before are
 * in the cache, or nothing is taken. They are news like others, and may go like others.
 */
int32_t tr_blocks_in(struct tr_engine *engine, uint32_t id, const int32_t *tokens, uint32_t first,
                     const uint64_t *salt, const uint64_t *memory, uint32_t n, double bytes);

/*
 * Asks the thread to end and returns at once; tr_state is TR_ERR_CLOSED when it has (a wake
 * comes). tr_free then joins it and gives everything back; it waits if the thread still runs.
 */
int32_t tr_close(struct tr_engine *engine);
int32_t tr_free(struct tr_engine *engine);

/*
 * For tests: the library's own tokenizer. Returns the number of tokens, or minus the number that
 * did not fit.
 */
int32_t tr_tokenize(struct tr_engine *engine, const char *text, int32_t length, int32_t *to,
                    int32_t size, int32_t add_special, int32_t parse_special);
/*
 * Benchmark, waits until done: `parallel` sequences (1..8) decode `n_tokens` each in a context of
 * their own, nothing but llama_decode and sampling between two steps. `prompts` holds the prompts
 * one after the other, `lengths` their lengths; `sampling` as in tr_submit, its sizes unused.
 * `*seconds` is the time of the decode steps after the prompts. TR_OK or TR_ERR_ENGINE.
 */
int32_t tr_bare(struct tr_engine *engine, int32_t parallel, const int32_t *prompts,
                const int32_t *lengths, int32_t n_tokens, const struct tr_request *sampling,
                double *seconds);

#endif
