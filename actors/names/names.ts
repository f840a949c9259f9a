/** Names of workers that several roles read: a key, a plan's legs, labels and taints. */
import type { ActorRef, Plan, PlanLeg } from "../../proto/index.ts";

/**
 * Names one start of one worker, as `Route.exclude` and `RoutedRequest.worker` do: the worker's
 * name, "@", and its actor's incarnation in hex. A worker that came back has another key.
 */
export function workerKey(worker: string, ref: ActorRef | undefined): string {
  let hex = "";
  for (const byte of ref?.incarnation ?? []) hex += byte.toString(16).padStart(2, "0");
  return `${worker}@${hex}`;
}

/**
 * Names the process that a worker lives in, where `Route.exclude` leaves out all of its workers. No
 * worker's key is like it, as their names are not empty.
 */
export const processKey = (ref: ActorRef | undefined): string => `@${ref?.node ?? ""}`;

const NO_LEG: PlanLeg = { role: "aggregated", worker: "", ref: undefined };

/** The worker that makes the answer; without a reference when the plan names none. */
export function answerLeg({ legs }: Plan): PlanLeg {
  return legs.find(({ role }) => role !== "prefill") ?? NO_LEG;
}

/** The worker that computes its prompt, where that is another one. */
export function prefillLeg({ legs }: Plan): PlanLeg | undefined {
  return legs.find(({ role }) => role === "prefill");
}

/** Labels and taints of workers, as flags and requests write them: `gpu=h100`, `topology/zone=eu-1`. */
export const isTaintName = (text: string): boolean => /^[\w.\-/=]{1,128}$/.test(text);

/** The rule of `isTaintName`, for error texts: it follows the wrong name. */
export const TAINT_RULE = "is made of letters, digits and . _ - / =, at most 128 of them";

const HINT_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** 12 bits of a worker's name: they pick a few of a thousand workers and do not show the name. */
export function workerHint(worker: string): string {
  let hash = 0x811c9dc5;
  for (let at = 0; at < worker.length; at += 1) {
    hash = Math.imul(hash ^ worker.charCodeAt(at), 0x01000193);
  }
  return HINT_LETTERS.charAt((hash >>> 6) & 63) + HINT_LETTERS.charAt(hash & 63);
}
