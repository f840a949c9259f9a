/** What a model's queue says of a request: its plan, or a refusal in the words of all routers. */
import type { Plan } from "../../proto/index.ts";
import type { Placement, Refusal } from "./policy/decisions.ts";

export type KvDecision =
  | { readonly kind: "plan"; readonly plan: Plan; readonly placement: Placement }
  | (Omit<Refusal, "code"> & { readonly code: WireRefusalCode });

type WireRefusalCode = "no_worker" | "overloaded" | "rate_limited";

/** Codes of refusals for clients, the same for all routers. */
export const refusalCodes: Readonly<Record<Refusal["code"], WireRefusalCode>> = {
  no_worker: "no_worker",
  pinned_missing: "no_worker",
  overloaded: "overloaded",
  pinned_overloaded: "overloaded",
  queue_full: "overloaded",
  class_limit: "rate_limited",
};

/** A last placement, for people: the worker, and the blocks that it had. */
export type Placed = {
  readonly request: string;
  readonly worker: string;
  readonly blocks: number;
  readonly cached_blocks: number;
  readonly waited_ms: number;
};

export const LAST_PLACED = 8;
