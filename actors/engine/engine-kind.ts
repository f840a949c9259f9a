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
  /** A GGUF that guesses; undefined: none does. */
  readonly draft_path?: string | undefined;
  /** Takes one line on what went wrong and harms no answer. */
  readonly warn?: ((text: string) => void) | undefined;
  readonly facts: ModelFacts;
  readonly tokenizer: Tokenizer;
  /** Workers that share this machine's free memory. */
  readonly sharers: number;
  /** What the machine's memory holds, the same for all workers of a model; absent: not known. */
  readonly fit?: EngineFit | undefined;
  /** Bytes that this process may still take; undefined: not known. */
  readonly freeMemory?: (() => number | undefined) | undefined;
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

/**
 * Where a worker's weights are: in memory of its own, laid out as its processor computes fastest, or
 * in the pages of the file, which all workers of a machine share.
 */
export type WeightsPlace = "own" | "shared";

export type EngineFit = {
  /** The longest context that is sensible where nobody says how long it is to be. */
  readonly context_length: number;
  readonly weights: WeightsPlace;
};

/** What an engine that reads weights takes memory for. */
export type MemoryWishes = {
  /** Of a number of the cache. */
  readonly number_bytes: number;
  /** The longest context that is sensible without being asked for. */
  readonly context_most: number;
  readonly weights: WeightsPlace | "auto";
};

/** Opens the engine of one worker; rejects with the one line that says what to do. */
export type OpenEngine = (progress: (fraction: number, detail: string) => void) => Promise<Engine>;

export type EngineKind<Group extends FlagGroup = FlagGroup> = {
  /** Its own settings; given with another engine they are an error. */
  readonly flags: Group;
  /** True: the engine computes with the model's weights; else it needs only the tokenizer. */
  readonly reads_weights: boolean;
  /** Release and numbers that its cached blocks are of; absent: no other engine's are like them. */
  blockFormat?(own: SettingsOf<Group>): { readonly library: string; readonly cache_type: string };
  /** Absent: what it takes does not depend on the model. */
  memory?(own: SettingsOf<Group>, common: CommonEngineSettings): MemoryWishes;
  /** Several workers may share a process: it leaves no native state behind when it fails. */
  readonly shares_process: boolean;
  /** One line on settings that contradict each other; undefined: none do. */
  contradiction(own: SettingsOf<Group>, common: CommonEngineSettings): string | undefined;
  /** Called once a process. It, or the first worker, makes the parts that workers share. */
  opener(own: SettingsOf<Group>, parts: EngineParts): OpenEngine;
};

/** The longest context that is taken without being asked for, where nothing says what fits. */
const CONTEXT_DEFAULT = 8_192;

/** In tokens: what was asked for, or the model's own within `most` and what fits. */
export function contextOf({ settings, facts, fit }: EngineParts, most?: number): number {
  if (settings.context_length > 0) return settings.context_length;
  const own = facts.context_length > 0 ? facts.context_length : CONTEXT_DEFAULT;
  return Math.min(own, fit?.context_length ?? CONTEXT_DEFAULT, most ?? own);
}
