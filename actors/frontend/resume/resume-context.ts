/**
 * The facts of a request that a door needs to continue the answer where another door stopped. It
 * travels to the worker with the request, as the bytes of a ResumeContext (proto/resume.proto), and
 * comes back when a door finds the answer there. Workers do not read it.
 */
import type { ToolShape } from "../../../llm/parsers/scan/reader.ts";
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import { codecs, type ResumeContext, type WireAnswerParsing } from "../../../proto/index.ts";
import { newReader, newWriter } from "../../../runtime/codec.ts";
import type { AnswerRequest } from "../../stream/stream.ts";
import { madeCounts } from "../answer/equal-answers.ts";
import type { AnswerParsing } from "../api/answer-parsing.ts";
import type { AnswerExtras, Generation, GenerationDialect } from "../api/dialect.ts";
import type { Holder } from "./find-held.ts";

export type RequestFacts = {
  /** The server's id of the request: what clients resume by. */
  readonly request: string;
  /** Short name of the API key that made it; "" where none is needed. */
  readonly owner: string;
  /** Unix time, in the answer's head. */
  readonly created_s: number;
  /** Hash of the request's body, where a later one is compared with it; else "". */
  readonly body_hash: string;
  /** True: the client is expected to come back after it hangs up. */
  readonly returns: boolean;
};

/** One writer for all contexts: making a writer costs more than writing one context. */
let writer = newWriter();
const WRITER_BYTES_MAX = 1024 * 1024;

function bytesOf(context: ResumeContext): Uint8Array {
  writer.pos = 0;
  codecs.ResumeContext.encode(context, writer);
  const bytes = writer.buf.slice(0, writer.pos);
  if (writer.buf.length > WRITER_BYTES_MAX) writer = newWriter();
  return bytes;
}

/** The same request with a resume context in every answer. */
export function resumable(generation: Generation, facts: RequestFacts): Generation {
  const { answers, echo, extras } = generation;
  const parsing = generation.parsing && wireParsing(generation.parsing);
  return {
    ...generation,
    answers: answers.map((answer, prompt): AnswerRequest => {
      const context: ResumeContext = {
        owner: facts.owner,
        created_s: facts.created_s,
        body_hash: facts.body_hash,
        dialect: generation.dialect.name,
        // What is stored has events for whoever asks, however it was asked for.
        stream: generation.stream || generation.keep !== undefined,
        include_usage: generation.include_usage,
        logprobs: generation.logprobs,
        shown_each: generation.shown_each,
        made_each: generation.made_each,
        counted_each: generation.counted_each,
        returns: facts.returns,
        prompts: answers.length,
        prompt,
        max_tokens: answer.max_tokens,
        stop_strings: answer.stop_strings,
        include_stop: answer.include_stop,
        echoes: echo !== undefined,
        echo: echo?.[prompt] ?? "",
        ...(answer.hints === undefined ? {} : { hints: answer.hints }),
        ...(parsing === undefined ? {} : { parsing }),
        shell: generation.shell === undefined ? "" : JSON.stringify(generation.shell),
        annotations: extras?.annotations ?? none,
        extra_fields: extras?.extra_fields ?? none,
      };
      return { ...answer, resumable: { answer: facts.request, context: bytesOf(context) } };
    }),
  };
}

const none: readonly string[] = [];

function extrasOf({ annotations, extra_fields }: ResumeContext): AnswerExtras | undefined {
  const isNone = annotations.length === 0 && extra_fields.length === 0;
  return isNone ? undefined : { annotations, extra_fields };
}

function wireParsing(parsing: AnswerParsing): WireAnswerParsing {
  const { tool, reasoning, tools, thinking, opened, one_call, named, reasoning_field } = parsing;
  return {
    tool_parser: tool,
    reasoning_parser: reasoning,
    tools: tools.length === 0 ? "" : JSON.stringify(tools, withoutDescription),
    ...(thinking === undefined ? {} : { thinking }),
    ...{ opened, one_call, named, reasoning_field },
  };
}

/** Parsers read of a schema what types it has; descriptions are most of its text. */
const withoutDescription = (key: string, value: unknown): unknown =>
  key === "description" && typeof value === "string" ? undefined : value;

function parsingOf(sent: WireAnswerParsing): AnswerParsing {
  const { tool_parser, reasoning_parser, tools, thinking, opened } = sent;
  return {
    tool: tool_parser,
    reasoning: reasoning_parser,
    tools: tools === "" ? [] : (JSON.parse(tools) as ToolShape[]),
    ...{ thinking, opened, one_call: sent.one_call, named: sent.named },
    reasoning_field: sent.reasoning_field,
  };
}

/** A part of a request as a worker holds it. */
export type HeldPart = {
  readonly holder: Holder;
  readonly attempt: number;
  readonly context: ResumeContext;
};

/** undefined for bytes that are no resume context. */
export function partOf(holder: Holder): HeldPart | undefined {
  const { resumable } = holder.generate;
  if (resumable === undefined) return undefined;
  try {
    const context = codecs.ResumeContext.decode(newReader(resumable.context));
    if (context.dialect === "") return undefined;
    return { holder, attempt: resumable.attempt, context };
  } catch {
    return undefined;
  }
}

/** The latest part for each prompt, of those that fit; undefined when a prompt has none. */
export function wholeOf(
  parts: readonly HeldPart[],
  fits: (part: HeldPart) => boolean,
): readonly HeldPart[] | undefined {
  const first = parts[0];
  if (first === undefined) return undefined;
  const chosen = new Array<HeldPart | undefined>(first.context.prompts).fill(undefined);
  for (const part of parts) {
    const { prompt } = part.context;
    const other = chosen[prompt];
    // A later attempt has all tokens that an earlier one delivered.
    const later = part.attempt > (other?.attempt ?? 0);
    if (prompt < chosen.length && later && fits(part)) chosen[prompt] = part;
  }
  return chosen.every((part) => part !== undefined) ? chosen : undefined;
}

export type Resumed = { readonly generation: Generation; readonly facts: RequestFacts };

/**
 * The request as its first door knew it. `names` gives each answer a name of its own among the
 * workers' readers; `have` is what the client has, by shown choice over the whole request.
 */
export function resumedFrom(
  parts: readonly HeldPart[],
  dialect: GenerationDialect,
  model: Generation["model"],
  names: () => string,
  have: readonly number[],
): Resumed {
  const { context, holder } = parts[0]!;
  const answer = holder.generate.resumable?.answer ?? "";
  const facts: RequestFacts = {
    request: answer,
    owner: context.owner,
    created_s: context.created_s,
    body_hash: context.body_hash,
    returns: context.returns,
  };
  const { shown_each, made_each, counted_each, stream, include_usage, logprobs } = context;
  const counts = { shown_each, made_each, counted_each };
  const made = madeCounts(counts, have);
  const parsing = context.parsing && parsingOf(context.parsing);
  const shown_tokens = parsing && model.parsers.shownTokens(parsing.tool, parsing.reasoning);
  return {
    facts,
    generation: {
      dialect,
      model,
      answers: parts.map((part, prompt) => ({
        ...answerOf(part, names(), made.slice(prompt * made_each, (prompt + 1) * made_each)),
        ...(shown_tokens === undefined ? {} : { shown_tokens }),
      })),
      ...counts,
      echo: context.echoes ? parts.map((part) => part.context.echo) : undefined,
      stream,
      include_usage,
      logprobs,
      ...(parsing === undefined ? {} : { parsing }),
      ...(context.shell === "" ? {} : { shell: JSON.parse(context.shell) as object }),
      extras: extrasOf(context),
    },
  };
}

function answerOf(part: HeldPart, name: string, have: readonly number[]): AnswerRequest {
  const { holder, attempt, context } = part;
  const { generate, left_ms, worker, ref, request } = holder;
  const { resumable } = generate;
  return {
    request: name,
    model: generate.model,
    prompt: tokensOf(generate.prompt),
    sampling: generate.sampling!,
    choices: context.made_each,
    max_tokens: context.max_tokens,
    min_tokens: generate.min_tokens,
    stop_tokens: generate.stop_tokens,
    stop_strings: context.stop_strings,
    include_stop: context.include_stop,
    ignore_eos: generate.ignore_eos,
    logprobs: generate.logprobs,
    deadline_ms: left_ms,
    pin: "",
    ...(context.hints === undefined ? {} : { hints: context.hints }),
    ...(generate.salt === undefined ? {} : { salt: generate.salt }),
    ...(generate.owner === undefined ? {} : { owner: generate.owner }),
    ...(generate.constraint === undefined ? {} : { constraint: generate.constraint }),
    resumable: { answer: resumable!.answer, context: resumable!.context },
    held: { worker, ref, request, attempt, have },
  };
}
