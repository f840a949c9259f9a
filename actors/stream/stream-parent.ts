/**
 * The parent of every live answer of one frontend process. It starts a stream actor for each and
 * is the last to see to it that a client hears an end: a stream that is killed, or that crashes,
 * cannot tell its sink any more.
 */
import type { Tokenizer } from "../../llm/tokens/tokenizer.ts";
import type { RouterMessage } from "../../proto/index.ts";
import { Actor, type ChildEnded, type Snapshot } from "../../runtime/kernel/actor.ts";
import { describeExit } from "../../runtime/kernel/exit-reason.ts";
import { NOWHERE, type Ref } from "../../runtime/kernel/ref.ts";
import { wireOf } from "../../runtime/remote/node.ts";
import { SlotMap } from "../../runtime/slot-map.ts";
import { AUDIT_PERIOD_MS, OrphanWatch } from "../../runtime/supervision/orphan-watch.ts";
import { ROUTER_ASKS, WORKERS_ASKED } from "./elsewhere.ts";
import { failure, interrupted } from "./failures.ts";
import type { AnswerInput } from "./inputs-and-effects.ts";
import { Quarantine } from "./quarantine.ts";
import { stagesIn } from "./stages.ts";
import { type StreamDeps, streamOf } from "./stream-actor.ts";
import { quarantineMessage, type UnexplainedDeath } from "./suspicion.ts";
import type {
  AnswerEnd,
  AnswerFailure,
  AnswerPiece,
  AnswerRequest,
  AnswerScores,
  AnswerSink,
  AnswerStep,
  AnswerUsage,
  StartAnswer,
  StreamCommand,
} from "./types.ts";

export type StreamsOptions = {
  /** The router of this process as it is now; undefined while it is being restarted. */
  readonly router: () => Ref<RouterMessage> | undefined;
  /** All routers that may have been asked for a live answer, where the router can change. */
  readonly routers?: () => readonly Ref<RouterMessage>[];
  /** Undefined: the model is not served, and the answer fails as "no_worker". */
  readonly tokenizerOf: (model: string) => Tokenizer | undefined;
  /** Whether a lost worker had crashed; undefined: not known yet. Not given: none had. */
  readonly isCrash?: (death: UnexplainedDeath) => boolean | undefined;
  /** Answers at once. Default 4,096. */
  readonly answers_max?: number;
  /** Workers tried before an answer that has delivered nothing fails. Default 3. */
  readonly attempts?: number;
  /** How many workers an answer may lose in a row; see AnswerLimits. Default 3. */
  readonly migrations?: number;
  /** Tokens of one answer that may be on their way. Default 256. */
  readonly window_tokens?: number;
};

export type StreamsMessage =
  | { readonly kind: "start"; readonly request: AnswerRequest; readonly sink: AnswerSink }
  | { readonly kind: "command"; readonly request: string; readonly command: StreamCommand };

type Own = { readonly kind: "audit" };

type Live = {
  readonly ref: Ref<AnswerInput>;
  readonly sink: OnceSink;
  readonly request: AnswerRequest;
  /** On the clock's scale. */
  readonly late_at_ms: number;
};

/**
 * How a frontend starts answers. `answers`: the parent actor of its process; undefined while it is
 * restarted. A parent that ends cannot tell the sinks of its answers, nor of those in its mailbox,
 * so each sink watches it.
 */
export function startAnswerWith(answers: Ref<StreamsMessage> | undefined): StartAnswer {
  return (request, given) => {
    if (answers === undefined) {
      given.failed(
        failure(
          "interrupted",
          "This server lost hold of its answers for a moment. Send the request again.",
        ),
      );
      return { tell: () => {} };
    }
    const watcher = { place: NOWHERE, ended: () => sink.failed(interrupted()) };
    const sink = new OnceSink(given, () => answers.unwatch(watcher));
    if (answers.tell({ kind: "start", request, sink })) answers.watch(watcher);
    else
      sink.failed(
        failure(
          "overloaded",
          "This server has more requests than it can begin. Try again in a moment.",
        ),
      );
    const { request: id } = request;
    return {
      tell: (command) => {
        answers.tell({ kind: "command", request: id, command });
      },
    };
  };
}

export class StreamParent extends Actor<StreamsMessage | Own> {
  readonly #options: StreamsOptions;
  #deps!: StreamDeps;
  /** By child name. */
  readonly #live = new SlotMap<string, Live>();
  readonly #quarantine = new Quarantine();
  #started_total = 0;
  #orphans: OrphanWatch | undefined;

  constructor(options: StreamsOptions) {
    super();
    this.#options = options;
  }

  override init(): void {
    const options = this.#options;
    this.#deps = {
      router: options.router,
      asker: wireOf(this.ctx.system, this.ctx.self),
      limits: {
        attempts: options.attempts ?? WORKERS_ASKED,
        migrations: options.migrations ?? 3,
        window_tokens: options.window_tokens ?? 256,
        router_retries: ROUTER_ASKS,
      },
      accept_ms: 5_000,
      stages: stagesIn(this.ctx.system.metrics),
      ...(options.isCrash === undefined ? {} : { isCrash: options.isCrash }),
    };
    this.#orphans = new OrphanWatch(this.ctx.system.metrics, { of: "streams" });
    this.ctx.every(AUDIT_PERIOD_MS, { kind: "audit" });
  }

  override receive(message: StreamsMessage | Own): void {
    if (message.kind === "start") this.#start(message.request, message.sink);
    else if (message.kind === "audit") this.#audit();
    else this.#live.get(streamNameOf(message.request))?.ref.tell(message.command);
  }

  /** Counts streams whose client was told the end, or should have been, as orphans. */
  #audit(): void {
    const now_ms = this.ctx.clock.now_ms();
    const unowned = [...this.#live.values()].filter(
      ({ sink, late_at_ms }) => sink.over || now_ms > late_at_ms,
    );
    this.#orphans?.look(
      unowned.map(({ request }) => request.request),
      now_ms,
    );
  }

  override release(): void {
    this.#orphans?.remove();
  }

  #start(request: AnswerRequest, sink: AnswerSink): void {
    const name = streamNameOf(request.request);
    const tokenizer = this.#options.tokenizerOf(request.model);
    if (tokenizer === undefined) {
      sink.failed(
        failure(
          "no_worker",
          `No worker serves '${request.model}' at the moment. Try again in a few seconds.`,
        ),
      );
    } else if (this.#live.size >= (this.#options.answers_max ?? 4_096)) {
      sink.failed(
        failure(
          "overloaded",
          "This server has as many answers open as it may. Try again in a moment.",
        ),
      );
    } else if (this.#live.has(name)) {
      sink.failed(
        failure(
          "bad_request",
          `A request with the id ${request.request} runs already. Send it under another one.`,
        ),
      );
    } else if (this.#quarantine.has(request, this.ctx.clock.now_ms())) {
      sink.failed(failure("quarantined", quarantineMessage));
    } else {
      const once = new OnceSink(sink);
      const parts = { request, tokenizer, sink: once, deps: this.#deps };
      const ref = this.ctx.spawn((outside) => streamOf(parts, outside), { name, role: "stream" });
      const late_at_ms = this.ctx.clock.now_ms() + request.deadline_ms;
      this.#live.set(name, { ref, sink: once, request, late_at_ms });
      this.#started_total++;
    }
  }

  override childEnded({ name, reason }: ChildEnded): void {
    const live = this.#live.take(name);
    if (live === undefined) return;
    if (live.sink.failure_code === "quarantined") {
      this.#quarantine.add(live.request, this.ctx.clock.now_ms());
    }
    if (live.sink.over) return;
    const why = describeExit(reason);
    this.ctx.log.log(
      "error",
      "an answer ended by a fault of this server; its client is told to try again",
      { name, why },
    );
    const { router, routers = () => [router()] } = this.#options;
    const ended = { worker: "", outcome: "interrupted", output_tokens: 0 } as const;
    for (const each of routers())
      each?.tell({ kind: "route_ended", request: live.request.request, ...ended });
    live.sink.failed(interrupted());
  }

  override inspect(): Snapshot {
    const live = this.#live;
    const started_total = this.#started_total;
    const orphans = this.#orphans;
    const quarantined = this.#quarantine.size;
    return { answers: live.size, started_total, orphans: orphans?.count ?? 0, quarantined };
  }
}

/** Name of a stream below its parent. Actor names have no "/", which ids may have. */
export function streamNameOf(request: string): string {
  return request.replaceAll("/", "_");
}

/** Passes nothing on after the end. */
class OnceSink implements AnswerSink {
  over = false;
  failure_code: string | undefined;
  readonly #sink: AnswerSink;
  readonly #ended: () => void;

  constructor(sink: AnswerSink, ended: () => void = () => {}) {
    this.#sink = sink;
    this.#ended = ended;
  }

  step(step: AnswerStep): void {
    if (!this.over) this.#sink.step?.(step);
  }

  placed(worker: string, attempt: number, prefill: string): void {
    if (!this.over) this.#sink.placed?.(worker, attempt, prefill);
  }

  piece(piece: AnswerPiece): boolean {
    return this.over || this.#sink.piece(piece);
  }

  scores(scores: AnswerScores): void {
    if (!this.over) this.#sink.scores?.(scores);
  }

  end(end: AnswerEnd): void {
    if (!this.over) this.#sink.end(end);
  }

  done(usage: AnswerUsage): void {
    if (this.over) return;
    this.over = true;
    this.#ended();
    this.#sink.done(usage);
  }

  failed(failure: AnswerFailure): void {
    if (this.over) return;
    this.over = true;
    this.failure_code = failure.code;
    this.#ended();
    this.#sink.failed(failure);
  }
}
