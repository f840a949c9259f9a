/** A keeper of blocks in virtual time, with memory that simulated engines write to and read. */
import type { BlockMemory } from "../../../actors/engine/block-port.ts";
import { BlockKeeper, type HostMemory, type MapSegment } from "../../../actors/kv/kv.ts";
import type { KvIdentity, KvKeeperMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";

/** Segments by name; each lies at an address of its own. */
export class SegmentTable {
  readonly #bytes = new Map<number, ArrayBuffer>();
  readonly #names = new Map<string, number>();
  #next = 1;
  mapped = 0;

  open(bytes: number): HostMemory {
    const address = this.#next * 2 ** 32;
    const segment = `/segment-${this.#next++}`;
    this.#bytes.set(address, new ArrayBuffer(bytes));
    this.#names.set(segment, address);
    return { segment, bytes, close: () => void this.#names.delete(segment) };
  }

  get names(): readonly string[] {
    return [...this.#names.keys()];
  }

  readonly map: MapSegment = (segment, bytes) => {
    const address = this.#names.get(segment);
    if (address === undefined || this.#bytes.get(address)!.byteLength < bytes) return undefined;
    this.mapped += 1;
    return {
      address,
      close: () => {
        this.mapped -= 1;
      },
    };
  };

  readonly memory: BlockMemory = (address, bytes) => {
    const base = Math.floor(address / 2 ** 32) * 2 ** 32;
    return new Uint8Array(this.#bytes.get(base)!, address - base, bytes);
  };
}

export const BLOCK = 4096;

export const identity = (changes: Partial<KvIdentity> = {}): KvIdentity => ({
  ...{ model: "m", engine: "mocker", library: "", cache_type: "f16" },
  ...{ block_size: 64, block_bytes: BLOCK },
  ...changes,
});

/** Starts a keeper; `name` is its path. */
export async function startKeeper(
  system: ActorSystem,
  segments: SegmentTable,
  { bytes = 16 * BLOCK, areas = 1, name = "keeper" } = {},
): Promise<Ref<KvKeeperMessage>> {
  const openMemory = async () => segments.open(bytes);
  return await system.spawnReady<KvKeeperMessage>(() => new BlockKeeper({ areas, openMemory }), {
    name,
  });
}
