/** Tiers of blocks that go together. */
import { type KvSettings, kvFlags } from "../../actors/kv/flags.ts";
import { SettingsError } from "./settings-error.ts";

/** Below that not even a few blocks of a small model fit. */
const LEAST_BYTES = 1_000_000;

/** Workers that share out prompts and answers need some; how much, their models say later. */
const PAIRS_HOST_BYTES = 512 * 1024 * 1024;

/**
 * Throws SettingsError.
 * @param by_model this machine's workers hand blocks to each other, and nobody said in how much memory
 * @param shared whether there are several machines
 */
export function kvSettings(settings: KvSettings, by_model: boolean, shared: boolean): KvSettings {
  const given = by_model ? { ...settings, host_bytes: PAIRS_HOST_BYTES } : settings;
  const { host_bytes, disk_bytes } = given;
  const [host, disk] = [`--${kvFlags.host_bytes.name}`, `--${kvFlags.disk_bytes.name}`];
  if (disk_bytes > 0 && host_bytes === 0) {
    throw new SettingsError(`${disk} needs ${host} too: blocks go to the disk by way of memory`);
  }
  for (const [flag, bytes] of [
    [host, host_bytes],
    [disk, disk_bytes],
  ] as const) {
    if (bytes === 0 || bytes >= LEAST_BYTES) continue;
    throw new SettingsError(`${flag} ${bytes} is less than a block takes: give 512MB or 2GiB, say`);
  }
  const address = kvFlags.address.name;
  if (/[\s/[\]]|^[^:]*:[^:]*$/.test(given.address)) {
    throw new SettingsError(
      `--${address} "${given.address}" is no address alone: give one like 10.0.0.5, fe80::5 or a name, without a port`,
    );
  }
  const { store, store_bytes } = kvFlags;
  if (given.store !== "off" && given.store_bytes < LEAST_BYTES) {
    throw new SettingsError(
      `--${store_bytes.name} ${given.store_bytes} is less than a block takes`,
    );
  }
  const off = given.store === "off" || (shared && given.host_bytes > 0);
  if (!off) {
    throw new SettingsError(
      `--${store.name} ${given.store} needs --nats and --redis, and ${host}: machines share it ` +
        "behind their memory",
    );
  }
  return given;
}
