/**
 * Requests whose constraint is being compiled. Their workers answer when that is done: a constraint
 * that cannot be compiled is the request's fault, and is refused like any other.
 */
import type { Generate } from "../../proto/index.ts";
import type { ReplyPort } from "../../runtime/kernel/ref.ts";
import type { Engine, EngineRefusal } from "../engine/engine.ts";
import type { Arrivals } from "./answers/arrivals.ts";

/** A request that waits. Its asker gives up at its own deadline. */
type Held = { readonly generate: Generate; readonly port: ReplyPort };

/** To the worker actor, which then calls `take`. */
export type PreparedMessage = {
  readonly kind: "prepared";
  readonly number: number;
  readonly refusal: EngineRefusal | undefined;
};

/** With this many waiting, the worker says that it is full. */
const HELD_MOST = 1_024;
const FULL: EngineRefusal = {
  code: "queue_full",
  message: "Too many requests wait for their grammars. Try again in a moment.",
};

export class Preparations {
  readonly #engine: () => Engine;
  readonly #tell: (message: PreparedMessage) => void;
  readonly #held = new Map<number, Held>();
  readonly #arrivals: Arrivals;
  #last = 0;

  constructor(engine: () => Engine, tell: (message: PreparedMessage) => void, arrivals: Arrivals) {
    this.#engine = engine;
    this.#arrivals = arrivals;
    this.#tell = tell;
  }

  get waiting(): number {
    return this.#held.size;
  }

  /**
   * "held": the message comes later, and `port` was called. Else the refusal, or undefined: the
   * request needs nothing, or it is there.
   */
  start(generate: Generate, port: () => ReplyPort): EngineRefusal | undefined | "held" {
    const engine = this.#engine();
    const { constraint } = generate;
    if (constraint === undefined || engine.prepare === undefined) return undefined;
    if (this.#held.size >= HELD_MOST) return FULL;
    const number = ++this.#last;
    let known: { readonly refusal: EngineRefusal | undefined } | undefined;
    let returned = false;
    engine.prepare(constraint, (refusal) => {
      if (returned) this.#tell({ kind: "prepared", number, refusal });
      else known = { refusal };
    });
    returned = true;
    if (known !== undefined) return known.refusal;
    this.#held.set(number, { generate, port: port() });
    this.#arrivals.held(generate);
    return "held";
  }

  /** The request of a message; undefined: it was cancelled meanwhile. */
  take({ number }: PreparedMessage): Held | undefined {
    const held = this.#held.get(number);
    this.#held.delete(number);
    return held;
  }

  holds(request: string): boolean {
    for (const { generate } of this.#held.values()) if (generate.request === request) return true;
    return false;
  }

  /** The request was cancelled. */
  drop(request: string): void {
    for (const [number, { generate }] of this.#held) {
      if (generate.request === request) this.#held.delete(number);
    }
  }
}
