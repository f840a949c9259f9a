/** Embedding asks in the engine: one handle for each input, one reply when all are there. */
import type { Embeddings, Refused } from "../../proto/index.ts";
import type { EngineEvent } from "../engine/engine.ts";

export type EmbedJob = {
  readonly request: string;
  readonly reply: (answer: Embeddings | Refused) => void;
  readonly items: { values: Uint8Array; prompt_tokens: number }[];
  /** Place in `items` by handle, of the inputs still in the engine. */
  readonly open: Map<number, number>;
};

export class EmbedJobs {
  private readonly by_handle = new Map<number, EmbedJob>();

  /** Inputs in the engine. */
  get count(): number {
    return this.by_handle.size;
  }

  has(handle: number): boolean {
    return this.by_handle.has(handle);
  }

  add(request: string, handles: readonly number[], reply: EmbedJob["reply"]): EmbedJob {
    const open = new Map(handles.map((handle, place) => [handle, place]));
    const items = handles.map(() => ({ values: new Uint8Array(0), prompt_tokens: 0 }));
    const job: EmbedJob = { request, reply, items, open };
    for (const handle of handles) this.by_handle.set(handle, job);
    return job;
  }

  /**
   * Takes an embedding, or the failure of one, which fails the whole ask. Returns the handles to
   * cancel: of the other inputs of an ask that failed.
   */
  record(event: EngineEvent): readonly number[] {
    const job = this.by_handle.get(event.handle);
    if (job === undefined || event.kind === "tokens") return [];
    const place = job.open.get(event.handle)!;
    job.open.delete(event.handle);
    this.by_handle.delete(event.handle);
    const { request } = job;
    if (event.kind === "finished") {
      const message = event.error ?? `the embedding ended with "${event.reason}"`;
      job.reply({ kind: "refused", request, code: "engine_error", message, retry_after_ms: 0 });
      return this.abandon(job);
    }
    const { values, prompt_tokens } = event;
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    job.items[place] = { values: bytes, prompt_tokens };
    if (job.open.size === 0) job.reply({ kind: "embeddings", request, items: job.items });
    return [];
  }

  /** Nobody waits for it any more: returns the handles to cancel. */
  abandon(job: EmbedJob): readonly number[] {
    const running = [...job.open.keys()];
    for (const handle of running) this.by_handle.delete(handle);
    job.open.clear();
    return running;
  }
}
