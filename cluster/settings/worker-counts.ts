/** How many workers a machine has, and which part of an answer each of them makes. */
import type { EngineName } from "../../actors/engine/engines.ts";
import type { WorkerRole } from "../../proto/index.ts";
import type { SettingsOf } from "../../runtime/setting.ts";
import type { RootRole, workerCountFlags } from "./cluster-flags.ts";
import { SettingsError } from "./settings-error.ts";

export type WorkerCount = {
  readonly role: WorkerRole;
  /** For each model. */
  readonly count: number;
};

/** True: a machine of this role has workers. */
export const hasWorkers = (role: RootRole): boolean =>
  role !== "frontend" && role !== "router" && role !== "planner";

/** The first part of their names: `worker-0`, `prefill-0`. */
export const namedAfter = (role: WorkerRole): string => (role === "aggregated" ? "worker" : role);

/**
 * Throws SettingsError.
 * @param given whether somebody said so
 */
export function workerCounts(
  role: RootRole,
  { workers, prefill, decode }: SettingsOf<typeof workerCountFlags>,
  given: (flag: string) => boolean,
): readonly WorkerCount[] {
  const pairs = prefill + decode > 0;
  if (role === "prefill" || role === "decode") {
    if (!pairs) return [{ role, count: workers }];
    throw new SettingsError(
      `--role ${role} has workers of one kind: give their number as --workers, and leave ` +
        "--prefill and --decode out",
    );
  }
  if (!pairs) return [{ role: "aggregated", count: workers }];
  if (given("workers")) {
    throw new SettingsError(
      "--workers and --prefill with --decode exclude each other: the former compute prompts and " +
        "make answers, the latter share that out",
    );
  }
  if (prefill === 0 || decode === 0) {
    const [one, other] = prefill === 0 ? ["decode", "prefill"] : ["prefill", "decode"];
    throw new SettingsError(
      `--${one} needs --${other} too: one computes prompts, the other makes answers of them; a ` +
        `machine that only adds workers to a cluster has --role ${one}`,
    );
  }
  return [
    { role: "prefill", count: prefill },
    { role: "decode", count: decode },
  ];
}

/** True: these workers hand blocks to each other; an engine without a cache has none. */
export const handsOver = (engine: EngineName, counts: readonly WorkerCount[]): boolean =>
  engine !== "echo" && counts.some(({ role }) => role !== "aggregated");

/** As flags, for texts and for --dump-config. */
export function countFlags(counts: readonly WorkerCount[], role: RootRole): Record<string, number> {
  const named = counts.map((each): [string, number] => [
    each.role === "aggregated" || each.role === role ? "workers" : each.role,
    each.count,
  ]);
  return Object.fromEntries(named);
}

export const totalOf = (counts: readonly WorkerCount[]): number =>
  counts.reduce((sum, { count }) => sum + count, 0);

/** @param processes that they have */
export function workersText(counts: readonly WorkerCount[], processes: number): string {
  const [only] = counts;
  if (counts.length === 1 && only?.role === "aggregated") return `${processes} worker(s)`;
  return counts.map(({ role, count }) => `${count} ${role} worker(s)`).join(", ");
}
