/**
 * Requests that keep to a grammar: they wait here until it is compiled, and then the native engine
 * gets them with a key, under which the grammar thread makes their masks.
 */
import type { NativeEngine, ShimSource } from "../../../native/index.ts";
import type { Clock, Threads } from "../../../runtime/capabilities.ts";
import type { EngineEvent, EngineRefusal, EngineRequest } from "../engine.ts";
import { ThreadedGrammars } from "../grammar/threaded-grammars.ts";

export type LlamaGrammar = {
  readonly clock: Clock;
  readonly threads: Threads;
  /** The model's tokenizer as its card has it. */
  readonly tokenizer_blob: Uint8Array;
};

export type ConstrainedHost = {
  readonly submit: (request: EngineRequest, mask_key: number) => EngineRefusal | undefined;
  /** There are events. */
  readonly woke: () => void;
};

export function constrainedRequests(
  native: NativeEngine,
  { clock, threads, tokenizer_blob, shim }: LlamaGrammar & { readonly shim: ShimSource },
  host: ConstrainedHost,
): ConstrainedRequests {
  const { vocab_size } = native.numbers();
  const grammars = new ThreadedGrammars({
    ...{ clock, threads, vocab: { tokenizer_blob, vocab_size } },
    native: { shim, ...native.masks(), again: () => native.masksAgain() },
  });
  return new ConstrainedRequests(grammars, host);
}

export class ConstrainedRequests {
  readonly grammars: ThreadedGrammars;
  readonly #host: ConstrainedHost;
  readonly #compiling = new Map<number, EngineRequest>();
  /** Key by handle. */
  readonly #keys = new Map<number, number>();
  #events: EngineEvent[] = [];

  constructor(grammars: ThreadedGrammars, host: ConstrainedHost) {
    this.grammars = grammars;
    this.#host = host;
  }

  get waiting(): number {
    return this.#compiling.size;
  }

  submit(request: EngineRequest, constraint: string): EngineRefusal | undefined {
    let refusal: EngineRefusal | undefined;
    let known = false;
    let returned = false;
    const { handle } = request;
    this.grammars.compile(constraint, (no) => {
      known = true;
      if (returned && this.#compiling.get(handle) !== request) return; // cancelled meanwhile
      this.#compiling.delete(handle);
      refusal = no ?? this.#start(request, constraint);
      if (returned && refusal !== undefined) this.#end(request, "error", refusal.message);
    });
    returned = true;
    if (!known) this.#compiling.set(handle, request);
    return refusal;
  }

  #start(request: EngineRequest, constraint: string): EngineRefusal | undefined {
    const key = this.grammars.openNative(constraint);
    const refusal = this.#host.submit(request, key);
    if (refusal === undefined) this.#keys.set(request.handle, key);
    else this.grammars.closeNative(key);
    return refusal;
  }

  /** True: the request was waiting here. */
  cancel(handle: number): boolean {
    const request = this.#compiling.get(handle);
    if (request === undefined) return false;
    this.#compiling.delete(handle);
    this.#end(request, "cancelled");
    return true;
  }

  #end({ handle, prompt_tokens }: EngineRequest, reason: "cancelled" | "error", error?: string) {
    this.#events.push({
      ...{ kind: "finished", handle, reason, prompt_tokens, cached_tokens: 0 },
      ...(error === undefined ? {} : { error }),
    });
    this.#host.woke();
  }

  /** Events of requests that never came to the native engine, and at most `limit`. */
  take(limit: number): readonly EngineEvent[] {
    return this.#events.length === 0 ? this.#events : this.#events.splice(0, limit);
  }

  /** Events of the native engine: ends are what matters here. */
  saw(events: readonly EngineEvent[]): void {
    if (this.#keys.size === 0) return;
    for (const { kind, handle } of events) {
      const key = kind === "finished" ? this.#keys.get(handle) : undefined;
      if (key === undefined) continue;
      this.#keys.delete(handle);
      this.grammars.closeNative(key);
    }
  }
}
