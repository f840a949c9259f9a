/** When the requests of an open loop are sent, as milliseconds from the start of a run. */
import type { Random } from "../../../runtime/capabilities.ts";

export type ArrivalProcess = "poisson" | "constant";

/** A rate that goes up to `high_per_s` and back as a sine does, once a period. */
export type Swing = { readonly high_per_s: number; readonly period_ms: number };

/**
 * An open loop of `per_s` requests a second, whatever the server makes of them. With a swing it
 * begins at `per_s`, its least.
 */
export function* arrivalsAtRate(
  per_s: number,
  process: ArrivalProcess,
  random: Random,
  swing?: Swing,
): Generator<number, never> {
  const rate = (at_ms: number) =>
    swing === undefined ? per_s : per_s + (swing.high_per_s - per_s) * risen(at_ms, swing);
  for (let at_ms = 0; ; ) {
    yield at_ms;
    const units = process === "constant" ? 1 : -Math.log(1 - random.unit());
    at_ms += (1000 * units) / rate(at_ms);
  }
}

/** From 0 at the beginning of a period to 1 in its middle. */
const risen = (at_ms: number, { period_ms }: Swing): number =>
  (1 - Math.cos((2 * Math.PI * at_ms) / period_ms)) / 2;
