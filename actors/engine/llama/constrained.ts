/** Requests of the llama engine that keep to a grammar: a key for each, and the grammar thread. */
import type { NativeEngine, ShimSource } from "../../../native/index.ts";
import type { Clock, Threads } from "../../../runtime/capabilities.ts";
import type { EngineEvent, EngineRefusal, EngineRequest } from "../engine.ts";
import { ConstrainedRequests } from "../grammar/constrained-requests.ts";
import { ThreadedGrammars } from "../grammar/threaded-grammars.ts";

export type LlamaGrammar = {
  readonly clock: Clock;
  readonly threads: Threads;
  /** The model's tokenizer as its card has it. */
  readonly tokenizer_blob: Uint8Array;
  /** For tests on busy machines: see ThreadedOptions. */
  readonly stage_ms?: number | undefined;
};

type LlamaConstrainedHost = {
  readonly submit: (request: EngineRequest, mask_key: number) => EngineRefusal | undefined;
  /** There are events. */
  readonly woke: () => void;
};

export class LlamaConstrained {
  readonly #grammars: ThreadedGrammars;
  readonly #requests: ConstrainedRequests<EngineRequest, number>;
  #events: EngineEvent[] = [];

  constructor(
    native: NativeEngine,
    {
      clock,
      threads,
      tokenizer_blob,
      shim,
      stage_ms,
    }: LlamaGrammar & { readonly shim: ShimSource },
    { submit, woke }: LlamaConstrainedHost,
  ) {
    const { vocab_size } = native.numbers();
    const grammars = new ThreadedGrammars({
      ...{ clock, threads, stage_ms, vocab: { tokenizer_blob, vocab_size } },
      native: {
        lane: (lane) => ({ shim, ...native.masks(lane) }),
        again: (lane) => native.masksAgain(lane),
      },
    });
    this.#grammars = grammars;
    this.#requests = new ConstrainedRequests(grammars, {
      open: (constraint) => grammars.openNative(constraint),
      close: (key) => grammars.closeNative(key),
      submit,
      ended: (event) => {
        this.#events.push(event);
        woke();
      },
    });
  }

  get waiting(): number {
    return this.#requests.waiting;
  }

  prepare(constraint: string, done: (refusal: EngineRefusal | undefined) => void): void {
    this.#grammars.compile(constraint, done);
  }

  submit(request: EngineRequest, constraint: string): EngineRefusal | undefined {
    return this.#requests.submit(request, constraint);
  }

  /** True: the native engine does not have the request. */
  cancel(handle: number): boolean {
    return this.#requests.cancel(handle);
  }

  /** Events of requests that never came to the native engine, at most `limit`. */
  take(limit: number): readonly EngineEvent[] {
    return this.#events.length === 0 ? this.#events : this.#events.splice(0, limit);
  }

  /** Events of the native engine: ends are what matters here. */
  saw(events: readonly EngineEvent[]): void {
    for (const { kind, handle } of events) {
      if (kind === "finished") this.#requests.finished(handle);
    }
  }

  /** Resolves when the grammar thread touches the native engine's memory no more. */
  close(): Promise<void> {
    return this.#grammars.close();
  }
}
