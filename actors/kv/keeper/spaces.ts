/**
 * Spaces of one segment: a model's blocks have an area of their own, with slots of their size.
 *
 *     | area 0: llama, model a, f16 | area 1: model b | …        as many as the machine has models
 *
 * A space stays when its last worker ends, for the next one; its area is given to another model
 * only when no worker has it open and there is no empty one. Pure.
 */
import type { KvIdentity } from "../../../proto/index.ts";
import type { DiskSpace } from "../disk/disk-space.ts";
import { BlockRoom } from "./room.ts";
import { TierNews } from "./tier-news.ts";

export type Space = {
  readonly identity: KvIdentity;
  readonly room: BlockRoom;
  /** In the segment, in bytes. */
  readonly base: number;
  readonly slots: number;
  readonly slot_bytes: number;
  /** Workers that have it open. */
  guests: number;
  /** What is told of both. */
  readonly news: TierNews;
  /** Its files; undefined: none, or not opened yet. */
  disk: DiskSpace | undefined;
};

/** Slots begin at pages: direct I/O and copies want that. */
const PAGE_BYTES = 4096;
const paged = (bytes: number) => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

export class Spaces {
  readonly #area_bytes: number;
  readonly #areas: (Space | undefined)[];

  /** @param areas how many spaces there can be at once */
  constructor(bytes: number, areas: number) {
    this.#area_bytes = Math.floor(bytes / areas / PAGE_BYTES) * PAGE_BYTES;
    this.#areas = Array.from({ length: areas }, () => undefined);
  }

  get all(): readonly Space[] {
    return this.#areas.filter((space) => space !== undefined);
  }

  /**
   * The space for blocks like these, an empty one where there is none yet. Undefined: they are not
   * known yet, or there is no area left, or not one of them fits.
   */
  open(identity: KvIdentity): Space | undefined {
    const known = this.all.find((space) => isLike(space.identity, identity));
    if (known !== undefined) return known;
    const { block_bytes } = identity;
    const slot_bytes = paged(block_bytes);
    if (slot_bytes === 0) return undefined;
    const empty = this.#areas.indexOf(undefined);
    const at = empty >= 0 ? empty : this.#areas.findIndex(isLeft);
    if (at < 0) return undefined;
    // A whole number of slots from the segment's begin: movers know them by number.
    const base = Math.ceil((at * this.#area_bytes) / slot_bytes) * slot_bytes;
    const slots = Math.floor(((at + 1) * this.#area_bytes - base) / slot_bytes);
    if (slots <= 0) return undefined;
    const news = new TierNews();
    const changed = (hash: bigint) => news.changed(hash);
    const room = new BlockRoom(slots, changed, changed);
    const space: Space = {
      identity,
      room,
      base,
      slots,
      slot_bytes,
      guests: 0,
      disk: undefined,
      news,
    };
    this.#areas[at] = space;
    return space;
  }
}

const isLeft = (space: Space | undefined): boolean =>
  space?.guests === 0 && space.disk?.busy !== true;

const isLike = (space: KvIdentity, wanted: KvIdentity): boolean =>
  space.model === wanted.model &&
  space.engine === wanted.engine &&
  space.library === wanted.library &&
  space.cache_type === wanted.cache_type &&
  space.block_size === wanted.block_size &&
  (wanted.block_bytes === 0 || space.block_bytes === wanted.block_bytes);
