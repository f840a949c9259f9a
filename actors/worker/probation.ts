/**
 * Trial of requests that may have crashed their last worker. One at a time is in the engine until
 * its first token, so that a crash of the engine counts against that one and no other.
 *
 *   generate, alone ──▶ waits ── its turn ──▶ accepted ── TRIAL_MS ──▶ in the engine
 *                         ▲ next one's turn ── its first token, or its end ──┘
 *
 * The reply `accepted` leaves TRIAL_MS before the engine gets the request: if the engine crashed
 * at once, the reply would be lost, and the stream would not know that the request had begun.
 */
import type { Accepted, ActorRef, Generate, Refused, TokenBatch } from "../../proto/index.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import type { Arrivals } from "./answers/arrivals.ts";

/** A request that waits. Its asker gives up at its own deadline. */
export type Held = { readonly generate: Generate; readonly port: ReplyPort };

export const TRIAL_MS = 100;

/** With this many waiting, the worker says that it is full. */
const HELD_MOST = 1_024;

export type ProbationParts = {
  readonly arrivals: Arrivals;
  /** Into the engine. */
  readonly admit: (generate: Generate) => Accepted | Refused;
  /** Calls `start` after TRIAL_MS. */
  readonly later: (request: string) => void;
  readonly tell: (consumer: ActorRef, batch: TokenBatch) => void;
};

export class Probation {
  readonly #parts: ProbationParts;
  readonly #held: Held[] = [];
  /** Engine handles of the one on trial. */
  readonly #handles = new Set<number>();

  /** The request that is accepted and not in the engine yet. */
  #called: string | undefined;

  constructor(parts: ProbationParts) {
    this.#parts = parts;
  }

  get busy(): boolean {
    return this.#handles.size > 0;
  }

  get full(): boolean {
    return this.#held.length >= HELD_MOST;
  }

  get waiting(): number {
    return this.#held.length;
  }

  /** The request on trial is in the engine now. */
  begin(handles: Iterable<number>): void {
    for (const handle of handles) this.#handles.add(handle);
  }

  hold(held: Held): void {
    this.#held.push(held);
    this.#parts.arrivals.held(held.generate);
    this.tryNext();
  }

  holds(request: string): boolean {
    return this.#held.some(({ generate }) => generate.request === request);
  }

  /** The request was cancelled. */
  drop(request: string): void {
    const at = this.#held.findIndex(({ generate }) => generate.request === request);
    if (at >= 0) this.#held.splice(at, 1);
  }

  /** The engine made a token for that handle, or ended it. True: the trial is over. */
  onEvent(handle: number): boolean {
    if (!this.#handles.has(handle)) return false;
    this.#handles.clear();
    return true;
  }

  /** Accepts the request that has waited longest, unless another one is on trial. */
  tryNext(): void {
    const [next] = this.#held;
    if (next === undefined || this.busy || this.#called !== undefined) return;
    const { request } = next.generate;
    this.#called = request;
    next.port.reply({ kind: "accepted", request });
    this.#parts.later(request);
  }

  /** The accepted request enters the engine, unless it was cancelled meanwhile. */
  start(request: string): void {
    if (this.#called === request) this.#called = undefined;
    const at = this.#held.findIndex(({ generate }) => generate.request === request);
    const generate = at < 0 ? undefined : this.#held.splice(at, 1)[0]?.generate;
    const answer = generate && this.#parts.admit(generate);
    if (answer?.kind === "refused" && generate?.consumer !== undefined) {
      this.#parts.tell(generate.consumer, failedBatch(generate, answer));
    }
    this.tryNext();
  }

  /**
   * Removes and returns the requests that wait, when this worker takes nothing any more. One that
   * is accepted stays: it is told when its turn has come.
   */
  takeAll(): readonly Held[] {
    const isCalled = ({ generate }: Held) => generate.request === this.#called;
    const waiting = this.#held.filter((held) => !isCalled(held));
    this.#held.splice(0, this.#held.length, ...this.#held.filter(isCalled));
    return waiting;
  }
}

/** Ends a request that was accepted and then not taken after all: it goes on elsewhere. */
export function failedBatch({ request, choices }: Generate, why: Refused): TokenBatch {
  const none = { stop_token: -1, prompt_tokens: 0, cached_tokens: 0, total_tokens: 0 };
  const end = { ...none, reason: "error" as const, error: why.message, refusal: why.code };
  const finished = choices.map(({ choice }) => ({ ...end, choice }));
  return { kind: "token_batch", request, choices: [], finished };
}
