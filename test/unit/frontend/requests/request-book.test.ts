/** The request book: what it keeps and how much, what it shows, and what it does not. */
import { expect, test } from "bun:test";
import { RequestBook } from "../../../../actors/frontend/requests/request-book.ts";
import { VirtualClock } from "../../../../runtime/simulation/virtual-clock.ts";

const noStages = { begin() {}, end() {}, stage() {} };
const usage = { prompt_tokens: 9, completion_tokens: 4, cached_tokens: 3 };

function bookOf(shows_content = true) {
  const clock = new VirtualClock();
  const origin = () => "http://localhost:8000";
  const book = new RequestBook({ clock, node: "frontend-0", shows_content, origin });
  const begin = (id: string, headers: Record<string, string> = {}) => {
    const request = new Request("http://h/v1/completions", { method: "POST", headers });
    const arrival = { id, request, path: "/v1/completions", arrived_ms: clock.now_ms() };
    return book.begin(arrival, "completions", noStages);
  };
  return { book, clock, begin };
}

test("a live request shows its phase, a finished one its figures, and the newest is first", async () => {
  const { book, clock, begin } = bookOf();
  const entry = begin("a");
  expect(book.rows()[0]).toMatchObject({ id: "a", state: "live", phase: "receive", stuck: false });
  await clock.advance(10);
  entry.received(clock.now_ms());
  entry.step(0, { kind: "routing" });
  expect(book.rows()[0]?.phase).toBe("route");
  entry.step(0, { kind: "sent", worker: "w", held: false });
  await clock.advance(30);
  entry.step(0, { kind: "first", times: undefined });
  entry.tokens(1, clock.now_ms());
  expect(book.rows()[0]).toMatchObject({ phase: "decode", ttft_ms: 40, workers: ["w"] });
  await clock.advance(60);
  entry.tokens(3, clock.now_ms());
  entry.finished(usage);
  await clock.advance(5);
  begin("b", { "x-request-id": "mine" });
  expect([book.page("mine", false)?.id, book.page("other", false)]).toEqual(["b", undefined]);
  const [b, a] = book.rows();
  expect([b?.id, book.live]).toEqual(["b", 1]);
  expect(a).toMatchObject({ id: "a", state: "done", status: 200, phase: "", duration_ms: 100 });
  expect(a).toMatchObject({
    ...{ itl_ms: 20, prompt_tokens: 9, output_tokens: 4, cached_tokens: 3 },
  });
  const spans = book.page("a", false)!.spans.filter(({ inside }) => inside === undefined);
  expect(spans.reduce((sum, { start_ms, end_ms }) => sum + end_ms! - start_ms, 0)).toBe(100);
});

test("a request without progress is stuck: after its own pace, or by the length of its prompt", async () => {
  const { book, clock, begin } = bookOf();
  const stuck = () => book.rows()[0]?.stuck;
  const entry = begin("a");
  entry.prompt_tokens = 1_000;
  await clock.advance(9_900);
  expect(stuck()).toBe(false);
  await clock.advance(200);
  expect(stuck()).toBe(true);
  entry.tokens(1, clock.now_ms());
  expect(stuck()).toBe(false);
  await clock.advance(1_000);
  entry.tokens(1, clock.now_ms());
  // A token a second: twenty of them.
  await clock.advance(19_000);
  expect(stuck()).toBe(false);
  await clock.advance(2_000);
  expect(stuck()).toBe(true);
  entry.disconnected();
  expect(book.rows()[0]).toMatchObject({ stuck: false, state: "cancelled" });
});

test("of many quick requests some stay, and all that failed", () => {
  const { book, begin } = bookOf();
  for (let i = 0; i < 400; i++) begin(`${i}`).finished(usage);
  begin("wrong").failed(500, "why");
  const ids = book.rows().map(({ id }) => id);
  expect(ids).toHaveLength(200);
  expect(ids).toContain("wrong");
  expect([ids.includes("199"), ids.includes("200")]).toEqual([true, false]);
});

test("the last 200 are kept, and fewer where they are large; live ones are never dropped", async () => {
  const { book, clock, begin } = bookOf();
  begin("live");
  for (let i = 0; i < 500; i++) {
    begin(`${i}`).finished(usage);
    await clock.advance(20);
  }
  expect(book.rows()).toHaveLength(201);
  expect(book.page("300", false)?.id).toBe("300");
  expect(book.page("299", false)).toBeUndefined();
  for (let i = 0; i < 300; i++) {
    const entry = begin(`large ${i}`);
    entry.step(0, { kind: "routing" });
    entry.follow();
    entry.tokens(1, 0);
    for (let choice = 0; choice < 4; choice++) entry.said(choice, "x".repeat(32_000));
    entry.finished(usage);
    await clock.advance(20);
  }
  const kept = book.rows().length - 1;
  expect([kept > 10, kept < 60]).toEqual([true, true]);
  expect(book.page("live", false)?.state).toBe("live");
});

test("text is kept while somebody follows the request, and the last of it", async () => {
  const { book, clock, begin } = bookOf();
  const entry = begin("a");
  const say = (text: string) => {
    entry.tokens(1, clock.now_ms());
    entry.said(0, text);
  };
  say("before ");
  expect(book.page("a", true)?.text).toBe("");
  say("seen ");
  expect(book.page("a", false)?.text).toBe("seen ");
  await clock.advance(11_000);
  say("after");
  expect(book.page("a", true)?.text).toBe("seen ");
  say("x".repeat(100_000));
  expect(book.page("a", true)?.text).toHaveLength(16 * 1024);
});

test("curl has no secret, and a body only where contents may be shown", () => {
  const headers = {
    authorization: "Bearer sk-secret",
    cookie: "session=secret",
    "x-dynamo-session-id": "s'1",
    "content-type": "application/json",
  };
  for (const shows of [true, false]) {
    const { book, begin } = bookOf(shows);
    const entry = begin("a", headers);
    book.bodyOf(entry, { prompt: "it's me" }, 20);
    entry.follow();
    entry.tokens(1, 1);
    entry.said(0, "an answer");
    const { curl, text } = book.page("a", true)!;
    expect(curl).not.toContain("secret");
    expect(curl).toContain('-H "authorization: Bearer $API_KEY"');
    expect(curl).toContain(`-H 'x-dynamo-session-id: s'\\''1'`);
    expect(curl.includes(`-d '{"prompt":"it'\\''s me"}'`)).toBe(shows);
    expect(text).toBe(shows ? "an answer" : "");
    const large = begin("large");
    book.bodyOf(large, { prompt: "much" }, 17 * 1024);
    expect(book.page("large", true)?.curl).not.toContain("much");
  }
});

test("the router's reasons are asked for a few times a second at most", async () => {
  const { clock, begin } = bookOf();
  const asked = (count: number) =>
    Array.from({ length: count }, (_, i) => begin(`${i}`)).filter(({ explains }) => explains)
      .length;
  expect(asked(100)).toBe(32);
  await clock.advance(1_000);
  expect(asked(100)).toBe(20);
});
