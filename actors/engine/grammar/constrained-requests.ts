/**
 * Requests that keep to a grammar: they wait here until it is compiled, and then the engine gets
 * them with what their masks are opened as.
 */
import type { EngineEvent, EngineRefusal, EngineRequest } from "../engine.ts";
import type { Grammars } from "./grammars.ts";

export type ConstrainedHost<Request, Opened> = {
  /** The masks of an answer, for an engine that takes the request. */
  readonly open: (constraint: string) => Opened;
  readonly close: (opened: Opened) => void;
  readonly submit: (request: Request, opened: Opened) => EngineRefusal | undefined;
  /** The end of a request that the engine never got. */
  readonly ended: (event: EngineEvent) => void;
};

export class ConstrainedRequests<Request extends EngineRequest, Opened> {
  readonly #grammars: Pick<Grammars, "compile">;
  readonly #host: ConstrainedHost<Request, Opened>;
  readonly #compiling = new Map<number, Request>();
  /** By handle, of requests that the engine has. */
  readonly #opened = new Map<number, Opened>();

  constructor(grammars: Pick<Grammars, "compile">, host: ConstrainedHost<Request, Opened>) {
    this.#grammars = grammars;
    this.#host = host;
  }

  get waiting(): number {
    return this.#compiling.size;
  }

  submit(request: Request, constraint: string): EngineRefusal | undefined {
    let refusal: EngineRefusal | undefined;
    let known = false;
    let returned = false;
    const { handle } = request;
    this.#grammars.compile(constraint, (no) => {
      known = true;
      if (returned && this.#compiling.get(handle) !== request) return; // cancelled meanwhile
      this.#compiling.delete(handle);
      // It was accepted, so it waits on where its grammar is late or its thread is gone.
      if (returned && no?.code === "queue_full") refusal = this.submit(request, constraint);
      else refusal = no ?? this.#start(request, constraint);
      if (returned && refusal !== undefined) this.#end(request, "error", refusal.message);
    });
    returned = true;
    if (!known) this.#compiling.set(handle, request);
    return refusal;
  }

  #start(request: Request, constraint: string): EngineRefusal | undefined {
    const opened = this.#host.open(constraint);
    const refusal = this.#host.submit(request, opened);
    if (refusal === undefined) this.#opened.set(request.handle, opened);
    else this.#host.close(opened);
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

  #end({ handle, prompt_tokens }: Request, reason: "cancelled" | "error", error?: string): void {
    this.#host.ended({
      ...{ kind: "finished", handle, reason, prompt_tokens, cached_tokens: 0 },
      ...(error === undefined ? {} : { error }),
    });
  }

  /** The engine has ended an answer, constrained or not. */
  finished(handle: number): void {
    const opened = this.#opened.get(handle);
    if (opened === undefined) return;
    this.#opened.delete(handle);
    this.#host.close(opened);
  }
}
