/** Inputs of every request's preparation beside its body and its model. Types only. */
import type { RouteHints } from "../../../proto/index.ts";
import type { Random } from "../../../runtime/capabilities.ts";

export type PrepareContext = {
  readonly random: Random;
  /** The server's id of the HTTP request; answers of batched prompts get a number behind it. */
  readonly request: string;
  readonly deadline_ms: number;
  /** Worker named by the client, else empty. */
  readonly pin: string;
  /** The client's other wishes for routing. */
  readonly hints?: RouteHints | undefined;
  /** Chat answers without a limit of their own end here. */
  readonly default_max_tokens: number;
  readonly timed: TimedStage;
  /** Each token is the likeliest one, whatever the request says of temperature. */
  readonly greedy?: boolean;
  /** The prompt, where the client has its tokens already. */
  readonly prompt_tokens?: readonly number[] | undefined;
  /** Of `nvext`; the request's own field wins. */
  readonly salt?: string | undefined;
};

/** Measures what one part of the preparation takes: `end` also begins the next one. */
export interface TimedStage {
  begin(): void;
  end(stage: "template" | "tokenize"): void;
}
