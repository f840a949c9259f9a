/** Two clients of one cluster, each with a key of its own, and what they are refused. */
import OpenAI from "openai";
import type { Cluster } from "../../support/cluster.ts";

/** Flags of a cluster that takes both keys. */
export const TWO_KEYS = ["--api-key", "ann-key", "--api-key", "bob-key"] as const;

export function annAndBob(cluster: Cluster): readonly [ann: OpenAI, bob: OpenAI] {
  const clientOf = (apiKey: string) =>
    new OpenAI({ baseURL: `${cluster.url}/v1`, apiKey, maxRetries: 0 });
  return [clientOf("ann-key"), clientOf("bob-key")];
}

export async function refusal(work: Promise<unknown>): Promise<[number | undefined, unknown]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof OpenAI.APIError) return [error.status, error.code];
  }
  return [undefined, undefined];
}
