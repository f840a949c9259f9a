import type { Clock, Files, Net, Spawn } from "../../runtime/capabilities.ts";
import { errorText } from "../../runtime/error-text.ts";
import { ModelError } from "./model-error.ts";

export type ModelProgress = {
  /** Name of the file that is being fetched, for a person. */
  readonly label: string;
  readonly received_bytes: number;
  /** undefined when the server does not say. */
  readonly total_bytes: number | undefined;
  /** Over the time since this process began to fetch. */
  readonly bytes_per_s: number;
};

/** Capabilities that resolving a model needs. */
export type ModelWorld = {
  readonly clock: Pick<Clock, "now_ms" | "after" | "cancel">;
  readonly files: Files;
  readonly net: Pick<Net, "fetch">;
  readonly spawn: Pick<Spawn, "start" | "pid">;
  /** HF_TOKEN, HF_ENDPOINT, PIP_INDEX_URL, PATH and whatever a child process inherits. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute folder for downloaded models. */
  readonly cache_dir: string;
  readonly onProgress?: (progress: ModelProgress) => void;
  /** Aborting it ends the download; what came so far stays for the next run. */
  readonly signal?: AbortSignal;
};

export function sleep(world: ModelWorld, delay_ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (world.signal?.aborted === true) return reject(cancelled());
    const timer = world.clock.after(delay_ms, () => {
      world.signal?.removeEventListener("abort", stop);
      resolve();
    });
    const stop = (): void => {
      world.clock.cancel(timer);
      reject(cancelled());
    };
    world.signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Rejects with `late()` when `work` takes longer; the work itself must be stopped by `late`. */
export function within<T>(
  world: ModelWorld,
  limit_ms: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = world.clock.after(limit_ms, () => reject(late()));
    work.then(
      (value) => {
        world.clock.cancel(timer);
        resolve(value);
      },
      (reason: unknown) => {
        world.clock.cancel(timer);
        reject(reason);
      },
    );
  });
}

export function cancelled(): ModelError {
  return new ModelError(
    "model_cancelled",
    "the download was stopped; the next run goes on with it",
  );
}

/** Runs file operations and gives their errors names a user can act on. */
export async function onDisk<T>(folder: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof ModelError) throw thrown;
    const code = (thrown as { code?: unknown } | null)?.code;
    if (code === "ENOSPC" || code === "EDQUOT") {
      const message = `no space left in ${folder}: free some, or give another --cache-dir`;
      throw new ModelError("model_disk_full", message);
    }
    const reason = errorText(thrown).split("\n", 1)[0];
    const advice = "give another --cache-dir";
    const message = `the cache folder ${folder} cannot be used (${reason}): ${advice}`;
    throw new ModelError("model_cache_unusable", message);
  }
}
