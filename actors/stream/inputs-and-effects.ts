/** The inputs and the effects of `reducer.ts`. */
import type {
  Attach,
  Cancel,
  Credit,
  Detach,
  FirstDrawn,
  Generate,
  HandOffIs,
  HandOver,
  PlanLeg,
  RefusalCode,
  Route,
  RouteEnded,
  RouteFirst,
  TokenBatch,
} from "../../proto/index.ts";
import type { Death, UnexplainedDeath } from "./suspicion.ts";
import type { AnswerEnd, AnswerFailure, AnswerPiece, AnswerScores, AnswerUsage } from "./types.ts";

/** An event for the answer. `attempt` says to which attempt a reply belongs. */
export type AnswerInput =
  | { readonly kind: "begin" }
  | {
      readonly kind: "planned";
      readonly attempt: number;
      readonly leg: PlanLeg;
      /** The worker that computes the prompt, where that is another one. */
      readonly prefill?: PlanLeg | undefined;
    }
  /** Another worker for the prompt; undefined: there is none. */
  | {
      readonly kind: "prefill_planned";
      readonly attempt: number;
      readonly leg: PlanLeg | undefined;
    }
  | {
      readonly kind: "prefill_lost";
      readonly attempt: number;
      readonly id: string;
      readonly how: "ended" | "silent" | "refused";
      /** As in `worker_lost`. */
      readonly death?: Death;
      readonly at_ms?: number;
    }
  | {
      readonly kind: "route_refused";
      readonly attempt: number;
      readonly code: RefusalCode;
      readonly message: string;
      readonly retry_after_ms?: number;
    }
  /** The router is being restarted, so no router was asked. */
  | { readonly kind: "router_lost"; readonly attempt: number }
  | { readonly kind: "route_again"; readonly attempt: number }
  | { readonly kind: "accepted"; readonly attempt: number }
  | {
      readonly kind: "generate_refused";
      readonly attempt: number;
      readonly code: RefusalCode;
      readonly message: string;
      /** The worker prepares the answer still, and may take it when asked again. */
      readonly not_yet?: boolean | undefined;
    }
  | {
      readonly kind: "worker_lost";
      readonly attempt: number;
      /**
       * `ended`: the worker is gone or out of reach; a new one of its name, or the same one over a
       * new connection, may get the request. `silent`: it did not answer, so it is left out.
       */
      readonly how: "ended" | "silent";
      /** How the worker's process ended, if known. Not given: it was killed, or it lives. */
      readonly death?: Death;
      /** When this process heard of the end; needed with `death`. */
      readonly at_ms?: number;
      readonly detail: string;
    }
  /** How many of the deaths that were asked about were crashes. */
  | { readonly kind: "explained"; readonly attempt: number; readonly crashes: number }
  /** The worker says that it sent more than came, or that it has no reader of this name. */
  | { readonly kind: "tokens_missing"; readonly attempt: number; readonly detail: string }
  /** The worker sends the missing tokens again. */
  | { readonly kind: "fetched"; readonly attempt: number; readonly reader: number }
  | {
      readonly kind: "fetch_failed";
      readonly attempt: number;
      readonly reader: number;
      readonly detail: string;
    }
  | TokenBatch
  /** The worker is being drained. */
  | HandOver
  /** The connection to the worker is down and nothing came for a while; it may come back soon. */
  | { readonly kind: "away"; readonly attempt: number }
  /** The worker's cache has no room for all its answers, and this one waits. */
  | { readonly kind: "starved"; readonly attempt: number }
  /** The worker that the answer moved to has made tokens for STEADY_MS. */
  | { readonly kind: "steady"; readonly attempt: number }
  /** The worker has not told the end of choices that a stop string ended. */
  | { readonly kind: "settle_late" }
  | { readonly kind: "late" }
  | { readonly kind: "filled" }
  | { readonly kind: "drained" }
  | { readonly kind: "abandon"; readonly reason: string }
  /** The client's connection ends; the client may resume the answer over another one. */
  | { readonly kind: "leave"; readonly reason: string };

/** Why another worker is sought while one still has the answer. `away`: out of reach. */
export type SeekReason = "handed_over" | "away" | "starved";
/** Why an answer leaves its worker. `refused`: the worker never took it; `crashed`: its fault. */
export type MoveReason = "lost" | "crashed" | "failed" | "refused" | SeekReason;

export type AnswerEffect =
  | { readonly kind: "ask_router"; readonly attempt: number; readonly route: Route }
  /** The input `explained` answers a moment later, when it is known how these workers ended. */
  | {
      readonly kind: "ask_deaths";
      readonly attempt: number;
      readonly deaths: readonly UnexplainedDeath[];
    }
  /** `tries`: how often the router had no place for this answer; the pause grows with it. */
  | { readonly kind: "ask_router_later"; readonly attempt: number; readonly tries: number }
  /** Watch the worker from here on, until `leave_worker`. */
  | {
      readonly kind: "ask_worker";
      readonly attempt: number;
      readonly leg: PlanLeg;
      readonly generate: Omit<Generate, "consumer" | "deadline_ms">;
    }
  /** As ask_worker, for the prompt alone, until `leave_prefill`. */
  | {
      readonly kind: "ask_prefill";
      readonly attempt: number;
      readonly leg: PlanLeg;
      readonly generate: Omit<Generate, "consumer" | "deadline_ms">;
    }
  /** The input `prefill_planned` answers. */
  | { readonly kind: "ask_router_prefill"; readonly attempt: number; readonly route: Route }
  | { readonly kind: "tell_prefill"; readonly message: Cancel }
  | { readonly kind: "leave_prefill" }
  /** As ask_worker, for an answer that the worker has already. */
  | {
      readonly kind: "attach";
      readonly attempt: number;
      readonly leg: PlanLeg;
      readonly attach: Omit<Attach, "consumer">;
    }
  /** As attach, at the answer's current worker, for tokens that were lost. */
  | {
      readonly kind: "fetch";
      readonly attempt: number;
      readonly reader: number;
      readonly attach: Omit<Attach, "consumer">;
    }
  | {
      readonly kind: "tell_worker";
      readonly message: Credit | Cancel | Detach | HandOffIs | FirstDrawn;
    }
  | { readonly kind: "leave_worker" }
  | { readonly kind: "tell_router"; readonly message: RouteFirst | RouteEnded }
  | { readonly kind: "piece"; readonly piece: AnswerPiece }
  | { readonly kind: "scores"; readonly scores: AnswerScores }
  | { readonly kind: "end"; readonly end: AnswerEnd }
  | { readonly kind: "wait_settled" }
  /** The first token of the new worker has come. */
  | { readonly kind: "wait_steady"; readonly attempt: number }
  /** The answer leaves its worker for another one, behind this many tokens. */
  | {
      readonly kind: "moves";
      readonly why: MoveReason;
      readonly worker: string;
      readonly tokens: number;
    }
  | { readonly kind: "done"; readonly usage: AnswerUsage }
  | { readonly kind: "failed"; readonly failure: AnswerFailure };
