/**
 * `fetch` for clients that know nothing of resuming: a server-sent-event body that breaks off is
 * taken up again behind its last event, on whichever frontend answers. It can be handed to the
 * `openai` package as it is.
 */
export type ResumingOptions = {
  /** How often a broken stream is tried, and how long to wait in between. */
  readonly tries?: number;
  readonly wait_ms?: number;
  readonly onResume?: (last_event_id: string) => void;
  /** Whether a whole event is the last one; default: OpenAI's `[DONE]`. */
  readonly isEnd?: (event: string) => boolean;
};

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

const decoder = new TextDecoder();

const isDone = (event: string) => event.endsWith("data: [DONE]");

export function resumingFetch({
  tries = 100,
  wait_ms = 50,
  onResume,
  isEnd = isDone,
}: ResumingOptions): Fetch {
  return async (input, init) => {
    const first = await fetch(input, init);
    const streams = first.headers.get("content-type")?.startsWith("text/event-stream");
    if (streams !== true || first.body === null) return first;
    const { origin } = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(init?.headers);
    const body = new ReadableStream<Uint8Array>({
      async start(controller) {
        let last_id = "";
        let response: Response | undefined = first;
        for (let tried = 0; tried < tries; tried++) {
          if (response?.status === 200 && response.body !== null) {
            const seen = await passEvents(response.body, controller, last_id, isEnd);
            if (seen.done) return controller.close();
            last_id = seen.last_id;
            tried = 0;
          }
          await Bun.sleep(wait_ms);
          onResume?.(last_id);
          headers.set("Last-Event-ID", last_id);
          const url = `${origin}/v1/streams/${last_id.split(":")[0]}`;
          response = await fetch(url, { headers }).catch(() => undefined);
        }
        controller.error(new Error(`nobody took the stream up again behind ${last_id}`));
      },
    });
    return new Response(body, { status: first.status, headers: first.headers });
  };
}

/** Whole events only: half an event that was cut off comes again. */
async function passEvents(
  body: ReadableStream<Uint8Array>,
  controller: ReadableStreamDefaultController<Uint8Array>,
  last_id: string,
  isEnd: (event: string) => boolean,
): Promise<{ last_id: string; done: boolean }> {
  let rest = "";
  try {
    for await (const bytes of body) {
      const events = (rest + decoder.decode(bytes, { stream: true })).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        // The server goes away and says so: as good as a connection that broke.
        if (/^data: \{"error":\{.*"resume":/m.test(event)) return { last_id, done: false };
        last_id = /^id: (.*)$/m.exec(event)?.[1] ?? last_id;
        controller.enqueue(new TextEncoder().encode(`${event}\n\n`));
        if (isEnd(event)) return { last_id, done: true };
      }
    }
  } catch {
    // Broken off.
  }
  return { last_id, done: false };
}
