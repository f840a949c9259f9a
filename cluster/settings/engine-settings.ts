/** Which engine makes the tokens, and its settings. */
import { type EngineName, engineKind, engineNames } from "../../actors/engine/engines.ts";
import { type CommonEngineSettings, engineFlags, sharingFlags } from "../../actors/engine/flags.ts";
import {
  type FlagGroup,
  type FlagValue,
  type SettingsOf,
  settingsOf,
} from "../../runtime/setting.ts";
import { SettingsError } from "./settings-error.ts";

export type EngineSettings = {
  readonly name: EngineName;
  readonly common: CommonEngineSettings;
  /** 1 = each has a process of its own. */
  readonly workers_per_process: number;
  /** As this engine's folder declares them. */
  readonly own: SettingsOf<FlagGroup>;
};

/** Throws SettingsError when settings contradict each other, or belong to another engine. */
export function engineSettings(
  name: EngineName,
  given: (flag: string) => FlagValue | undefined,
): EngineSettings {
  const kind = engineKind(name);
  for (const other of engineNames) {
    if (other === name) continue;
    const stray = Object.values(engineKind(other).flags).find(
      (flag) => given(flag.name) !== undefined,
    );
    if (stray === undefined) continue;
    throw new SettingsError(`--${stray.name} is for --engine ${other}, not ${name}: leave it away`);
  }
  const common = settingsOf(engineFlags, given);
  const own = settingsOf(kind.flags, given);
  const contradiction = kind.contradiction(own, common);
  if (contradiction !== undefined) throw new SettingsError(contradiction);
  const { workers_per_process } = settingsOf(sharingFlags, given);
  if (!kind.shares_process && workers_per_process > 1) throw sharesNone();
  return { name, common, workers_per_process, own };
}

function sharesNone(): SettingsError {
  const sharing = engineNames.filter((name) => engineKind(name).shares_process);
  return new SettingsError(
    `--workers-per-process is for --engine ${sharing.toReversed().join(" or ")}: a real engine has ` +
      "its process for itself, so that its end takes no other along; leave the flag out",
  );
}
