/**
 * The number of cores that this process may use: the cores that the system gives it, bounded by the
 * CPU quotas of its control group and those above it, versions 1 and 2. A container sees all cores
 * of its machine, and threads for all of them would be held up for most of each period.
 * Bun's own count (1.4.5) follows the quota of the process's group, not of the groups above it.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** The text of a file; undefined: it is not there, or not for us. */
type ReadText = (path: string) => string | undefined;

type Group = { readonly version: 1 | 2; readonly path: string };
type Mount = Group & { readonly root: string };

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
  const mounts = mountsOf(read("/proc/self/mountinfo") ?? "");
  const groups = groupsOf(read("/proc/self/cgroup") ?? "");
  let least: number | undefined;
  for (const mount of mounts) {
    const group = groups.find(({ version }) => version === mount.version);
    for (const folder of foldersOf(mount, group?.path ?? "/")) {
      const quota = mount.version === 2 ? quotaV2(folder, read) : quotaV1(folder, read);
      if (quota !== undefined) least = Math.min(quota, least ?? quota);
    }
  }
  return least;
}

/** Lines of /proc/self/mountinfo: `ID PARENT DEVICE ROOT POINT OPTIONS … - TYPE SOURCE OPTIONS`. */
function mountsOf(text: string): Mount[] {
  return text.split("\n").flatMap((line): Mount[] => {
    const [left = "", right = ""] = line.split(" - ");
    const [, , , root = "/", path = ""] = left.split(" ").map(unescaped);
    const [type, , options = ""] = right.split(" ");
    if (type === "cgroup2") return [{ version: 2, path, root }];
    const counts = type === "cgroup" && options.split(",").includes("cpu");
    return counts ? [{ version: 1, path, root }] : [];
  });
}

/** Blanks are written as octal numbers. */
const unescaped = (text: string) =>
  text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Lines of /proc/self/cgroup: `0::PATH` for version 2, `N:CONTROLLERS:PATH` for version 1. */
function groupsOf(text: string): Group[] {
  return text.split("\n").flatMap((line): Group[] => {
    const [, number = "", controllers = "", path = "/"] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (number === "0" && controllers === "") return [{ version: 2, path }];
    return controllers.split(",").includes("cpu") ? [{ version: 1, path }] : [];
  });
}

/** Folders of our group and of those above it, as far as the mount shows them. */
function foldersOf({ path: point, root }: Mount, group: string): string[] {
  const below = root === "/" ? group : group === root ? "/" : group.replace(`${root}/`, "/");
  const names = below.split("/").filter((name) => name !== "");
  // A path with ".." is seen from another namespace: only what is mounted is known to be ours.
  if (names.includes("..")) return [point];
  return [point, ...names.map((_, index) => `${point}/${names.slice(0, index + 1).join("/")}`)];
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

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
