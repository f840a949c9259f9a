/**
 * What a client asked for beside its answer by `nvext`: annotations, which come as events of a
 * stream, and extra fields, which stand in `nvext` of the answer. Names and forms are Dynamo's.
 *
 *   event: token_ids         data: {"id": …, "nvext": {"timing": {"ttft_ms": 12.3, …}}}
 *   : [1, 2, 3]
 *
 * A generation with extras has a dialect that writes them around its own, and a watch that hears of
 * its tokens. One without has neither.
 */
import { Detokenizer } from "../../../llm/tokens/detokenizer.ts";
import type { Clock } from "../../../runtime/capabilities.ts";
import type { AnswerEnd, AnswerPiece, AnswerUsage } from "../../stream/stream.ts";
import type { ErrorFacts } from "../api/api-error.ts";
import type {
  AnswerHead,
  AnswerWatch,
  ChunkFormat,
  Events,
  Generation,
  GenerationDialect,
  ShownPrompt,
} from "../api/dialect.ts";

type Moment = Pick<Clock, "now_ms" | "wall_ms">;

/** `arrived_ms`: of the request, on the clock's scale. */
export function withExtras(generation: Generation, clock: Moment, arrived_ms: number): Generation {
  // A dialect whose answers are stored as they are writes all of them itself.
  const { extras, dialect } = generation;
  if (extras === undefined || dialect.whole !== undefined) return generation;
  const record = new ExtraRecord(generation, clock, arrived_ms);
  return { ...generation, dialect: extraDialect(dialect, record), watch: record };
}

/** The answer as its extras tell of it. */
class ExtraRecord implements AnswerWatch {
  readonly #generation: Generation;
  readonly #clock: Moment;
  readonly #arrived_ms: number;
  readonly #received_ms: number;
  #worker = "";
  #prefill = "";
  #first_ms: number | undefined;
  #last_ms = 0;
  #tokens = 0;

  constructor(generation: Generation, clock: Moment, arrived_ms: number) {
    this.#generation = generation;
    this.#clock = clock;
    this.#arrived_ms = arrived_ms;
    this.#received_ms = clock.wall_ms() - (clock.now_ms() - arrived_ms);
  }

  placed(worker: string, prefill: string): void {
    this.#worker = worker;
    this.#prefill = prefill;
  }

  piece({ tokens }: AnswerPiece): void {
    this.#last_ms = this.#clock.now_ms();
    this.#first_ms ??= this.#last_ms;
    this.#tokens += tokens.length;
  }

  /** The events at the begin of a stream. */
  opening({ id }: AnswerHead): readonly string[] {
    const prompts = this.#generation.answers.map(({ prompt }) => prompt);
    const { tokenizer } = this.#generation.model;
    return this.#asked.flatMap((name): string[] => {
      if (name === "request_id") return [annotation(name, id)];
      if (name === "token_ids") return prompts.map((prompt) => annotation(name, [...prompt]));
      if (name !== "formatted_prompt") return [];
      return prompts.map((prompt) => {
        const text = new Detokenizer(tokenizer, { show_control: true, at_text_start: true });
        return annotation(name, text.push(prompt) + text.flush());
      });
    });
  }

  /** The event at its end; what a cache had is known with the usage alone. */
  closing({ prompt_tokens }: AnswerHead, usage?: AnswerUsage): readonly string[] {
    if (!this.#asked.includes("llm_metrics")) return [];
    const output_tokens = usage?.completion_tokens ?? this.#tokens;
    const facts = { input_tokens: prompt_tokens, output_tokens, chunk_tokens: 0 };
    const cached = usage === undefined ? {} : { cached_tokens: usage.cached_tokens };
    return [annotation("llm_metrics", { ...facts, ...cached })];
  }

  /** Undefined: no field was asked for that there is. */
  fields(end: AnswerEnd | undefined): object | undefined {
    const { extra_fields } = this.#generation.extras!;
    const fields = {
      ...(extra_fields.includes("worker_id") ? { worker_id: this.#workers() } : {}),
      ...(extra_fields.includes("timing") ? { timing: this.#timing() } : {}),
      ...(extra_fields.includes("stop_reason") && end?.stop_reason !== undefined
        ? { stop_reason: end.stop_reason }
        : {}),
    };
    return Object.keys(fields).length === 0 ? undefined : fields;
  }

  get #asked(): readonly string[] {
    return this.#generation.extras!.annotations;
  }

  /** The same one, where it computed the prompt by itself. */
  #workers() {
    return { prefill_worker_id: this.#prefill, decode_worker_id: this.#worker };
  }

  #timing() {
    const { now_ms } = this.#clock;
    const first_ms = this.#first_ms;
    const between = this.#tokens - 1;
    return {
      request_received_ms: Math.round(this.#received_ms),
      ...(first_ms === undefined ? {} : { ttft_ms: rounded(first_ms - this.#arrived_ms) }),
      ...(first_ms === undefined || between < 1
        ? {}
        : { itl_ms: rounded((this.#last_ms - first_ms) / between) }),
      total_time_ms: rounded(now_ms.call(this.#clock) - this.#arrived_ms),
    };
  }
}

const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000;

/** Its value is a comment, as in Dynamo: a client that knows no such event reads no data. */
const annotation = (name: string, value: unknown): string =>
  `event: ${name}\n: ${JSON.stringify(value)}`;

type PlainDialect = Extract<GenerationDialect, { readonly whole?: undefined }>;

function extraDialect(dialect: PlainDialect, record: ExtraRecord): GenerationDialect {
  return {
    ...dialect,
    chunks: (head) => new ExtraChunks(dialect.chunks(head), head, record),
    body: (head, choices, usage) => {
      const body = dialect.body(head, choices, usage);
      const nvext = record.fields(choices[0]?.end);
      return nvext === undefined ? body : { ...body, nvext };
    },
  };
}

const listOf = (events: Events): readonly string[] => {
  if (typeof events !== "string") return events;
  return events === "" ? [] : [events];
};

/** Annotations belong to the first choice, so that a resumed stream has them at the same place. */
class ExtraChunks implements ChunkFormat {
  readonly #format: ChunkFormat;
  readonly #head: AnswerHead;
  readonly #record: ExtraRecord;
  #end: AnswerEnd | undefined;
  #shown = false;

  constructor(format: ChunkFormat, head: AnswerHead, record: ExtraRecord) {
    this.#format = format;
    this.#head = head;
    this.#record = record;
  }

  piece(choice: number, piece: AnswerPiece, first: boolean): Events {
    const events = this.#format.piece(choice, piece, first);
    return first ? this.#opened(choice, events) : events;
  }

  skip(choice: number, piece: AnswerPiece): void {
    this.#format.skip(choice, piece);
  }

  text(choice: number, text: string): Events {
    return this.#opened(choice, this.#format.text(choice, text));
  }

  /** Scores of a prompt stand before everything, and annotations are left out beside them. */
  prompt(choice: number, echo: string, prompt: ShownPrompt): string {
    return this.#format.prompt?.(choice, echo, prompt) ?? "";
  }

  end(choice: number, end: AnswerEnd): Events {
    const events = listOf(this.#format.end(choice, end));
    this.#end = end;
    const told = choice === 0 && !this.#head.include_usage;
    const closing = told ? this.#record.closing(this.#head) : [];
    const last = events.at(-1);
    // Another dialect's last words about an answer are in its usage.
    if (last === undefined || !last.startsWith(DATA)) return [...events, ...closing];
    this.#shown = true;
    return [...closing, ...events.slice(0, -1), this.#extended(last)];
  }

  usage(usage: AnswerUsage): string {
    const event = this.#format.usage(usage);
    const shown = this.#shown ? event : this.#extended(event);
    // One block for the stream, as both come with the id that says that usage was told.
    return [shown, ...this.#record.closing(this.#head, usage)].join("\n\n");
  }

  done(): string {
    return this.#format.done();
  }

  failed(error: ErrorFacts, resume_path: string | undefined): string {
    return this.#format.failed(error, resume_path);
  }

  #opened(choice: number, events: Events): Events {
    return choice === 0 ? [...this.#record.opening(this.#head), ...listOf(events)] : events;
  }

  /** Its data is one JSON object. */
  #extended(event: string): string {
    const nvext = this.#record.fields(this.#end);
    if (nvext === undefined || !event.endsWith("}")) return event;
    return `${event.slice(0, -1)},"nvext":${JSON.stringify(nvext)}}`;
  }
}

const DATA = "data: {";
