/** Memory that the workers of a machine share, from both sides. */

/** What a keeper gives: a named segment, all of it reserved. */
export interface HostMemory {
  readonly segment: string;
  readonly bytes: number;
  /** Some of it, without a copy. */
  view(from: number, bytes: number): Uint8Array;
  /** Takes the name away and gives the memory back; who has mapped it keeps it. */
  close(): void;
}

/** What a worker has of it. */
export interface MappedSegment {
  /** Of its first byte, in this process. */
  readonly address: number;
  /** Nothing may use the addresses any more. */
  close(): void;
}

/** Undefined: there is no such segment, or a smaller one. */
export type MapSegment = (segment: string, bytes: number) => MappedSegment | undefined;

/** There is no such memory; the message is one line that says what to do. */
export class KvMemoryError extends Error {
  override readonly name = "KvMemoryError";
  readonly code = "kv_memory";
}
