/** Where blocks lie on disk, and a look whether they can before anything starts. */
import { kvFlags } from "../../actors/kv/flags.ts";
import type { Files } from "../../runtime/capabilities.ts";
import { errorText } from "../../runtime/error-text.ts";
import type { Settings } from "./settings.ts";
import { SettingsError } from "./settings-error.ts";

type Given = { readonly settings: Pick<Settings, "kv">; readonly cache_folder: string };

export const kvFolder = ({ settings, cache_folder }: Given): string =>
  settings.kv.disk_dir || `${cache_folder}/kv`;

/**
 * Later a disk may fail, which costs no more than what is on it. Rejects with SettingsError when
 * nothing can be written there now.
 */
export async function checkKvFolder(given: Given, files: Files): Promise<void> {
  if (given.settings.kv.disk_bytes === 0) return;
  const folder = kvFolder(given);
  const probe = `${folder}/probe`;
  try {
    await files.makeFolder(folder);
    await files.write(probe, new Uint8Array(1));
    await files.remove(probe);
  } catch (error) {
    const [bytes, dir] = [kvFlags.disk_bytes.name, kvFlags.disk_dir.name];
    throw new SettingsError(
      `blocks cannot be written to ${folder} (${errorText(error)}): ` +
        `give another --${dir}, or leave --${bytes} out`,
    );
  }
}
