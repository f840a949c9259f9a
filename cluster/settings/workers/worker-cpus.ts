/** Which CPUs worker processes run on, as `--cpus` writes them. */
import { SettingsError } from "../settings-error.ts";

/** CPUs of one process, from the first to the last of them. */
export type CpuRange = { readonly first: number; readonly last: number };

/** Throws SettingsError. */
export function cpuRanges(given: readonly string[]): readonly CpuRange[] {
  return given.map((text) => {
    const [, first = "", last = first] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(text) ?? [];
    if (first === "" || Number(last) < Number(first)) {
      throw new SettingsError(
        `--cpus: "${text}" is not the number of a CPU, as 0, or some, as 0-3`,
      );
    }
    return { first: Number(first), last: Number(last) };
  });
}

export const cpuText = ({ first, last }: CpuRange): string =>
  first === last ? `${first}` : `${first}-${last}`;

/** In front of a command: what keeps a process and its threads to these CPUs, on Linux. */
export const keptTo = (range: CpuRange): readonly string[] => ["taskset", "-c", cpuText(range)];
