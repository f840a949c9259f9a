import { expect, test } from "bun:test";
import type { Answer } from "../../../../actors/inspector/page/views/chat/answer.ts";
import { askChat } from "../../../../actors/inspector/page/views/chat/chat-client.ts";

type Asked = { readonly path: string; readonly method: string; readonly headers: Headers };
type Reply = () => Response | Promise<Response>;

const event = (id: string, content: string) =>
  `id: R:${id}\ndata: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
const DONE = "id: R:9fd@1ab\ndata: [DONE]\n\n";

/** A body that ends, or breaks. */
function stream(text: string, breaks: boolean): Response {
  let told = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (!told) controller.enqueue(new TextEncoder().encode(text));
      else if (breaks) controller.error(new TypeError("the connection broke"));
      else controller.close();
      told = true;
    },
  });
  return new Response(body);
}

const away: Reply = () => Promise.reject(new TypeError("no connection"));

/** Replies in order; the last one for all that follow. */
function world(replies: readonly Reply[], stopping = new AbortController()) {
  const asked: Asked[] = [];
  const shown: Answer[] = [];
  const waited_ms: number[] = [];
  const answer = askChat(
    {
      fetch: async (path, { method = "", headers }) => {
        asked.push({ path, method, headers: new Headers(headers) });
        return replies[Math.min(asked.length, replies.length) - 1]!();
      },
      now_ms: () => asked.length,
      sleep: async (wait_ms) => void waited_ms.push(wait_ms),
      newKey: () => "key-1",
    },
    {
      ...{ body: { model: "m" }, api_key: "secret", stopped: stopping.signal },
      shown: (next) => void shown.push(next),
    },
  );
  return { answer, asked, shown, waited_ms };
}

test("a stream that breaks goes on behind its last event", async () => {
  const { answer, asked, shown } = world([
    () => stream(event("1@1ab", "One"), true),
    away,
    () => stream(event("2@1ab", " two") + DONE, false),
  ]);
  expect(await answer).toMatchObject({ state: "done", content: "One two", reconnects: 2 });
  expect(asked.map(({ path, method }) => `${method} ${path}`)).toEqual([
    "POST /v1/chat/completions",
    "GET /v1/streams/R",
    "GET /v1/streams/R",
  ]);
  expect(asked.map(({ headers }) => headers.get("last-event-id"))).toEqual([
    ...[null, "R:1@1ab", "R:1@1ab"],
  ]);
  for (const { headers } of asked) {
    expect(headers.get("x-resumable")).toBe("true");
    expect(headers.get("authorization")).toBe("Bearer secret");
  }
  expect(shown.some(({ state }) => state === "reconnecting")).toBe(true);
});

test("a question that broke before its first event is asked again under its key", async () => {
  const { answer, asked } = world([away, () => stream(event("1@1ab", "One") + DONE, false)]);
  expect((await answer).content).toBe("One");
  expect(asked.map(({ headers }) => headers.get("idempotency-key"))).toEqual(["key-1", "key-1"]);
});

test("the inspector's id of the request is the one that its answer's head has", async () => {
  const first = () => {
    const { body } = stream(event("1@1ab", "One"), true);
    return new Response(body, { headers: { "x-request-id": "of-the-question" } });
  };
  const again = () => new Response(DONE, { headers: { "x-request-id": "of-the-resuming" } });
  const { answer } = world([first, again]);
  expect(await answer).toMatchObject({ state: "done", request: "of-the-question" });
});

test("a refusal is shown as it is said, and not asked again", async () => {
  const refusal = () =>
    Response.json(
      { error: { message: "No such model.", code: "model_not_found" } },
      { status: 404 },
    );
  const { answer, asked } = world([refusal]);
  expect(await answer).toMatchObject({ state: "failed", error: "No such model." });
  expect(asked).toHaveLength(1);
});

test("a server that stays away ends the answer, after waits that grow", async () => {
  const { answer, waited_ms } = world([away]);
  expect((await answer).state).toBe("failed");
  expect(waited_ms.length).toBeGreaterThan(3);
  expect(waited_ms).toEqual(waited_ms.toSorted((a, b) => a - b));
});

test("an event sets the count of tries back", async () => {
  const replies = Array.from({ length: 12 }, (_, at): Reply => {
    return at % 2 === 1 ? away : () => stream(event(`${at + 1}@1ab`, "x"), true);
  });
  const { answer } = world([...replies, () => stream(DONE, false)]);
  expect(await answer).toMatchObject({ state: "done", content: "xxxxxx" });
});

test("who stops tells the server that he will not come back", async () => {
  const stopping = new AbortController();
  const hang = () =>
    new Promise<Response>((_, reject) => {
      const gone = () => reject(new DOMException("stopped", "AbortError"));
      stopping.signal.addEventListener("abort", gone);
      stopping.abort();
    });
  const { answer, asked } = world([() => stream(event("1@1ab", "One"), true), hang], stopping);
  expect(await answer).toMatchObject({ state: "stopped", content: "One" });
  expect(asked.map(({ headers }) => headers.get("x-resumable"))).toEqual(["true", "true", "false"]);
});
