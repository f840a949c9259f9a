/**
 * How cached blocks leave an engine and come back: the engine's own copies, between its steps, from
 * and to memory that others own. The bytes of a block are opaque; they are good for engines of the
 * same model, library and settings of the cache.
 */
import type { EngineRefusal } from "./engine-refusal.ts";

/** What became of a block that was to be moved. */
export type BlockMove =
  | "moved"
  /** Out: it is cached no more. In: what it follows is not. */
  | "gone"
  /** Everything in the cache is in use. */
  | "no_room"
  /** The bytes are not what this engine makes of a block. */
  | "odd";

/** A cached block by its sequence hash, and where in memory its bytes go. */
export type BlockTarget = { readonly hash: bigint; readonly address: number };

export type BlocksIn = {
  /** From the first on, at least to the end of the last block that comes in. */
  readonly tokens: Uint32Array;
  /** Of requests that may share them; as in `EngineRequest`. */
  readonly adapter?: string;
  readonly salt?: string;
  /** Number of the first block; those before it are cached. */
  readonly first: number;
  /** Where the bytes of each are, in order. */
  readonly addresses: readonly number[];
};

/** Views `bytes` of the memory at an address that others own: for engines without native code. */
export type BlockMemory = (address: number, bytes: number) => Uint8Array;

export interface BlockPort {
  /** At most so many blocks a call. */
  readonly most: number;
  /** Bytes of one block outside; 0: not known before the first one is cached. */
  bytes(): number;
  /**
   * Copies cached blocks to memory, `bytes` each. The listener hears of it under the handle, which
   * is the caller's; until then the memory is the engine's.
   */
  out(handle: number, blocks: readonly BlockTarget[], bytes: number): EngineRefusal | undefined;
  /**
   * Caches blocks as if they had been computed. Only what no request uses gives way to them; behind
   * one that did not come in, none does.
   */
  in(handle: number, into: BlocksIn, bytes: number): EngineRefusal | undefined;
  /** Hears, while the engine is polled, what became of each block of a move. One listener. */
  onMoved(listener: (handle: number, blocks: readonly BlockMove[]) => void): void;
}
