/** The entries that a registry client knows under one prefix, and their followers. */
import type { Ref } from "../kernel/ref.ts";
import type { RegistryChange, RegistrySnapshot } from "../wire-messages.ts";
import type { RegistryEntry } from "./registry.ts";

/** The whole set at first, and then what changed. */
export type ViewMessage = {
  readonly kind: "registry_view";
  /** Without the namespace, as the keys of the entries. */
  readonly prefix: string;
  /** True: `put` is the whole set and replaces the one known before. */
  readonly whole: boolean;
  readonly put: readonly RegistryEntry[];
  readonly removed: readonly string[];
  /** False: the registry or its shared table cannot be reached, and this is the last known set. */
  readonly live: boolean;
};

/** Most early changes; a snapshot is overtaken by fewer. A dropped one is noticed as a gap. */
const EARLY_MAX = 1_000;

export class RegistryView {
  /** With the namespace. */
  readonly prefix: string;
  /** The registry tells us of changes. */
  watched = false;

  readonly #namespace_chars: number;
  readonly #followers = new Map<number, Ref<ViewMessage>>();
  /** Entries of the registry's earlier life that were not registered again, and their end. */
  readonly #doubtful = new Map<string, number>();
  #entries = new Map<string, RegistryEntry>();
  /** Changes that came before the snapshot they follow. */
  #early: RegistryChange[] = [];
  #watch = 0;
  #revision = 0;
  #instance = "";
  #live = false;
  #away = false;

  constructor(prefix: string, namespace_chars: number) {
    this.prefix = prefix;
    this.#namespace_chars = namespace_chars;
  }

  get size(): number {
    return this.#entries.size;
  }

  follow(follower: Ref<ViewMessage>, monitor: number): void {
    this.#followers.set(monitor, follower);
    follower.tell(this.#whole());
  }

  followerEnded(monitor: number): void {
    this.#followers.delete(monitor);
  }

  setLive(live: boolean): void {
    if (this.#live === live) return;
    this.#live = live;
    this.#tell(this.#view([], []));
  }

  /** The number of a new watch; changes of earlier ones are ignored from now on. */
  newWatch(): number {
    this.#watch++;
    this.#early = [];
    return this.#watch;
  }

  snapshot(snapshot: RegistrySnapshot, doubtUntil_ms: number): void {
    const { entries, revision, instance, watch, away } = snapshot;
    if (watch !== this.#watch) return;
    const before = this.#entries;
    const restarted = this.#instance !== "" && this.#instance !== instance;
    this.#entries = new Map(entries.map((entry) => [entry.key, entry]));
    this.#doubtful.clear();
    if (restarted) {
      for (const [key, entry] of before) {
        if (this.#entries.has(key)) continue;
        this.#entries.set(key, entry);
        this.#doubtful.set(key, doubtUntil_ms);
      }
    }
    this.#revision = revision;
    this.#instance = instance;
    this.watched = true;
    this.#live = true;
    this.#away = away;
    const early = this.#early;
    this.#early = [];
    for (const change of early) this.#apply(change);
    this.#tell(this.#whole());
  }

  /** False: a change was missed, so the view is to be watched again. */
  change(change: RegistryChange): boolean {
    if (change.watch !== this.#watch) return true;
    if (!this.watched) {
      if (this.#early.length < EARLY_MAX) this.#early.push(change);
      return true;
    }
    if (!this.#apply(change)) return false;
    this.#tell(this.#view(change.put, change.removed));
    return true;
  }

  #apply({ revision, put, removed, away }: RegistryChange): boolean {
    if (revision !== this.#revision + 1) {
      this.watched = false;
      return false;
    }
    this.#revision = revision;
    this.#away = away;
    for (const entry of put) {
      this.#entries.set(entry.key, entry);
      this.#doubtful.delete(entry.key);
    }
    for (const key of removed) {
      this.#entries.delete(key);
      this.#doubtful.delete(key);
    }
    return true;
  }

  /** Drops entries that were not registered again in time. */
  expire(now_ms: number): void {
    const dropped: string[] = [];
    for (const [key, until_ms] of this.#doubtful) {
      if (until_ms > now_ms) continue;
      this.#doubtful.delete(key);
      this.#entries.delete(key);
      dropped.push(key);
    }
    if (dropped.length > 0) this.#tell(this.#view([], dropped));
  }

  #tell(message: ViewMessage): void {
    for (const follower of this.#followers.values()) follower.tell(message);
  }

  #whole(): ViewMessage {
    const entries = [...this.#entries.values()];
    entries.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    return { ...this.#view(entries, []), whole: true };
  }

  #view(entries: readonly RegistryEntry[], removed: readonly string[]): ViewMessage {
    const cut = this.#namespace_chars;
    return {
      kind: "registry_view",
      prefix: this.prefix.slice(cut),
      whole: false,
      put: entries.map(({ key, value, owner, epoch }) => {
        return { key: key.slice(cut), value, owner, epoch };
      }),
      removed: removed.map((key) => key.slice(cut)),
      live: this.#live && !this.#away,
    };
  }
}
