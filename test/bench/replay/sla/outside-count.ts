/** Requests that are outside the limits, counted as soon as that is certain. */
import type { GoodputLimits } from "../../goodput.ts";
import { isWithin } from "../plan/plan-figures.ts";
import type { RequestRecord } from "../simulate.ts";

export class OutsideCount {
  #count = 0;
  readonly #sla: GoodputLimits;
  readonly #most: number;

  /** @param most that many are no reason to stop */
  constructor({ sla, most }: { readonly sla: GoodputLimits; readonly most: number }) {
    this.#sla = sla;
    this.#most = most;
  }

  get enough(): boolean {
    return this.#count > this.#most;
  }

  firstToken(record: RequestRecord): void {
    if (this.#isLate(record)) this.#count++;
  }

  /** One whose first token was late is counted already. */
  ended(record: RequestRecord): void {
    if (!this.#isLate(record) && !isWithin(record, this.#sla)) this.#count++;
  }

  refused(): void {
    this.#count++;
  }

  #isLate({ arrival_ms, first_token_ms }: RequestRecord): boolean {
    const { ttft_ms } = this.#sla;
    return ttft_ms !== undefined && first_token_ms - arrival_ms > ttft_ms;
  }
}
