/** When requests are sent, as milliseconds from the start of a run; `undefined` = no more. */
import type { Random } from "../../../runtime/capabilities.ts";

export type ArrivalProcess = "poisson" | "constant";

/** An open loop of `per_s` requests a second, whatever the server makes of them. */
export function* arrivalsAtRate(
  per_s: number,
  process: ArrivalProcess,
  random: Random,
): Generator<number, never> {
  const mean_ms = 1000 / per_s;
  for (let at_ms = 0; ; ) {
    yield at_ms;
    at_ms += process === "constant" ? mean_ms : -Math.log(1 - random.unit()) * mean_ms;
  }
}

/** A recorded schedule, `speedup` times as fast; it starts with the first record. */
export function* arrivalsOfTrace(
  timestamps_ms: readonly number[],
  speedup: number,
): Generator<number, void> {
  const first_ms = timestamps_ms[0] ?? 0;
  for (const at_ms of timestamps_ms) yield (at_ms - first_ms) / speedup;
}
