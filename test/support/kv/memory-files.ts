/** Files of blocks in memory, with the faults that disks have. */
import type { BlockFiles, FileJob, FileOutcome, FileResult } from "../../../actors/kv/kv.ts";
import type { Clock } from "../../../runtime/capabilities.ts";

type Kept = { identity: string; bytes: Uint8Array; sum: bigint };

export class MemoryFiles implements BlockFiles {
  readonly most = 32;
  readonly #clock: Clock;
  readonly #view: (at: number, bytes: number) => Uint8Array;
  readonly kept: Map<string, Kept>;
  delay_ms = 1;
  /** More than so many files do not fit. */
  room = Number.POSITIVE_INFINITY;
  stored = 0;
  loaded = 0;

  /** @param kept outlives who writes it */
  constructor(
    clock: Clock,
    view: (at: number, bytes: number) => Uint8Array,
    kept = new Map<string, Kept>(),
  ) {
    this.#clock = clock;
    this.#view = view;
    this.kept = kept;
  }

  store(job: FileJob, done: (results: readonly FileResult[]) => void): boolean {
    return this.#later(done, () => this.#each(job, (path, bytes) => this.#write(job, path, bytes)));
  }

  load(job: FileJob, done: (results: readonly FileResult[]) => void): boolean {
    return this.#later(done, () => this.#each(job, (path, bytes) => this.#read(job, path, bytes)));
  }

  remove(paths: readonly string[], done: (results: readonly FileResult[]) => void): boolean {
    return this.#later(done, () =>
      paths.map((path) => ({ outcome: this.kept.delete(path) ? "ok" : "missing", sum: 0n })),
    );
  }

  #later(
    done: (results: readonly FileResult[]) => void,
    work: () => readonly FileResult[],
  ): boolean {
    this.#clock.after(this.delay_ms, () => done(work()));
    return true;
  }

  #each(
    { shape: { base, slot_bytes, block_bytes }, slots, paths }: FileJob,
    one: (path: string, bytes: Uint8Array) => FileResult,
  ): FileResult[] {
    const at = (i: number) => this.#view(base + slots[i]! * slot_bytes, block_bytes);
    return paths.map((path, i) => one(path, at(i)));
  }

  #write({ identity }: FileJob, path: string, bytes: Uint8Array): FileResult {
    const sum = Bun.hash.xxHash3(bytes);
    if (this.kept.size >= this.room) return { outcome: "full", sum };
    this.kept.set(path, { identity, bytes: bytes.slice(), sum });
    this.stored += 1;
    return { outcome: "ok", sum };
  }

  #read({ identity }: FileJob, path: string, into: Uint8Array): FileResult {
    const file = this.kept.get(path);
    const no = (outcome: FileOutcome) => ({ outcome, sum: file?.sum ?? 0n });
    if (file === undefined) return no("missing");
    if (file.bytes.length < into.length) return no("torn");
    if (file.identity !== identity || file.bytes.length > into.length) return no("foreign");
    if (Bun.hash.xxHash3(file.bytes) !== file.sum) return no("corrupt");
    into.set(file.bytes);
    this.loaded += 1;
    return { outcome: "ok", sum: file.sum };
  }
}
