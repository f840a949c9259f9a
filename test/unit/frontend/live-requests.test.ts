/** What quiet requests say, and when; what is live under a virtual clock. */
import { expect, test } from "bun:test";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { openAiErrorBody } from "../../../actors/frontend/api/openai-format.ts";
import { BodyBudget } from "../../../actors/frontend/http/body-budget.ts";
import { FlushRounds } from "../../../actors/frontend/http/flush-rounds.ts";
import { LateJson } from "../../../actors/frontend/http/late-json.ts";
import { LiveRequests } from "../../../actors/frontend/http/live-requests.ts";
import { SseWriter } from "../../../actors/frontend/http/sse-writer.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";

const nothing = () => {};

async function textUntilEnd(response: Response): Promise<string> {
  let text = "";
  try {
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += new TextDecoder().decode(bytes);
    }
    return `${text}(end)`;
  } catch {
    return `${text}(reset)`;
  }
}

test("a stream is never silent for longer than the heartbeat, and says nothing beside its tokens", async () => {
  const clock = new VirtualClock();
  const live = new LiveRequests(clock, 15_000);
  const heard: [number, string][] = [];
  const writer = new SseWriter({
    rounds: new FlushRounds(clock),
    opened: (body) => {
      void (async () => {
        for await (const bytes of body as unknown as AsyncIterable<Uint8Array>) {
          heard.push([clock.now_ms(), new TextDecoder().decode(bytes)]);
        }
      })();
    },
    buffer_chars: 1_000,
    drained: nothing,
    cancelled: nothing,
  });
  const number = live.add({ cut: nothing, quiet: writer, exchange: undefined });
  await clock.advance(47_000);
  const comments = heard.splice(0);
  expect(comments.every(([, text]) => text === ": still here\n\n")).toBe(true);
  expect(comments).toHaveLength(3);
  let last_ms = 0;
  for (const [at_ms] of comments) {
    expect(at_ms - last_ms).toBeLessThanOrEqual(15_000);
    expect(at_ms - last_ms).toBeGreaterThan(12_000);
    last_ms = at_ms;
  }
  for (let i = 0; i < 60; i += 1) {
    writer.write(`data: ${i}\n\n`);
    await clock.advance(10_000);
  }
  expect(heard.filter(([, text]) => text.startsWith(":"))).toEqual([]);
  live.remove(number);
  await clock.advance(120_000);
  expect(heard).toHaveLength(60);
});

test("without a heartbeat nothing is said; who lives for long may be silent, until it ends", async () => {
  const clock = new VirtualClock();
  const live = new LiveRequests(clock, 0);
  const told: boolean[] = [];
  let looks = 0;
  const quiet = { look: () => void looks++ };
  const exchange = { client: "", mayBeSilent: (yes: boolean) => void told.push(yes) };
  const short = live.add({ cut: nothing, quiet, exchange });
  await clock.advance(5_000);
  live.remove(short);
  expect(told).toEqual([]);
  const long = live.add({ cut: nothing, quiet, exchange });
  await clock.advance(60_000);
  expect(told).toEqual([true]);
  live.remove(long);
  expect([told, looks, live.size]).toEqual([[true, false], 0, 0]);
});

test("with nothing live there is no timer", async () => {
  const clock = new VirtualClock();
  const live = new LiveRequests(clock, 15_000);
  live.remove(live.add({ cut: nothing, quiet: undefined, exchange: undefined }));
  await clock.advance(1_000);
  expect(clock.pending).toBe(0);
});

function lateJson() {
  const clock = new VirtualClock();
  const live = new LiveRequests(clock, 15_000);
  const request = new Request("http://x/v1/completions");
  const context = {
    ...{ request, path: "/", id: "r", headers: { "X-Request-Id": "r" }, arrived_ms: 0 },
    form: { errorBody: openAiErrorBody },
  };
  const late = new LateJson(context, clock, nothing);
  let settle: { text(text: string): void; fail(error: Error): void } | undefined;
  const json = new Promise<string>((resolve, reject) => {
    settle = { text: resolve, fail: reject };
  });
  live.add({ cut: nothing, quiet: late, exchange: undefined });
  return { clock, late, settle: settle!, response: late.from(json) };
}

test("an answer in one piece keeps its status for three heartbeats", async () => {
  const { clock, settle, response } = lateJson();
  await clock.advance(44_000);
  settle.fail(new ApiError(503, "no_worker", "nobody"));
  await expect(response).rejects.toMatchObject({ status: 503 });
});

test("one that takes longer begins with blanks, and is still the same JSON", async () => {
  const { clock, settle, response } = lateJson();
  await clock.advance(46_000);
  const head = await response;
  expect([head.status, head.headers.get("x-request-id")]).toEqual([200, "r"]);
  const text = textUntilEnd(head);
  await clock.advance(60_000);
  settle.text('{"a":1}');
  expect(await text).toBe('\n\n\n\n\n{"a":1}(end)');
});

test("one that fails after that says why, and is no whole answer", async () => {
  const { clock, settle, response } = lateJson();
  await clock.advance(46_000);
  const text = textUntilEnd(await response);
  settle.fail(new ApiError(504, "deadline", "too late"));
  await clock.advance(1_000);
  const told = await text;
  expect(told).toEndWith("(reset)");
  expect(JSON.parse(told.slice(0, -"(reset)".length)).error).toMatchObject({ code: "deadline" });
});

test("bodies of all requests share one budget", () => {
  const budget = new BodyBudget(100);
  const [one, two] = [budget.open(), budget.open()];
  one.take(60);
  two.take(40);
  expect(() => two.take(1)).toThrow(ApiError);
  one.close();
  two.take(60);
  expect(budget.held_bytes).toBe(100);
  two.close();
  two.close();
  expect(budget.held_bytes).toBe(0);
});
