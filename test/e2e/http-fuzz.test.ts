/**
 * Whatever is sent to the door, the answer is valid or an error of OpenAI's shape: never a 500, a
 * hang or a crash. Every property prints its seed when it fails.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import fc from "fast-check";
import { parseEvents, startDoor, type TestDoor } from "../support/worlds/frontend-server.ts";

let door: TestDoor;
beforeAll(async () => {
  door = await startDoor({ body_ms: 2000 });
});
afterAll(async () => {
  const unforeseen = door.log.lines.filter((line) => line.level === "error");
  await door[Symbol.asyncDispose]();
  expect(unforeseen).toEqual([]);
});

const paths = [
  ...["/v1/chat/completions", "/v1/completions", "/v1/embeddings"],
  ...["/tokenize", "/detokenize", "/inference/v1/generate"],
];
const hang_ms = 10_000;

type Answer = { readonly status: number; readonly type: string; readonly text: string };

async function send(path: string, init: RequestInit): Promise<Answer> {
  const signal = AbortSignal.timeout(hang_ms);
  const headers = { "content-type": "application/json", ...(init.headers as object) };
  const response = await fetch(door.url + path, { ...init, headers, signal });
  const type = response.headers.get("content-type") ?? "";
  return { status: response.status, type, text: await response.text() };
}

function checkAnswer(answer: Answer): void {
  expect(answer.status).not.toBe(500);
  if (answer.status === 200) {
    if (answer.type.startsWith("text/event-stream")) {
      expect(parseEvents(answer.text).at(-1)?.data).toBe("[DONE]");
    } else {
      expect(typeof JSON.parse(answer.text)).toBe("object");
    }
    return;
  }
  expect(answer.type).toBe("application/json");
  const { error } = JSON.parse(answer.text);
  expect(Object.keys(error)).toEqual(["message", "type", "code", "param"]);
  expect([typeof error.message, typeof error.type, typeof error.code]).toEqual([
    "string",
    "string",
    "string",
  ]);
  expect(error.message.isWellFormed()).toBe(true);
}

const postAll = async (
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<void> => {
  for (const path of paths) checkAnswer(await send(path, { method: "POST", body, headers }));
};

const hardText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "",
    "\u0000",
    "\ud800",
    "\udfff",
    "a\ud83d",
    "\ufeff",
    "<|im_start|>",
    "{{x}}",
    "😀",
  ),
);
const hardNumber = fc.oneof(
  fc.constantFrom(0, -0, 1, -1, 1e308, -1e308, 2 ** 53, 2 ** 64, 1e-300, 0.1),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
);
const value: fc.Arbitrary<unknown> = fc.oneof(
  hardText,
  hardNumber,
  fc.constantFrom(null, true, false),
  fc.jsonValue({ maxDepth: 4 }),
  fc.array(fc.oneof(hardText, hardNumber, fc.constant(null)), { maxLength: 6 }),
);
const message = fc.record(
  {
    role: fc.oneof(fc.constantFrom("system", "user", "assistant", "developer", "tool"), value),
    content: fc.oneof(hardText, value, fc.array(fc.record({ type: hardText, text: hardText }))),
    name: value,
    tool_call_id: fc.oneof(fc.constantFrom("a", "b"), value),
    tool_calls: fc.oneof(
      fc.array(
        fc.record({
          id: fc.oneof(fc.constantFrom("a", "b"), value),
          type: fc.constant("function"),
          function: fc.record({ name: hardText, arguments: fc.oneof(fc.json(), value) }),
        }),
        { maxLength: 2 },
      ),
      value,
    ),
    reasoning_content: value,
  },
  { requiredKeys: [] },
);
const tool = fc.record(
  {
    type: fc.oneof(fc.constant("function"), value),
    function: fc.oneof(
      fc.record({ name: fc.constantFrom("f", "g", "a b"), description: value, parameters: value }),
      value,
    ),
  },
  { requiredKeys: [] },
);
const common = {
  temperature: value,
  top_p: value,
  top_k: value,
  n: fc.oneof(fc.integer({ min: 1, max: 3 }), value),
  stream: fc.oneof(fc.boolean(), value),
  stream_options: fc.oneof(fc.record({ include_usage: fc.boolean() }), value),
  max_tokens: fc.oneof(fc.integer({ min: 0, max: 4 }), value),
  min_tokens: value,
  seed: value,
  stop: value,
  stop_token_ids: value,
  logit_bias: fc.oneof(fc.dictionary(fc.string({ maxLength: 4 }), hardNumber), value),
  logprobs: value,
  top_logprobs: value,
  user: value,
  echo: value,
  best_of: value,
  tools: fc.oneof(fc.array(tool, { maxLength: 2 }), value),
  tool_choice: fc.oneof(fc.constantFrom("none", "auto", "required"), tool, value),
  parallel_tool_calls: value,
  response_format: value,
  suffix: value,
  encoding_format: value,
  dimensions: value,
};
const body = fc.record(
  {
    model: fc.oneof({ weight: 5, arbitrary: fc.constant("toy") }, value),
    messages: fc.oneof({ weight: 3, arbitrary: fc.array(message, { maxLength: 3 }) }, value),
    prompt: value,
    input: value,
    ...common,
  },
  { requiredKeys: [] },
);
const asJson = fc.oneof(
  body.map((object) => JSON.stringify(object)),
  // Well formed but for one place.
  fc.tuple(body, fc.nat(), hardText).map(([object, at, text]) => {
    const json = JSON.stringify(object);
    const cut = at % (json.length + 1);
    return json.slice(0, cut) + text + json.slice(cut);
  }),
  fc.json({ maxDepth: 6 }),
  hardText,
);

const runs = { numRuns: 250 };

test("property: any body at any route", async () => {
  await fc.assert(
    fc.asyncProperty(asJson, (text) => postAll(text)),
    runs,
  );
}, 60_000);

test("property: fields one by one in a request that is otherwise good", async () => {
  const good = {
    model: "toy",
    messages: [{ role: "user", content: "hi" }],
    max_tokens: 2,
  };
  const field = fc.constantFrom(...Object.keys(common));
  await fc.assert(
    fc.asyncProperty(field, value, hardText, async (name, given, unknown) => {
      const text = JSON.stringify({ ...good, [name]: given });
      checkAnswer(await send("/v1/chat/completions", { method: "POST", body: text }));
      const named = JSON.stringify({ ...good, [unknown]: given });
      checkAnswer(await send("/v1/chat/completions", { method: "POST", body: named }));
    }),
    runs,
  );
}, 60_000);

test("property: any bytes", async () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  await fc.assert(
    fc.asyncProperty(bytes, (raw) => postAll(new Uint8Array(raw))),
    runs,
  );
}, 60_000);

test("property: any method at any path with any header values", async () => {
  const path = fc.oneof(
    fc.constantFrom(...paths, "/v1/models", "/v1/models/toy", "/health", "/live", "/", "/v1"),
    fc.webPath(),
    fc.string().map((text) => `/v1/models/${encodeURIComponent(text.toWellFormed())}`),
  );
  const method = fc.constantFrom("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD");
  const header = fc.string({ maxLength: 40 }).map((text) => text.replace(/[^\x20-\x7e]/g, ""));
  await fc.assert(
    fc.asyncProperty(path, method, header, async (where, how, said) => {
      const answer = await send(where, {
        method: how,
        headers: { Authorization: said, Origin: said, "X-Request-Id": said, traceparent: said },
        ...(how === "POST" || how === "PUT" ? { body: said } : {}),
      });
      if (how === "HEAD" || answer.status === 204) expect(answer.text).toBe("");
      else if (answer.status === 200) expect(answer.text.length).toBeGreaterThan(0);
      else checkAnswer(answer);
    }),
    runs,
  );
}, 60_000);

test("bodies around and far over the limit", async () => {
  const limit = 45 * 1024 * 1024;
  const frame = '{"model":"toy","prompt":""}';
  const full = `{"model":"toy","prompt":"${"x".repeat(limit - frame.length)}"}`;
  expect(full.length).toBe(limit);
  const fits = await send("/v1/completions", { method: "POST", body: full });
  expect([fits.status, JSON.parse(fits.text).error.code]).toEqual([400, "context_length_exceeded"]);
  const over = await send("/v1/completions", { method: "POST", body: `${full} ` });
  expect([over.status, JSON.parse(over.text).error.code]).toEqual([413, "request_too_large"]);
  const hostile = [
    "[".repeat(limit),
    `${'{"a":'.repeat(limit / 5)}`,
    `[${"{},".repeat(limit / 3 - 1)}0]`,
    `{${Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":0`).join()}}`,
    `{"messages":[${"0,".repeat(1_000_000)}0],"model":"toy"}`,
  ];
  for (const text of hostile) {
    checkAnswer(await send("/v1/chat/completions", { method: "POST", body: text }));
  }
}, 120_000);

/** Sends raw bytes, then half-closes, closes or waits, and returns what came back. */
async function raw(bytes: string, then: "end" | "terminate" | "wait"): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => resolve(`${text} (waited)`), 200);
    Bun.connect({
      hostname: "127.0.0.1",
      port: door.port,
      socket: {
        open: (socket) => {
          socket.write(bytes);
          if (then === "end") socket.shutdown();
          if (then === "terminate") socket.terminate();
        },
        data: (_, data) => {
          text += data.toString();
        },
        close: () => {
          clearTimeout(timer);
          resolve(text);
        },
        error: () => resolve(text),
      },
    }).catch(reject);
  });
}

test("half requests, broken HTTP and sockets that die leave the door open", async () => {
  const post =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
  const requests = [
    "",
    "\r\n\r\n",
    "GET",
    "GARBAGE\r\n\r\n",
    `${post}Content-Length: 100\r\n\r\n{"model"`,
    `${post}Content-Length: -5\r\n\r\n`,
    `${post}Content-Length: 99999999999999999999\r\n\r\n`,
    `${post}Content-Length: abc\r\n\r\n{}`,
    `${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
    `${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
    `${post}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}`,
    `${post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    "GET /v1/models HTTP/1.1\r\n\r\n",
    `GET /${"a".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n",
  ];
  for (const bytes of requests) {
    for (const then of ["end", "terminate", "wait"] as const) {
      expect(await raw(bytes, then)).not.toContain("500 Internal");
    }
  }
  expect((await fetch(`${door.url}/health`)).status).toBe(200);
}, 60_000);

test("after all that nothing is live and the door still answers", async () => {
  const answer = await send("/v1/chat/completions", {
    method: "POST",
    body: JSON.stringify({ model: "toy", messages: [{ role: "user", content: "hi" }] }),
  });
  expect(answer.status).toBe(200);
  const { live } = await door.system.ask(door.actor, { kind: "get_door" }, { deadline_ms: 1000 });
  expect(live).toBe(0);
});
