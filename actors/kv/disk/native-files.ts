/** Files of blocks by the movers of native/kv: direct I/O on threads of their own. */
import { KV, type KvDone, type KvJob, type NativeMovers } from "../../../native/kv/index.ts";
import type { BlockFiles, FileJob, FileOutcome, FileResult, SlotShape } from "./block-files.ts";

const OUTCOMES: ReadonlyMap<number, FileOutcome> = new Map([
  [KV.OK, "ok"],
  [KV.ERR_MISSING, "missing"],
  [KV.ERR_TORN, "torn"],
  [KV.ERR_FOREIGN, "foreign"],
  [KV.ERR_CORRUPT, "corrupt"],
  [KV.ERR_NO_SPACE, "full"],
]);

/** Paths of one job have to fit into 64 KiB. */
const SLOTS_MOST = 32;

export class NativeFiles implements BlockFiles {
  readonly most = SLOTS_MOST;
  readonly #movers: NativeMovers;
  readonly #region: number;
  readonly #waiting = new Map<number, (results: readonly FileResult[]) => void>();
  #last = 0;

  /** @param region whose slots jobs name */
  constructor(movers: NativeMovers, region: number) {
    this.#movers = movers;
    this.#region = region;
    movers.onWake(() => this.#read());
  }

  store(job: FileJob, done: (results: readonly FileResult[]) => void): boolean {
    return this.#submit({ kind: "store", ...shapeOf(job), from: this.#place(job) }, done);
  }

  load(job: FileJob, done: (results: readonly FileResult[]) => void): boolean {
    return this.#submit({ kind: "load", ...shapeOf(job), to: this.#place(job) }, done);
  }

  remove(paths: readonly string[], done: (results: readonly FileResult[]) => void): boolean {
    return this.#submit({ kind: "remove", planes: 1, plane_bytes: 0, paths }, done);
  }

  #submit(job: Omit<KvJob, "id">, done: (results: readonly FileResult[]) => void): boolean {
    const id = ++this.#last;
    if (this.#movers.submit({ ...job, id }) !== KV.OK) return false;
    this.#waiting.set(id, done);
    return true;
  }

  #place({ shape: { base, slot_bytes, block_bytes }, slots }: FileJob) {
    const first = base / slot_bytes;
    const blocks = slots.map((slot) => first + slot);
    return { region: this.#region, blocks, block_stride: slot_bytes, plane_stride: block_bytes };
  }

  #read(): void {
    for (let done = this.#movers.done(); done.length > 0; done = this.#movers.done()) {
      for (const each of done) this.#ended(each);
    }
  }

  #ended({ id, codes, sums }: KvDone): void {
    const done = this.#waiting.get(id);
    this.#waiting.delete(id);
    done?.(
      Array.from(codes, (code, i) => {
        return { outcome: OUTCOMES.get(code) ?? "failed", sum: sums[i]! };
      }),
    );
  }
}

const shapeOf = ({ shape, identity, paths }: FileJob & { readonly shape: SlotShape }) => ({
  ...{ planes: 1, plane_bytes: shape.block_bytes, paths },
  identity: [BigInt(`0x${identity.slice(0, 16)}`), BigInt(`0x${identity.slice(16, 32)}`)] as const,
});
