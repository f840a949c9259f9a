/** The asks and the watches of this node that wait for one peer. */
import { noconnection } from "../kernel/exit-reason.ts";
import { NOWHERE, type ReplyPort, type Watcher } from "../kernel/ref.ts";
import { SlotMap } from "../slot-map.ts";

type PendingAsk = { readonly port: ReplyPort; readonly deadline_ms: number };

/** Ask and monitor numbers wrap far later than any of them can still be pending. */
const NUMBER_MAX = 0xffff_ffff;

export class Pending {
  readonly #asks = new SlotMap<number, PendingAsk>();
  /** Watchers by monitor number, which is the watcher's place too. */
  readonly #watchers = new SlotMap<number, Watcher>();
  #lastNumber = 0;

  get asks(): number {
    return this.#asks.size;
  }

  addAsk(port: ReplyPort, deadline_ms: number): number {
    const ask = this.#number();
    this.#asks.set(ask, { port, deadline_ms });
    return ask;
  }

  /** Undefined: the ask is over, and the answer is late. */
  takeAsk(ask: number): ReplyPort | undefined {
    return this.#asks.take(ask)?.port;
  }

  /** Removes entries of asks that their own deadline has settled already. */
  sweepAsks(now_ms: number): void {
    for (const [ask, { deadline_ms }] of this.#asks) {
      if (deadline_ms < now_ms) this.#asks.delete(ask);
    }
  }

  addWatcher(watcher: Watcher): number {
    const monitor = this.#number();
    this.#watchers.set(monitor, watcher);
    watcher.place = monitor;
    return monitor;
  }

  takeWatcher(monitor: number): Watcher | undefined {
    const watcher = this.#watchers.take(monitor);
    if (watcher !== undefined) watcher.place = NOWHERE;
    return watcher;
  }

  dropWatcher(watcher: Watcher): number | undefined {
    const monitor = watcher.place;
    if (this.#watchers.get(monitor) !== watcher) return undefined;
    this.takeWatcher(monitor);
    return monitor;
  }

  /** The connection is gone: fails every ask and tells every watcher. */
  fail(why: string): void {
    const asks = [...this.#asks.values()];
    const watchers = [...this.#watchers.values()];
    this.#asks.clear();
    this.#watchers.clear();
    for (const { port } of asks) port.fail("down", why);
    for (const watcher of watchers) {
      watcher.place = NOWHERE;
      watcher.ended(noconnection);
    }
  }

  #number(): number {
    this.#lastNumber = this.#lastNumber === NUMBER_MAX ? 1 : this.#lastNumber + 1;
    return this.#lastNumber;
  }
}
