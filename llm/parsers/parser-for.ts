import type { AnswerParser, ParsedDelta, ParsedEnd } from "./answer-parser.ts";
import { harmony, inkling, muse } from "./framed/channel-formats.ts";
import { type ChannelFormat, ChannelMachine } from "./framed/channel-machine.ts";
import { KIMI_K3_OPENS_REASONING, KimiK3Machine } from "./framed/kimi-k3-machine.ts";
import {
  type Frame,
  type ReasoningEntry,
  reasoningEntry,
  type ToolEntry,
  toolEntry,
} from "./names.ts";
import { AppendThink } from "./reasoning/append-think.ts";
import type { ReadContext, ToolShape } from "./scan/reader.ts";
import { Sink } from "./scan/sink.ts";
import { type Ledger, Source } from "./scan/source.ts";
import { type Machine, TaggedMachine, type ThinkTags } from "./scan/tagged-machine.ts";

/** Fields of a chat request that say whether the model thinks. */
export type ThinkingRequest = {
  readonly chat_template_kwargs?: Readonly<Record<string, unknown>> | null | undefined;
  readonly reasoning_effort?: string | null | undefined;
};

export type ParserChoice = {
  /** Names of the tables, or "none"; absent is "none". */
  readonly tool?: string | undefined;
  readonly reasoning?: string | undefined;
  /** The request's tools; none: there are no calls in the answer. */
  readonly tools?: readonly ToolShape[] | undefined;
  readonly request?: ThinkingRequest | undefined;
  /**
   * Whether the prompt ends inside the reasoning (see `promptOpens`). True makes the output begin
   * there; false rules it out where the family leaves it open; absent: as the family says.
   */
  readonly opened?: boolean | undefined;
  /** Hears what became of each piece of the output. */
  readonly ledger?: Ledger | undefined;
};

/** The parser of one answer. Throws ParserNameError. */
export function parserFor(choice: ParserChoice): AnswerParser {
  const tool = toolEntry(choice.tool);
  const named = reasoningEntry(choice.reasoning);
  const asked = thinking(choice.request);
  const off = named?.when_asked && asked !== true && choice.opened !== true;
  const reasoning = off ? undefined : named;
  const tools = choice.tools ?? [];
  const context: ReadContext = { tools: new Map(tools.map((shape) => [shape.name, shape])) };
  const reads_calls = tool !== undefined && (tools.length > 0 || tool.without_tools === "drop");
  const begins = beginning(reasoning, asked, choice.opened);
  const frame = frameOf(reads_calls ? tool : undefined, reasoning);
  const format = reads_calls && typeof tool.format !== "string" ? tool.format : undefined;
  let machine: Machine;
  if (frame !== undefined) machine = framedMachine(frame, reasoning !== undefined, begins, context);
  else {
    const tags = typeof reasoning?.format === "object" ? reasoning.format : undefined;
    machine = new TaggedMachine(tags && tagsFor(tags, tool, begins), format, context);
  }
  if (reasoning?.format === "append") machine = new AppendThink(machine);
  const sink = new Sink({
    mute: tools.length === 0 || tool === undefined,
    trim: format?.trim === true,
  });
  return new Parser(machine, sink, tool?.cut_is_length === true, choice.ledger);
}

class Parser implements AnswerParser {
  readonly #machine: Machine;
  readonly #sink: Sink;
  readonly #cut_is_length: boolean;
  readonly #source: Source;

  constructor(machine: Machine, sink: Sink, cut_is_length: boolean, ledger: Ledger | undefined) {
    this.#machine = machine;
    this.#sink = sink;
    this.#cut_is_length = cut_is_length;
    this.#source = new Source(ledger);
  }

  get in_reasoning(): boolean {
    return this.#machine.in_reasoning;
  }

  push(text: string): readonly ParsedDelta[] {
    this.#source.add(text);
    this.#machine.run(this.#source, this.#sink);
    return this.#sink.drain();
  }

  end(finish: string): ParsedEnd {
    this.#machine.run(this.#source, this.#sink);
    this.#machine.end(this.#source, this.#sink, finish);
    const deltas = this.#sink.drain();
    if (finish !== "stop") return { deltas, finish_reason: finish };
    if (this.#sink.cut && this.#cut_is_length) return { deltas, finish_reason: "length" };
    return { deltas, finish_reason: this.#sink.complete_calls > 0 ? "tool_calls" : finish };
  }
}

/** A format of the whole output reads all of it; the tool parser's goes first. */
function frameOf(
  tool: ToolEntry | undefined,
  reasoning: ReasoningEntry | undefined,
): Frame | undefined {
  if (typeof tool?.format === "string") return tool.format;
  const format = reasoning?.format;
  return typeof format === "string" && format !== "append" ? format : undefined;
}

type Beginning = ThinkTags["begins"];

function framedMachine(
  frame: Frame,
  reasons: boolean,
  begins: Beginning,
  context: ReadContext,
): Machine {
  if (frame === "kimi_k3") return new KimiK3Machine(reasons, begins, context);
  return new ChannelMachine(channelFormat(frame, reasons, context), begins === "inside");
}

function channelFormat(
  frame: Exclude<Frame, "kimi_k3">,
  reasons: boolean,
  context: ReadContext,
): ChannelFormat {
  if (frame === "harmony") return harmony(reasons);
  return frame === "inkling" ? inkling(reasons) : muse(reasons, context);
}

function beginning(
  reasoning: ReasoningEntry | undefined,
  asked: boolean | undefined,
  opened: boolean | undefined,
): Beginning {
  if (opened === true) return "inside";
  const { format } = reasoning ?? {};
  const begins = typeof format === "object" ? format.begins : "unknown";
  if (asked === false || (opened === false && begins === "unknown")) return "outside";
  return begins;
}

function tagsFor(tags: ThinkTags, tool: ToolEntry | undefined, begins: Beginning): ThinkTags {
  return { ...tags, begins, calls: tool?.within_reasoning ? "within" : tags.calls };
}

const ON = "thinking";
const OFF = "chat";
const NO_EFFORT = "none";

/** Whether the request turns thinking on or off; undefined: it says nothing. */
export function thinking(request: ThinkingRequest | undefined): boolean | undefined {
  const wishes = request?.chat_template_kwargs ?? {};
  for (const key of ["enable_thinking", "thinking"]) {
    const wish = wishes[key];
    if (typeof wish === "boolean") return wish;
  }
  if (wishes["thinking_mode"] === ON) return true;
  if (wishes["thinking_mode"] === OFF) return false;
  const effort = request?.reasoning_effort ?? wishes["reasoning_effort"];
  return typeof effort === "string" ? effort !== NO_EFFORT : undefined;
}

const NO_TOOLS: ReadContext = { tools: new Map() };

/** Whether a rendered prompt ends with a reasoning that is over, as with thinking turned off. */
export function promptCloses(prompt_end: string, reasoning: string | undefined): boolean {
  const format = reasoningEntry(reasoning)?.format;
  if (typeof format !== "object") return false;
  const end = prompt_end.trimEnd();
  return format.close.some((close) => end.endsWith(close));
}

/** Whether a rendered prompt ends inside the reasoning of this parser's format. */
export function promptOpens(prompt_end: string, reasoning: string | undefined): boolean {
  const format = reasoningEntry(reasoning)?.format;
  const end = prompt_end.trimEnd();
  if (format === undefined || format === "append") return false;
  if (format === "kimi_k3") return end.endsWith(KIMI_K3_OPENS_REASONING);
  if (typeof format === "string") {
    return end.endsWith(channelFormat(format, true, NO_TOOLS).opens_reasoning);
  }
  const label = format.label?.trimEnd() ?? "";
  return format.open.some(
    (open) => end.endsWith(open) || (label !== "" && end.endsWith(open + label)),
  );
}
