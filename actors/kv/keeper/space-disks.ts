/**
 * The disks of a keeper's spaces: opened when a space has its first worker, and again after a while
 * where another cluster's keeper has the folder.
 */
import type { Capabilities, Log } from "../../../runtime/capabilities.ts";
import { errorText } from "../../../runtime/error-text.ts";
import type { DiskSpaces } from "../disk/disk-spaces.ts";
import { FolderInUseError } from "../disk/folder-owner.ts";
import type { HostMemory } from "../memory/host-memory.ts";
import { identityText } from "./identity-text.ts";
import type { KeeperMetrics } from "./keeper-metrics.ts";
import type { Space } from "./spaces.ts";

export type SpaceDisksHost = {
  readonly disks: DiskSpaces;
  readonly files: HostMemory["files"];
  readonly metrics: KeeperMetrics;
  readonly log: Log;
  readonly clock: Pick<Capabilities["clock"], "after">;
  /** Blocks have come into the space's memory. */
  readonly came: (space: Space) => void;
};

/** Time between two tries to have a folder that is in use: who has it may be about to end. */
const AGAIN_MS = 5_000;

export class SpaceDisks {
  readonly #host: SpaceDisksHost;
  readonly #opening = new Map<Space, Promise<void>>();
  #told_in_use = false;
  #closed = false;

  constructor(host: SpaceDisksHost) {
    this.#host = host;
  }

  /** Blocks are found there as its files are listed. Resolves when that is over, or has failed. */
  open(space: Space): Promise<void> {
    if (this.#closed || space.disk !== undefined) return Promise.resolve();
    const opening = this.#opening.get(space) ?? this.#list(space);
    this.#opening.set(space, opening);
    return opening;
  }

  async #list(space: Space): Promise<void> {
    const { disks, files, metrics, log, came } = this.#host;
    const { room, base, slot_bytes, identity } = space;
    const shape = { base, slot_bytes, block_bytes: identity.block_bytes };
    const counted = (what: "stored" | "loaded", blocks: number) => metrics[what](blocks);
    const changed = (hash: bigint) => space.news.changed(hash);
    const told = { arrived: () => came(space), counted, changed };
    const host = { room, files, shape, ...told, identity: identityText(identity) };
    try {
      const { disk, listed } = await disks.open(host, () => this.#lost(space));
      space.disk = disk;
      disk.keep(Array.from(room.hashes(), ({ hash }) => hash));
      const { partial, foreign } = await listed;
      const { registered } = disk.stats();
      log.log("info", "blocks on disk are listed", { blocks: registered, partial, foreign });
    } catch (error) {
      this.#failed(space, error);
    } finally {
      this.#opening.delete(space);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#host.disks.close();
  }

  #failed(space: Space, error: unknown): void {
    const isInUse = error instanceof FolderInUseError;
    if (!isInUse || !this.#told_in_use) {
      this.#host.log.log("warn", "blocks are not kept on disk", { why: errorText(error) });
    }
    if (!isInUse) return;
    this.#told_in_use = true;
    this.#again(space);
  }

  /** Another keeper has the folder; what is under way there ends by itself. */
  #lost(space: Space): void {
    const { disk, news } = space;
    space.disk = undefined;
    for (const { hash } of disk?.hashes() ?? []) news.changed(hash);
    this.#host.log.log("warn", "another cluster has taken this one's folder of blocks");
    this.#again(space);
  }

  #again(space: Space): void {
    this.#host.clock.after(AGAIN_MS, () => {
      if (space.guests > 0) void this.open(space);
    });
  }
}
