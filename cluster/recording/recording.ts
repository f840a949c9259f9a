/** The recording of this process, as its settings want it: all, or nothing at no cost. */
import type { Capabilities } from "../../runtime/capabilities.ts";
import type { SystemOptions } from "../../runtime/kernel/system.ts";
import type { RecordSettings } from "../../runtime/observe/record/recorder.ts";
import type { Transport } from "../../runtime/transport/transport.ts";
import type { Settings } from "../settings/settings.ts";

export type Recording = {
  /** For the process's system. */
  readonly options: Pick<SystemOptions, "recorder">;
  transports(of: readonly Transport[]): readonly Transport[];
  /** Resolves when all is in the files. */
  close(): Promise<void>;
};

/** Undefined: nothing is recorded. */
export function recordOf(
  { record_dir, record_bytes, record_actors }: Settings,
  version: string,
): RecordSettings | undefined {
  if (record_dir === "") return undefined;
  return { folder: record_dir, bytes_max: record_bytes, actors: record_actors, version };
}

/** Rejects with RecordError when the folder cannot be written to. */
export async function openRecording(
  settings: RecordSettings | undefined,
  process: { readonly node: string; readonly role: string },
  capabilities: Capabilities,
): Promise<Recording> {
  if (settings === undefined) {
    return { options: {}, transports: (of) => of, close: async () => {} };
  }
  // Loaded by who records.
  const { openRecorder } = await import("../../runtime/observe/record/recorder.ts");
  const recorder = await openRecorder(settings, process, capabilities);
  return {
    options: { recorder },
    transports: (of) => recorder.transports(of),
    close: () => recorder.close(),
  };
}
