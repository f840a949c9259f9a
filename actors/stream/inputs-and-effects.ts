/** What the reducer takes in and what it puts out: the inputs and the effects of `reducer.ts`. */
import type {
  Attach,
  Cancel,
  Credit,
  Detach,
  Generate,
  HandOver,
  PlanLeg,
  RefusalCode,
  Route,
  RouteEnded,
  RouteFirst,
  TokenBatch,
} from "../../proto/index.ts";
import type { Death, UnexplainedDeath } from "./suspicion.ts";
import type { AnswerEnd, AnswerFailure, AnswerPiece, AnswerUsage } from "./types.ts";

/** What happened. `attempt` says to which attempt a reply belongs. */
export type AnswerInput =
  | { readonly kind: "begin" }
  | { readonly kind: "planned"; readonly attempt: number; readonly leg: PlanLeg }
  | {
      readonly kind: "route_refused";
      readonly attempt: number;
      readonly code: RefusalCode;
      readonly message: string;
      readonly retry_after_ms?: number;
    }
  /** The router is not there; it is being restarted. */
  | { readonly kind: "router_lost"; readonly attempt: number }
  | { readonly kind: "route_again"; readonly attempt: number }
  | { readonly kind: "accepted"; readonly attempt: number }
  | {
      readonly kind: "generate_refused";
      readonly attempt: number;
      readonly code: RefusalCode;
      readonly message: string;
    }
  | {
      readonly kind: "worker_lost";
      readonly attempt: number;
      /**
       * `ended`: nobody is there, or cannot be reached; whoever comes back under its name, or over
       * a new connection, may have the request. `silent`: it did not answer, so not this one again.
       */
      readonly how: "ended" | "silent";
      /** How its process ended, as far as we can tell. Not given: it was killed, or lives. */
      readonly death?: Death;
      /** When we heard of it; needed with `death`. */
      readonly at_ms?: number;
      readonly detail: string;
    }
  /** How many of the deaths that were asked about were crashes. */
  | { readonly kind: "explained"; readonly attempt: number; readonly crashes: number }
  /** It says that it has sent more than came, or that nobody reads there. */
  | { readonly kind: "tokens_missing"; readonly attempt: number; readonly detail: string }
  /** It sends again what was missing. */
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
  /** The wire to its worker is away, and nothing came for a while; it may be back in a moment. */
  | { readonly kind: "away"; readonly attempt: number }
  /** Its worker has more than it has room for, and this one waits. */
  | { readonly kind: "starved"; readonly attempt: number }
  /** A worker that this answer moved to has kept its word for a while. */
  | { readonly kind: "steady"; readonly attempt: number }
  /** The worker has not told the end of choices that a stop string ended. */
  | { readonly kind: "settle_late" }
  | { readonly kind: "late" }
  | { readonly kind: "filled" }
  | { readonly kind: "drained" }
  | { readonly kind: "abandon"; readonly reason: string }
  /** The client's connection ends; the client may resume the answer over another one. */
  | { readonly kind: "leave"; readonly reason: string };

/** Why another place is looked for while its worker still has it. `away`: out of reach. */
export type SeekReason = "handed_over" | "away" | "starved";
/** Why an answer leaves its worker. `refused`: that one never had it; `crashed`: its own fault. */
export type MoveReason = "lost" | "crashed" | "failed" | "refused" | SeekReason;

export type AnswerEffect =
  | { readonly kind: "ask_router"; readonly attempt: number; readonly route: Route }
  /** Answered by `explained`, a moment later: by then it is known how these workers ended. */
  | {
      readonly kind: "ask_deaths";
      readonly attempt: number;
      readonly deaths: readonly UnexplainedDeath[];
    }
  /** `tries`: how often it has had no place for this answer; the pause grows with them. */
  | { readonly kind: "ask_router_later"; readonly attempt: number; readonly tries: number }
  /** Watch the worker from here on, until `leave_worker`. */
  | {
      readonly kind: "ask_worker";
      readonly attempt: number;
      readonly leg: PlanLeg;
      readonly generate: Omit<Generate, "consumer" | "deadline_ms">;
    }
  /** As ask_worker, for an answer that is there already. */
  | {
      readonly kind: "attach";
      readonly attempt: number;
      readonly leg: PlanLeg;
      readonly attach: Omit<Attach, "consumer">;
    }
  /** As attach, at the worker where it is: for tokens that did not come. */
  | {
      readonly kind: "fetch";
      readonly attempt: number;
      readonly reader: number;
      readonly attach: Omit<Attach, "consumer">;
    }
  | { readonly kind: "tell_worker"; readonly message: Credit | Cancel | Detach }
  | { readonly kind: "leave_worker" }
  | { readonly kind: "tell_router"; readonly message: RouteFirst | RouteEnded }
  | { readonly kind: "piece"; readonly piece: AnswerPiece }
  | { readonly kind: "end"; readonly end: AnswerEnd }
  | { readonly kind: "wait_settled" }
  /** The first token of another worker is there. */
  | { readonly kind: "wait_steady"; readonly attempt: number }
  /** It leaves its worker for another one, behind so many tokens. */
  | {
      readonly kind: "moves";
      readonly why: MoveReason;
      readonly worker: string;
      readonly tokens: number;
    }
  | { readonly kind: "done"; readonly usage: AnswerUsage }
  | { readonly kind: "failed"; readonly failure: AnswerFailure };
