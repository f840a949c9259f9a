/** The settings that every engine has. Those of one engine stand in its folder. */
import type { SettingsOf } from "../../runtime/setting.ts";

export const engineFlags = {
  /** 0 = the model's own, within bounds. */
  context_length: {
    name: "context-length",
    type: "whole",
    min: 0,
    max: 1_048_576,
    default: 0,
    env: ["DYN_CONTEXT_WINDOW"],
    help: "longest prompt and answer in tokens; 0 = the model's own, as far as a cache of usual size and the memory hold it; 8192 at most for mocker and echo",
  },
  /** 0 = the engine's own. */
  max_num_seqs: {
    name: "max-num-seqs",
    type: "whole",
    min: 0,
    max: 65_536,
    default: 0,
    help: "answers that a worker makes at once; 0 = 64, or 256 for the mocker",
  },
  /** 0 = the engine's own. */
  block_size: {
    name: "block-size",
    type: "whole",
    min: 0,
    max: 4096,
    default: 0,
    env: ["DYN_KV_CACHE_BLOCK_SIZE"],
    help: "tokens a cached block, by which prompts share what is computed: 16, 32 or 64 for llama, any number for the mocker; 0 = 64",
  },
  /** 0 = by the model's size. */
  threads: {
    name: "threads",
    type: "whole",
    min: 0,
    max: 512,
    default: 0,
    help: "engine threads a worker; 0 = by the model's size, at most the cores of the machine or of the container's CPU quota",
  },
} as const;

/** Settings of the engines that share a process. */
export const sharingFlags = {
  workers_per_process: {
    name: "workers-per-process",
    type: "whole",
    min: 1,
    max: 4096,
    default: 1,
    help: "mocker, echo: simulated workers that share a process; each is restarted by itself",
  },
} as const;

export type CommonEngineSettings = SettingsOf<typeof engineFlags>;
