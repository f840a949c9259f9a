/**
 * The answers of POST /v1/messages, streamed and whole. Shapes: Anthropic's API reference.
 *
 *   message_start ping (content_block_start content_block_delta… content_block_stop)…
 *   message_delta message_stop
 */
import type { ParsedDelta } from "../../../../llm/parsers/answer-parser.ts";
import { NO_PARSER } from "../../../../llm/parsers/names.ts";
import type { AnswerEnd, AnswerPiece, AnswerUsage } from "../../../stream/stream.ts";
import { digest } from "../../resume/digest.ts";
import { ChoiceParser, callId, type ParsedPart } from "../answer-parsing.ts";
import type { ErrorFacts } from "../api-error.ts";
import type { AnswerHead, ChunkFormat, Events, ShownChoice } from "../dialect.ts";
import { quoted } from "../openai-format.ts";
import { messageErrorBody } from "./message-errors.ts";
import { stopOf, USAGE_FACTS, usageJson } from "./message-usage.ts";

export const MESSAGE_PREFIX = "msg_";
const CALL_PREFIX = "toolu_";

type TextKind = "content" | "reasoning";

const named = (name: string, rest: string): string =>
  `event: ${name}\ndata: {"type":"${name}"${rest}}`;

const MESSAGE_STOP = named("message_stop", "");
const PING = named("ping", "");
const TEXT_BLOCK = '{"type":"text","text":"","citations":null}';
const THINKING_BLOCK = '{"type":"thinking","thinking":"","signature":""}';
const TEXT_DELTA = '{"type":"text_delta","text":';
const THINKING_DELTA = '{"type":"thinking_delta","thinking":';
const INPUT_DELTA = '{"type":"input_json_delta","partial_json":';

/**
 * One block is open at a time. Text that is blank so far is held back: a blank block would say
 * nothing, and models write line breaks around reasoning and calls.
 */
export class MessageChunks implements ChunkFormat {
  readonly #head: AnswerHead;
  readonly #parser: ChoiceParser | undefined;
  /** Of the latest block. */
  #index = -1;
  #open: TextKind | "call" | undefined;
  /** A delta of the open block, up to its text. */
  #delta = "";
  #held = "";
  #held_kind: TextKind = "content";
  /** A call of it is complete. */
  #calls = false;
  #end: { readonly end: AnswerEnd; readonly finish_reason: string } | undefined;

  constructor(head: AnswerHead) {
    this.#head = head;
    this.#parser = head.parsing && new ChoiceParser(head.parsing);
  }

  piece(_choice: number, piece: AnswerPiece, first: boolean): Events {
    const deltas = this.#parser?.push(piece);
    const only = deltas === undefined ? piece.text : onlyContent(deltas);
    if (only !== undefined && only !== "" && this.#open === "content" && !first) {
      // By far the most.
      this.#held = "";
      return this.#deltaEvent(only);
    }
    const out = first ? [this.#startEvent(), PING] : [];
    if (deltas === undefined) this.#text("content", piece.text, out);
    else this.#add(deltas, out);
    return out;
  }

  skip(choice: number, piece: AnswerPiece): void {
    this.piece(choice, piece, false);
  }

  /** An answer without a token. */
  text(): string {
    return this.#startEvent();
  }

  end(_choice: number, end: AnswerEnd): Events {
    const out: string[] = [];
    const parsed = this.#parser?.end(end);
    this.#add(parsed?.deltas ?? [], out);
    this.#close(out);
    this.#end = { end, finish_reason: finishOf(parsed?.finish_reason ?? end.reason, this.#calls) };
    return out;
  }

  usage(usage: AnswerUsage): string {
    const { end, finish_reason } = this.#end!;
    const delta = JSON.stringify(stopOf(this.#head, end, finish_reason, usage));
    const used = JSON.stringify(usageJson(usage, this.#thinkingTokens()));
    return named("message_delta", `,"delta":${delta},"usage":${used}`);
  }

  done(): string {
    return MESSAGE_STOP;
  }

  failed(error: ErrorFacts, resume_path: string | undefined): string {
    const request = this.#head.id.slice(MESSAGE_PREFIX.length);
    return `event: error\ndata: ${JSON.stringify(messageErrorBody(error, resume_path, request))}`;
  }

  #thinkingTokens(): number | undefined {
    return tellsThinking(this.#head) ? this.#parser?.reasoning_tokens : undefined;
  }

  #startEvent(): string {
    const usage = { prompt_tokens: this.#head.prompt_tokens, completion_tokens: 0 };
    const message = {
      ...messageOf(this.#head, []),
      ...{ stop_reason: null, stop_sequence: null, stop_details: null, container: null },
      // How much of it a cache had is known at the end.
      usage: { ...usageJson({ ...usage, cached_tokens: 0 }, undefined), ...USAGE_FACTS },
    };
    return named("message_start", `,"message":${JSON.stringify(message)}`);
  }

  #add(deltas: readonly ParsedDelta[], out: string[]): void {
    for (const delta of deltas) {
      switch (delta.kind) {
        case "content":
        case "reasoning":
          this.#text(delta.kind, delta.text, out);
          break;
        case "call": {
          const id = idOf(this.#head, delta);
          const block = `{"type":"tool_use","id":${quoted(id)},"name":${quoted(delta.name)}`;
          this.#begin("call", `${block},"input":{},"caller":{"type":"direct"}}`, INPUT_DELTA, out);
          break;
        }
        case "arguments":
          if (delta.text !== "") out.push(this.#deltaEvent(delta.text));
          break;
        case "call_end":
          if (delta.complete) this.#calls = true;
          this.#close(out);
      }
    }
  }

  #text(kind: TextKind, text: string, out: string[]): void {
    if (text === "") return;
    if (this.#open === kind) {
      this.#held = "";
      out.push(this.#deltaEvent(text));
      return;
    }
    if (this.#held_kind !== kind) this.#held = "";
    this.#held_kind = kind;
    this.#held += text;
    if (isBlank(this.#held)) return;
    const held = this.#held;
    if (kind === "content") this.#begin(kind, TEXT_BLOCK, TEXT_DELTA, out);
    else this.#begin(kind, THINKING_BLOCK, THINKING_DELTA, out);
    out.push(this.#deltaEvent(held));
  }

  #begin(kind: TextKind | "call", block: string, delta: string, out: string[]): void {
    this.#close(out);
    this.#index += 1;
    this.#open = kind;
    this.#held = "";
    const at = `,"index":${this.#index}`;
    this.#delta = `event: content_block_delta\ndata: {"type":"content_block_delta"${at},"delta":${delta}`;
    out.push(named("content_block_start", `${at},"content_block":${block}`));
  }

  #close(out: string[]): void {
    if (this.#open === undefined) return;
    const at = `,"index":${this.#index}`;
    if (this.#open === "reasoning") {
      const signature = quoted(signatureOf(this.#head, this.#index));
      const delta = `{"type":"signature_delta","signature":${signature}}`;
      out.push(named("content_block_delta", `${at},"delta":${delta}`));
    }
    this.#open = undefined;
    out.push(named("content_block_stop", at));
  }

  #deltaEvent(text: string): string {
    return `${this.#delta}${quoted(text)}}}`;
  }
}

export function messageBody(
  head: AnswerHead,
  [choice]: readonly ShownChoice[],
  usage: AnswerUsage,
): object {
  const { text, parsed, end } = choice!;
  const parts = parsed?.parts ?? [{ kind: "content" as const, text }];
  const calls = parts.some(({ kind }) => kind === "call");
  const finish = finishOf(parsed?.finish_reason ?? end.reason, calls);
  const stop = stopOf(head, end, finish, usage);
  const thinking = tellsThinking(head) ? parsed?.reasoning_tokens : undefined;
  return {
    ...messageOf(head, blocksOf(head, parts)),
    ...stop,
    usage: { ...usageJson(usage, thinking), ...USAGE_FACTS },
  };
}

const messageOf = ({ id, model }: AnswerHead, content: readonly object[]) => ({
  ...{ id, type: "message", role: "assistant", model, content, diagnostics: null },
});

/** As the stream has them: blank text is left out, and what it parted is one block. */
function blocksOf(head: AnswerHead, parts: readonly ParsedPart[]): readonly object[] {
  const shown: ParsedPart[] = [];
  for (const part of parts) {
    const last = shown.at(-1);
    if (part.kind === "call") shown.push(part);
    else if (last?.kind === part.kind) {
      shown[shown.length - 1] = { kind: part.kind, text: last.text + part.text };
    } else if (!isBlank(part.text)) shown.push(part);
  }
  return shown.map((part, index) => blockOf(head, part, index));
}

function blockOf(head: AnswerHead, part: ParsedPart, index: number): object {
  switch (part.kind) {
    case "content":
      return { type: "text", text: part.text, citations: null };
    case "reasoning":
      return { type: "thinking", thinking: part.text, signature: signatureOf(head, index) };
    case "call": {
      const { name, arguments: given } = part.call;
      const id = idOf(head, part.call);
      return { type: "tool_use", id, name, input: inputOf(given), caller: { type: "direct" } };
    }
  }
}

/** OpenAI says "stop" of a call that the request chose by its name; here it is a use of a tool. */
const finishOf = (finish_reason: string, calls: boolean): string =>
  calls && finish_reason === "stop" ? "tool_calls" : finish_reason;

const isBlank = (text: string): boolean => !/\S/.test(text);

/** The text where there is nothing else; undefined: there is. */
const onlyContent = (deltas: readonly ParsedDelta[]): string | undefined =>
  deltas.length === 1 && deltas[0]?.kind === "content" ? deltas[0].text : undefined;

const tellsThinking = ({ parsing }: AnswerHead): boolean =>
  parsing !== undefined && parsing.reasoning !== NO_PARSER;

/** A name of the block. It proves nothing: thinking that comes back is taken as it is. */
const signatureOf = ({ id }: AnswerHead, index: number): string =>
  digest(`thinking\n${id}\n${index}`);

const idOf = (
  head: AnswerHead,
  call: { readonly id?: string | undefined; readonly index: number },
) => call.id ?? callId(head.id, 0, call.index, head.parsing?.tool ?? "", CALL_PREFIX);

/** Arguments of a complete call are JSON; none at all are an object without members. */
function inputOf(given: string): unknown {
  try {
    return given.trim() === "" ? {} : (JSON.parse(given) as unknown);
  } catch {
    return given;
  }
}
