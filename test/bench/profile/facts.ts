/**
 * What an endpoint says of itself: its models (OpenAI's /v1/models, with vLLM's and our own fields)
 * and the sizes of its engine (/metrics of this cluster, of Dynamo and of vLLM). Undefined: unsaid.
 */

export type EngineFacts = {
  readonly model: string;
  readonly context_length: number | undefined;
  readonly max_kv_tokens: number | undefined;
  readonly block_size: number | undefined;
  readonly max_seqs: number | undefined;
  /** Prompt tokens of one pass. */
  readonly max_batch_tokens: number | undefined;
};

/** The endpoint cannot be measured; the message says what to do. */
export class EndpointError extends Error {
  readonly code = "bad_endpoint";
}

const patience_ms = 10_000;

/** A list of models or a page of metrics is shorter. */
const page_bytes_max = 16 << 20;

/** `model`: empty = the first that is listed. Rejects with EndpointError, also when stopped. */
export async function readFacts(
  url: string,
  model: string,
  api_key: string | undefined,
  stop: AbortSignal,
): Promise<EngineFacts> {
  const base = url.replace(/\/(v1\/?)?$/, "");
  const headers: Record<string, string> =
    api_key === undefined ? {} : { Authorization: `Bearer ${api_key}` };
  const init = (): RequestInit => {
    return { headers, signal: AbortSignal.any([stop, AbortSignal.timeout(patience_ms)]) };
  };
  const listed = await modelsAt(base, init());
  const chosen = model === "" ? listed[0] : listed.find(({ id }) => id === model);
  if (chosen === undefined) {
    throw new EndpointError(
      model === ""
        ? `${base}/v1/models lists no model: is a worker there?`
        : `${url} has no model ${model}; it has ${listed.map(({ id }) => id).join(", ")}`,
    );
  }
  const page = await textOf(`${base}/metrics`, init());
  return factsOf(chosen, page);
}

/** Guessed tokens that answers have so far, of all engines; undefined: nobody counts them. */
export async function acceptedTokens({ url, model, api_key }: Asked): Promise<number | undefined> {
  const base = url.replace(/\/(v1\/?)?$/, "");
  const headers: Record<string, string> =
    api_key === undefined ? {} : { Authorization: `Bearer ${api_key}` };
  return acceptedIn(await textOf(`${base}/metrics`, headers), model);
}

type Asked = { readonly url: string; readonly model: string; readonly api_key: string | undefined };

/** Exported for its test. */
export function acceptedIn(metrics: string, model: string): number | undefined {
  const rows = metrics
    .split("\n")
    .filter((line) => line.startsWith("vllm:spec_decode_num_accepted_tokens_total{"))
    .filter((line) => line.includes(`model_name="${model}"`))
    .map((line) => Number(line.slice(line.lastIndexOf(" ") + 1)));
  return rows.length === 0 ? undefined : rows.reduce((sum, value) => sum + value, 0);
}

type Listed = {
  readonly id: string;
  readonly context_window?: number;
  readonly max_model_len?: number;
};

async function modelsAt(base: string, init: RequestInit): Promise<readonly Listed[]> {
  const advice = "is the server up, and does it want --api-key?";
  let response: Response;
  try {
    response = await fetch(`${base}/v1/models`, init);
  } catch (error) {
    throw new EndpointError(`${base}/v1/models did not answer (${errorOf(error)}): ${advice}`);
  }
  if (!response.ok) {
    throw new EndpointError(`${base}/v1/models answers ${response.status}: ${advice}`);
  }
  try {
    const { data } = JSON.parse(await bounded(response)) as { data?: readonly unknown[] };
    if (Array.isArray(data) && data.every(isListed)) return data;
  } catch {
    // Said below.
  }
  throw new EndpointError(`${base}/v1/models is no list of models: is --url an OpenAI endpoint?`);
}

function isListed(value: unknown): value is Listed {
  if (typeof value !== "object" || value === null || !("id" in value)) return false;
  return typeof value.id === "string" && value.id !== "";
}

/** Rejects when there is more of it than such a page has. */
async function bounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let [text, bytes] = ["", 0];
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > page_bytes_max) throw new Error("the page has no end");
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}

async function textOf(url: string, init: RequestInit): Promise<string> {
  try {
    const response = await fetch(url, init);
    return response.ok ? await bounded(response) : "";
  } catch {
    // Metrics are a help, not a must.
    return "";
  }
}

export function factsOf(listed: Listed, metrics: string): EngineFacts {
  const ours = (name: string) => gaugeOf(metrics, `dynamo_frontend_model_${name}`, listed.id);
  const vllm = /^vllm:cache_config_info\{(.*)\}/m.exec(metrics)?.[1] ?? "";
  const label = (name: string) => above0(new RegExp(`${name}="(\\d+)"`).exec(vllm)?.[1]);
  const block_size = ours("kv_cache_block_size") ?? label("block_size");
  const blocks = ours("total_kv_blocks") ?? label("num_gpu_blocks");
  return {
    model: listed.id,
    context_length:
      above0(listed.max_model_len) ?? ours("context_length") ?? above0(listed.context_window),
    max_kv_tokens:
      blocks === undefined || block_size === undefined ? undefined : blocks * block_size,
    block_size,
    max_seqs: ours("max_num_seqs"),
    max_batch_tokens: ours("max_num_batched_tokens"),
  };
}

/** The value of the model's row of a gauge. */
function gaugeOf(page: string, name: string, model: string): number | undefined {
  for (const line of page.split("\n")) {
    if (!line.startsWith(`${name}{`) || !line.includes(`model="${model}"`)) continue;
    return above0(line.slice(line.lastIndexOf(" ") + 1));
  }
  return undefined;
}

function above0(value: string | number | undefined): number | undefined {
  return Number(value) > 0 ? Number(value) : undefined;
}

const errorOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
