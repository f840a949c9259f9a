/**
 * Asks a worker that is quiet for too long why, by the rules of `stall.ts`. Each attempt has one
 * watcher, from the request to the worker until the answer leaves it.
 *
 *   look ─ tokens came ─▶ look later
 *     └─ quiet for too long ─▶ probe ─ its reply, or none ─▶ an input for the reducer
 */
import type { WorkerMessage } from "../../proto/index.ts";
import type { Context } from "../../runtime/kernel/context.ts";
import { AskError } from "../../runtime/kernel/errors.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { isAway } from "../../runtime/remote/node.ts";
import type { AnswerInput } from "./inputs-and-effects.ts";
import {
  boundMs,
  lookAgainMs,
  newStallWatch,
  type ProbeResult,
  restartQuiet,
  type StallWatch,
  tokensCame,
  whyStalled,
} from "./stall.ts";
import { type AnswerState, workerRequest } from "./state.ts";

/** Messages of its timer and its probe to the stream actor, which hands them back. */
export type StallMessage =
  | { readonly kind: "look"; readonly attempt: number }
  | {
      readonly kind: "probed";
      readonly attempt: number;
      readonly reader: number;
      readonly result: ProbeResult;
    };

export type StallHost = {
  /** Called in the actor's turn. */
  receive(input: AnswerInput): void;
  /** Called outside of the actor's turn. */
  learn(input: AnswerInput | StallMessage): void;
};

/** Time to answer a probe; a worker that lives answers at once. */
export const PROBE_MS = 1_000;
/** The bound may be shorter from the first token on; each look says when the next one is due. */
const FIRST_LOOK_MS = 1_000;
/** A timer later than this shows that this process was held up and has messages to read. */
const HELD_UP_MS = 200;
const LOOK_AGAIN_MS = 100;
/** A worker whose connection is down for this long is left if another one is in reach. */
const AWAY_MS = 2_000;
const SEEK_AGAIN_MS = 500;

type StallContext = Pick<Context<StallMessage>, "clock" | "system" | "ask" | "after">;

/** True: the missing reply proves nothing, as this process was held up or the worker is away. */
export function isNoProof(
  { clock, system }: Pick<StallContext, "clock" | "system">,
  worker: Ref<WorkerMessage>,
  asked_ms: number,
): boolean {
  const late_ms = clock.now_ms() - asked_ms - PROBE_MS;
  return late_ms > HELD_UP_MS || isAway(system, worker as Ref);
}

export class StallWatcher {
  readonly #host: StallHost;
  readonly #ctx: StallContext;
  readonly #state: AnswerState;
  readonly #worker: Ref<WorkerMessage>;
  readonly #attempt: number;
  readonly #watch: StallWatch;
  /** When the next look is due. */
  #look_ms = 0;

  /** @param prompt_tokens that have to be computed before the first token is there */
  constructor(
    host: StallHost,
    ctx: StallContext,
    state: AnswerState,
    worker: Ref<WorkerMessage>,
    prompt_tokens: number,
  ) {
    this.#host = host;
    this.#ctx = ctx;
    this.#state = state;
    this.#worker = worker;
    this.#attempt = state.attempt;
    const now_ms = ctx.clock.now_ms();
    this.#watch = newStallWatch(prompt_tokens, now_ms);
    this.#lookIn(FIRST_LOOK_MS, now_ms);
  }

  tokensCame(): void {
    tokensCame(this.#watch, this.#ctx.clock.now_ms());
  }

  /** The worker was given credit. */
  credited(): void {
    if (!this.#state.full) restartQuiet(this.#watch, this.#ctx.clock.now_ms());
  }

  #lookIn(delay_ms: number, now_ms: number): void {
    this.#look_ms = now_ms + delay_ms;
    this.#ctx.after(delay_ms, { kind: "look", attempt: this.#attempt });
  }

  /** Sets the next look. There is one timer at a time; a token only notes when it came. */
  look(attempt: number): void {
    if (attempt !== this.#attempt) return;
    const state = this.#state;
    const watch = this.#watch;
    const now_ms = this.#ctx.clock.now_ms();
    const left_ms = watch.quiet_since_ms + boundMs(watch) - now_ms;
    const expects = state.granted > state.received;
    if (!expects || left_ms > 0) {
      this.#lookIn(expects ? left_ms : boundMs(watch), now_ms);
    } else if (isAway(this.#ctx.system, this.#worker as Ref)) {
      // The worker's link waits for the bus and resumes, so nothing is lost.
      const long = now_ms - watch.quiet_since_ms >= AWAY_MS;
      this.#lookIn(long ? SEEK_AGAIN_MS : LOOK_AGAIN_MS, now_ms);
      if (long) this.#host.receive({ kind: "away", attempt });
    } else if (now_ms - this.#look_ms > HELD_UP_MS) {
      this.#lookIn(LOOK_AGAIN_MS, now_ms);
    } else {
      this.#probe();
    }
  }

  #probe(): void {
    const attempt = this.#attempt;
    const worker = this.#worker;
    const { reader } = this.#state;
    const request = workerRequest(this.#state);
    const asked_ms = this.#ctx.clock.now_ms();
    this.#ctx.ask(worker, { kind: "probe", request }, { deadline_ms: PROBE_MS }).then(
      (result) => this.#host.learn({ kind: "probed", attempt, reader, result }),
      (error: unknown) => {
        const code = error instanceof AskError ? error.code : "";
        // The monitor's Down follows and says why.
        if (code === "down") return;
        const silent = code === "deadline" && !isNoProof(this.#ctx, worker, asked_ms);
        // A worker that refused, or whose mailbox was full, lives; the next look may tell more.
        if (!silent) this.#ctx.after(LOOK_AGAIN_MS, { kind: "look", attempt });
        else
          this.#host.learn({
            kind: "worker_lost",
            attempt,
            how: "silent",
            detail: "it does not answer",
          });
      },
    );
  }

  probed({ attempt, reader, result }: Extract<StallMessage, { kind: "probed" }>): void {
    if (attempt !== this.#attempt) return;
    const state = this.#state;
    const watch = this.#watch;
    const now_ms = this.#ctx.clock.now_ms();
    // After a fetch in between, the reply is about the reader's old name.
    const same = reader === state.reader;
    const found = same ? whyStalled(watch, result, state.received, now_ms) : undefined;
    if (found?.what !== "stuck") this.#lookIn(lookAgainMs(watch), now_ms);
    if (found === undefined) return;
    const { detail } = found;
    if (found.what === "missing") this.#host.receive({ kind: "tokens_missing", attempt, detail });
    else if (found.what === "starved") this.#host.receive({ kind: "starved", attempt });
    else this.#host.receive({ kind: "worker_lost", attempt, how: "silent", detail });
  }
}
