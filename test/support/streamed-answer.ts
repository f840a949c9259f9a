/** One streamed completion as a client sees it, with the time of every event. */
export type StreamedAnswer = {
  readonly text: string;
  readonly finish_reason: string | undefined;
  /** When each event with text came, on the clock of `performance.now`. */
  readonly at_ms: readonly number[];
  /** Why it is not whole. */
  readonly error: string | undefined;
};

export type CompletionBody = {
  readonly prompt: string;
  readonly max_tokens: number;
  readonly [field: string]: unknown;
};

/** Never rejects: a broken answer says so in `error`. */
export async function streamAnswer(
  url: string,
  body: CompletionBody,
  timeout_ms = 60_000,
): Promise<StreamedAnswer> {
  const at_ms: number[] = [];
  let text = "";
  let finish_reason: string | undefined;
  let done = false;
  const fail = (error: string) => ({ text, finish_reason, at_ms, error });
  try {
    const response = await fetch(`${url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: await modelOf(url), stream: true, ...body }),
      signal: AbortSignal.timeout(timeout_ms),
    });
    if (response.status !== 200 || response.body === null) {
      return fail(`${response.status}: ${await response.text()}`);
    }
    for await (const data of eventsOf(response.body)) {
      if (data === "[DONE]") {
        done = true;
        continue;
      }
      const event = JSON.parse(data) as {
        error?: { message: string };
        choices?: { text?: string; finish_reason?: string | null }[];
      };
      if (event.error !== undefined) return fail(event.error.message);
      const choice = event.choices?.[0];
      if (choice?.text) at_ms.push(performance.now());
      text += choice?.text ?? "";
      finish_reason = choice?.finish_reason ?? finish_reason;
    }
  } catch (error) {
    return fail(String(error));
  }
  return done ? { text, finish_reason, at_ms, error: undefined } : fail("the stream broke off");
}

const models = new Map<string, string>();

async function modelOf(url: string): Promise<string> {
  const known = models.get(url);
  if (known !== undefined) return known;
  const list = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  const id = list.data[0]?.id ?? "";
  models.set(url, id);
  return id;
}

async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    const events = rest.split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      for (const line of event.split("\n")) if (line.startsWith("data: ")) yield line.slice(6);
    }
  }
}

/** The longest wait between two events with text. */
export function longestGapMs({ at_ms }: StreamedAnswer): number {
  let longest_ms = 0;
  for (let i = 1; i < at_ms.length; i++)
    longest_ms = Math.max(longest_ms, at_ms[i]! - at_ms[i - 1]!);
  return longest_ms;
}
