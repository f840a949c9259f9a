/** The bodies of a run's requests, made ahead of their time so that making them delays none. */
import type { TraceRequest } from "../replay/trace.ts";
import type { LoadPlan } from "./plan.ts";
import { Prompts } from "./prompts.ts";

export type LoadRequest = { readonly path: string; readonly payload: string };

export const slot = "the prompt goes here";

/** One after the other, in the trace's order; ends with the trace, and never before that. */
export function* requestBodies(plan: LoadPlan): Generator<LoadRequest, void> {
  const { source } = plan;
  if (source.kind === "trace") {
    const ofRow = traceBodies(plan);
    for (const row of source.rows) yield ofRow(row);
    return;
  }
  const path = pathOf(plan);
  const prompts = new Prompts(source, plan.seed);
  const [head = "", tail = ""] = template(plan, source.osl).split(slot);
  // The words need no escapes, so the body needs no JSON of its own.
  for (;;) yield { path, payload: head + prompts.next() + tail };
}

/** The body for any row of the trace: rows that wait for answers do not come in order. */
export function traceBodies(plan: LoadPlan): (row: TraceRequest) => LoadRequest {
  const path = pathOf(plan);
  const prompts = new Prompts({ isl: 0, shared: 0 }, plan.seed);
  const block_tokens = plan.source.kind === "trace" ? plan.source.block_tokens : 1;
  return ({ hash_ids, input_length, output_length }) => {
    const [head = "", tail = ""] = template(plan, output_length).split(slot);
    return { path, payload: head + prompts.ofBlocks(hash_ids, block_tokens, input_length) + tail };
  };
}

export function pathOf(plan: Pick<LoadPlan, "url" | "endpoint">): string {
  const base = new URL(plan.url).pathname.replace(/\/(v1\/?)?$/, "");
  return `${base}/v1/${plan.endpoint === "chat" ? "chat/completions" : "completions"}`;
}

/** A streamed request for `osl` tokens, with `slot` for its prompt. */
export function template(
  plan: Pick<LoadPlan, "endpoint" | "model" | "full_length">,
  osl: number,
): string {
  const asked =
    plan.endpoint === "chat" ? { messages: [{ role: "user", content: slot }] } : { prompt: slot };
  return JSON.stringify({
    model: plan.model,
    ...asked,
    max_tokens: osl,
    ...(plan.full_length ? { min_tokens: osl, ignore_eos: true } : {}),
    stream: true,
    stream_options: { include_usage: true },
  });
}
