/**
 * How an answer's text becomes content, reasoning and calls. The parser stands between the pieces
 * of a stream and what a dialect writes: an answer that is taken up again comes from its first
 * token, so its parser hears all of it, whatever the client has already.
 */
import type { AnswerParser, ParsedDelta, ParsedEnd } from "../../../llm/parsers/answer-parser.ts";
import { toolEntry } from "../../../llm/parsers/names.ts";
import { parserFor } from "../../../llm/parsers/parser-for.ts";
import type { ToolShape } from "../../../llm/parsers/scan/reader.ts";
import type { AnswerEnd, AnswerPiece } from "../../stream/stream.ts";
import { digest } from "../resume/digest.ts";

/** What the parser of one request's answers is made from. */
export type AnswerParsing = {
  /** Names of parsers, or "none". */
  readonly tool: string;
  readonly reasoning: string;
  /** What may be called; empty: calls are text or are dropped, as the parser does it. */
  readonly tools: readonly ToolShape[];
  /** Whether the request turned thinking on or off; undefined: it said nothing. */
  readonly thinking: boolean | undefined;
  /** The prompt ends inside the reasoning. */
  readonly opened: boolean;
  /** Calls behind the first are left out. */
  readonly one_call: boolean;
  /** The request chose one function by its name, so that its call is no reason to end: "stop". */
  readonly named: boolean;
  /** What the answer's field for reasoning is called. */
  readonly reasoning_field: string;
};

/** Whether a tool parser has anything to do in an answer without tools. */
export const readsWithoutTools = (tool: string): boolean =>
  toolEntry(tool)?.without_tools === "drop";

/** The parser of one choice, which also counts the tokens of its reasoning. */
export class ChoiceParser {
  readonly #parser: AnswerParser;
  readonly #one_call: boolean;
  readonly #named: boolean;
  #reasoning_tokens = 0;

  constructor(parsing: AnswerParsing) {
    const { tool, reasoning, tools, opened, thinking, one_call, named } = parsing;
    const request =
      thinking === undefined ? {} : { chat_template_kwargs: { enable_thinking: thinking } };
    this.#parser = parserFor({ tool, reasoning, tools, opened, request });
    this.#one_call = one_call;
    this.#named = named;
  }

  /** Tokens so far that lie within the reasoning, markers apart. */
  get reasoning_tokens(): number {
    return this.#reasoning_tokens;
  }

  push(piece: AnswerPiece): readonly ParsedDelta[] {
    const before = this.#parser.in_reasoning;
    const deltas = this.#parser.push(piece.text);
    if (before && this.#parser.in_reasoning) this.#reasoning_tokens += piece.tokens.length;
    return this.#one_call ? deltas.filter(ofFirstCall) : deltas;
  }

  end({ reason }: AnswerEnd): ParsedEnd {
    const parsed = this.#parser.end(reason);
    // As OpenAI and vLLM say it; with "required" it is "tool_calls".
    const end = this.#named ? { ...parsed, finish_reason: reason } : parsed;
    return this.#one_call ? { ...end, deltas: end.deltas.filter(ofFirstCall) } : end;
  }
}

const ofFirstCall = (delta: ParsedDelta): boolean =>
  delta.kind === "content" || delta.kind === "reasoning" || delta.index === 0;

/** A complete call; `index`: its number among all calls of the choice. */
export type ParsedCall = {
  readonly index: number;
  /** As the model wrote it; undefined: it wrote none. */
  readonly id: string | undefined;
  readonly name: string;
  readonly arguments: string;
};

/** A run of text of one kind, or a complete call. */
export type ParsedPart =
  | { readonly kind: "content" | "reasoning"; readonly text: string }
  | { readonly kind: "call"; readonly call: ParsedCall };

/** One choice that is whole. */
export type ParsedChoice = {
  /** All of it, in the order in which the model wrote it. */
  readonly parts: readonly ParsedPart[];
  readonly content: string;
  readonly reasoning: string;
  readonly calls: readonly ParsedCall[];
  readonly finish_reason: string;
  readonly reasoning_tokens: number;
};

/** Takes the pieces of one choice and puts its parts together. */
export class ChoiceFold {
  readonly #parser: ChoiceParser;
  #content = "";
  #reasoning = "";
  readonly #parts: Writable<ParsedPart>[] = [];
  readonly #calls: Writable<ParsedCall>[] = [];
  readonly #complete = new Set<number>();

  constructor(parsing: AnswerParsing) {
    this.#parser = new ChoiceParser(parsing);
  }

  push(piece: AnswerPiece): void {
    this.#add(this.#parser.push(piece));
  }

  end(end: AnswerEnd): ParsedChoice {
    const { deltas, finish_reason } = this.#parser.end(end);
    this.#add(deltas);
    return {
      parts: this.#parts.filter(
        (part) => part.kind !== "call" || this.#complete.has(part.call.index),
      ),
      content: this.#content,
      reasoning: this.#reasoning,
      calls: this.#calls.filter(({ index }) => this.#complete.has(index)),
      finish_reason,
      reasoning_tokens: this.#parser.reasoning_tokens,
    };
  }

  #add(deltas: readonly ParsedDelta[]): void {
    for (const delta of deltas) {
      switch (delta.kind) {
        case "content":
          this.#content += delta.text;
          this.#text(delta.kind, delta.text);
          break;
        case "reasoning":
          this.#reasoning += delta.text;
          this.#text(delta.kind, delta.text);
          break;
        case "call": {
          const { index, id, name } = delta;
          const call = { index, id, name, arguments: "" };
          this.#calls[index] = call;
          this.#parts.push({ kind: "call", call });
          break;
        }
        case "arguments":
          this.#calls[delta.index]!.arguments += delta.text;
          break;
        case "call_end":
          if (delta.complete) this.#complete.add(delta.index);
      }
    }
  }

  #text(kind: "content" | "reasoning", text: string): void {
    const last = this.#parts.at(-1);
    if (last?.kind === kind) last.text += text;
    else this.#parts.push({ kind, text });
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Mistral's templates refuse an id of any other length. */
const MISTRAL_ID_CHARS = 9;

/** The id of a call that the model gave none: the same whenever the answer is read again. */
export function callId(
  answer_id: string,
  choice: number,
  index: number,
  tool: string,
  prefix = "call_",
): string {
  const letters = digest(`call\n${answer_id}\n${choice}\n${index}`).replace(/[-_]/g, "0");
  return tool === "mistral" ? letters.slice(0, MISTRAL_ID_CHARS) : prefix + letters;
}
