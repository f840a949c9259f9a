/** Watchers of a registry's prefixes. Each is told of every change under its prefix, numbered. */

import type { RegistryEntry } from "../../proto/gen/types.ts";
import type { Ref } from "../kernel/ref.ts";
import type { RegistryChange } from "../wire-messages.ts";

type Watcher = {
  readonly ref: Ref<RegistryChange>;
  readonly monitor: number;
  readonly prefix: string;
  /** The watcher's own number for this watch. */
  readonly watch: number;
  revision: number;
};

export class RegistryWatchers {
  readonly #watchers = new Map<string, Watcher>();

  get size(): number {
    return this.#watchers.size;
  }

  /** `id`: prefix and actor. Its changes are numbered from 1. */
  add(id: string, watcher: Omit<Watcher, "revision">): void {
    this.#watchers.set(id, { ...watcher, revision: 0 });
  }

  /** Returns the watcher's monitor, which is to be ended. */
  remove(id: string): number | undefined {
    const watcher = this.#watchers.get(id);
    this.#watchers.delete(id);
    return watcher?.monitor;
  }

  /** The actor that this monitor watched has ended. */
  ended(monitor: number): void {
    for (const [id, watcher] of this.#watchers) {
      if (watcher.monitor === monitor) this.#watchers.delete(id);
    }
  }

  /** Tells watchers of the prefixes concerned. `away`: the shared table is not reached. */
  tellChange(put: readonly RegistryEntry[], removed: readonly string[], away: boolean): void {
    for (const watcher of this.#watchers.values()) {
      const { prefix } = watcher;
      const its_put = put.filter(({ key }) => key.startsWith(prefix));
      const its_removed = removed.filter((key) => key.startsWith(prefix));
      if (its_put.length > 0 || its_removed.length > 0) tell(watcher, its_put, its_removed, away);
    }
  }

  /** Tells all that the shared table is away, or is back. */
  tellAway(away: boolean): void {
    for (const watcher of this.#watchers.values()) tell(watcher, [], [], away);
  }
}

/** A change that a watcher's mailbox refuses leaves a gap in its numbers: it watches again. */
function tell(watcher: Watcher, put: RegistryEntry[], removed: string[], away: boolean): void {
  watcher.revision++;
  const { ref, prefix, revision, watch } = watcher;
  ref.tell({ kind: "registry_change", prefix, put, removed, revision, watch, away });
}
