/** How models write their reasoning into free text, by family. */
import type { ThinkTags } from "../scan/tagged-machine.ts";

const THINK = { open: ["<think>"], close: ["</think>"] } as const;

/** The model writes the opener itself; a lone closer is dropped. */
export const THINK_TAGS: ThinkTags = { ...THINK, begins: "outside", calls: "text" };

/** The prompt ends with the opener, so the output begins in the reasoning. */
export const FORCED_THINK_TAGS: ThinkTags = { ...THINK, begins: "inside", calls: "text" };

/** As above; these models go from the reasoning straight to a call. */
export const FORCED_THINK_UNTIL_CALL: ThinkTags = { ...FORCED_THINK_TAGS, calls: "end" };

export const THINK_UNTIL_CALL: ThinkTags = { ...THINK_TAGS, calls: "end" };

export const KIMI_TAGS: ThinkTags = {
  open: ["◁think▷"],
  close: ["◁/think▷"],
  begins: "outside",
  calls: "text",
};

export const MISTRAL_TAGS: ThinkTags = {
  open: ["[THINK]"],
  close: ["[/THINK]"],
  begins: "inside",
  calls: "text",
};

/** Whether the prompt opened the reasoning is not seen in the output before its first marker. */
export const MINIMAX_M3_TAGS: ThinkTags = {
  open: ["<mm:think>"],
  close: ["</mm:think>"],
  begins: "unknown",
  calls: "end",
};

/** A channel with its role's name on a line of its own. */
export const GEMMA4_TAGS: ThinkTags = {
  open: ["<|channel>"],
  close: ["<channel|>"],
  begins: "outside",
  calls: "text",
  label: "thought\n",
};

/** Sentences instead of tags. */
export const GRANITE_TAGS: ThinkTags = {
  open: ["Here's my thought process:", "Here is my thought process:"],
  close: ["Here's my response:", "Here is my response:"],
  begins: "outside",
  calls: "text",
  after_lone_close: " ",
};
