/** Names of workers, and the CPUs of one that comes later. Pure. */
import type { WorkerRole } from "../../proto/index.ts";
import { namedAfter } from "../settings/worker-counts.ts";
import type { CpuRange } from "../settings/workers/worker-cpus.ts";

/** The numbers that names of each role have had; a life of the cluster gives none out twice. */
export class WorkerNumbers {
  readonly #next = new Map<string, number>();

  /** @param names of the workers that there are, without their machine's prefix */
  constructor(names: readonly string[]) {
    for (const name of names) {
      const { kind, number } = partsOf(name);
      this.#next.set(kind, Math.max(this.#next.get(kind) ?? 0, number + 1));
    }
  }

  take(role: WorkerRole): string {
    const kind = namedAfter(role);
    const number = this.#next.get(kind) ?? 0;
    this.#next.set(kind, number + 1);
    return `${kind}-${number}`;
  }
}

/** `prefill-3` → its kind and number. */
export function partsOf(name: string): { readonly kind: string; readonly number: number } {
  const dash = name.lastIndexOf("-");
  return { kind: name.slice(0, dash), number: Number(name.slice(dash + 1)) };
}

/** The order of names: by kind, then by number. */
export function byName(a: string, b: string): number {
  const [one, other] = [partsOf(a), partsOf(b)];
  if (one.kind !== other.kind) return one.kind < other.kind ? -1 : 1;
  return one.number - other.number;
}

/**
 * Of the given CPUs those that the fewest worker processes have, the first of several; undefined:
 * none are given.
 * @param taken those of the processes that there are
 */
export function freestCpus(
  given: readonly CpuRange[],
  taken: readonly (CpuRange | undefined)[],
): CpuRange | undefined {
  const users = (range: CpuRange) =>
    taken.filter((each) => each?.first === range.first && each.last === range.last).length;
  return given.toSorted((a, b) => users(a) - users(b))[0];
}
