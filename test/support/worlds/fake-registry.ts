/** A registry without processes, and the card of the model that its workers serve. */
import type { WorkersChange } from "../../../actors/router/router.ts";
import type { ModelCard, WorkerRecord } from "../../../proto/index.ts";

export const MODEL = "fake-model";

export function modelCard(name = MODEL): ModelCard {
  return {
    name,
    architecture: "fake",
    engine: "fake",
    context_length: 4_096,
    block_size: 16,
    total_blocks: 1_000,
    max_num_seqs: 8,
    max_num_batched_tokens: 512,
    embedding_size: 4,
    vocab_size: 257,
    tokenizer_blob: "",
    template_blob: "",
    defaults_blob: "",
    created_s: 0,
    build: "fake",
  };
}

/** A registry without leases; what it says arrives a little later. */
export class FakeRegistry {
  readonly #records = new Map<string, WorkerRecord>();
  readonly #listeners = new Set<(change: WorkersChange) => void>();
  readonly #exit_listeners = new Set<(worker: string, crash: boolean) => void>();
  readonly #later: (run: () => void) => void;

  constructor(later: (run: () => void) => void) {
    this.#later = later;
  }

  watch = (listener: (change: WorkersChange) => void): (() => void) => {
    this.#listeners.add(listener);
    listener({ kind: "all", records: [...this.#records.values()] });
    return () => this.#listeners.delete(listener);
  };

  watchExits = (listener: (worker: string, crash: boolean) => void): (() => void) => {
    this.#exit_listeners.add(listener);
    return () => this.#exit_listeners.delete(listener);
  };

  watchCrashes = (listener: (worker: string) => void): (() => void) =>
    this.watchExits((worker, crash) => {
      if (crash) listener(worker);
    });

  /** How the process of that worker ended, as whoever started it says. */
  exited(worker: string, crash: boolean): void {
    this.#later(() => {
      for (const listener of this.#exit_listeners) listener(worker, crash);
    });
  }

  async register(record: WorkerRecord): Promise<void> {
    this.#later(() => {
      this.#records.set(record.worker, record);
      for (const listener of this.#listeners) listener({ kind: "up", record });
    });
  }

  async deregister(worker: string): Promise<void> {
    this.#later(() => {
      if (!this.#records.delete(worker)) return;
      for (const listener of this.#listeners) listener({ kind: "gone", worker });
    });
  }
}
