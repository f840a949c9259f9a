/** A keeper of blocks in virtual time, with memory that simulated engines write to and read. */
import type { BlockMemory } from "../../../actors/engine/block-port.ts";
import {
  BlockKeeper,
  type DiskOptions,
  type HostMemory,
  type MapSegment,
  type NeighbourOptions,
} from "../../../actors/kv/kv.ts";
import type { KvIdentity, KvKeeperMessage } from "../../../proto/index.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../../runtime/kernel/system.ts";
import { MemoryFiles } from "./memory-files.ts";

/** Segments by name; each lies at an address of its own. */
export class SegmentTable {
  readonly #clock: Clock;
  readonly #bytes = new Map<number, ArrayBuffer>();
  readonly #names = new Map<string, number>();
  #next = 1;
  mapped = 0;
  /** Files of blocks: they outlive keepers. */
  readonly disk: MemoryFiles["kept"] = new Map();
  /** Of the last keeper. */
  files: MemoryFiles | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  open(bytes: number): HostMemory {
    const address = this.#next * 2 ** 32;
    const segment = `/segment-${this.#next++}`;
    this.#bytes.set(address, new ArrayBuffer(bytes));
    this.#names.set(segment, address);
    const view = (at: number, length: number) => this.memory(address + at, length);
    const files = new MemoryFiles(this.#clock, view, this.disk);
    this.files = files;
    return { segment, bytes, files, view, close: () => void this.#names.delete(segment) };
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
  /** Its path. */
  readonly name: string;
  readonly disk: DiskOptions;
  readonly neighbours: NeighbourOptions;
};

export async function startKeeper(
  system: ActorSystem,
  segments: SegmentTable,
  options: Partial<KeeperShape> = {},
): Promise<Ref<KvKeeperMessage>> {
  const { bytes = 16 * BLOCK, areas = 1, name = "keeper", neighbours } = options;
  const openMemory = async () => segments.open(bytes);
  const among = neighbours === undefined ? {} : { neighbours };
  const make = () => new BlockKeeper({ areas, openMemory, disk: options.disk, ...among });
  return await system.spawnReady<KvKeeperMessage>(make, { name });
}
