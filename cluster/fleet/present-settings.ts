/**
 * The settings that start the cluster as it is now: other numbers of workers, other roles, other
 * weights than it was started with. What settings cannot say is told in a note. Pure.
 */
import type { WorkerRole } from "../../proto/index.ts";
import type { Settings } from "../settings/settings.ts";
import { namedAfter, type WorkerCount } from "../settings/worker-counts.ts";
import type { WorkerMark } from "../settings/workers/worker-marks.ts";
import { byName } from "./worker-names.ts";

export type PresentWorker = {
  /** Without its machine's prefix. */
  readonly worker: string;
  readonly model: string;
  /** What it is now. */
  readonly role: WorkerRole;
};

export type Present = { readonly settings: Settings; readonly notes: readonly string[] };

/**
 * @param models served names, in their order
 * @param weights that were set since the start
 */
export function presentSettings(
  settings: Settings,
  models: readonly string[],
  workers: readonly PresentWorker[],
  weights: Readonly<Record<string, number>>,
): Present {
  const notes: string[] = [];
  const router = { ...settings.router, weights: { ...settings.router.weights, ...weights } };
  if (models.length === 0) return { settings: { ...settings, router }, notes };
  const kinds = kindsOf(settings, workers, notes);
  const counts = kinds.map((role) => countOf(role, models, workers, kinds, notes));
  const names = newNames(models, workers, kinds);
  const moved = (marks: readonly WorkerMark[]) => movedMarks(marks, names);
  return {
    settings: {
      ...{ ...settings, router, workers: counts },
      worker_labels: moved(settings.worker_labels),
      worker_taints: moved(settings.worker_taints),
    },
    notes,
  };
}

/** Roles that the settings can name together: workers alone, or pairs. */
function kindsOf(
  { role }: Settings,
  workers: readonly PresentWorker[],
  notes: string[],
): readonly WorkerRole[] {
  const has = (wanted: WorkerRole) => workers.some((each) => each.role === wanted);
  const alone = role === "prefill" || role === "decode" ? role : undefined;
  if (alone !== undefined) {
    if (workers.some((each) => each.role !== alone)) {
      notes.push(
        `workers of other roles are written as --role ${alone}, which a machine has alone`,
      );
    }
    return [alone];
  }
  if (has("prefill") && (has("decode") || has("aggregated"))) {
    if (has("aggregated")) {
      notes.push("workers without a part of their own are written as decode, beside prefill");
    }
    return ["prefill", "decode"];
  }
  if (has("prefill") || has("decode")) {
    notes.push("one kind alone, prefill or decode, is written as workers that do both");
  }
  return ["aggregated"];
}

/** A worker counts as the nearest role that can be written. */
const writtenAs = (role: WorkerRole, kinds: readonly WorkerRole[]): WorkerRole =>
  kinds.includes(role) ? role : (kinds.at(-1) ?? role);

function countOf(
  role: WorkerRole,
  models: readonly string[],
  workers: readonly PresentWorker[],
  kinds: readonly WorkerRole[],
  notes: string[],
): WorkerCount {
  const each = models.map(
    (model) =>
      workers.filter((one) => one.model === model && writtenAs(one.role, kinds) === role).length,
  );
  const count = Math.max(...each);
  if (each.some((other) => other !== count)) {
    const said = models.map((model, i) => `${model} ${each[i]}`).join(", ");
    notes.push(`${namedAfter(role)}: a number is of each model, and here they differ: ${said}`);
  }
  if (count === 0) notes.push(`${namedAfter(role)}: there is none, and one is the least to start`);
  return { role, count: Math.max(1, count) };
}

/** A cluster that starts numbers its workers anew, by model and role. */
function newNames(
  models: readonly string[],
  workers: readonly PresentWorker[],
  kinds: readonly WorkerRole[],
): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const role of kinds) {
    const own = workers.filter((one) => writtenAs(one.role, kinds) === role);
    const ordered = own.toSorted(
      (a, b) => models.indexOf(a.model) - models.indexOf(b.model) || byName(a.worker, b.worker),
    );
    for (const [i, { worker }] of ordered.entries()) names.set(worker, `${namedAfter(role)}-${i}`);
  }
  return names;
}

/** Marks of workers that are gone go with them. */
const movedMarks = (marks: readonly WorkerMark[], names: ReadonlyMap<string, string>) =>
  marks.flatMap(({ worker, mark }): WorkerMark[] => {
    if (worker === undefined) return [{ mark }];
    const name = names.get(worker);
    return name === undefined ? [] : [{ worker: name, mark }];
  });

/** YAML with its notes above it. */
export const withNotes = (yaml: string, notes: readonly string[]): string =>
  notes.map((note) => `# ${note}\n`).join("") + yaml;
