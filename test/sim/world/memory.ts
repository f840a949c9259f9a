/**
 * The shared memory of a simulated machine. Each mapping has addresses of its own, so that whoever
 * reads or writes where nothing of its own is mapped any more is found out. Only what was touched
 * exists.
 */
import type { HostMemory, MapSegment, MemoryDoor } from "../../../actors/kv/kv.ts";
import { MemoryFiles } from "../../support/kv/memory-files.ts";
import type { SimulatedProcess } from "./process.ts";

/** By offset: what one engine or keeper touches at a time. */
type Segment = {
  readonly name: string;
  readonly size: number;
  readonly parts: Map<number, Uint8Array>;
};

type Mapping = {
  readonly owner: SimulatedProcess;
  readonly segment: Segment;
  readonly base: number;
};

/** Between two mappings: an address that runs over is nobody's. */
const GAP = 2 ** 20;

export class SimulatedMemory {
  readonly #most: number;
  readonly #named = new Map<string, Segment>();
  /** The machine's disk: it outlives all processes. */
  readonly #disk: MemoryFiles["kept"] = new Map();
  #mappings: Mapping[] = [];
  #made = 0;
  #next = GAP;
  /** What somebody did to memory that is not its own; the first thing. */
  misuse: string | undefined;

  /** @param most bytes of a segment, however many are asked for */
  constructor(most: number) {
    this.#most = most;
  }

  doorOf(owner: SimulatedProcess): MemoryDoor {
    return {
      open: (bytes) => this.#open(owner, bytes),
      map: this.#mapperOf(owner),
      view: (address, bytes) => this.#view(owner, address, bytes),
    };
  }

  /** A process's mappings end with it; names stay until somebody takes them away. */
  died(owner: SimulatedProcess): void {
    this.#mappings = this.#mappings.filter((mapping) => mapping.owner !== owner);
  }

  #open({ clock }: SimulatedProcess, asked: number): HostMemory {
    const size = Math.min(asked, this.#most);
    const segment: Segment = { name: `/segment-${++this.#made}`, size, parts: new Map() };
    this.#named.set(segment.name, segment);
    const view = (from: number, bytes: number) => partOf(segment, from, bytes);
    return {
      ...{ segment: segment.name, bytes: size, view },
      files: new MemoryFiles(clock, view, this.#disk),
      close: () => this.#named.delete(segment.name),
    };
  }

  #mapperOf(owner: SimulatedProcess): MapSegment {
    return (name, bytes) => {
      const segment = this.#named.get(name);
      if (segment === undefined || segment.size < bytes) return undefined;
      const mapping = { owner, segment, base: this.#next };
      this.#next += segment.size + GAP;
      this.#mappings.push(mapping);
      const close = () => {
        this.#mappings = this.#mappings.filter((each) => each !== mapping);
      };
      return { address: mapping.base, close };
    };
  }

  #view(owner: SimulatedProcess, address: number, bytes: number): Uint8Array {
    const mapping = this.#mappings.find(
      ({ base, segment }) => base <= address && address + bytes <= base + segment.size,
    );
    if (mapping?.owner === owner) return partOf(mapping.segment, address - mapping.base, bytes);
    this.misuse ??= `${owner.node} touches memory at ${address}, where it has none`;
    return new Uint8Array(bytes);
  }
}

function partOf({ parts }: Segment, from: number, bytes: number): Uint8Array {
  const part = parts.get(from) ?? new Uint8Array(bytes);
  parts.set(from, part);
  return part;
}
