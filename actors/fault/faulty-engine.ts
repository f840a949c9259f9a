/**
 * An engine that fails on purpose, at two points: as it begins with a prompt, and at each step.
 * `fail` ends answers in an error, a failure that passes; `crash` throws, a fatal one; `abort` ends
 * the process as a fault in native code does.
 */
import type { KvDump } from "../../llm/blocks/kv-event.ts";
import type { WirePassSums as PassSums, PoolKind } from "../../proto/index.ts";
import {
  type Engine,
  type EngineDescription,
  type EngineEvent,
  EngineFailedError,
  type EngineRefusal,
  type EngineRequest,
  type EngineStats,
} from "../engine/engine.ts";
import type { FaultInjector } from "./injector.ts";
import type { FaultPoint } from "./plan.ts";

/** Faults begin behind the canary's handle: a worker that fails from the start never serves. */
const FIRST_HANDLE = 1;

export class FaultyEngine implements Engine {
  readonly kv_events?: NonNullable<Engine["kv_events"]>;
  readonly passSums?: () => PassSums;
  readonly draftCounts?: NonNullable<Engine["draftCounts"]>;
  readonly kvDump?: () => KvDump;
  readonly clearCache?: () => boolean;
  readonly loadAdapter?: (name: string, path: string) => Promise<void>;
  readonly unloadAdapter?: (name: string) => Promise<void>;
  readonly prepare?: NonNullable<Engine["prepare"]>;
  readonly blocks?: NonNullable<Engine["blocks"]>;
  readonly #inner: Engine;
  readonly #injector: FaultInjector;
  /** Live handles, and the prompts of those that no step has begun with. */
  readonly #live = new Set<number>();
  readonly #fresh = new Map<number, string>();
  #failed: EngineEvent[] = [];
  #wake: () => void = () => {};

  constructor(inner: Engine, injector: FaultInjector) {
    this.#inner = inner;
    this.#injector = injector;
    if (inner.kv_events !== undefined) this.kv_events = inner.kv_events;
    if (inner.passSums !== undefined) this.passSums = () => inner.passSums!();
    if (inner.draftCounts !== undefined) this.draftCounts = () => inner.draftCounts!();
    if (inner.kvDump !== undefined) this.kvDump = () => inner.kvDump!();
    if (inner.clearCache !== undefined) this.clearCache = () => inner.clearCache!();
    if (inner.loadAdapter !== undefined) {
      this.loadAdapter = (name, path) => inner.loadAdapter!(name, path);
    }
    if (inner.unloadAdapter !== undefined) {
      this.unloadAdapter = (name) => inner.unloadAdapter!(name);
    }
    if (inner.blocks !== undefined) this.blocks = inner.blocks;
    if (inner.prepare !== undefined) this.prepare = (text, done) => inner.prepare!(text, done);
  }

  describe(): EngineDescription {
    return this.#inner.describe();
  }

  submit(request: EngineRequest): EngineRefusal | undefined {
    const refusal = this.#inner.submit(request);
    const { handle, tokens } = request;
    if (refusal !== undefined || handle < FIRST_HANDLE) return refusal;
    this.#live.add(handle);
    this.#fresh.set(handle, tokens.join(" "));
    return undefined;
  }

  embed(handle: number, tokens: Uint32Array, pool: PoolKind): EngineRefusal | undefined {
    return this.#inner.embed(handle, tokens, pool);
  }

  cancel(handle: number): void {
    this.#inner.cancel(handle);
  }

  step(now_ms: number): number | undefined {
    this.#begin();
    if (this.#live.size > 0 && this.#goesWrong("engine.step", "")) this.#fail([...this.#live]);
    return this.#inner.step(now_ms);
  }

  poll(limit: number): readonly EngineEvent[] {
    const failed = this.#failed.splice(0, limit);
    const events = this.#inner.poll(limit - failed.length).filter(({ handle, kind }) => {
      if (handle < FIRST_HANDLE || kind === "embedding") return true;
      const wanted = this.#live.has(handle);
      if (kind === "finished") this.#live.delete(handle);
      return wanted;
    });
    return [...failed, ...events];
  }

  onWake(listener: () => void): void {
    this.#wake = listener;
    this.#inner.onWake(listener);
  }

  stats(): EngineStats {
    return this.#inner.stats();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #begin(): void {
    for (const [handle, prompt] of this.#fresh) {
      this.#fresh.delete(handle);
      if (this.#goesWrong("engine.prompt", prompt)) this.#fail([handle]);
    }
  }

  /** True: the engine has to fail here. A crash does not return. */
  #goesWrong(point: FaultPoint, detail: string): boolean {
    const fault = this.#injector.at(point, detail);
    if (fault?.do === "crash") throw new EngineFailedError(`injected: ${point}`);
    return fault !== undefined;
  }

  #fail(handles: readonly number[]): void {
    for (const handle of handles) {
      if (!this.#live.delete(handle)) continue;
      this.#inner.cancel(handle);
      const counts = { prompt_tokens: 0, cached_tokens: 0 };
      const error = "injected: the step failed";
      this.#failed.push({ kind: "finished", handle, reason: "error", error, ...counts });
    }
    this.#wake();
  }
}
