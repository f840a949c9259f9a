/** A keeper of blocks in virtual time, with memory that simulated engines write to and read. */
import type { BlockMemory } from "../../../actors/engine/block-port.ts";
import {
  BlockKeeper,
  type HostMemory,
  type MapSegment,
  type NeighbourOptions,
} from "../../../actors/kv/kv.ts";
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
    const view = (from: number, size: number) => this.memory(address + from, size);
    return { segment, bytes, view, close: () => void this.#names.delete(segment) };
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

type KeeperShape = {
  readonly bytes: number;
  readonly areas: number;
  readonly name: string;
  readonly neighbours: NeighbourOptions;
};

/** Starts a keeper; `name` is its path. */
export async function startKeeper(
  system: ActorSystem,
  segments: SegmentTable,
  options: Partial<KeeperShape> = {},
): Promise<Ref<KvKeeperMessage>> {
  const { bytes = 16 * BLOCK, areas = 1, name = "keeper", neighbours } = options;
  const openMemory = async () => segments.open(bytes);
  const among = neighbours === undefined ? {} : { neighbours };
  return await system.spawnReady<KvKeeperMessage>(
    () => new BlockKeeper({ areas, openMemory, ...among }),
    {
      name,
    },
  );
}
