/**
 * A worker as a router knows it. Plain data: the policies read it; only the router actor and the
 * worker set write it.
 */

import type { Plan, PlanLeg, RouteChoice, WorkerLoad, WorkerRecord } from "../../proto/index.ts";
import { processKey, workerKey } from "../names/names.ts";
import type { WorkerView } from "./policy/filter.ts";
import { type Sharer, sharerOf } from "./policy/pairs/sharing.ts";

export type Candidate = WorkerView & {
  readonly record: WorkerRecord;
  /** Changed in place, so that all who hold it see it. */
  readonly adapters: string[];
  /** Changed in place, too. */
  readonly sharer: Sharer;
  /** Requests that this router has sent there and that have not ended. */
  in_flight: number;
  /** The worker's last report, which counts every router's requests. */
  reported: WorkerLoad | undefined;
  /** When it last reported; undefined before its first report. */
  reported_ms: number | undefined;
  /** `in_flight` when `reported` came: the difference is what the worker has not reported yet. */
  in_flight_at_report: number;
  /** Its connection broke or an answer lost it; it gets no request until it reports again. */
  suspect: boolean;
  /** Its engine failed lately: it is avoided until this time, see worker-failures.ts. */
  avoid_until_ms: number;
};

export const adapterNames = ({ adapters }: WorkerRecord): string[] =>
  (adapters?.items ?? []).map(({ name }) => name);

/** It computes prompts alone. */
export const isPrefill = ({ record }: Candidate): boolean => record.role === "prefill";

export function legOf({ record, sharer: { keeper } }: Candidate): PlanLeg {
  const { role, worker, ref } = record;
  return { role, worker, ref, ...(keeper === undefined ? {} : { keeper }) };
}

/** This worker makes the answer, of a prompt that the worker of `prefill` computes, if given. */
export function planFor(request: string, candidate: Candidate, prefill?: PlanLeg): Plan {
  const legs = prefill === undefined ? [legOf(candidate)] : [prefill, legOf(candidate)];
  return { kind: "plan", request, legs };
}

/** Why it is as it is, where somebody asked. */
export function withReasons(plan: Plan, why: readonly (RouteChoice | undefined)[]): Plan {
  const choices = why.filter((each) => each !== undefined);
  return choices.length === 0 ? plan : { ...plan, reasons: { choices } };
}

export function newCandidate(record: WorkerRecord): Candidate {
  return {
    key: workerKey(record.worker, record.ref),
    process: processKey(record.ref),
    worker: record.worker,
    labels: [...record.labels, ...record.taints],
    taints: record.taints,
    adapters: adapterNames(record),
    sharer: sharerOf(record),
    record,
    in_flight: 0,
    reported: undefined,
    reported_ms: undefined,
    in_flight_at_report: 0,
    suspect: false,
    avoid_until_ms: 0,
  };
}

/**
 * Requests on this worker: those that it reported, plus those that this router has sent since,
 * minus those that have ended since. Never fewer than this router has sent and not seen end.
 */
export function requestsOn(candidate: Candidate): number {
  const { reported, in_flight, in_flight_at_report } = candidate;
  if (reported === undefined) return in_flight;
  const since = in_flight - in_flight_at_report;
  return Math.max(in_flight, reported.running + reported.waiting + since);
}

/** The model that it serves, as clients name it; "" when its record has no card. */
export function modelName({ record }: Candidate): string {
  return record.card?.name ?? "";
}
