/** Streamed chat answers whose text is taken apart: content, reasoning and calls in one delta. */
import type { ParsedDelta } from "../../../../llm/parsers/answer-parser.ts";
import { NO_PARSER } from "../../../../llm/parsers/names.ts";
import type { AnswerEnd, AnswerPiece, AnswerUsage } from "../../../stream/stream.ts";
import { type AnswerParsing, ChoiceParser, callId } from "../answer-parsing.ts";
import type { AnswerHead, ChunkFormat } from "../dialect.ts";
import {
  chunkEnd,
  chunkStart,
  finishMembers,
  OpenAiStream,
  quoted,
  usageChunk,
} from "../openai-format.ts";
import { logprobsOf, NO_LOGPROBS } from "./chat-format.ts";

const ROLE = '"role":"assistant"';

/**
 * All that one piece brings stands in one chunk, as an event's id counts whole pieces. The first
 * chunk of a choice always comes, with its role; others come when they have something to say.
 */
export class ParsedChatChunks extends OpenAiStream implements ChunkFormat {
  readonly #head: AnswerHead;
  readonly #parsing: AnswerParsing;
  readonly #start: string;
  readonly #close: string;
  /** The name of the member for reasoning, quoted. */
  readonly #reasoning: string;
  /** Around the text of a chunk with content alone; what stands before it by choice. */
  readonly #plain: string;
  readonly #content_starts: string[] = [];
  /** By choice. */
  readonly #parsers: ChoiceParser[] = [];

  constructor(head: AnswerHead, parsing: AnswerParsing) {
    super();
    this.#head = head;
    this.#parsing = parsing;
    this.#start = chunkStart(head, "chat.completion.chunk");
    this.#close = chunkEnd(head);
    this.#plain = `},${NO_LOGPROBS}${NOT_YET}${this.#close}`;
    this.#reasoning = quoted(parsing.reasoning_field);
  }

  piece(choice: number, piece: AnswerPiece, first: boolean): string {
    const { logprobs } = this.#head;
    const deltas = this.#parser(choice).push(piece);
    if (deltas.length === 1 && !first && !logprobs) {
      const [only] = deltas;
      // By far the most.
      if (only?.kind === "content") {
        return `${this.#contentStart(choice)}${quoted(only.text)}${this.#plain}`;
      }
    }
    const delta = this.#delta(choice, deltas, first);
    if (delta === "" && !logprobs) return "";
    return `${this.#chunk(choice, delta)}${logprobs ? logprobsOf(piece) : NO_LOGPROBS}${NOT_YET}${this.#close}`;
  }

  /** The client has what comes of it. */
  skip(choice: number, piece: AnswerPiece): void {
    this.#parser(choice).push(piece);
  }

  text(choice: number, text: string): string {
    const delta = `${ROLE},"content":${quoted(text)}`;
    return `${this.#chunk(choice, delta)}${NO_LOGPROBS}${NOT_YET}${this.#close}`;
  }

  end(choice: number, end: AnswerEnd): string {
    const { deltas, finish_reason } = this.#parser(choice).end(end);
    const delta = this.#delta(choice, deltas, false);
    return `${this.#chunk(choice, delta)}${NO_LOGPROBS}${finishMembers(end, finish_reason)}${this.#close}`;
  }

  usage(usage: AnswerUsage): string {
    if (this.#parsing.reasoning === NO_PARSER) return usageChunk(this.#start, usage);
    let tokens = 0;
    for (const parser of this.#parsers) tokens += parser.reasoning_tokens;
    return usageChunk(this.#start, usage, tokens);
  }

  #contentStart(choice: number): string {
    this.#content_starts[choice] ??=
      `${this.#start}"choices":[{"index":${choice},"delta":{"content":`;
    return this.#content_starts[choice];
  }

  #parser(choice: number): ChoiceParser {
    this.#parsers[choice] ??= new ChoiceParser(this.#parsing);
    return this.#parsers[choice];
  }

  #chunk(choice: number, delta: string): string {
    return `${this.#start}"choices":[{"index":${choice},"delta":{${delta}},`;
  }

  /** The members of a chunk's delta; "" for none. */
  #delta(choice: number, deltas: readonly ParsedDelta[], first: boolean): string {
    let content = "";
    let reasoning = "";
    let calls = "";
    // Of the entry that is open: each call has one in a chunk.
    let index = -1;
    let given = "";
    for (let at = 0; at < deltas.length; at += 1) {
      const delta = deltas[at]!;
      if (delta.kind === "content") content += delta.text;
      else if (delta.kind === "reasoning") reasoning += delta.text;
      else if (delta.kind === "call") {
        if (index >= 0) calls += `${quoted(given)}}}`;
        ({ index } = delta);
        given = "";
        const id = delta.id ?? callId(this.#head.id, choice, index, this.#parsing.tool);
        calls +=
          `,{"index":${index},"id":${quoted(id)},"type":"function",` +
          `"function":{"name":${quoted(delta.name)},"arguments":`;
      } else if (delta.kind === "arguments") {
        if (index < 0) {
          ({ index } = delta);
          calls += `,{"index":${index},"function":{"arguments":`;
        }
        given += delta.text;
      }
    }
    if (index >= 0) calls += `${quoted(given)}}}`;
    let members = first ? `,${ROLE}` : "";
    if (reasoning !== "") members += `,${this.#reasoning}:${quoted(reasoning)}`;
    if (content !== "") members += `,"content":${quoted(content)}`;
    else if (first) members += ',"content":null';
    if (calls !== "") members += `,"tool_calls":[${calls.slice(1)}]`;
    return members.slice(1);
  }
}

const NOT_YET = '"finish_reason":null';
