/** Prompts as token rows, and what a cluster says of its caches: for tests of routing. */
import type { Cluster } from "../cluster.ts";

/** Rows of one seed are equal, those of two share no block. Ids that every tokenizer has. */
export function promptTokens(count: number, seed: number): number[] {
  let state = (seed * 2_654_435_761) >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return 300 + ((state >>> 16) % 200);
  });
}

/** Series of one process in `/metrics`, by name with labels. */
export async function metricsOf(
  cluster: Cluster,
  node = "frontend-0",
): Promise<ReadonlyMap<string, number>> {
  // The inspector's page is never an old one: a frontend's is kept for a second.
  const text = await (await fetch(`${cluster.inspector}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.includes(`node="${node}"`));
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(" ");
      const series = line.slice(0, space).replace(/node="[^"]*",?/, "");
      return [series.replace("{}", ""), Number(line.slice(space + 1))];
    }),
  );
}

/** Blocks that the frontend knows of each worker's cache. */
export async function knownBlocks(cluster: Cluster): Promise<ReadonlyMap<string, number>> {
  const series = /^troupe_router_kv_index_blocks\{worker="(.+)"\}$/;
  const known = [...(await metricsOf(cluster))].flatMap(([name, value]) => {
    const worker = series.exec(name)?.[1];
    return worker === undefined ? [] : [[worker, value] as const];
  });
  return new Map(known);
}

/** Tokens of the prompt that came from a cache. */
export async function complete(
  cluster: Cluster,
  prompt: readonly number[],
  more: { model?: string; max_tokens?: number; headers?: Record<string, string> } = {},
): Promise<number> {
  const { model = await modelOf(cluster), max_tokens = 4, headers = {} } = more;
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ model, prompt, max_tokens }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status}: ${text}`);
  const { usage } = JSON.parse(text) as {
    usage: { prompt_tokens_details?: { cached_tokens?: number } };
  };
  return usage.prompt_tokens_details?.cached_tokens ?? 0;
}

async function modelOf(cluster: Cluster): Promise<string> {
  const { data } = (await (await fetch(`${cluster.url}/v1/models`)).json()) as {
    data: { id: string }[];
  };
  return data[0]?.id ?? "";
}
