/** Labels and taints of workers, as `--worker-label` and `--worker-taint` write them. */
import { isTaintName, TAINT_RULE } from "../../../actors/names/names.ts";
import { SettingsError } from "../settings-error.ts";
import { namedAfter, type WorkerCount } from "../worker-counts.ts";

export type WorkerMark = {
  /** Name of the one worker, as `worker-0`; undefined: every worker of this machine. */
  readonly worker?: string;
  readonly mark: string;
};

/**
 * Throws SettingsError.
 * @param counts of this machine's workers, of each of its models
 */
export function workerMarks(
  name: "worker-label" | "worker-taint",
  given: readonly string[],
  counts: readonly WorkerCount[],
  models: number,
): readonly WorkerMark[] {
  const read = given.map((text) => {
    const mark = readMark(text);
    if (typeof mark === "string") throw new SettingsError(`--${name} ${mark}`);
    return mark;
  });
  const stray = strayMark(read, counts, models);
  if (stray === undefined) return read;
  const all = counts.map(({ role, count }) => {
    return `--${role === "aggregated" ? "workers" : role} ${count * models}`;
  });
  throw new SettingsError(`--${name}: there is no ${stray} among ${all.join(" ")}`);
}

/** @returns the mark, or what is wrong with the text. */
function readMark(text: string): WorkerMark | string {
  const [, worker, mark = ""] = /^(?:((?:worker|prefill|decode)-\d+):)?(.*)$/.exec(text) ?? [];
  if (!isTaintName(mark)) return `"${text}" is not LABEL or worker-N:LABEL; a label ${TAINT_RULE}`;
  return worker === undefined ? { mark } : { worker, mark };
}

export const markText = ({ worker, mark }: WorkerMark): string =>
  worker === undefined ? mark : `${worker}:${mark}`;

/** The worker that a mark is for and that there is not; undefined: none. */
function strayMark(
  marks: readonly WorkerMark[],
  counts: readonly WorkerCount[],
  models: number,
): string | undefined {
  const isThere = (worker: string) => {
    const [kind, number] = worker.split("-");
    const { count = 0 } = counts.find(({ role }) => namedAfter(role) === kind) ?? {};
    return Number(number) < count * models;
  };
  return marks.find(({ worker }) => worker !== undefined && !isThere(worker))?.worker;
}

/** `prefix`: of this machine's names. */
export function marksByWorker(
  marks: readonly WorkerMark[],
  workers: readonly string[],
  prefix: string,
): Record<string, readonly string[]> {
  const all: Record<string, readonly string[]> = {};
  if (marks.length === 0) return all;
  for (const name of workers) {
    const own = marks.filter(({ worker }) => worker === undefined || prefix + worker === name);
    all[name] = [...new Set(own.map(({ mark }) => mark))];
  }
  return all;
}
