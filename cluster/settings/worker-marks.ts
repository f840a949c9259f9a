/** Labels and taints of workers, as `--worker-label` and `--worker-taint` write them. */
import { isTaintName, TAINT_RULE } from "../../actors/names/names.ts";
import { SettingsError } from "./settings-error.ts";

export type WorkerMark = {
  /** Name of the one worker, as `worker-0`; undefined: every worker of this machine. */
  readonly worker?: string;
  readonly mark: string;
};

/**
 * Throws SettingsError.
 * @param workers of this machine
 */
export function workerMarks(
  name: "worker-label" | "worker-taint",
  given: readonly string[],
  workers: number,
): readonly WorkerMark[] {
  const read = given.map((text) => {
    const mark = readMark(text);
    if (typeof mark === "string") throw new SettingsError(`--${name} ${mark}`);
    return mark;
  });
  const stray = strayMark(read, workers);
  if (stray === undefined) return read;
  throw new SettingsError(`--${name}: there is no ${stray} among --workers ${workers}`);
}

/** @returns the mark, or what is wrong with the text. */
function readMark(text: string): WorkerMark | string {
  const [, worker, mark = ""] = /^(?:(worker-\d+):)?(.*)$/.exec(text) ?? [];
  if (!isTaintName(mark)) return `"${text}" is not LABEL or worker-N:LABEL; a label ${TAINT_RULE}`;
  return worker === undefined ? { mark } : { worker, mark };
}

export const markText = ({ worker, mark }: WorkerMark): string =>
  worker === undefined ? mark : `${worker}:${mark}`;

/** The number of the worker that a mark is for and that is not among `count`; undefined: none. */
const strayMark = (marks: readonly WorkerMark[], count: number): string | undefined =>
  marks.find(({ worker }) => worker !== undefined && Number(worker.slice(7)) >= count)?.worker;

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
