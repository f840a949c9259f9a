/** Where the content of an answer begins and ends, in formats whose whole output has a frame. */
import type { Frame } from "../parsers/names.ts";

export type AnswerFrame = {
  /** Opens a message of reasoning, and closes it up to where the next message is said. */
  readonly reasoning: readonly [open: string, close: string];
  /** Stands behind the reasoning's close, before the next message. */
  readonly next: string;
  /** Around the content. What closes it may be a token that ends the answer: then it is missing. */
  readonly content: readonly [open: string, close: string];
};

export const ANSWER_FRAMES: Readonly<Record<Frame, AnswerFrame>> = {
  harmony: {
    reasoning: ["<|channel|>analysis<|message|>", "<|end|>"],
    next: "<|start|>assistant",
    content: ["<|channel|>final<|message|>", "<|return|>"],
  },
  inkling: {
    reasoning: ["<|content_thinking|>", "<|end_message|>"],
    next: "<|message_model|>",
    content: ["<|content_text|>", "<|end_message|><|content_model_end_sampling|>"],
  },
  kimi_k3: {
    reasoning: ["<|open|>think<|sep|>", "<|close|>think<|sep|>"],
    next: "",
    content: ["<|open|>response<|sep|>", "<|close|>response<|sep|><|close|>message<|sep|>"],
  },
  muse: {
    reasoning: [" to=self<|message|>", "<|eom|>"],
    next: "<|start|>assistant",
    content: [" to=user<|message|>", "<|eot|>"],
  },
};
