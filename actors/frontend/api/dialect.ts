/**
 * An API dialect: one route's way to ask and to answer, as data and pure functions. Each
 * folder beside this file holds one, `dialects.ts` lists them, and everything else of the frontend
 * (routes, checks, the hub, resuming, metrics, `openapi.json`) knows a dialect by this type alone.
 *
 *   body ─(fields, nested)─▶ prepare ─▶ Generation ─▶ stream actors ─▶ chunks or body
 *                                   └─▶ EmbeddingWork ─▶ a worker ──▶ body
 */
import type { Embedding } from "../../../proto/index.ts";
import type {
  AnswerEnd,
  AnswerPiece,
  AnswerRequest,
  AnswerUsage,
  PieceLogprob,
  PromptScore,
} from "../../stream/stream.ts";
import type { EmbedRequest } from "../embedding/embed.ts";
import type { Earlier, Loaded } from "../kept/earlier.ts";
import type { Item } from "../kept/kept-record.ts";
import type { ServedModel } from "../models/served-model.ts";
import type { PrepareContext } from "../prompt/prepare-context.ts";
import type { AnswerParsing, ParsedChoice } from "./answer-parsing.ts";
import type { ErrorFacts } from "./api-error.ts";
import type { checkShape } from "./check-body.ts";
import type { Nvext } from "./nvext-fields.ts";
import type { FieldTables } from "./request-fields.ts";

export type Dialect = GenerationDialect | EmbeddingDialect;

type DialectFacts = FieldTables & {
  /**
   * Label `endpoint` of the metrics, and how a held answer names its dialect: it stays the same
   * from release to release.
   */
  readonly name: string;
  /** Path of its POST. Keys and CORS apply. */
  readonly path: string;
  /** Other paths of the same, as other servers have it. */
  readonly aliases?: readonly string[];
  /** Its part of openapi.json, beside the fields. `schema`: the name of its request's schema. */
  readonly page: { readonly summary: string; readonly schema: string; readonly streams: boolean };
  readonly errorBody: ErrorBody;
  /**
   * The fields that limit an answer, the one to write first: a request template may fill it, and
   * model and temperature. Without it no template is looked at.
   */
  readonly limit_fields?: readonly [string, ...string[]];
  /** A header of answers, beside X-Request-Id, that has the server's id of the request. */
  readonly id_header?: string;
  /** A header that clients of this dialect send with whatever they ask for. */
  readonly client_header?: string;
  /** Paths behind its own that its clients may ask for and that are not here: what to do then. */
  readonly elsewhere?: Readonly<Record<string, string>>;
};

/** A dialect whose answers are generated token by token, and can be resumed. */
export type GenerationDialect = DialectFacts & {
  readonly makes: "generation";
  /** Prefix of an answer's id; the request's id follows. */
  readonly id_prefix: string;
  /** Reads what a body refers to; it was not checked yet. Without it, a body refers to nothing. */
  load?(body: object, store: Earlier): Promise<Loaded | undefined>;
  /** The names in `body` were checked; its shape was not. Throws ApiError. */
  prepare(body: object, scope: RequestScope): Generation;
  /** A formatter for one streamed answer. */
  chunks(head: AnswerHead): ChunkFormat;
} & (
    | {
        /** The JSON value of an answer in one piece. */
        body(head: AnswerHead, choices: readonly ShownChoice[], usage: AnswerUsage): object;
        whole?: undefined;
      }
    | {
        /** What writes an answer's events also makes its JSON value, and what is stored of it. */
        whole(head: AnswerHead): WholeFormat;
        body?: undefined;
      }
  );

/** A dialect that is answered with what a worker says of whole inputs, in one piece. */
export type EmbeddingDialect = DialectFacts & {
  readonly makes: "embedding";
  /** As a generation's. */
  prepare(body: object, scope: RequestScope): EmbeddingWork;
};

/** The part of the door that a dialect needs while it prepares one request. */
export type RequestScope = {
  /** Undefined: the only one. Throws ApiError when no such model is served now. */
  modelOf(name: string | undefined): ServedModel;
  /** Throws ApiError for a header that is not as it must be. */
  contextOf(nvext: Nvext | null | undefined): PrepareContext;
  /** `checkShape`; of a long body with other requests in between, so it is asked once. */
  readonly shaped: typeof checkShape;
  /** What `load` found. */
  readonly earlier?: Loaded | undefined;
};

/**
 * The JSON value of an error. `resume_path`: where the rest of the answer can be had, if it can;
 * `request`: the server's id of the request.
 */
export type ErrorBody = (error: ErrorFacts, resume_path?: string, request?: string) => object;

/** The answers to start for one request, and how they are shown. */
export type Generation = {
  readonly dialect: GenerationDialect;
  readonly model: ServedModel;
  /** One answer for each prompt, in order. */
  readonly answers: readonly AnswerRequest[];
  /** Shown to the client, per prompt. */
  readonly shown_each: number;
  /**
   * Made per prompt: more than shown when the best are picked, one alone when all would be equal.
   */
  readonly made_each: number;
  /** Counted in usage per prompt: as many as the client asked to be made. */
  readonly counted_each: number;
  /** Per prompt, what `echo` puts before the answer; undefined without. */
  readonly echo: readonly string[] | undefined;
  readonly stream: boolean;
  readonly include_usage: boolean;
  /** Log probabilities are shown. They may be made only to pick the best answers. */
  readonly logprobs: boolean;
  /** How the answers' texts are taken apart; undefined: all of them is content. */
  readonly parsing?: AnswerParsing | undefined;
  /** What is told of the prompts' tokens; undefined: nothing. */
  readonly scoring?: PromptScoring | undefined;
  /** What is told beside the answers. */
  readonly extras?: AnswerExtras | undefined;
  readonly watch?: AnswerWatch | undefined;
  /** See `AnswerHead`. */
  readonly shell?: object | undefined;
  /** The answer is stored; undefined: it is not. Only of a dialect with `whole`. */
  readonly keep?: KeepPlan | undefined;
};

export type KeepPlan = {
  /** It goes on without its client. */
  readonly background: boolean;
  /** The request's items, each with an id. */
  readonly input: readonly Item[];
};

/** How likely the model finds the tokens of the prompts. */
export type PromptScoring = {
  /** By prompt. */
  readonly prompts: readonly ScoredPrompt[];
  /**
   * How many of the likeliest tokens are shown: of the echoed prompt and of the answer, where
   * `Generation.logprobs` says so, and in `prompt_logprobs`; -1: that is not shown.
   */
  readonly logprobs: number;
  readonly prompt_logprobs: number;
};

/** What is known of a prompt before it is scored. */
export type ScoredPrompt = {
  /** Its first token, which has no score. */
  readonly first: string;
  /** Scores that will come: one less than its tokens. */
  readonly count: number;
  /** Where each of its tokens begins in the echoed text, in UTF-16 units. */
  readonly offsets: readonly number[];
};

/** A prompt with all its scores. */
export type ShownPrompt = ScoredPrompt & { readonly scores: readonly PromptScore[] };

/** Names of `nvext.annotations` and `nvext.extra_fields`. */
export type AnswerExtras = {
  readonly annotations: readonly string[];
  readonly extra_fields: readonly string[];
};

/** Hears how an answer is made, beside its output. */
export interface AnswerWatch {
  placed(worker: string, prefill: string): void;
  piece(piece: AnswerPiece): void;
}

/** Facts that stay the same through an answer. */
export type AnswerHead = {
  /** The whole id, with the dialect's prefix. */
  readonly id: string;
  readonly created_s: number;
  readonly model: string;
  /** Of all prompts together. */
  readonly prompt_tokens: number;
  /** Of the model: prompt and answer together. */
  readonly context_length: number;
  readonly include_usage: boolean;
  readonly logprobs: boolean;
  readonly parsing?: AnswerParsing | undefined;
  readonly scoring?: PromptScoring | undefined;
  /** What the answer repeats of its request, where the dialect does so: it travels as JSON. */
  readonly shell?: object | undefined;
  /** The client has the events up to this number, where the dialect numbers them. */
  readonly after?: number | undefined;
  /** Unix time, for what says when the answer was whole. */
  now_s?(): number;
};

/**
 * The lines of one server-sent event (`data: …`, before it `event: …` where a dialect names its
 * events) without the line end behind the last, or of several; "" or none: there is nothing to
 * show. The `id:` lines are the door's.
 */
export type Events = string | readonly string[];

/**
 * Writes the events of one streamed answer. `piece` runs for every token: what does not change is
 * made once, in the constructor, and every stream of a dialect has an object of one class. An
 * answer that is taken up again makes the same calls as before, with `skip` for what the client
 * has, and has to give the same events: a client may have lost some of one call's.
 */
export interface ChunkFormat {
  /** `first`: nothing of this choice was sent before. "": the piece has nothing to show yet. */
  piece(choice: number, piece: AnswerPiece, first: boolean): Events;
  /** The client has this one already. */
  skip(choice: number, piece: AnswerPiece): void;
  /** Text that is no token of the answer: the echoed prompt, or an answer without a token. */
  text(choice: number, text: string): Events;
  /**
   * The echoed prompt where it was scored, in place of `text`. Also called, for what it remembers,
   * when the client has it already. A dialect whose generations have `scoring` and stream has it.
   */
  prompt?(choice: number, echo: string, prompt: ShownPrompt): string;
  /** Also called, for what it remembers, when the client has the end already. */
  end(choice: number, end: AnswerEnd): Events;
  /** Called when the client asked for usage. */
  usage(usage: AnswerUsage): string;
  /** The last event of an answer that is whole. */
  done(): string;
  /** The last event of one that is not. `resume_path`: where the rest can be had, if it can. */
  failed(error: ErrorFacts, resume_path: string | undefined): string;
}

/** A formatter that holds all of the answer when its end and its usage were told. */
export interface WholeFormat extends ChunkFormat {
  /** What is sent before any token, where the client does not wait for the first; else none. */
  early(): readonly string[];
  /** The JSON value of the answer in one piece. */
  response(): object;
  /** The same while it is not whole. */
  unfinished(status: "queued" | "in_progress"): object;
  /** The length of each delta, by which what is stored gives the same events again. */
  readonly deltas: readonly number[];
}

/** One finished choice. */
export type CollectedChoice = {
  readonly tokens: readonly number[];
  readonly text: string;
  readonly logprobs: readonly PieceLogprob[];
  readonly end: AnswerEnd;
  /** What the text consists of, where it is parsed. */
  readonly parsed?: ParsedChoice | undefined;
};

/** `echo`: what stands before the answer; "" for nothing. `prompt`: where it was scored. */
export type ShownChoice = CollectedChoice & {
  readonly echo: string;
  readonly prompt?: ShownPrompt | undefined;
};

/** Inputs for a worker, and what is made of its vectors. */
export type EmbeddingWork = {
  readonly model: ServedModel;
  readonly request: EmbedRequest;
  /** The answer's JSON. `items` are as many as the inputs, in their order. */
  body(items: readonly Embedding[], facts: BodyFacts): string | Promise<string>;
};

export type BodyFacts = {
  /** Of all inputs. */
  readonly prompt_tokens: number;
  readonly created_s: number;
  /** Other requests have their turns. */
  pause(): Promise<void>;
};

/**
 * The dialect of a request that generates nothing: the one whose route it stands at or below, else
 * the one whose clients send such a header. Errors and some answers have its form.
 * @param pathIn where a route is, whose path in the tables is the one given
 */
export function dialectAround(
  dialects: readonly Dialect[],
  path: string,
  headers: Headers,
  pathIn: (path: string) => string,
): Dialect | undefined {
  const at = dialects.find((dialect) => {
    const place = pathIn(dialect.path);
    return path === place || path.startsWith(`${place}/`);
  });
  return (
    at ??
    dialects.find(({ client_header }) => client_header !== undefined && headers.has(client_header))
  );
}

/** The dialect that wrote a held answer; undefined for a name that no dialect here has. */
export function generationDialect(
  dialects: readonly Dialect[],
  name: string,
): GenerationDialect | undefined {
  for (const dialect of dialects) {
    if (dialect.name === name && dialect.makes === "generation") return dialect;
  }
  return undefined;
}

/** Its path, then its other ones. */
export const pathsOf = ({ path, aliases = [] }: Dialect): readonly string[] => [path, ...aliases];
