/** Items of an answer as they grow, and the ids that they have whoever writes them again. */
import type { PieceLogprob } from "../../../stream/stream.ts";
import { finite } from "../openai-format.ts";

export type ItemStatus = "in_progress" | "completed" | "incomplete";

export type Logprob = ReturnType<typeof logprobOf>;

export type MessageItem = {
  readonly type: "message";
  readonly id: string;
  text: string;
  readonly logprobs: Logprob[];
};

export type ReasoningItem = { readonly type: "reasoning"; readonly id: string; text: string };

export type CallItem = {
  readonly type: "function_call";
  readonly id: string;
  readonly call_id: string;
  readonly name: string;
  /** Of the arguments. */
  text: string;
};

export type GrowingItem = MessageItem | ReasoningItem | CallItem;

export const textPart = ({ text, logprobs }: MessageItem) => ({
  type: "output_text",
  annotations: [],
  logprobs,
  text,
});

export const reasoningPart = ({ text }: ReasoningItem) => ({ type: "reasoning_text", text });

/** An item as its events and the response show it. `empty`: as it begins, without what it holds. */
export function shownItem(item: GrowingItem, status: ItemStatus, empty = false): object {
  switch (item.type) {
    case "message": {
      const content = empty ? [] : [textPart(item)];
      return { id: item.id, type: "message", status, role: "assistant", content };
    }
    case "reasoning": {
      const content = empty ? [] : [reasoningPart(item)];
      return { id: item.id, type: "reasoning", status, summary: [], content };
    }
    case "function_call": {
      const { id, call_id, name, text } = item;
      return {
        ...{ id, type: "function_call", status, arguments: empty ? "" : text },
        ...{ call_id, name },
      };
    }
  }
}

export function logprobOf(entry: PieceLogprob) {
  return {
    token: entry.token,
    bytes: entry.bytes,
    logprob: finite(entry.logprob),
    top_logprobs: entry.top.map((top) => ({
      token: top.token,
      bytes: top.bytes,
      logprob: finite(top.logprob),
    })),
  };
}
