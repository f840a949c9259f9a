/**
 * The requests that this router and other routers sent, by worker. A request counts at its worker
 * from its placement on: its prompt until the first token, its blocks until its end. No entry
 * expires by age, since every request has an owner that reports its end, also after a failure.
 */
import { SlotMap } from "../../../runtime/slot-map.ts";
import { ActiveBlocks } from "./active-blocks.ts";
import { blockName, type PlaceRequest } from "./place-request.ts";
import { type RoutedWorker, touch } from "./worker-state.ts";

export type BookEntry = {
  readonly request: PlaceRequest;
  readonly worker: RoutedWorker;
  readonly uncached_tokens: number;
  prefilling: boolean;
  /** True: another router sent it. */
  readonly elsewhere: boolean;
};

export class LoadBook {
  readonly active = new ActiveBlocks();
  readonly #entries = new SlotMap<string, BookEntry>();

  get size(): number {
    return this.#entries.size;
  }

  all(): Iterable<BookEntry> {
    return this.#entries.values();
  }

  /** Requests that this router itself sent. */
  *own(): Iterable<BookEntry> {
    for (const entry of this.#entries.values()) if (!entry.elsewhere) yield entry;
  }

  workerOf(request: string): RoutedWorker | undefined {
    return this.#entries.get(request)?.worker;
  }

  begin(
    request: PlaceRequest,
    worker: RoutedWorker,
    uncached_tokens: number,
    now_ms: number,
    elsewhere = false,
  ): void {
    this.end(request.request, now_ms);
    const prefilling = uncached_tokens > 0;
    const entry: BookEntry = { request, worker, uncached_tokens, prefilling, elsewhere };
    this.#entries.set(request.request, entry);
    worker.requests++;
    if (entry.prefilling) {
      if (worker.prefilling.size === 0) worker.prefill_since_ms = now_ms;
      worker.prefilling.set(request.request, uncached_tokens);
      worker.prefill_tokens += uncached_tokens;
    }
    const { full, tail } = this.#shape(entry);
    for (let i = 0; i < full; i++) {
      const name = blockName(request.hashes, i);
      const uses = worker.uses.get(name) ?? 0;
      worker.uses.set(name, uses + 1);
      if (uses > 0) continue;
      worker.active_blocks++;
      this.active.add(name, worker);
    }
    worker.active_blocks += tail;
    touch(worker);
  }

  /** The request's prompt is computed. An unknown request is ignored. */
  firstToken(request: string, now_ms: number): void {
    const entry = this.#entries.get(request);
    if (entry === undefined || !entry.prefilling) return;
    entry.prefilling = false;
    const { worker } = entry;
    worker.prefill_tokens -= entry.uncached_tokens;
    worker.prefilling.delete(request);
    worker.prefill_since_ms = now_ms;
    touch(worker);
  }

  /** The request has finished, failed or was cancelled. Returns its worker. */
  end(request: string, now_ms: number): RoutedWorker | undefined {
    const entry = this.#entries.get(request);
    if (entry === undefined) return undefined;
    this.firstToken(request, now_ms);
    this.#entries.delete(request);
    const { worker } = entry;
    worker.requests--;
    const { full, tail } = this.#shape(entry);
    for (let i = 0; i < full; i++) {
      const name = blockName(entry.request.hashes, i);
      const uses = worker.uses.get(name)!;
      if (uses > 1) {
        worker.uses.set(name, uses - 1);
      } else {
        worker.uses.delete(name);
        worker.active_blocks--;
        this.active.remove(name, worker);
      }
    }
    worker.active_blocks -= tail;
    touch(worker);
    return worker;
  }

  /**
   * The request's router is gone and will not report its end. The worker still has the request and
   * counts it in its next report. Until then it counts as that router told.
   */
  lose(request: string, now_ms: number): void {
    const worker = this.#entries.get(request)?.worker;
    if (worker === undefined) return;
    const { active_blocks, prefill_tokens, requests } = worker;
    this.end(request, now_ms);
    worker.active_blocks_then -= active_blocks - worker.active_blocks;
    worker.prefill_tokens_then -= prefill_tokens - worker.prefill_tokens;
    worker.requests_then -= requests - worker.requests;
    touch(worker);
  }

  /** The worker is gone with its requests; their owners will ask again. */
  forget(worker: RoutedWorker, now_ms: number): void {
    for (const [request, entry] of this.#entries) {
      if (entry.worker === worker) this.end(request, now_ms);
    }
  }

  /** Blocks that have a name, and the unnamed rest of the prompt. */
  #shape({ request, worker }: BookEntry): { readonly full: number; readonly tail: number } {
    const blocks = Math.ceil(request.prompt_tokens / worker.block_size);
    const full = Math.min(blocks, request.hashes.length >>> 1);
    return { full, tail: blocks - full };
  }
}
