/** Metrics of answers: the steps up to the first token, and moves between workers. */
import type { RouteOutcome } from "../../proto/index.ts";
import type { Histogram, Metrics } from "../../runtime/observe/metrics.ts";
import type { MoveReason } from "./inputs-and-effects.ts";

export type Stages = {
  /** Until the router has named a worker. */
  readonly route: Histogram;
  /** From the router's plan until the worker said that it takes the request. */
  readonly dispatch: Histogram;
  /** From the worker's word until its first token is here: its queue, and the prefill. */
  readonly first_token: Histogram;
};

const seconds = [0.000_01, 0.000_05, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** Series in the same family as the door's own stages. */
export function stagesIn(metrics: Metrics): Stages {
  const stage = (name: string) =>
    metrics.histogram(
      "dynamo_frontend_stage_duration_seconds",
      "Time of one step on the way of a request, in seconds",
      seconds,
      { stage: name },
    );
  return { route: stage("route"), dispatch: stage("dispatch"), first_token: stage("first_token") };
}

/** A worker's part in an answer, the computing of its prompt, is over. */
export function countPrefill(metrics: Metrics, model: string, outcome: RouteOutcome): void {
  const help = "Prompts that another worker computed, or was to compute, than the one that answers";
  metrics.counter("troupe_stream_prefills_total", help, { model, outcome }).add();
}

/** Tokens were lost on the way, and their worker was asked to send them again. */
export function countFetch(metrics: Metrics, model: string): void {
  const help = "Times that tokens lost on the way were fetched from their worker";
  metrics.counter("troupe_stream_fetches_total", help, { model }).add();
}

/** Name and labels are Dynamo's; the reason is our own label. */
export function countMove(metrics: Metrics, model: string, begun: boolean, why: MoveReason): void {
  const help = "Requests that went from one worker to another";
  const migration_type = begun ? "ongoing_request" : "new_request";
  const labels = { model, migration_type, why };
  metrics.counter("dynamo_frontend_model_migration_total", help, labels).add();
}
