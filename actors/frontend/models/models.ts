/**
 * Models that can be served, from the workers' records. Records name blobs by hash
 * (tokenizer, template, defaults). The owner of this directory fetches each blob once, and a model
 * is ready when all of its blobs are here. Data only: nothing here waits or sends.
 */
import type { ActorRef, ModelCard, WorkerRecord, WorkerRole } from "../../../proto/index.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { ServedModel } from "./served-model.ts";

/** Blob bytes by hash → a model. Throws an Error that says what is wrong with them. */
export type BuildModel = (card: ModelCard, blobs: ReadonlyMap<string, Uint8Array>) => ServedModel;

export type ModelState = "ready" | "loading" | "broken" | "unknown";

export type KnownWorker = { readonly worker: string; readonly ref: ActorRef };

/** A blob that is missing, and who has it. */
export type WantedBlob = { readonly hash: string; readonly holders: readonly ActorRef[] };

type Entry = {
  readonly card: ModelCard;
  readonly workers: Set<string>;
  served: ServedModel | undefined;
  /** Why it could not be built. */
  broken: string | undefined;
  /** When it was first seen without workers, on the clock's scale. */
  deserted_ms: number | undefined;
  /** LoRA adapters by name. */
  readonly adapters: Map<string, AdapterEntry>;
};

type AdapterEntry = {
  readonly source: string;
  /** Live workers that have it. */
  readonly workers: Set<string>;
  served: ServedModel | undefined;
};

/** The most models known at once; more names in the registry are passed over. */
const MODELS_LIMIT = 256;

export class ModelDirectory {
  readonly #build: BuildModel;
  readonly #workers = new Map<string, WorkerRecord>();
  readonly #models = new Map<string, Entry>();
  readonly #blobs = new Map<string, Uint8Array>();
  /** Workers that left lately. They may be draining, and still hold answers. */
  readonly #left = new Map<string, { readonly ref: ActorRef; left_ms: number | undefined }>();

  readonly #comes: (model: string) => boolean;

  /** @param comes whether a model without workers gets one, at the latest when somebody asks */
  constructor(build: BuildModel, comes: (model: string) => boolean = () => false) {
    this.#build = build;
    this.#comes = comes;
  }

  /** The worker of this name is new, or came back as another one. */
  workerJoined(record: WorkerRecord): void {
    const card = record.card;
    if (card === undefined) return;
    this.#forgetWorker(record.worker);
    const entry = this.#entryFor(card);
    if (entry === undefined) return;
    this.#workers.set(record.worker, record);
    entry.workers.add(record.worker);
    entry.deserted_ms = undefined;
    takeAdapters(entry, record);
    this.#tryBuild(entry);
  }

  workerLeft(worker: string): void {
    const ref = this.#workers.get(worker)?.ref;
    if (ref !== undefined) this.#left.set(worker, { ref, left_ms: undefined });
    this.#forgetWorker(worker);
  }

  /** All records of the registry. A worker without a record has left. */
  workersAre(records: readonly WorkerRecord[]): void {
    const present = new Set(records.map((record) => record.worker));
    for (const worker of [...this.#workers.keys()]) {
      if (!present.has(worker)) this.workerLeft(worker);
    }
    for (const record of records) this.workerJoined(record);
  }

  /**
   * A model without workers is kept for a while, as they are most likely being restarted. To be
   * called from time to time.
   */
  forgetDeserted(now_ms: number, keep_ms: number): void {
    for (const [worker, left] of this.#left) {
      left.left_ms ??= now_ms;
      if (now_ms - left.left_ms >= keep_ms) this.#left.delete(worker);
    }
    for (const [name, entry] of this.#models) {
      if (entry.workers.size > 0 || this.#comes(name)) {
        entry.deserted_ms = undefined;
        continue;
      }
      entry.deserted_ms ??= now_ms;
      if (now_ms - entry.deserted_ms >= keep_ms) this.#models.delete(name);
    }
  }

  wantedBlobs(): readonly WantedBlob[] {
    const wanted = new Map<string, ActorRef[]>();
    for (const entry of this.#models.values()) {
      if (entry.served !== undefined || entry.broken !== undefined) continue;
      for (const hash of blobsOf(entry.card)) {
        if (this.#blobs.has(hash)) continue;
        const holders = wanted.get(hash) ?? [];
        for (const worker of entry.workers) {
          const ref = this.#workers.get(worker)?.ref;
          if (ref !== undefined) holders.push(ref);
        }
        wanted.set(hash, holders);
      }
    }
    return [...wanted].map(([hash, holders]) => ({ hash, holders }));
  }

  /** Bytes must have been checked against their hash. Returns the models that turned out broken. */
  blobArrived(hash: string, bytes: Uint8Array): readonly string[] {
    this.#blobs.set(hash, bytes);
    const broken: string[] = [];
    for (const [name, entry] of this.#models) {
      if (entry.broken !== undefined) continue;
      this.#tryBuild(entry);
      if (entry.broken !== undefined) broken.push(name);
    }
    this.#dropUnwanted();
    return broken;
  }

  /** Undefined unless it is ready. */
  get(name: string): ServedModel | undefined {
    return this.#models.get(name)?.served ?? this.#adapted(name);
  }

  /** The model under an adapter's name. */
  #adapted(name: string): ServedModel | undefined {
    for (const { adapters, served } of this.#models.values()) {
      const adapter = adapters.get(name);
      if (adapter === undefined || served === undefined) continue;
      const { source } = adapter;
      adapter.served ??= { ...served, name, adapter: name, source };
      return adapter.served;
    }
    return undefined;
  }

  /** LoRA adapters of ready models, as models; by name. */
  adapters(): readonly ServedModel[] {
    const names = [...this.#models.values()].flatMap(({ adapters }) => [...adapters.keys()]);
    return names.sort().flatMap((name) => this.#adapted(name) ?? []);
  }

  state(name: string): ModelState {
    const entry = this.#models.get(name);
    if (entry === undefined) return this.#adapted(name) === undefined ? "unknown" : "ready";
    if (entry.broken !== undefined) return "broken";
    return entry.served === undefined ? "loading" : "ready";
  }

  whyBroken(name: string): string {
    return this.#models.get(name)?.broken ?? "";
  }

  /** Ready ones, by name. */
  ready(): readonly ServedModel[] {
    const models: ServedModel[] = [];
    for (const { served } of this.#models.values()) if (served !== undefined) models.push(served);
    return models.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Live workers that make answers of a model. */
  workers(name: string): number {
    const { aggregated, decode } = this.roles(name);
    return aggregated + decode;
  }

  /** Live workers of a model, by the part of an answer that they make. */
  roles(name: string): Record<WorkerRole, number> {
    const roles = { aggregated: 0, prefill: 0, decode: 0 };
    for (const worker of this.#workersOf(name)) {
      roles[this.#workers.get(worker)?.role ?? "aggregated"]++;
    }
    return roles;
  }

  #workersOf(name: string): Iterable<string> {
    const entry = this.#models.get(name);
    if (entry !== undefined) return entry.workers;
    for (const { adapters } of this.#models.values()) {
      const adapter = adapters.get(name);
      if (adapter !== undefined) return adapter.workers;
    }
    return [];
  }

  /** All workers of all models, and where they are. */
  knownWorkers(): readonly KnownWorker[] {
    const known: KnownWorker[] = [];
    for (const { worker, ref } of this.#workers.values()) {
      if (ref !== undefined) known.push({ worker, ref });
    }
    return known;
  }

  /** The same with workers that left lately, which may be finishing their answers. */
  knownHolders(): readonly KnownWorker[] {
    const left = [...this.#left].filter(([worker]) => !this.#workers.has(worker));
    return [...this.knownWorkers(), ...left.map(([worker, { ref }]) => ({ worker, ref }))];
  }

  /** Whether a model is ready and has a worker, or will get one. */
  canServe(): boolean {
    for (const [name, { served }] of this.#models) {
      if (served !== undefined && (this.workers(name) > 0 || this.#comes(name))) return true;
    }
    return false;
  }

  /** As canServe, and no model that has a worker is still loading. */
  isComplete(): boolean {
    for (const [name, { served, broken }] of this.#models) {
      if (served === undefined && broken === undefined && this.workers(name) > 0) return false;
    }
    return this.canServe();
  }

  #forgetWorker(worker: string): void {
    const old = this.#workers.get(worker);
    this.#workers.delete(worker);
    const entry = old?.card === undefined ? undefined : this.#models.get(old.card.name);
    entry?.workers.delete(worker);
    for (const adapter of entry?.adapters.values() ?? []) adapter.workers.delete(worker);
  }

  /** The first worker's card stands for the model until none of its workers is left. */
  #entryFor(card: ModelCard): Entry | undefined {
    const known = this.#models.get(card.name);
    const replace = known !== undefined && known.workers.size === 0 && !sameModel(known.card, card);
    if (known !== undefined && !replace) return known;
    if (known === undefined && this.#models.size >= MODELS_LIMIT) return undefined;
    const entry: Entry = {
      card,
      workers: new Set(),
      served: undefined,
      broken: undefined,
      deserted_ms: undefined,
      adapters: new Map(),
    };
    this.#models.set(card.name, entry);
    return entry;
  }

  #tryBuild(entry: Entry): void {
    if (entry.served !== undefined || entry.broken !== undefined) return;
    if (!blobsOf(entry.card).every((hash) => this.#blobs.has(hash))) return;
    try {
      entry.served = this.#build(entry.card, this.#blobs);
    } catch (error) {
      entry.broken = errorText(error);
    }
  }

  /** A built model has no use for the raw bytes of its vocabulary, which are megabytes. */
  #dropUnwanted(): void {
    const needed = new Set<string>();
    for (const entry of this.#models.values()) {
      if (entry.served !== undefined || entry.broken !== undefined) continue;
      for (const hash of blobsOf(entry.card)) needed.add(hash);
    }
    for (const hash of [...this.#blobs.keys()]) if (!needed.has(hash)) this.#blobs.delete(hash);
  }
}

/**
 * What a worker has is known; what none has any more is forgotten when one says so. So adapters
 * outlive the restart of their only worker, as its model does.
 */
function takeAdapters({ adapters }: Entry, { worker, adapters: list }: WorkerRecord): void {
  const items = list?.items ?? [];
  for (const { name, source } of items) {
    const known = adapters.get(name);
    const entry =
      known?.source === source ? known : { source, workers: new Set<string>(), served: undefined };
    entry.workers.add(worker);
    adapters.set(name, entry);
  }
  for (const [name, { workers }] of adapters) if (workers.size === 0) adapters.delete(name);
}

function blobsOf(card: ModelCard): readonly string[] {
  return [card.tokenizer_blob, card.template_blob, card.defaults_blob].filter(
    (hash) => hash !== "",
  );
}

const sameModel = (a: ModelCard, b: ModelCard): boolean =>
  a.context_length === b.context_length && blobsOf(a).join() === blobsOf(b).join();
