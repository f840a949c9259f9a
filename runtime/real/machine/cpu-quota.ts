/**
 * The number of cores that this process may use: the cores that the system gives it, bounded by the
 * CPU quotas of its control group and those above it, versions 1 and 2. A container sees all cores
 * of its machine, and threads for all of them would be held up for most of each period.
 * Bun's own count (1.4.5) follows the quota of the process's group, not of the groups above it.
 */
import { availableParallelism } from "node:os";
import { groupFolders, type ReadText, readText } from "./control-groups.ts";

export function usableCores(read: ReadText = readText, cores = availableParallelism()): number {
  const quota = cpuQuota(read);
  if (quota === undefined) return cores;
  // Rounded down: threads of an engine wait for each other, so one too many holds up all of them.
  return Math.max(1, Math.min(cores, Math.floor(quota + TOLERANCE)));
}

/**
 * Environment that gives a child process this number of cores, for its engine's threads, its
 * garbage collector and Bun's pool. Empty where the system's own count is right.
 */
export function coresEnvironment(
  cores: number = usableCores(),
  machine: number = availableParallelism(),
): Readonly<Record<string, string>> {
  if (cores >= machine) return {};
  // Read by Bun's JavaScript engine (WTF), for itself and for navigator.hardwareConcurrency.
  return { WTF_numberOfProcessorCores: `${cores}`, UV_THREADPOOL_SIZE: `${Math.max(2, cores)}` };
}

/** 2.99 cores are meant as 3. */
const TOLERANCE = 0.05;

/** The smallest quota that applies, in cores; undefined: none. */
export function cpuQuota(read: ReadText = readText): number | undefined {
  let least: number | undefined;
  for (const { version, folder } of groupFolders("cpu", read)) {
    const quota = version === 2 ? quotaV2(folder, read) : quotaV1(folder, read);
    if (quota !== undefined) least = Math.min(quota, least ?? quota);
  }
  return least;
}

/** `200000 100000` or `max 100000`, in µs. */
function quotaV2(folder: string, read: ReadText): number | undefined {
  const [quota, period] = (read(`${folder}/cpu.max`) ?? "").trim().split(/\s+/);
  return ratio(quota, period ?? "100000");
}

/** In µs; -1 is no quota. */
function quotaV1(folder: string, read: ReadText): number | undefined {
  return ratio(read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`));
}

function ratio(quota: string | undefined, period: string | undefined): number | undefined {
  const cores = Number(quota?.trim() || Number.NaN) / Number(period?.trim() || Number.NaN);
  return cores > 0 && Number.isFinite(cores) ? cores : undefined;
}
