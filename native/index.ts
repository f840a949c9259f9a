/**
 * The only door to native code: opens the shim (troupe.h) and the functions of one engine.
 * Nothing here decides anything; the calls are the header's, with buffers in place of pointers.
 *
 * Long because every call, number and code of the header has its line here.
 */

import { cc, dlopen, type Pointer } from "bun:ffi";

// Bun's own compiler (`cc`) hands an integer that JavaScript holds as a double to C as garbage, the
// low half of the double; so every integer is declared i32 and passed as `x | 0`.

/** Where the shim comes from: a built library, or its C source for Bun's own compiler. */
export type ShimSource =
  | { readonly kind: "library"; readonly path: string }
  | { readonly kind: "source"; readonly path: string };

const SYMBOLS = {
  tr_abi: { args: [], returns: "i32" },
  tr_open: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "ptr" },
  tr_state: { args: ["ptr", "ptr"], returns: "i32" },
  tr_message: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  tr_notice: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  tr_numbers: { args: ["ptr", "ptr"], returns: "i32" },
  tr_stats: { args: ["ptr", "ptr"], returns: "i32" },
  tr_wake_fd: { args: ["ptr"], returns: "i32" },
  tr_submit: { args: ["ptr", "ptr", "ptr", "ptr", "ptr", "ptr", "ptr"], returns: "i32" },
  tr_embed: { args: ["ptr", "i32", "ptr", "i32", "i32"], returns: "i32" },
  tr_cancel: { args: ["ptr", "i32"], returns: "i32" },
  tr_clear: { args: ["ptr"], returns: "i32" },
  tr_adapter_load: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  tr_adapter_unload: { args: ["ptr", "i32", "ptr"], returns: "i32" },
  tr_adapter_state: { args: ["ptr", "i32"], returns: "i32" },
  tr_adapter_message: { args: ["ptr", "i32", "ptr", "i32"], returns: "i32" },
  tr_poll: { args: ["ptr", "ptr", "i32", "i32"], returns: "i32" },
  tr_kv_poll: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  tr_mask_fd: { args: ["ptr", "i32"], returns: "i32" },
  tr_mask_again: { args: ["ptr", "i32"], returns: "i32" },
  tr_mask_poll: { args: ["ptr", "i32", "ptr", "i32"], returns: "i32" },
  tr_mask_tokens: { args: ["ptr", "i32", "i32", "i32", "ptr"], returns: "i32" },
  tr_mask_put: { args: ["ptr", "i32", "i32", "i32", "ptr"], returns: "i32" },
  tr_mask_put_forced: { args: ["ptr", "i32", "i32", "i32", "ptr", "i32"], returns: "i32" },
  tr_mask_put_guess: { args: ["ptr", "i32", "i32", "i32", "ptr"], returns: "i32" },
  tr_blocks_out: { args: ["ptr", "i32", "ptr", "ptr", "ptr", "i32", "f64"], returns: "i32" },
  tr_blocks_in: { args: ["ptr", "i32", "ptr", "i32", "ptr", "ptr", "i32", "f64"], returns: "i32" },
  tr_close: { args: ["ptr"], returns: "i32" },
  tr_free: { args: ["ptr"], returns: "i32" },
  tr_tokenize: { args: ["ptr", "ptr", "i32", "ptr", "i32", "i32", "i32"], returns: "i32" },
  tr_bare: { args: ["ptr", "i32", "ptr", "ptr", "i32", "ptr", "ptr"], returns: "i32" },
} as const;

function openSymbols(source: ShimSource) {
  return source.kind === "library"
    ? dlopen(source.path, SYMBOLS).symbols
    : cc({ source: source.path, symbols: SYMBOLS }).symbols;
}

export type Shim = ReturnType<typeof openSymbols>;

/** Version of troupe.h that this file is written for. */
export const SHIM_ABI = 20;

/** Codes, option indexes, record kinds and numbers: troupe.h, in its order. */
export const TR = {
  LOADING: 1,
  READY: 2,
  ERR_QUEUE_FULL: -1,
  ERR_CONTEXT_OVERFLOW: -2,
  ERR_BAD_REQUEST: -3,
  ERR_NOT_SUPPORTED: -4,
  ERR_CLOSED: -5,
  ERR_NOT_READY: -6,
  ERR_LIBRARY: -10,
  ERR_MODEL: -11,
  ERR_MEMORY: -12,
  ERR_THREAD: -13,
  ERR_ENGINE: -14,
  REC_TOKEN: 1,
  REC_FINISHED: 2,
  REC_EMBEDDING: 3,
  REC_KV_STORED: 4,
  REC_KV_REMOVED: 5,
  REC_KV_RESET: 6,
  REC_KV_LOST: 7,
  REC_VECTOR: 8,
  POOL_UNIT: 0,
  POOL_RAW: 1,
  POOL_TOKENS: 2,
  POOL_CLASSES: 3,
  ADAPTER_BUSY: 1,
  ADAPTER_READY: 2,
  ADAPTER_FAILED: 3,
  MAX_ADAPTERS: 64,
  REC_SCORE: 9,
  REC_MOVED: 10,
  MAX_MOVED: 256,
  MAX_TOP: 20,
  MAX_STOP: 1056,
  MAX_BIAS: 4096,
  WANT_FROM_HERE: 0,
  WANT_MASK: 1,
  WANT_GUESSES: 2,
  MASK_WORDS: 32,
  MASK_LANES: 2,
} as const;

/** In the order of TR_OPT_*; 0 or undefined means the default that troupe.h names. */
export type NativeOptions = {
  /** Default: by model size, at most `cores`. */
  readonly threads?: number;
  readonly cores: number;
  readonly context_length?: number;
  readonly kv_tokens?: number;
  readonly max_num_seqs?: number;
  readonly max_queue?: number;
  readonly max_num_batched_tokens?: number;
  readonly prefill_chunk?: number;
  /** Layers on the GPU; -1: none. */
  readonly gpu_layers?: number;
  /** Of the machine's memory that this process may take; default: what the system has free. */
  readonly memory_limit_mib?: number;
  readonly prefix_cache?: boolean;
  /** For tests: the library fails in this step. */
  readonly fail_at_step?: number;
  /** Engines that share this machine's free memory, this one included. */
  readonly sharers?: number;
  /**
   * Answers are guessed from what they and their prompts say, and by a draft model, where it pays;
   * default: off.
   */
  readonly speculate?: (typeof SPECULATES)[number];
  /** Of the cache's numbers; default: f16. */
  readonly kv_type?: keyof typeof KV_TYPES;
  /**
   * Prompts are computed in parts that keep running answers to this from token to token; -1: by
   * what steps cost.
   */
  readonly itl_target_ms?: number;
  /** For tests: the draft model fails in this batch of its own. */
  readonly draft_fail_at?: number;
  /** Default: own. */
  readonly weights?: "own" | "shared";
  /** The context may be shorter where memory holds less. */
  readonly context_is_wish?: boolean;
  /** Tokens of a cache block; default: troupe.h's. */
  readonly block_size?: number;
};

/** The last three are for tests: TR_OPT_SPECULATE of troupe.h. */
const SPECULATES = ["off", "ngram", "always", "never", "model"] as const;

/** As ggml numbers them; 0: the library's own choice. */
export const KV_TYPES = { f16: 0, q8_0: 8, q4_0: 2 } as const;

/** In the order of TR_NUM_*. */
export const NUMBERS = [
  "context_length",
  "block_size",
  "total_blocks",
  "max_num_seqs",
  "max_num_batched_tokens",
  "vocab_size",
  "embedding_size",
  "prefill_chunk",
  "max_record_words",
  "threads",
  "kv_tokens",
  "gpu_layers",
  "prefix_cache",
  "pooling",
  "classes",
  "generates",
  "costs_known",
  "weight_bytes",
  "own_weight_bytes",
  "gpu_weight_bytes",
  "kv_bytes",
  "buffer_bytes",
  "free_bytes",
  "trained_context",
  "kv_type",
] as const;
export type NativeNumbers = Record<(typeof NUMBERS)[number], number>;

/** In the order of TR_DRAFT_*: what guesses are made from. */
export const DRAFT_SOURCES = ["own", "prompt", "predicted", "recent", "model", "forced"] as const;
const bySource = <Name extends string>(name: Name) =>
  DRAFT_SOURCES.map((source) => `${name}_${source}` as const);

/** In the order of TR_STAT_*. */
export const STATS = [
  "running",
  "waiting",
  "used_blocks",
  "cached_blocks",
  "prompt_tokens_total",
  "cached_tokens_total",
  "generated_tokens_total",
  "steps_total",
  "step_ms_last",
  "preemptions_total",
  "waiting_prefill_tokens",
  "prefill_passes",
  "prefill_tokens",
  "prefill_tokens_squared",
  "decode_passes",
  "decode_share",
  "busy_ms",
  "block_bytes",
  "file_bytes",
  "read_bytes",
  ...bySource("drafts"),
  ...bySource("drafted"),
  ...bySource("drafts_right"),
] as const;
export type NativeStats = Record<(typeof STATS)[number], number>;

const cString = (text: string) => Buffer.from(`${text}\0`, "utf8");

/** Throws a TypeError of bun:ffi when the file is no shim, an Error when it is another version's. */
export function openShim(source: ShimSource): Shim {
  const shim = openSymbols(source);
  const abi = shim.tr_abi();
  if (abi !== SHIM_ABI) {
    throw new Error(`the shim ${source.path} has version ${abi}, not ${SHIM_ABI}: build it again`);
  }
  return shim;
}

/** Can this library be opened here? For choosing packages, e.g. libcuda.so.1. */
export function canOpen(library: string, symbol: string): boolean {
  try {
    // Without any function Bun refuses before it looks.
    dlopen(library, { [symbol]: { args: [], returns: "i32" } }).close();
    return true;
  } catch {
    return false;
  }
}

/**
 * A pipe into which native threads write a byte for news. Read as a stream it is watched by Bun's
 * event loop: no timer, 30 µs from the thread to here. (A thread-safe JSCallback took 80 µs at best
 * and 4 ms at worst.)
 */
export class WakePipe {
  readonly #reader: { read(): Promise<{ done: boolean }>; cancel(): Promise<void> };
  #listener: () => void = () => {};

  /** @param fd its readable end */
  constructor(fd: number) {
    this.#reader = Bun.file(fd).stream().getReader();
    this.#watch();
  }

  async #watch(): Promise<void> {
    while (!(await this.#reader.read()).done) this.#listener();
  }

  /** Called at each byte, or for several at once. One listener. */
  listen(listener: () => void): void {
    this.#listener = listener;
  }

  end(): Promise<void> {
    return this.#reader.cancel();
  }
}

export type NativePaths = {
  readonly library: string;
  readonly folder: string;
  /** GGUF files. */
  readonly model: string;
  readonly draft_model?: string;
  /** Where what batches cost is kept for the next start; default: nowhere. */
  readonly costs_folder?: string;
};

/** One engine of the shim. The owner calls `free` once, after which nothing else may be called. */
export class NativeEngine {
  readonly #shim: Shim;
  readonly #engine: Pointer;
  readonly #wakes: WakePipe;
  readonly #ints = new Int32Array(1);
  readonly #doubles = new Float64Array(Math.max(NUMBERS.length, STATS.length));

  constructor(shim: Shim, paths: NativePaths, options: NativeOptions) {
    const words = Int32Array.of(
      options.threads ?? 0,
      options.context_length ?? 0,
      options.kv_tokens ?? 0,
      options.max_num_seqs ?? 0,
      options.max_queue ?? 0,
      options.max_num_batched_tokens ?? 0,
      options.prefill_chunk ?? 0,
      options.gpu_layers ?? 0,
      options.memory_limit_mib ?? 0,
      options.prefix_cache === false ? 1 : 0,
      options.cores,
      options.fail_at_step ?? 0,
      options.sharers ?? 0,
      SPECULATES.indexOf(options.speculate ?? "off"),
      KV_TYPES[options.kv_type ?? "f16"],
      options.itl_target_ms ?? 0,
      options.draft_fail_at ?? 0,
      options.weights === "shared" ? 1 : 0,
      options.context_is_wish ? 1 : 0,
      options.block_size ?? 0,
    );
    const engine = shim.tr_open(
      cString(paths.library),
      cString(paths.folder),
      cString(paths.model),
      cString(paths.draft_model ?? ""),
      cString(paths.costs_folder ?? ""),
      words,
    );
    if (typeof engine !== "number") throw new Error("no memory or no thread for the engine");
    this.#shim = shim;
    this.#engine = engine;
    this.#wakes = new WakePipe(shim.tr_wake_fd(engine));
  }

  /** Called whenever the engine thread has news: state, progress or records. One listener. */
  onWake(listener: () => void): void {
    this.#wakes.listen(listener);
  }

  state(): { readonly code: number; readonly permille: number } {
    const code = this.#shim.tr_state(this.#engine, this.#ints);
    return { code, permille: this.#ints[0]! };
  }

  message(): string {
    const bytes = new Uint8Array(1024);
    const length = this.#shim.tr_message(this.#engine, bytes, bytes.length);
    return new TextDecoder().decode(bytes.subarray(0, length));
  }

  /** What went wrong and harms no answer, once; "": nothing did. */
  notice(): string {
    const bytes = new Uint8Array(640);
    const length = this.#shim.tr_notice(this.#engine, bytes, bytes.length);
    return new TextDecoder().decode(bytes.subarray(0, length));
  }

  numbers(): NativeNumbers {
    this.#shim.tr_numbers(this.#engine, this.#doubles);
    return Object.fromEntries(NUMBERS.map((name, i) => [name, this.#doubles[i]!])) as NativeNumbers;
  }

  stats(): NativeStats {
    this.#shim.tr_stats(this.#engine, this.#doubles);
    return Object.fromEntries(STATS.map((name, i) => [name, this.#doubles[i]!])) as NativeStats;
  }

  /** `request` is a struct tr_request; the arrays are its variable parts. Returns a TR code. */
  submit(
    request: Uint8Array,
    tokens: Uint32Array,
    stop: Int32Array,
    bias_tokens: Int32Array,
    bias_values: Float32Array,
    predicted: Uint32Array,
  ): number {
    const own = [request, tokens, stop, bias_tokens, bias_values, predicted] as const;
    return this.#shim.tr_submit(this.#engine, ...own);
  }

  /** `kind`: TR.POOL_*. */
  embed(handle: number, tokens: Uint32Array, kind: number): number {
    return this.#shim.tr_embed(this.#engine, handle | 0, tokens, tokens.length | 0, kind | 0);
  }

  cancel(handle: number): void {
    this.#shim.tr_cancel(this.#engine, handle | 0);
  }

  /** Returns a TR code; `adapterState` says how it goes on. Places count from 1. */
  loadAdapter(place: number, path: string): number {
    return this.#shim.tr_adapter_load(this.#engine, place, cString(path));
  }

  /** The same; `salt` is that of its blocks. */
  unloadAdapter(place: number, salt: bigint): number {
    return this.#shim.tr_adapter_unload(this.#engine, place, BigUint64Array.of(salt));
  }

  /** TR.ADAPTER_*. */
  adapterState(place: number): number {
    return this.#shim.tr_adapter_state(this.#engine, place);
  }

  /** One line: why it is TR.ADAPTER_FAILED. */
  adapterMessage(place: number): string {
    const bytes = new Uint8Array(512);
    const length = this.#shim.tr_adapter_message(this.#engine, place, bytes, bytes.length);
    return new TextDecoder().decode(bytes.subarray(0, length));
  }

  /** False: it has not come to what was asked before; ask again. */
  clear(): boolean {
    return this.#shim.tr_clear(this.#engine) === 0;
  }

  /** What the grammar thread of this lane (0 to MASK_LANES - 1) needs to reach this engine. */
  masks(lane: number): NativeLane {
    return { engine: this.#engine, lane, fd: this.#shim.tr_mask_fd(this.#engine, lane) };
  }

  /** The lane has a new grammar thread. False: the engine has too much to do, ask again. */
  masksAgain(lane: number): boolean {
    return this.#shim.tr_mask_again(this.#engine, lane) === 0;
  }

  /** Words written into `to`: whole records, each begun by its length in words. */
  poll(to: Uint32Array, max_records: number): number {
    return this.#shim.tr_poll(this.#engine, to, to.length | 0, max_records | 0);
  }

  /** The same for what happened in the prefix cache, as many records as fit. */
  kvPoll(to: Uint32Array): number {
    return this.#shim.tr_kv_poll(this.#engine, to, to.length | 0);
  }

  /** Blocks by number and serial, each to its address. A TR code; a MOVED record follows. */
  blocksOut(
    id: number,
    blocks: Uint32Array,
    serials: Uint32Array,
    addresses: BigUint64Array,
    bytes: number,
  ): number {
    const n = blocks.length | 0;
    return this.#shim.tr_blocks_out(this.#engine, id | 0, blocks, serials, addresses, n, bytes);
  }

  /** Blocks of `tokens` from block `first` on, as many as there are addresses. */
  blocksIn(
    id: number,
    tokens: Uint32Array,
    first: number,
    salt: bigint,
    addresses: BigUint64Array,
    bytes: number,
  ): number {
    const n = addresses.length | 0;
    const [shim, engine, of] = [this.#shim, this.#engine, BigUint64Array.of(salt)];
    return shim.tr_blocks_in(engine, id | 0, tokens, first | 0, of, addresses, n, bytes);
  }

  tokenize(text: string, add_special: boolean, parse_special: boolean): Uint32Array {
    const bytes = cString(text);
    const to = new Uint32Array(bytes.length + 8);
    const n = this.#shim.tr_tokenize(
      this.#engine,
      bytes,
      bytes.length - 1,
      to,
      to.length,
      Number(add_special),
      Number(parse_special),
    );
    if (n < 0) throw new Error(`text of ${bytes.length - 1} bytes gives ${-n} tokens`);
    return to.slice(0, n);
  }

  /** Seconds that the bare loop took; waits. See troupe.h. */
  bare(prompts: readonly Uint32Array[], n_tokens: number, request: Uint8Array): number {
    const all = Uint32Array.from(prompts.flatMap((prompt) => [...prompt]));
    const lengths = Int32Array.from(prompts, (prompt) => prompt.length);
    const { length } = prompts;
    const seconds = this.#doubles;
    const code = this.#shim.tr_bare(this.#engine, length, all, lengths, n_tokens, request, seconds);
    if (code !== 0) throw new Error(`the bare loop failed with code ${code}`);
    return seconds[0]!;
  }

  /** Asks the thread to end; a wake comes and state() is ERR_CLOSED when it has. */
  close(): void {
    this.#shim.tr_close(this.#engine);
  }

  /** Joins the thread and gives everything back. */
  async free(): Promise<void> {
    await this.#wakes.end();
    this.#shim.tr_free(this.#engine);
  }
}

/** Grammar threads share the masks: a request's is made by the lane of its key modulo MASK_LANES. */
export type NativeLane = {
  readonly engine: number;
  readonly lane: number;
  readonly fd: number;
};

/** The grammar thread's view of an engine. It opens the shim again, which has no state. */
export class NativeMasks {
  readonly #shim: Shim;
  readonly #engine: Pointer;
  readonly #lane: number;
  readonly #fd: number;

  constructor(source: ShimSource, { engine, lane, fd }: NativeLane) {
    this.#shim = openShim(source);
    this.#engine = engine as Pointer;
    this.#lane = lane;
    this.#fd = fd;
  }

  /** Calls back when masks are wanted; does not end. */
  watch(listener: () => void): void {
    new WakePipe(this.#fd).listen(listener);
  }

  /** Words written into `to`: whole records (TR.WANT_*), each begun by its length in words. */
  poll(to: Uint32Array): number {
    return this.#shim.tr_mask_poll(this.#engine, this.#lane, to, to.length | 0);
  }

  /** The answer tokens from `from` on, as many as `to` has room for. */
  tokens(slot: number, from: number, to: Int32Array): void {
    if (to.length === 0) return;
    this.#shim.tr_mask_tokens(this.#engine, slot | 0, from | 0, to.length | 0, to);
  }

  /** False: the engine thread has not read the ones before; try again. */
  put(slot: number, key: number, count: number, words: Uint32Array | undefined): boolean {
    const mask = words ?? null;
    return this.#shim.tr_mask_put(this.#engine, slot | 0, key | 0, count | 0, mask) === 0;
  }

  /** Tokens that are likely behind `count` of the answer. The same. */
  putForced(slot: number, key: number, count: number, tokens: Int32Array): void {
    const n = tokens.length | 0;
    const to = n > 0 ? tokens : null;
    this.#shim.tr_mask_put_forced(this.#engine, slot | 0, key | 0, count | 0, to, n);
  }

  /** The mask behind a guess. Without room it is dropped, as one that comes too late. */
  putGuess(key: number, walk: number, place: number, words: Uint32Array): void {
    this.#shim.tr_mask_put_guess(this.#engine, key | 0, walk | 0, place | 0, words);
  }
}
