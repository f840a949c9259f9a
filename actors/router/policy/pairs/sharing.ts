/** Which workers can hand blocks to each other, in all modes of the router. */
import type { WorkerRecord } from "../../../../proto/index.ts";

export type Sharer = {
  /** The keeper of its machine, by node and path; "": it has none. */
  readonly keeper: string;
  /** Of the space of its blocks; "": they stay in its engine. */
  readonly kv_identity: string;
};

export const NO_SHARER: Sharer = { keeper: "", kv_identity: "" };

export function sharerOf({ keeper, kv_identity = "" }: WorkerRecord): Sharer {
  if (keeper === undefined || kv_identity === "") return NO_SHARER;
  return { keeper: `${keeper.node}${keeper.path}`, kv_identity };
}

/** True: blocks of the one are of use to the other. */
export const canShare = (a: Sharer, b: Sharer): boolean =>
  a.kv_identity !== "" && a.kv_identity === b.kv_identity;

/**
 * Those that a worker can take blocks from: of its own machine, as far as there are any, since
 * these blocks need no network.
 */
export function sharersWith<W extends Sharer>(worker: Sharer, others: readonly W[]): readonly W[] {
  const sharing = others.filter((other) => canShare(worker, other));
  const near = sharing.filter(({ keeper }) => keeper === worker.keeper);
  return near.length > 0 ? near : sharing;
}
