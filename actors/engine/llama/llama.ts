/**
 * The llama engine: `Engine` over the native batch loop (native/troupe.h).
 *
 * The engine thread does the work; this file lays requests out for it and reads records back.
 * `step` has nothing to do. Events of one poll are merged: the tokens of one handle that lie next
 * to each other become one event.
 */

import type { KvDump } from "../../../llm/blocks/kv-event.ts";
import { buildShim, type CompilerChoice, findLlama, LLAMA_RELEASE } from "../../../native/build.ts";
import {
  NativeEngine,
  type NativeOptions,
  type NativeStats,
  openShim,
  type ShimSource,
  TR,
} from "../../../native/index.ts";
import type { WirePassSums as PassSums, PoolKind } from "../../../proto/index.ts";
import { beyondLimits } from "../beyond-limits.ts";
import {
  type DraftCounts,
  type Engine,
  type EngineCapabilities,
  type EngineDescription,
  type EngineEvent,
  EngineFailedError,
  type EngineRefusal,
  type EngineRequest,
  type EngineStats,
} from "../engine.ts";
import { contextOf, type EngineKind } from "../engine-kind.ts";
import type { KvEventLog } from "../kv-event-log.ts";
import { noAdapter } from "../no-adapter.ts";
import { LlamaAdapters } from "./adapters.ts";
import { LlamaBlockPort } from "./block-port.ts";
import { LlamaConstrained, type LlamaGrammar } from "./constrained.ts";
import { draftCountsOf, passSumsOf, statsOf } from "./counts.ts";
import { llamaContradiction, llamaFlags, memoryWishes, nativeOptions } from "./flags.ts";
import { LlamaKvEvents } from "./kv-events.ts";
import { type LoadProgress, loadProgress, loadText } from "./load-progress.ts";
import { memoryOptions, memoryText } from "./memory.ts";
import { POOLS, poolsOf } from "./pools.ts";
import { type RecordReader, readRecords } from "./records.ts";
import { refusal } from "./refusal.ts";
import { encodeRequest, type RequestBuffers, requestBuffers } from "./request.ts";

export type LlamaOptions = Partial<NativeOptions> & {
  /** Path of a .gguf file. */
  readonly model: string;
  /** Path of the .gguf file of a smaller model, whose guesses are checked. */
  readonly draft_model?: string;
  /** Hears of what went wrong and harms no answer: one line. */
  readonly on_notice?: (text: string) => void;
  /** Folder that holds libllama; default: the installed @node-llama-cpp package. */
  readonly lib_dir?: string;
  /** A shim built before (the compiled binary carries one); default: built or cached. */
  readonly shim_path?: string;
  readonly compiler?: CompilerChoice;
  /** Folder for the built shim; default: the platform's cache folder. */
  readonly cache_dir?: string;
  /** Folder for what batches cost, so that the next start need not measure it; default: none. */
  readonly costs_folder?: string;
  readonly on_progress?: (progress: LoadProgress) => void;
  /** Without these the engine knows no grammars. */
  readonly grammar?: LlamaGrammar;
};

/** The rest is up to the model. Logits differ in their last bits with the shape of the batch. */
type ByModel = "generates" | "pools" | "adapters" | "constrains" | "exports_blocks";
const CAPABILITIES: Omit<EngineCapabilities, ByModel> = {
  steps: false,
  salts: true,
  scores: true,
  replays_exactly: false,
};

/** Why the engine could not start; `message` is one line that says what to do. */
export class EngineStartError extends Error {
  override readonly name = "EngineStartError";
  constructor(
    readonly code: "library" | "model" | "memory" | "engine",
    message: string,
  ) {
    super(message);
  }
}

function startErrorCode(code: number): EngineStartError["code"] {
  if (code === TR.ERR_LIBRARY) return "library";
  if (code === TR.ERR_MODEL) return "model";
  return code === TR.ERR_MEMORY ? "memory" : "engine";
}

/**
 * Loads the model on the engine's own thread and resolves when it answers requests.
 * Rejects with EngineStartError, or NativeError when library or shim are missing.
 */
export async function openLlama(options: LlamaOptions): Promise<LlamaEngine> {
  const { library, folder } = findLlama(options.lib_dir);
  const shim = await shimOf(options);
  const { model, draft_model = "", costs_folder = "" } = options;
  const paths = { library, folder, model, draft_model, costs_folder };
  const cores = options.cores ?? navigator.hardwareConcurrency;
  const native = new NativeEngine(openShim(shim), paths, { ...options, cores });
  await new Promise<void>((resolve) => {
    native.onWake(() => {
      const { code, permille } = native.state();
      options.on_progress?.(loadProgress(native.stats(), permille));
      if (code !== TR.LOADING) resolve();
    });
  });
  const { code } = native.state();
  if (code !== TR.READY) {
    const message = native.message();
    await native.free();
    throw new EngineStartError(startErrorCode(code), message);
  }
  const { grammar, on_notice } = options;
  return new LlamaEngine(native, grammar && { ...grammar, shim }, on_notice);
}

export const llamaKind = {
  flags: llamaFlags,
  reads_weights: true,
  blockFormat: ({ kv_type }) => {
    return { library: `llama.cpp ${LLAMA_RELEASE}`, cache_type: kv_type };
  },
  memory: memoryWishes,
  shares_process: false,
  contradiction: llamaContradiction,
  opener: (own, parts) => {
    const { settings, model_path, draft_path, sharers, cache_folder, assets_folder } = parts;
    const { clock, threads: workers, facts, warn } = parts;
    const tokenizer_blob = facts.blobs.get(facts.tokenizer_blob);
    const { max_num_seqs, threads, block_size } = settings;
    return (progress) =>
      openLlama({
        model: model_path,
        ...(draft_path ? { draft_model: draft_path } : {}),
        ...(warn ? { on_notice: warn } : {}),
        context_length: contextOf(parts, own.kv_tokens || undefined),
        ...(max_num_seqs > 0 ? { max_num_seqs } : {}),
        ...(threads > 0 ? { threads } : {}),
        block_size,
        ...nativeOptions(own),
        ...memoryOptions(own, parts),
        sharers,
        ...libraries(assets_folder),
        cache_dir: cache_folder,
        costs_folder: `${cache_folder}/costs`,
        on_progress: (loading) => progress(loading.fraction, loadText(model_path, loading)),
        ...(workers && tokenizer_blob
          ? { grammar: { clock, threads: workers, tokenizer_blob } }
          : {}),
      });
  },
} as const satisfies EngineKind<typeof llamaFlags>;

/** A compiled binary brings its own; the source tree finds them in node_modules. */
function libraries(assets_folder: string) {
  if (assets_folder === "") return {};
  const lib_dir = `${assets_folder}/lib`;
  return { lib_dir, shim_path: `${lib_dir}/libtroupe.so` };
}

async function shimOf(options: LlamaOptions): Promise<ShimSource> {
  if (options.shim_path) return { kind: "library", path: options.shim_path };
  const { compiler, cache_dir } = options;
  const wanted = { ...(compiler ? { compiler } : {}), ...(cache_dir ? { cache_dir } : {}) };
  return (await buildShim(wanted)).source;
}

/** An empty array has no address. */
const NOTHING = new Uint32Array(1);

export class LlamaEngine implements Engine {
  readonly kv_events?: KvEventLog;
  readonly kvDump?: () => KvDump;
  readonly clearCache?: () => boolean;
  readonly loadAdapter?: (name: string, path: string) => Promise<void>;
  readonly unloadAdapter?: (name: string) => Promise<void>;
  readonly prepare?: NonNullable<Engine["prepare"]>;
  readonly #constrained: LlamaConstrained | undefined;
  readonly blocks?: LlamaBlockPort;
  readonly #native: NativeEngine;
  readonly #adapters: LlamaAdapters;
  #listener: () => void = () => {};
  readonly #description: EngineDescription;
  readonly #buffers: RequestBuffers = requestBuffers();
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #reader: RecordReader;
  readonly #kv: LlamaKvEvents | undefined;
  #closed: Promise<void> | undefined;
  /** The engine's stats when it was closed. */
  #last: NativeStats | undefined;

  constructor(
    native: NativeEngine,
    grammar?: LlamaGrammar & { readonly shim: ShimSource },
    on_notice?: (text: string) => void,
  ) {
    const numbers = native.numbers();
    this.#native = native;
    this.#adapters = new LlamaAdapters(native);
    native.onWake(() => {
      this.#adapters.look();
      const notice = on_notice === undefined ? "" : native.notice();
      if (notice !== "") on_notice?.(notice);
      this.#listener();
    });
    if (numbers.generates !== 0) {
      this.loadAdapter = (name, path) => this.#adapters.load(name, path);
      this.unloadAdapter = (name) => this.#adapters.unload(name);
    }
    this.#description = {
      engine: "llama",
      context_length: numbers.context_length,
      block_size: numbers.block_size,
      total_blocks: numbers.total_blocks,
      max_num_seqs: numbers.max_num_seqs,
      max_num_batched_tokens: numbers.max_num_batched_tokens,
      vocab_size: numbers.vocab_size,
      embedding_size: numbers.embedding_size,
      class_count: numbers.classes,
      capabilities: {
        ...CAPABILITIES,
        generates: numbers.generates !== 0,
        adapters: numbers.generates !== 0,
        exports_blocks: numbers.prefix_cache !== 0,
        pools: poolsOf(numbers),
        constrains: grammar !== undefined && numbers.generates !== 0,
      },
      memory: memoryText(numbers),
      build: native.message().replace(" ?B", ""), // of a model that does not say its size
    };
    this.#words = new Uint32Array(Math.max(16384, numbers.max_record_words * 2));
    const floats = new Float32Array(this.#words.buffer);
    this.#reader = {
      ...{ words: this.#words, floats, vectors: new Map() },
      moved: (handle, blocks) => this.blocks?.moved(handle, blocks),
    };
    const constrained =
      grammar === undefined || numbers.generates === 0
        ? undefined
        : new LlamaConstrained(native, grammar, {
            submit: (request, mask_key) => this.#submit(request, mask_key),
            woke: () => this.#listener(),
          });
    this.#constrained = constrained;
    if (constrained) this.prepare = (text, done) => constrained.prepare(text, done);
    if (numbers.prefix_cache === 0) return;
    const kv = new LlamaKvEvents(numbers.total_blocks, numbers.block_size);
    this.#kv = kv;
    this.kv_events = kv.log;
    this.kvDump = () => kv.dump();
    this.clearCache = () => this.#closed === undefined && native.clear();
    this.blocks = new LlamaBlockPort(native, kv, {
      block_bytes: () => this.#read().block_bytes,
      isClosed: () => this.#closed !== undefined,
      refusal: (code, tokens) => refusal(code, tokens, 0, this.#description),
    });
  }

  describe(): EngineDescription {
    return this.#description;
  }

  submit(request: EngineRequest): EngineRefusal | undefined {
    const { constraint } = request;
    if (constraint === undefined) return this.#submit(request, 0);
    const refused = beyondLimits(request);
    if (refused !== undefined) return refused;
    if (this.#constrained !== undefined) return this.#constrained.submit(request, constraint);
    return { code: "not_supported", message: "this engine knows no grammars" };
  }

  #submit(request: EngineRequest, mask_key: number): EngineRefusal | undefined {
    if (this.#closed) return refusal(TR.ERR_CLOSED, request.tokens.length, 0, this.#description);
    const { adapter } = request;
    const place = adapter === undefined ? 0 : this.#adapters.placeOf(adapter);
    if (place === undefined) return noAdapter(adapter);
    const problem = encodeRequest(request, this.#buffers, place, mask_key);
    if (problem) return problem;
    const { struct, stop, bias_tokens, bias_values } = this.#buffers;
    const { tokens, predicted = NOTHING } = request;
    const code = this.#native.submit(struct, tokens, stop, bias_tokens, bias_values, predicted);
    if (code === 0) return undefined;
    return refusal(code, request.tokens.length, request.max_tokens, this.#description);
  }

  embed(handle: number, tokens: Uint32Array, pool: PoolKind): EngineRefusal | undefined {
    const code = this.#closed
      ? TR.ERR_CLOSED
      : tokens.length === 0
        ? TR.ERR_BAD_REQUEST
        : this.#native.embed(handle, tokens, POOLS[pool]);
    return code === 0 ? undefined : refusal(code, tokens.length, 0, this.#description);
  }

  cancel(handle: number): void {
    if (this.#closed || this.#constrained?.cancel(handle)) return;
    this.#native.cancel(handle);
  }

  step(_now_ms: number): number | undefined {
    return undefined;
  }

  poll(limit: number): readonly EngineEvent[] {
    if (this.#closed) return [];
    const own = this.#constrained?.take(limit) ?? [];
    if (own.length > 0) return own;
    let words = this.#native.poll(this.#words, limit);
    if (words === 0 && this.#native.state().code === TR.ERR_ENGINE) {
      // Records that the thread pushed between the two calls, before it failed.
      words = this.#native.poll(this.#words, limit);
      if (words === 0) throw new EngineFailedError(this.#native.message());
    }
    const events = readRecords(this.#reader, words);
    if (this.#kv) this.#readKv(this.#kv);
    this.#constrained?.saw(events);
    return events;
  }

  /** After the answers' records: what an answer stored was said before its end. */
  #readKv(kv: LlamaKvEvents): void {
    for (;;) {
      const length = this.#native.kvPoll(this.#words);
      if (length === 0) return;
      kv.read(this.#words, length);
    }
  }

  /** How often nobody polled in time, so that events were lost and the whole cache told again. */
  get kv_resyncs(): number {
    return this.#kv?.resyncs ?? 0;
  }

  onWake(listener: () => void): void {
    this.#listener = listener;
  }

  /** After `close` as they were when it was asked for; so are the next two. */
  stats(): EngineStats {
    return statsOf(this.#read(), this.#constrained?.waiting ?? 0, this.#description.total_blocks);
  }

  passSums(): PassSums {
    return passSumsOf(this.#read());
  }

  draftCounts(): readonly DraftCounts[] {
    return draftCountsOf(this.#read());
  }

  /** The shim's memory is gone once it is closed. */
  #read(): NativeStats {
    return this.#last ?? this.#native.stats();
  }

  /** The library's own tokenizer, for comparing the JavaScript one with. */
  tokenize(text: string, add_special: boolean, parse_special: boolean): Uint32Array {
    return this.#native.tokenize(text, add_special, parse_special);
  }

  /** Seconds the bare native loop takes for the same work; waits. For the benchmark. */
  bareSeconds(prompts: readonly Uint32Array[], n_tokens: number, like: EngineRequest): number {
    encodeRequest(like, this.#buffers);
    return this.#native.bare(prompts, n_tokens, this.#buffers.struct);
  }

  close(): Promise<void> {
    this.#last ??= this.#native.stats();
    this.#adapters.close();
    this.#closed ??= this.#end();
    return this.#closed;
  }

  async #end(): Promise<void> {
    // Its thread reads and writes the native engine's memory.
    await this.#constrained?.close();
    await new Promise<void>((resolve) => {
      const look = () => {
        const { code } = this.#native.state();
        if (code === TR.ERR_CLOSED || code === TR.ERR_ENGINE) resolve();
      };
      this.#native.onWake(look);
      this.#native.close();
      look();
    });
    await this.#native.free();
  }
}
