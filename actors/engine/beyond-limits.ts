/** Requests that no engine takes, whatever its model; the same for all, so the door knows them. */
import { requestLimits, stopTokensLimit } from "../../llm/model/request-limits.ts";
import type { EngineRefusal, EngineRequest } from "./engine.ts";

export function beyondLimits(request: EngineRequest): EngineRefusal | undefined {
  const { sampling, stop_tokens, logprobs, tokens, prompt_tokens, scores_from } = request;
  if (tokens.length === 0 || prompt_tokens === 0) {
    return bad("a prompt needs at least one token");
  }
  if (prompt_tokens > tokens.length) return bad("prompt_tokens is more than the tokens given");
  if (stop_tokens.length > stopTokensLimit) {
    return bad(`${stop_tokens.length} stop tokens are given; at most ${stopTokensLimit} are taken`);
  }
  const biases = sampling.logit_bias.length;
  if (biases > requestLimits.logit_bias) {
    return bad(`${biases} logit biases are given; at most ${requestLimits.logit_bias} are taken`);
  }
  if (scores_from !== undefined && !mayScore(request, scores_from)) {
    return bad("scores_from is an index of a score of a fresh answer, and needs logprobs");
  }
  if (logprobs > requestLimits.top_logprobs) {
    return bad(`${logprobs} logprobs are wanted; at most ${requestLimits.top_logprobs} are given`);
  }
  return undefined;
}

/** All scores come before an answer's first token, so who has a token has them. */
function mayScore({ logprobs, tokens, prompt_tokens }: EngineRequest, from: number): boolean {
  const last = prompt_tokens - 1;
  return (
    logprobs >= 0 && from >= 0 && (from === last || (from < last && tokens.length === last + 1))
  );
}

const bad = (message: string): EngineRefusal => ({ code: "bad_request", message });
