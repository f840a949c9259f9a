/** A row of the table of engines. */
import type { ModelFacts } from "../../llm/model/model-card.ts";
import type { Tokenizer } from "../../llm/tokens/tokenizer.ts";
import type { Clock, Files, Threads } from "../../runtime/capabilities.ts";
import type { FlagGroup, SettingsOf } from "../../runtime/setting.ts";
import type { BlockMemory } from "./block-port.ts";
import type { Engine } from "./engine.ts";
import type { CommonEngineSettings } from "./flags.ts";

/** Inputs for opening an engine beside its own settings. */
export type EngineParts = {
  readonly settings: CommonEngineSettings;
  /** A checked GGUF, or a folder with a tokenizer. */
  readonly model_path: string;
  readonly facts: ModelFacts;
  readonly tokenizer: Tokenizer;
  /** Workers that share this machine's free memory. */
  readonly sharers: number;
  readonly cache_folder: string;
  /** Unpacked files of a compiled binary; empty in the source tree. */
  readonly assets_folder: string;
  readonly clock: Clock;
  readonly files: Files;
  /** Absent in the simulator. */
  readonly threads?: Threads | undefined;
  /** Given in the simulator alone, whose machines have memory of their own. */
  readonly memory?: BlockMemory | undefined;
};

/** Opens the engine of one worker; rejects with the one line that says what to do. */
export type OpenEngine = (progress: (fraction: number, detail: string) => void) => Promise<Engine>;

export type EngineKind<Group extends FlagGroup = FlagGroup> = {
  /** Its own settings; given with another engine they are an error. */
  readonly flags: Group;
  /** True: the engine computes with the model's weights; else it needs only the tokenizer. */
  readonly reads_weights: boolean;
  /** Release and numbers that its cached blocks are of; absent: no other engine's are like them. */
  readonly block_format?: { readonly library: string; readonly cache_type: string };
  /** Several workers may share a process: it leaves no native state behind when it fails. */
  readonly shares_process: boolean;
  /** One line on settings that contradict each other; undefined: none do. */
  contradiction(own: SettingsOf<Group>, common: CommonEngineSettings): string | undefined;
  /** Called once a process. It, or the first worker, makes the parts that workers share. */
  opener(own: SettingsOf<Group>, parts: EngineParts): OpenEngine;
};

/** The longest context that is taken without being asked for: more costs memory at once. */
const CONTEXT_DEFAULT = 8_192;

/** In tokens: what was asked for, or the model's own within `most`. */
export function contextOf({ settings, facts }: EngineParts, most = CONTEXT_DEFAULT): number {
  if (settings.context_length > 0) return settings.context_length;
  const own = facts.context_length > 0 ? facts.context_length : CONTEXT_DEFAULT;
  return Math.min(own, CONTEXT_DEFAULT, most);
}
