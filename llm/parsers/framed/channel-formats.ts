/** Formats of messages with headers: OpenAI's harmony, Inkling, Muse. */
import type { ReadContext } from "../scan/reader.ts";
import { InvokeCalls, MUSE_INVOKE } from "../tool/invoke-calls.ts";
import { ArgumentsBody, ObjectBody } from "./call-bodies.ts";
import type { ChannelFormat, Route } from "./channel-machine.ts";

const thought = (reasons: boolean): Route => ({ kind: reasons ? "reasoning" : "content" });

/** ` to=NAME`, or the beginning of it. */
const RECIPIENT_TEXT = /^\s*(?:t|to|to=[^\s<]*)?\s*$/;
const CUT_RECIPIENT = /to=/;
const NAME_TEXT = /^\s*[\p{L}\p{N}_.:-]*$/u;
/** A name alone is as well an answer of one word. */
const NOTHING = /^\b$/;

const recipient = (header: string): string | undefined => /(?:^|\s)to=(\S+)/.exec(header)?.[1];

const FUNCTIONS = "functions.";

/** @param reasons the analysis is reasoning, not content */
export function harmony(reasons: boolean): ChannelFormat {
  return {
    start: ["<|start|>"],
    header: { "<|channel|>": " channel=", "<|constrain|>": " " },
    body: ["<|message|>"],
    end: ["<|end|>", "<|call|>", "<|return|>"],
    header_text: RECIPIENT_TEXT,
    cut_header: CUT_RECIPIENT,
    call_openers: [],
    opens_reasoning: "<|channel|>analysis<|message|>",
    reasoning: thought(reasons),
    route: (header) => {
      const to = recipient(header);
      const analysis = /\bchannel=\s*analysis\b/.test(header);
      const text: Route = analysis ? thought(reasons) : { kind: "content" };
      if (to?.startsWith(FUNCTIONS)) {
        return { kind: "call", reader: new ArgumentsBody(to.slice(FUNCTIONS.length), true) };
      }
      // Tools of the model's own: calls if they look like one.
      if (to !== undefined && to !== "user" && to !== "all" && to !== "assistant") {
        return { kind: "call", reader: new ArgumentsBody(to, false), otherwise: text };
      }
      return text;
    },
  };
}

const INKLING_ROUTES: Readonly<Record<string, "content" | "reasoning" | "call" | "discard">> = {
  "<|content_thinking|>": "reasoning",
  "<|content_text|>": "content",
  "<|content_invoke_tool_json|>": "call",
  "<|content_image|>": "discard",
  "<|content_audio_input|>": "discard",
};

/** The name in a call's header is there again in its object. */
export function inkling(reasons: boolean): ChannelFormat {
  return {
    start: ["<|message_model|>"],
    header: {},
    body: Object.keys(INKLING_ROUTES),
    end: ["<|end_message|>", "<|content_model_end_sampling|>"],
    header_text: NAME_TEXT,
    cut_header: NOTHING,
    call_openers: [],
    opens_reasoning: "<|content_thinking|>",
    reasoning: thought(reasons),
    route: (_header, marker): Route => {
      const kind = INKLING_ROUTES[marker] ?? "content";
      if (kind === "call") {
        return { kind, reader: new ObjectBody(), otherwise: { kind: "content" } };
      }
      return kind === "reasoning" ? thought(reasons) : { kind };
    },
  };
}

export function muse(reasons: boolean, context: ReadContext): ChannelFormat {
  return {
    start: ["<|start|>"],
    header: {},
    body: ["<|message|>"],
    end: ["<|eom|>", "<|eot|>"],
    header_text: RECIPIENT_TEXT,
    cut_header: CUT_RECIPIENT,
    call_openers: MUSE_INVOKE.wrapper_open,
    opens_reasoning: "to=self<|message|>",
    reasoning: thought(reasons),
    callReader: () => new InvokeCalls(MUSE_INVOKE, context, "wrapped"),
    route: (header) => {
      const to = recipient(header);
      if (to === "self") return thought(reasons);
      return { kind: to === undefined || to === "user" ? "content" : "call" };
    },
  };
}
