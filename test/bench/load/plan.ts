/**
 * What one load run is: where to, what is asked, when, and its bounds. Every run ends by itself.
 */
import type { GoodputLimits } from "../goodput.ts";
import type { TraceRequest } from "../replay/trace.ts";
import type { ArrivalProcess, Swing } from "./arrivals.ts";

export type LoadSource =
  | {
      readonly kind: "synthetic";
      readonly isl: number;
      readonly osl: number;
      /** 0 … 1: how much of each prompt, from its beginning, is the same in all of them. */
      readonly shared: number;
    }
  | {
      readonly kind: "trace";
      readonly rows: readonly TraceRequest[];
      /** Tokens that one block id of the trace stands for. */
      readonly block_tokens: number;
    };

export type LoadArrival =
  /** So many at a time: the next is sent when one has ended. */
  | { readonly kind: "closed"; readonly concurrency: number }
  /** So many a second, whatever comes back. */
  | {
      readonly kind: "rate";
      readonly per_s: number;
      readonly process: ArrivalProcess;
      readonly swing?: Swing;
    }
  /** When the trace says: at its timestamps, or think time after the answers it waits for. */
  | { readonly kind: "trace"; readonly speedup: number };

export type LoadPlan = {
  readonly url: string;
  readonly api_key?: string | undefined;
  readonly model: string;
  readonly endpoint: "chat" | "completions";
  readonly source: LoadSource;
  /** Ask for the full length whatever the model would do; some servers refuse the fields for it. */
  readonly full_length: boolean;
  readonly arrival: LoadArrival;
  /** Most requests; a trace may end before. */
  readonly requests: number;
  /** No request is sent after this; those under way are waited for. */
  readonly duration_ms: number;
  /** An answer that takes longer is an error. */
  readonly timeout_ms: number;
  /** Sent before, as many at a time as in the run (16 in an open loop), and not counted. */
  readonly warm_up: number;
  /** An open loop that needs more waits for one, and the wait counts as latency. */
  readonly max_connections: number;
  readonly seed: number;
  /** Of a good answer; without them the summary has no goodput. */
  readonly limits?: GoodputLimits;
};
