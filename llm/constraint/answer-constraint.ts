/**
 * What a request wants of an answer's form → the constraint of the whole output: reasoning before
 * it, the frame of the model's format around it, calls or text in it.
 */
import { type Frame, reasoningEntry, toolEntry } from "../parsers/names.ts";
import { ANSWER_FRAMES } from "./answer-frames.ts";
import type { Constraint, ConstraintFormat, Thinking } from "./constraint.ts";
import { type Expression, either, literal, maybe, RuleBook, row } from "./schema/rules.ts";
import { type TextForm, textGrammar } from "./text-form.ts";
import type { Tool } from "./tools/family.ts";
import { callsExpression, textWithCalls, toolFamily } from "./tools/tool-grammar.ts";
import { thoughtUntil } from "./values/text-rules.ts";

export type AnswerWish = {
  /** Parsers that read the answer; "none" for none. */
  readonly tool_parser: string;
  readonly reasoning_parser: string;
  /** The prompt ends inside the reasoning. */
  readonly opened: boolean;
  /** The prompt has a reasoning behind it that is over. */
  readonly closed: boolean;
  /** Whether the request turned thinking on or off. */
  readonly thinking: boolean | undefined;
  readonly max_thinking_tokens?: number | undefined;
  readonly text?: TextForm | undefined;
  readonly calls?: CallsWish | undefined;
};

export type CallsWish = {
  readonly tools: readonly Tool[];
  /** Calls are all that the answer has; else they may stand in its text. */
  readonly required: boolean;
  /** Several in one answer. */
  readonly many: boolean;
};

/** This tool parser's calls cannot be held to anything, or not beside text. */
export class NoCallGrammarError extends Error {
  override readonly name = "NoCallGrammarError";
  readonly parser: string;
  /** Calls alone could be. */
  readonly beside_text: boolean;

  constructor(parser: string, beside_text: boolean) {
    super(`calls of the tool parser '${parser}' have no grammar`);
    this.parser = parser;
    this.beside_text = beside_text;
  }
}

/** Undefined: the answer is free. Throws TextFormError, ToolSchemaError, NoCallGrammarError. */
export function answerConstraint(wish: AnswerWish): Constraint | undefined {
  const reasoning = reasoningOf(wish);
  const thinking = thinkingOf(wish, reasoning);
  const format = answerFormat(wish, reasoning, thinking !== undefined);
  if (format === undefined && thinking?.max_tokens === undefined) return undefined;
  return { ...(format && { format }), ...(thinking && { thinking }) };
}

type Reasoning = {
  readonly frame: Frame | undefined;
  /** What opens and closes the reasoning; undefined: the answer has none. */
  readonly marks: readonly [open: string, close: string] | undefined;
  /** The answer begins inside. */
  readonly inside: boolean;
  /** The model may open it before what is asked for. */
  readonly may_open: boolean;
};

function reasoningOf({ tool_parser, reasoning_parser, ...wish }: AnswerWish): Reasoning {
  const named = reasoningEntry(reasoning_parser);
  const tool = toolEntry(tool_parser)?.format;
  const format = named?.format;
  const reads = wish.calls !== undefined || toolEntry(tool_parser)?.without_tools === "drop";
  let frame: Frame | undefined;
  if (reads && typeof tool === "string") frame = tool;
  else if (typeof format === "string" && format !== "append") frame = format;
  if (frame !== undefined) {
    return { frame, marks: ANSWER_FRAMES[frame].reasoning, inside: wish.opened, may_open: true };
  }
  const asked = wish.thinking;
  const off = named?.when_asked === true && asked !== true && !wish.opened;
  if (typeof format !== "object" || off || wish.closed) {
    return { frame, marks: undefined, inside: false, may_open: false };
  }
  const marks = [format.open[0]! + (format.label ?? ""), format.close[0]!] as const;
  const forced = format.begins === "inside" && asked !== false;
  if (wish.opened || forced) return { frame, marks, inside: true, may_open: false };
  if (asked === false) return { frame, marks: undefined, inside: false, may_open: false };
  // A model that does not think by itself would begin to, where a form bars its own first words.
  return { frame, marks, inside: false, may_open: asked === true };
}

/** A limit of the reasoning counts from the answer's first token, also where the model opens it. */
function thinkingOf(wish: AnswerWish, { marks, inside }: Reasoning): Thinking | undefined {
  const { max_thinking_tokens: max_tokens } = wish;
  if (marks === undefined || (!inside && max_tokens === undefined)) return undefined;
  const [, end] = marks;
  return max_tokens === undefined ? { end } : { end, max_tokens };
}

function answerFormat(
  wish: AnswerWish,
  { frame, marks, may_open }: Reasoning,
  thinks: boolean,
): ConstraintFormat | undefined {
  const { text, calls } = wish;
  if (text === undefined && calls === undefined) return undefined;
  const content = text === undefined ? undefined : textGrammar(text);
  const spaces = content === undefined || content.spaced;
  const choices: ConstraintFormat[] = [];
  if (content !== undefined && calls?.required !== true) {
    choices.push(framed(frame, content.format));
  }
  if (calls !== undefined) {
    const open = !calls.required && content === undefined;
    choices.push(callsFormat(wish.tool_parser, calls, open, open ? marks : undefined));
    if (open) return choices[0];
  }
  const format: ConstraintFormat =
    choices.length === 1 ? choices[0]! : { type: "or", elements: choices };
  const before = beforeContent(frame, thinks || may_open ? marks : undefined, thinks, spaces);
  return before === undefined ? format : { type: "sequence", elements: [before, format] };
}

/** Reasoning that the model may open itself, and what stands between it and the content. */
function beforeContent(
  frame: Frame | undefined,
  marks: Reasoning["marks"],
  thinks: boolean,
  spaces: boolean,
): ConstraintFormat | undefined {
  if (marks === undefined) return undefined;
  const book = new RuleBook();
  const next = frame === undefined ? "" : ANSWER_FRAMES[frame].next;
  const space = spaces && frame === undefined ? '"\\u000a"{0,2}' : '""';
  const behind = row(literal(next), space);
  if (thinks) return behind === '""' ? undefined : grammar(book.text(behind));
  const [open, close] = marks;
  return grammar(book.text(maybe(row(literal(open), thoughtUntil(close, book), behind))));
}

function framed(frame: Frame | undefined, format: ConstraintFormat): ConstraintFormat {
  if (frame === undefined) return format;
  const [open, close] = ANSWER_FRAMES[frame].content;
  const end = grammar(new RuleBook().text(maybe(literal(close))));
  return { type: "sequence", elements: [{ type: "const_string", value: open }, format, end] };
}

function callsFormat(
  parser: string,
  { tools, many }: CallsWish,
  beside_text: boolean,
  passed: Reasoning["marks"],
): ConstraintFormat {
  const family = toolFamily(parser);
  if (family === undefined) throw new NoCallGrammarError(parser, false);
  const book = new RuleBook();
  if (!beside_text) return grammar(book.text(callsExpression(family, { tools, many }, book)));
  const open: (readonly [string, Expression])[] =
    passed === undefined ? [] : [[passed[0], thoughtUntil(passed[1], book)]];
  const root = textWithCalls(family, { tools, many }, open, book);
  if (root === undefined) throw new NoCallGrammarError(parser, true);
  return grammar(book.text(either([root])));
}

const grammar = (text: string): ConstraintFormat => ({ type: "grammar", grammar: text });
