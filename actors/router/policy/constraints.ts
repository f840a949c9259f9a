/** Constraints of a request on its worker, in all modes of the router. */
import type { Route } from "../../../proto/index.ts";

export type Constraints = {
  /** Only this worker, by name. */
  readonly pin?: string | undefined;
  /** Only these workers, by name. */
  readonly allow?: readonly string[] | undefined;
  /** Starts of workers that failed this request already, and processes out of reach, by key. */
  readonly exclude?: readonly string[] | undefined;
  /** Only a worker that can begin with it now; the request never waits. */
  readonly spare?: boolean | undefined;
  /** A worker is left out if one of its taints is neither here nor in `required_taints`. */
  readonly tolerated_taints?: readonly string[] | undefined;
  /** All of them, labels or taints, must be on the worker. */
  readonly required_taints?: readonly string[] | undefined;
  /** Only this worker computes the prompt, by name. */
  readonly prefill_pin?: string | undefined;
  /** The LoRA adapter that the worker must have. */
  readonly adapter?: string | undefined;
};

/** Empty fields of the message are no constraint. */
export function constraintsOf({ pin, exclude, spare, hints, adapter }: Route): Constraints {
  return {
    pin: pin === "" ? undefined : pin,
    allow: unlessEmpty(hints?.allowed_workers),
    exclude: unlessEmpty(exclude),
    spare: spare ? true : undefined,
    tolerated_taints: unlessEmpty(hints?.tolerated_taints),
    required_taints: unlessEmpty(hints?.required_taints),
    prefill_pin: hints?.prefill_worker ? hints.prefill_worker : undefined,
    adapter,
  };
}

function unlessEmpty(list: readonly string[] | undefined): readonly string[] | undefined {
  return list === undefined || list.length === 0 ? undefined : list;
}
