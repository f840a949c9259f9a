/**
 * The watchers of an actor, and the actors that it monitors. Made when the first of them comes;
 * most actors have none.
 */

import { SlotMap } from "../slot-map.ts";
import type { ExitReason } from "./exit-reason.ts";
import { NOWHERE, type Ref, type Watcher } from "./ref.ts";

export interface MonitorOwner {
  monitorEnded(monitor: Monitor, reason: ExitReason): void;
}

/** One actor's interest in another's end. */
export class Monitor implements Watcher {
  readonly id: number;
  readonly ref: Ref;
  place = NOWHERE;
  readonly #owner: MonitorOwner;

  constructor(id: number, ref: Ref, owner: MonitorOwner) {
    this.id = id;
    this.ref = ref;
    this.#owner = owner;
  }

  ended(reason: ExitReason): void {
    this.#owner.monitorEnded(this, reason);
  }
}

export class Relations {
  /** Watchers of this actor, in no order; each knows its place. */
  #watchers: Watcher[] | undefined = undefined;
  // The monitors of this actor. Most have one at most, and a map costs a third of a life's cost.
  #monitor: Monitor | undefined = undefined;
  #more_monitors: SlotMap<number, Monitor> | undefined = undefined;

  addWatcher(watcher: Watcher): void {
    if (watcher.place !== NOWHERE) return;
    this.#watchers ??= [];
    watcher.place = this.#watchers.length;
    this.#watchers.push(watcher);
  }

  /** The last watcher takes the index of the removed one. */
  removeWatcher(watcher: Watcher): void {
    const watchers = this.#watchers;
    if (watchers === undefined || watcher.place === NOWHERE) return;
    if (watchers[watcher.place] !== watcher) return;
    const last = watchers.pop()!;
    last.place = watcher.place;
    if (last !== watcher) watchers[last.place] = last;
    watcher.place = NOWHERE;
  }

  addMonitor(monitor: Monitor): void {
    if (this.#monitor === undefined) {
      this.#monitor = monitor;
    } else {
      this.#more_monitors ??= new SlotMap();
      this.#more_monitors.set(monitor.id, monitor);
    }
    monitor.ref.watch(monitor);
  }

  removeMonitor(id: number): void {
    const monitor = this.#takeMonitor(id);
    monitor?.ref.unwatch(monitor);
  }

  /** False: the monitor was removed after its Down was sent, so the Down is not delivered. */
  takeMonitor(monitor: Monitor): boolean {
    return this.#takeMonitor(monitor.id) !== undefined;
  }

  #takeMonitor(id: number): Monitor | undefined {
    const monitor = this.#monitor;
    if (monitor?.id !== id) return this.#more_monitors?.take(id);
    this.#monitor = undefined;
    return monitor;
  }

  get watchers(): number {
    return this.#watchers?.length ?? 0;
  }

  /** Whom this actor monitors. */
  monitored(): Ref[] {
    const more = this.#more_monitors === undefined ? [] : [...this.#more_monitors.values()];
    return [...(this.#monitor === undefined ? [] : [this.#monitor]), ...more].map(({ ref }) => ref);
  }

  /** This actor has ended: tells each watcher once, and ends its own monitors. */
  end(reason: ExitReason): void {
    if (this.#watchers !== undefined) tellAll(this.#watchers, reason);
    this.#monitor?.ref.unwatch(this.#monitor);
    if (this.#more_monitors !== undefined) {
      for (const monitor of this.#more_monitors.values()) monitor.ref.unwatch(monitor);
    }
  }
}

/** Watchers are told in the order in which they came; one may end another's watch meanwhile. */
function tellAll(watchers: Watcher[], reason: ExitReason): void {
  watchers.reverse();
  watchers.forEach((watcher, place) => {
    watcher.place = place;
  });
  for (let watcher = watchers.pop(); watcher !== undefined; watcher = watchers.pop()) {
    watcher.place = NOWHERE;
    watcher.ended(reason);
  }
}
