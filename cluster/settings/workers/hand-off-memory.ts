/**
 * How much host memory pairs of workers hand their blocks over in, where nobody said it: enough for
 * the longest prompts that are under way, of the models that are served, and no more than a share
 * of what this machine has.
 */
import { kvFlags } from "../../../actors/kv/flags.ts";
import type { Files } from "../../../runtime/capabilities.ts";
import { sizeText } from "../../../runtime/size-text.ts";
import type { FoundModel } from "../../found-models.ts";
import type { Settings } from "../settings.ts";
import type { WorkerCount } from "../worker-counts.ts";

/** Where Linux keeps it: half of the machine's memory, or what a container was given. */
const SHARED = "/dev/shm";
/** Of that, at most. */
const SHARE = 1 / 4;
/** At least, where there is as much: blocks are kept for prompts that come again, too. */
const LEAST_BYTES = 512 * 1024 * 1024;
/** Of each prefill worker one that is computed, and one that is still read. */
const CONTEXTS = 2;
const MIB = 1024 * 1024;

type Wanted = {
  readonly models: readonly Pick<FoundModel, "context_bytes">[];
  readonly workers: readonly WorkerCount[];
  /** Undefined: not known. */
  readonly free_bytes: number | undefined;
};

/** `contexts`: the longest prompts of each model that fit; 0: less than one, or not known. */
export function handOffBytes({ models, workers, free_bytes }: Wanted) {
  const prefills = workers.find(({ role }) => role === "prefill")?.count ?? 1;
  const largest = Math.max(0, ...models.map(({ context_bytes }) => context_bytes));
  // Each model has an equal part, so the largest says how large it is.
  const wanted = Math.max(LEAST_BYTES, models.length * CONTEXTS * prefills * largest);
  const most = free_bytes === undefined ? LEAST_BYTES : SHARE * free_bytes;
  const bytes = Math.max(MIB, Math.floor(Math.min(wanted, most) / MIB) * MIB);
  const contexts = largest === 0 ? 0 : Math.floor(bytes / models.length / largest);
  return { bytes, contexts, fits: contexts >= 1 || largest === 0 };
}

/** The settings with that memory, and one line of it for a person; undefined: somebody said it. */
export async function withHandOffMemory(
  settings: Settings,
  models: readonly FoundModel[],
  files: Pick<Files, "free_bytes">,
): Promise<{ readonly settings: Settings; readonly text: string; readonly fits: boolean }> {
  const { kv, workers } = settings;
  if (!settings.kv_by_model || models.length === 0) return { settings, text: "", fits: true };
  const free_bytes = await files.free_bytes(SHARED).catch(() => undefined);
  const { bytes, contexts, fits } = handOffBytes({ models, workers, free_bytes });
  const flag = `--${kvFlags.host_bytes.name}`;
  const holds = contexts === 0 ? "" : `, ${contexts} prompts of full length of each model`;
  const text = fits
    ? `prompts are handed over in ${sizeText(bytes)} of host memory${holds}; ${flag} sets it`
    : `a prompt of full length takes more than the ${sizeText(bytes)} of host memory in which ` +
      `prompts are handed over: give more with ${flag}, or a shorter --context-length`;
  return { settings: { ...settings, kv: { ...kv, host_bytes: bytes } }, text, fits };
}
