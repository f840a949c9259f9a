/** Which workers can hand blocks to each other, in all modes of the router. */
import type { ActorRef, WorkerRecord } from "../../../../proto/index.ts";

/** Where a worker's blocks go beyond its engine. */
export type Sharer = {
  /** The keeper of its machine; undefined: it has none. */
  keeper: ActorRef | undefined;
  /** Of the space of its blocks; "": they stay in its engine. */
  kv_identity: string;
};

export function sharerOf({ keeper, kv_identity = "" }: Partial<WorkerRecord>): Sharer {
  return keeper === undefined ? { keeper, kv_identity: "" } : { keeper, kv_identity };
}

/** True: blocks of the one are of use to the other. */
export const canShare = (a: Sharer, b: Sharer): boolean =>
  a.kv_identity !== "" && a.kv_identity === b.kv_identity;

export const sameKeeper = (a: Sharer, b: Sharer): boolean =>
  a.keeper?.node === b.keeper?.node && a.keeper?.path === b.keeper?.path;

/**
 * Those that a worker can take blocks from: of its own machine, as far as there are any, since
 * these blocks need no network.
 */
export function sharersWith<W extends { readonly sharer: Sharer }>(
  { sharer }: { readonly sharer: Sharer },
  others: readonly W[],
): readonly W[] {
  const sharing = others.filter((other) => canShare(sharer, other.sharer));
  const near = sharing.filter((other) => sameKeeper(sharer, other.sharer));
  return near.length > 0 ? near : sharing;
}
