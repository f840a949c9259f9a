/** Memory that the workers of a machine share, from both sides. */
import type { BlockFiles } from "../disk/block-files.ts";

/** What a keeper gives: a named segment, all of it reserved. */
export interface HostMemory {
  readonly segment: string;
  readonly bytes: number;
  /** Threads that write its slots to files and read them back. */
  readonly files: BlockFiles;
  /** A part of it. */
  view(at: number, bytes: number): Uint8Array;
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
