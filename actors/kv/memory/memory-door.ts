/** How the processes of a simulated machine get at the memory for blocks; others use their system's. */
import type { HostMemory, MapSegment } from "./host-memory.ts";

export interface MemoryDoor {
  /** Of a keeper. */
  open(bytes: number): HostMemory;
  /** Of a worker. */
  readonly map: MapSegment;
  /** What is mapped at an address, for engines that have no native code to read it. */
  view(address: number, bytes: number): Uint8Array;
}
