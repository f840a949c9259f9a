/**
 * The cases of the front-door table: the same for this cluster and for whatever it is held
 * against.
 */
import type { LoadPlan } from "./plan.ts";
import { drawSeed } from "./prompts.ts";
import { runLoad } from "./run-load.ts";
import { summarize } from "./summary.ts";

export type DoorCase = {
  readonly concurrency: number;
  readonly isl: number;
  readonly osl: number;
  /** How much of each prompt all have in common. */
  readonly shared: number;
};

export const doorCases: readonly DoorCase[] = [
  { concurrency: 1, isl: 100, osl: 10, shared: 0.5 },
  { concurrency: 16, isl: 100, osl: 10, shared: 0.5 },
  { concurrency: 64, isl: 100, osl: 32, shared: 0.5 },
  { concurrency: 64, isl: 2000, osl: 64, shared: 0.5 },
  { concurrency: 8, isl: 16_000, osl: 32, shared: 0.5 },
  { concurrency: 16, isl: 60_000, osl: 50, shared: 0.8 },
];

export const nameOf = ({ concurrency, isl, osl }: DoorCase): string =>
  `c=${concurrency}, ISL ${isl}, OSL ${osl}`;

export type DoorFigures = {
  readonly req_per_s: number;
  readonly tokens_per_s: number;
  readonly ttft_p50_ms: number;
  readonly ttft_p99_ms: number;
  readonly e2e_p50_ms: number;
  readonly events_per_token: number;
  /** The server's own count: what it was really asked. */
  readonly prompt_tokens: number;
  /** Share of a core this client used. */
  readonly client_cpu: number;
  readonly requests: number;
};

export type DoorTarget = { readonly url: string; readonly model: string };

/**
 * Tokenizers, compilers of the server and its connections all start cold. One at a time is slow on
 * some servers, and long prompts warm up in few requests. Of short ones it takes some 20,000 until
 * the compilers of this frontend have the core no more (docs/decisions/007).
 */
function warmUp({ concurrency, isl }: DoorCase): number {
  if (isl > 1000) return 2 * concurrency;
  return concurrency === 1 ? 500 : 20_000;
}

/** One case for `duration_ms` after a warm-up, with prompts never sent before. */
export function doorPlan(target: DoorTarget, door: DoorCase, duration_ms: number): LoadPlan {
  return {
    url: target.url,
    model: target.model,
    endpoint: "chat",
    source: { kind: "synthetic", isl: door.isl, osl: door.osl, shared: door.shared },
    full_length: true,
    arrival: { kind: "closed", concurrency: door.concurrency },
    requests: 1_000_000,
    duration_ms,
    timeout_ms: 60_000,
    warm_up: warmUp(door),
    max_connections: door.concurrency,
    seed: drawSeed(),
  };
}

/** Throws when one answer in a hundred failed: a figure of refusals says nothing. */
export async function measureDoor(
  target: DoorTarget,
  door: DoorCase,
  duration_ms: number,
): Promise<DoorFigures> {
  const plan = doorPlan(target, door, duration_ms);
  const figures = summarize(plan, await runLoad(plan));
  if (figures.errors * 100 > figures.requests || figures.completed === 0) {
    throw new Error(`${nameOf(door)}: ${JSON.stringify(figures.error_kinds)}`);
  }
  return {
    req_per_s: figures.req_per_s,
    tokens_per_s: figures.tokens_per_s,
    ttft_p50_ms: figures.ttft_ms.p50,
    ttft_p99_ms: figures.ttft_ms.p99,
    e2e_p50_ms: figures.e2e_ms.p50,
    events_per_token: figures.events_per_token,
    prompt_tokens: figures.prompt_tokens_mean,
    client_cpu: figures.client_cpu,
    requests: figures.completed,
  };
}
