/**
 * Which blocks of a prompt are worth bringing nearer while its request waits: those that lie behind
 * the host memory of the worker's machine, on its disk or at another machine. Pure.
 */
import { canShare, sameKeeper } from "../pairs/sharing.ts";
import { type Place, TIER_COUNT } from "../place.ts";
import type { PlaceRequest } from "../place-request.ts";
import type { Selected } from "../select.ts";
import type { RoutedWorker } from "../worker-state.ts";

export type Prefetch = {
  readonly worker: RoutedWorker;
  /** As far as anybody has them. */
  readonly hashes: PlaceRequest["hashes"];
};

/** With fewer tokens than this a request does not ask its keeper at all. */
const TOKENS_LEAST = 128;
/** Behind more requests than this, one starts so late that what it would read is gone again. */
const AMONG = 64;
const DISK = 2;

/** Of the prompt at worker `at`, how many leading blocks are in its engine or in host memory. */
const near = ({ cached_blocks }: Place, at: number): number =>
  cached_blocks[TIER_COUNT * at]! + cached_blocks[TIER_COUNT * at + 1]!;

const onDisk = ({ cached_blocks }: Place, at: number): number =>
  cached_blocks[TIER_COUNT * at + DISK]!;

/** False: no worker has anything to bring nearer. Cheap, and mostly so. */
function anyBeyond(place: Place): boolean {
  const { workers } = place;
  const [first] = workers;
  return workers.some(
    (worker, at) => onDisk(place, at) > 0 || !sameKeeper(worker.sharer, first!.sharer),
  );
}

/** @param choose the worker that would get the request now; asked only where it matters */
export function prefetchOf(place: Place, choose: () => Selected): Prefetch | undefined {
  if (place.queued > AMONG || !anyBeyond(place)) return undefined;
  const selected = choose();
  return selected.kind === "refused" ? undefined : prefetchAt(place, selected.at);
}

/** For the request at worker `at`; undefined: nothing is worth it. */
function prefetchAt(place: Place, at: number): Prefetch | undefined {
  const { workers, request } = place;
  const worker = workers[at]!;
  const here = near(place, at);
  let most = here + onDisk(place, at);
  for (const [i, other] of workers.entries()) {
    if (!canShare(worker.sharer, other.sharer)) continue;
    if (sameKeeper(worker.sharer, other.sharer)) continue;
    most = Math.max(most, near(place, i) + onDisk(place, i));
  }
  if ((most - here) * worker.block_size < TOKENS_LEAST) return undefined;
  return { worker, hashes: request.hashes.subarray(0, 2 * most) };
}
