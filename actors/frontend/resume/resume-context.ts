/**
 * What a door has to know of a request to go on with its answer where another door stopped. It
 * travels to the worker with the request and comes back when the answer is found there; nobody
 * else reads it.
 */
import { tokensOf } from "../../../llm/tokens/token-bytes.ts";
import type { RouteHints } from "../../../proto/index.ts";
import type { AnswerRequest } from "../../stream/stream.ts";
import { madeCounts } from "../answer/equal-answers.ts";
import type { Generation, GenerationDialect } from "../api/dialect.ts";
import type { Holder } from "./find-held.ts";

export type RequestFacts = {
  /** The server's id of the request: what clients resume by. */
  readonly request: string;
  /** Short name of the API key that made it; "" where none is needed. */
  readonly owner: string;
  /** Unix time, in the answer's head. */
  readonly created_s: number;
  /** Of the request's body, where it must be known again; else "". */
  readonly body_hash: string;
  /** Its client is expected to come back when it hangs up. */
  readonly returns: boolean;
};

/** One prompt's part. Short names: it is written for every streamed request. */
type Context = {
  readonly o: string;
  readonly c: number;
  readonly h: string;
  /** The dialect's name. */
  readonly e: string;
  readonly st: boolean;
  readonly u: boolean;
  readonly lp: boolean;
  readonly sh: number;
  readonly mk: number;
  /** Where it is not `mk`. */
  readonly ct?: number;
  /** Its client may come back. */
  readonly rt?: true;
  readonly ps: number;
  readonly p: number;
  readonly mx: number;
  readonly ss: readonly string[];
  readonly is: boolean;
  readonly ec?: string;
  /** Who may take it, if anything was said of that: it may have to move. */
  readonly rh?: RouteHints;
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Makes every answer of the request one that can be taken up again. */
export function resumable(generation: Generation, facts: RequestFacts): Generation {
  const { answers, echo, made_each, counted_each } = generation;
  return {
    ...generation,
    answers: answers.map((answer, prompt): AnswerRequest => {
      const context: Context = {
        o: facts.owner,
        c: facts.created_s,
        h: facts.body_hash,
        e: generation.dialect.name,
        st: generation.stream,
        u: generation.include_usage,
        lp: generation.logprobs,
        sh: generation.shown_each,
        mk: generation.made_each,
        ...(counted_each === made_each ? {} : { ct: counted_each }),
        ...(facts.returns ? { rt: true as const } : {}),
        ps: answers.length,
        p: prompt,
        mx: answer.max_tokens,
        ss: answer.stop_strings,
        is: answer.include_stop,
        ...(answer.hints === undefined ? {} : { rh: answer.hints }),
        ...(echo === undefined ? {} : { ec: echo[prompt] ?? "" }),
      };
      const bytes = encoder.encode(JSON.stringify(context));
      return { ...answer, resumable: { answer: facts.request, context: bytes } };
    }),
  };
}

/** A part of a request as a worker holds it. */
export type HeldPart = {
  readonly holder: Holder;
  readonly attempt: number;
  readonly context: Context;
};

/** undefined for what no door of this version wrote. */
export function partOf(holder: Holder): HeldPart | undefined {
  const { resumable } = holder.generate;
  if (resumable === undefined) return undefined;
  try {
    const context = JSON.parse(decoder.decode(resumable.context)) as Context;
    return { holder, attempt: resumable.attempt, context };
  } catch {
    return undefined;
  }
}

/** The parts of the request by prompt, of which `better` chooses; undefined when one is missing. */
export function wholeOf(
  parts: readonly HeldPart[],
  fits: (part: HeldPart) => boolean,
): readonly HeldPart[] | undefined {
  const first = parts[0];
  if (first === undefined) return undefined;
  const chosen = new Array<HeldPart | undefined>(first.context.ps).fill(undefined);
  for (const part of parts) {
    const { p } = part.context;
    const other = chosen[p];
    // A later attempt knows all that an earlier one had delivered.
    if (p < chosen.length && fits(part) && part.attempt > (other?.attempt ?? 0)) chosen[p] = part;
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
    owner: context.o,
    created_s: context.c,
    body_hash: context.h,
    returns: context.rt === true,
  };
  const echo = parts.map((part) => part.context.ec);
  const counts = {
    shown_each: context.sh,
    made_each: context.mk,
    counted_each: context.ct ?? context.mk,
  };
  const made = madeCounts(counts, have);
  return {
    facts,
    generation: {
      dialect,
      model,
      answers: parts.map((part, prompt) =>
        answerOf(part, names(), made.slice(prompt * context.mk, (prompt + 1) * context.mk)),
      ),
      ...counts,
      echo: context.ec === undefined ? undefined : echo.map((text) => text ?? ""),
      stream: context.st,
      include_usage: context.u,
      logprobs: context.lp,
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
    choices: context.mk,
    max_tokens: context.mx,
    min_tokens: generate.min_tokens,
    stop_tokens: generate.stop_tokens,
    stop_strings: context.ss,
    include_stop: context.is,
    ignore_eos: generate.ignore_eos,
    logprobs: generate.logprobs,
    deadline_ms: left_ms,
    pin: "",
    ...(context.rh === undefined ? {} : { hints: context.rh }),
    resumable: { answer: resumable!.answer, context: resumable!.context },
    held: { worker, ref, request, attempt, have },
  };
}
