/**
 * Bound on the bytes of all request bodies together until they are tokens. One body has a limit of
 * its own, but many at once, or many slow ones, would still fill the memory.
 */
import { ApiError } from "../api/api-error.ts";

export class BodyBudget {
  readonly #limit_bytes: number;
  #held_bytes = 0;

  constructor(limit_bytes: number) {
    this.#limit_bytes = limit_bytes;
  }

  get held_bytes(): number {
    return this.#held_bytes;
  }

  open(): HeldBody {
    return new HeldBody(this);
  }

  /** Called by HeldBody. Throws ApiError (503). */
  take(bytes: number): void {
    if (this.#held_bytes + bytes > this.#limit_bytes) throw tooMuch();
    this.#held_bytes += bytes;
  }

  /** Called by HeldBody. */
  give(bytes: number): void {
    this.#held_bytes -= bytes;
  }
}

/** The share of one request. */
export class HeldBody {
  readonly #budget: BodyBudget;
  #bytes = 0;

  constructor(budget: BodyBudget) {
    this.#budget = budget;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Throws ApiError (503) when all requests together hold too much. */
  take(bytes: number): void {
    this.#budget.take(bytes);
    this.#bytes += bytes;
  }

  /** The body was turned into tokens, or its request is over. */
  close(): void {
    this.#budget.give(this.#bytes);
    this.#bytes = 0;
  }
}

const tooMuch = () =>
  new ApiError(
    503,
    "bodies_in_flight",
    "This server is reading as many bytes of request bodies as it can hold. Retry in a moment.",
    null,
    // The rest of this body is not read, so the connection is of no further use.
    { "Retry-After": "1", Connection: "close" },
  );
