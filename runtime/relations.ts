/**
 * Who wants to know when an actor ends, and whose end it wants to know: monitors tell once, links
 * end together. Made for the first of them; most actors have none.
 */

import type { ExitReason } from "./exit-reason.ts";
import { type Ref, sameActor, type Watcher } from "./ref.ts";

export interface MonitorOwner {
  monitorEnded(monitor: Monitor, reason: ExitReason): void;
}

/** One actor's interest in another's end. */
export class Monitor implements Watcher {
  readonly id: number;
  readonly ref: Ref;
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
  // Those who watch this actor: most have one at most, for which a set is a third of a life's cost.
  #watcher: Watcher | undefined = undefined;
  #more_watchers: Set<Watcher> | undefined = undefined;
  #links: Set<Ref> | undefined = undefined;
  /** What this actor watches. */
  #monitors: Map<number, Monitor> | undefined = undefined;

  addWatcher(watcher: Watcher): void {
    if (this.#watcher === undefined) {
      this.#watcher = watcher;
      return;
    }
    if (this.#watcher === watcher) return;
    this.#more_watchers ??= new Set();
    this.#more_watchers.add(watcher);
  }

  removeWatcher(watcher: Watcher): void {
    if (this.#watcher === watcher) this.#watcher = undefined;
    this.#more_watchers?.delete(watcher);
  }

  addLink(peer: Ref): void {
    this.#links ??= new Set();
    this.#links.add(peer);
  }

  removeLink(peer: Ref): void {
    const links = this.#links;
    if (links === undefined || links.delete(peer)) return;
    // Another object may stand for the same actor.
    for (const link of links) if (sameActor(link, peer)) links.delete(link);
  }

  addMonitor(monitor: Monitor): void {
    this.#monitors ??= new Map();
    this.#monitors.set(monitor.id, monitor);
    monitor.ref.watch(monitor);
  }

  removeMonitor(id: number): void {
    const monitor = this.#monitors?.get(id);
    if (monitor === undefined) return;
    this.#monitors?.delete(id);
    monitor.ref.unwatch(monitor);
  }

  /** False when it was taken back after its Down was sent: that Down is not to be delivered. */
  takeMonitor(monitor: Monitor): boolean {
    return this.#monitors?.delete(monitor.id) ?? false;
  }

  /** This actor, `self`, has ended: everyone is told once, and nothing is left of it elsewhere. */
  end(self: Ref, reason: ExitReason): void {
    this.#watcher?.ended(reason);
    if (this.#more_watchers !== undefined) {
      for (const watcher of this.#more_watchers) watcher.ended(reason);
    }
    if (this.#links !== undefined) {
      for (const peer of this.#links) peer.exitSignal(self, reason);
    }
    if (this.#monitors !== undefined) {
      for (const monitor of this.#monitors.values()) monitor.ref.unwatch(monitor);
    }
  }
}
