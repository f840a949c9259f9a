/** When the requests of an open loop are sent, as milliseconds from the start of a run. */
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
