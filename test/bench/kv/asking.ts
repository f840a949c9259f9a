/** One completion of token ids, as a stream: when its tokens came, and what was cached of it. */
export type Asked = {
  readonly ttft_ms: number;
  /** Of each event with text, by the clock of this process. */
  readonly at_ms: readonly number[];
  /** Prompt tokens that were not computed for it. */
  readonly cached: number;
  /** As the inspector knows it. */
  readonly id: string;
};

/** Token ids as good as any, others for each seed: what is cached is found by them alone. */
export function drawnPrompt(seed: number, length: number): number[] {
  let state = (seed + 1) * 2654435761;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 1_000 + ((state >>> 8) % 20_000);
  });
}

/** What belongs to one question: `seen` is called at each event with text. */
export type Asking = {
  readonly worker?: string;
  readonly seen?: () => void;
  readonly signal?: AbortSignal;
};

export async function ask(
  url: string,
  body: { readonly model: string; readonly prompt: readonly number[]; readonly max_tokens: number },
  { worker, seen = () => {}, signal }: Asking = {},
): Promise<Asked> {
  const headers = {
    "content-type": "application/json",
    ...(worker === undefined ? {} : { "x-worker-instance-id": worker }),
  };
  const stream = { stream: true, stream_options: { include_usage: true }, ignore_eos: true };
  const from_ms = performance.now();
  const response = await fetch(`${url}/v1/completions`, {
    ...{ method: "POST", headers, body: JSON.stringify({ ...body, ...stream }) },
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  const decoder = new TextDecoder();
  const at_ms: number[] = [];
  let text = "";
  let cached: number | undefined;
  for await (const bytes of response.body) {
    const lines = (text + decoder.decode(bytes, { stream: true })).split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      if (line.includes('"error":')) throw new Error(line);
      const found = /"cached_tokens":(\d+)/.exec(line)?.[1];
      if (found !== undefined) cached = Number(found);
      if (!line.includes('"text"')) continue;
      at_ms.push(performance.now());
      seen();
    }
  }
  if (at_ms.length === 0 || cached === undefined) throw new Error("the answer has no token");
  const id = response.headers.get("x-request-id") ?? "";
  return { ttft_ms: at_ms[0]! - from_ms, at_ms, cached, id };
}
