/**
 * Which blocks of a space are found in which of its tiers, told to the workers that want to know:
 * each block's best tier once, and what has changed since. Costs nothing while nobody follows. Pure.
 */
import type { DiskSpace } from "../disk/disk-space.ts";
import type { BlockRoom } from "./room.ts";

type Best = "host" | "disk";

/** Blocks that came to a tier, and that are not in it any more. */
export type TierChanges = {
  readonly host: readonly bigint[];
  readonly host_gone: readonly bigint[];
  readonly disk: readonly bigint[];
  readonly disk_gone: readonly bigint[];
};

/** Blocks in one message of a whole. */
const PART_BLOCKS = 32_768;

export class TierNews {
  readonly #told = new Map<bigint, Best>();
  readonly #dirty = new Set<bigint>();
  #follows = false;
  /** Called when there is something to tell, once until it is taken. */
  onDirty: () => void = () => {};

  /** The block has come to a tier, or left one. */
  changed(hash: bigint): void {
    if (!this.#follows) return;
    this.#dirty.add(hash);
    if (this.#dirty.size === 1) this.onDirty();
  }

  /** Somebody follows from now on, or nobody any more. */
  follow(follows: boolean, room: BlockRoom, disk: DiskSpace | undefined): void {
    if (follows === this.#follows) return;
    this.#follows = follows;
    this.#dirty.clear();
    this.#told.clear();
    if (!follows) return;
    for (const { hash } of disk?.hashes() ?? []) this.#told.set(hash, "disk");
    for (const { hash } of room.hashes()) this.#told.set(hash, "host");
  }

  /** What has changed since it was asked; undefined: nothing. */
  take(room: BlockRoom, disk: DiskSpace | undefined): TierChanges | undefined {
    const changes = { host: [], host_gone: [], disk: [], disk_gone: [] } as Record<
      keyof TierChanges,
      bigint[]
    >;
    for (const hash of this.#dirty) {
      const was = this.#told.get(hash);
      const is = room.has(hash) ? "host" : disk?.has(hash) ? "disk" : undefined;
      if (was === is) continue;
      if (was !== undefined) changes[`${was}_gone`].push(hash);
      if (is === undefined) this.#told.delete(hash);
      else {
        changes[is].push(hash);
        this.#told.set(hash, is);
      }
    }
    this.#dirty.clear();
    return Object.values(changes).some((hashes) => hashes.length > 0) ? changes : undefined;
  }

  /** Everything that was told, in parts. */
  *all(): Generator<TierChanges> {
    let part: Record<Best, bigint[]> = { host: [], disk: [] };
    let count = 0;
    for (const [hash, best] of this.#told) {
      part[best].push(hash);
      count += 1;
      if (count % PART_BLOCKS !== 0) continue;
      yield { ...part, host_gone: [], disk_gone: [] };
      part = { host: [], disk: [] };
    }
    yield { ...part, host_gone: [], disk_gone: [] };
  }
}
