/**
 * Bytes that processes of this machine may still take: what the system could give without swapping,
 * or what the control groups of this process have left, whichever is less. Pages of files that give
 * way count as free in both.
 */
import { totalmem } from "node:os";
import { groupFolders, type ReadText, readText } from "./control-groups.ts";

/** Undefined: not known. */
export function freeMemory(
  read: ReadText = readText,
  platform: string = process.platform,
): number | undefined {
  // There pages are compressed and given back at need: what is free at a moment says little.
  if (platform === "darwin") return totalmem();
  const left = [machineBytes(read), ...groupFolders("memory", read).map(groupBytes(read))];
  const known = left.filter((bytes) => bytes !== undefined);
  return known.length === 0 ? undefined : Math.max(0, Math.min(...known));
}

function machineBytes(read: ReadText): number | undefined {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/** Version 1 has no word for no limit, but the largest number of pages. */
const NO_LIMIT = 2 ** 60;

const names = {
  1: { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", file: "total_" },
  2: { limit: "memory.max", used: "memory.current", file: "" },
} as const;

const groupBytes =
  (read: ReadText) =>
  ({ version, folder }: ReturnType<typeof groupFolders>[number]): number | undefined => {
    const { limit, used, file } = names[version];
    const number = (name: string) => Number(read(`${folder}/${name}`)?.trim() || Number.NaN);
    const stat = read(`${folder}/memory.stat`) ?? "";
    const pages = (name: string) =>
      Number(new RegExp(`^${file}${name} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);
    const most = number(limit);
    const left = most - number(used) + pages("inactive_file") + pages("active_file");
    return most < NO_LIMIT && Number.isFinite(left) ? Math.max(0, left) : undefined;
  };
