/** Answers that are long in coming, and bodies that are: what clients see on the wire. */
import { expect, test } from "bun:test";
import { OpenAI } from "openai";
import { FakeAnswers, finish, type Live, wordPiece } from "../support/worlds/frontend-fakes.ts";
import { startDoor, type TestDoor } from "../support/worlds/frontend-server.ts";

const messages = [{ role: "user" as const, content: "hi" }];
const chat = { model: "toy", messages, max_tokens: 2 };

/** Answers that wait for the test. */
function heldAnswers(): { answers: FakeAnswers; begun: () => Promise<Live> } {
  const waiting: ((live: Live) => void)[] = [];
  const came: Live[] = [];
  const answers = new FakeAnswers((live) => {
    const next = waiting.shift();
    if (next === undefined) came.push(live);
    else next(live);
  });
  const begun = () => {
    const live = came.shift();
    return live === undefined
      ? new Promise<Live>((resolve) => waiting.push(resolve))
      : Promise.resolve(live);
  };
  return { answers, begun };
}

const answer = (live: Live) => {
  for (let index = 0; index < 2; index += 1) live.sink.piece(wordPiece(live.request, 0, index));
  finish(live, 2);
};

const clientOf = (door: TestDoor) =>
  new OpenAI({ baseURL: `${door.url}/v1`, apiKey: "none", maxRetries: 0 });

async function firstText(response: Response) {
  const reader = response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const { value } = await reader.read();
  return { text: new TextDecoder().decode(value), reader };
}

async function restOf(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return `${text}(end)`;
      text += new TextDecoder().decode(value);
    }
  } catch {
    return `${text}(reset)`;
  }
}

test("a stream that waits in a queue has its head and comments before its first token", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 45 }, answers);
  const response = await door.post("/v1/chat/completions", { ...chat, stream: true });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toStartWith("text/event-stream");
  const { text, reader } = await firstText(response);
  expect(text).toBe(": still here\n\n");
  answer(await begun());
  const rest = await restOf(reader);
  expect(rest.replaceAll(": still here\n\n", "")).toMatch(/^id: [\w-]{22}:1\ndata: /);
  expect(rest).toEndWith("data: [DONE]\n\n(end)");
});

test("the official client takes comments for what they are", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 30 }, answers);
  const stream = await clientOf(door).chat.completions.create({ ...chat, stream: true });
  const live = await begun();
  let text = "";
  const read = (async () => {
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  })();
  live.sink.piece(wordPiece(live.request, 0, 0));
  // Comments between the two tokens: as many heartbeats pass as the next request's head takes.
  await door.post("/v1/chat/completions", { ...chat, stream: true });
  live.sink.piece(wordPiece(live.request, 0, 1));
  finish(live, 2);
  await read;
  expect(text).toBe("w0 w1 ");
});

test("what fails behind its early head is an event that names no place to go on from", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 30 }, answers);
  const { reader } = await firstText(
    await door.post("/v1/chat/completions", { ...chat, stream: true }),
  );
  (await begun()).sink.failed({ code: "draining", status: 503, message: "going" });
  const rest = await restOf(reader);
  const data = rest.slice(rest.indexOf("data: ") + 6, rest.indexOf("\n\n(end)"));
  expect(JSON.parse(data).error).toEqual({
    ...{ message: "going", type: "server_error", code: "draining", param: null },
  });
});

test("an answer in one piece that takes long begins with blanks; the official client reads it", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 30 }, answers);
  const response = await door.post("/v1/chat/completions", chat);
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "application/json",
  ]);
  answer(await begun());
  const text = await response.text();
  expect(text).toMatch(/^\n+\{/);
  expect(JSON.parse(text).choices[0].message.content).toBe("w0 w1 ");
  const completion = clientOf(door).chat.completions.create(chat);
  const live = await begun();
  // Its own head has gone out by then, as it is the older one.
  await door.post("/v1/chat/completions", chat);
  answer(live);
  expect((await completion).choices[0]?.message.content).toBe("w0 w1 ");
});

test("one that fails behind its early head is cut off before its end, with the reason in it", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 30 }, answers);
  const response = await door.post("/v1/chat/completions", chat);
  (await begun()).sink.failed({ code: "deadline", status: 504, message: "too late" });
  const reader = response.body!.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const text = await restOf(reader);
  expect(text).toEndWith("(reset)");
  expect(JSON.parse(text.replace("(reset)", "")).error.code).toBe("deadline");
  const completion = clientOf(door)
    .chat.completions.create(chat)
    .catch((thrown: unknown) => thrown);
  const live = await begun();
  await door.post("/v1/chat/completions", chat);
  live.sink.failed({ code: "deadline", status: 504, message: "too late" });
  expect(await completion).toBeInstanceOf(Error);
});

test("a client that leaves after the early head stops its answer", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 30 }, answers);
  for (const stream of [true, false]) {
    const leave = new AbortController();
    const init = { signal: leave.signal };
    await door.post("/v1/chat/completions", { ...chat, stream }, init);
    const live = await begun();
    leave.abort();
    const from_ms = performance.now();
    while (live.commands.length === 0 && performance.now() - from_ms < 5_000) await Bun.sleep(5);
    expect(live.commands.map(({ kind }) => kind)).toContain("abandon");
  }
});

test("with no heartbeat the head waits for the first token", async () => {
  const { answers, begun } = heldAnswers();
  await using door = await startDoor({ heartbeat_ms: 0 }, answers);
  const response = door.post("/v1/chat/completions", { ...chat, stream: true });
  (await begun()).sink.failed({ code: "no_worker", status: 503, message: "nobody" });
  expect((await response).status).toBe(503);
});

/** Sends the head and then a byte each `pause_ms`; what came back until the server closed. */
function trickle(port: number, head: string, pause_ms: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    let timer: ReturnType<typeof setInterval>;
    Bun.connect({
      hostname: "127.0.0.1",
      port,
      socket: {
        open: (socket) => {
          socket.write(head);
          timer = setInterval(() => socket.write("x"), pause_ms);
        },
        data: (_, bytes) => {
          text += bytes.toString();
        },
        close: () => {
          clearInterval(timer);
          resolve(text);
        },
        error: () => resolve(text),
      },
    }).catch(reject);
  });
}

const postHead = (bytes: number) =>
  "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
  `Content-Length: ${bytes}\r\n\r\n`;

test("a body that trickles is a 408 in its time, whether it is short or long, and its connection ends", async () => {
  await using door = await startDoor({ body_ms: 200 });
  for (const bytes of [1_000, 1_000_000]) {
    const text = await trickle(door.port, postHead(bytes), 20);
    expect(text).toStartWith("HTTP/1.1 408 ");
    expect(text).toContain('"request_timeout"');
  }
});

test("many long bodies at once are refused before they fill the memory, and short ones pass again", async () => {
  await using door = await startDoor({ bodies_bytes: 600_000, body_ms: 5_000 });
  const long = `{"model":"toy","prompt":"${"x".repeat(400_000)}"}`;
  let unsent = Buffer.from(postHead(long.length) + long.slice(0, 390_000));
  const flush = (socket: { write(bytes: Buffer): number }) => {
    unsent = unsent.subarray(Math.max(0, socket.write(unsent)));
  };
  const half = await new Promise<{ end(): void }>((resolve) => {
    Bun.connect({
      hostname: "127.0.0.1",
      port: door.port,
      socket: {
        open: (socket) => {
          flush(socket);
          resolve({ end: () => socket.terminate() });
        },
        drain: flush,
        data: () => {},
      },
    });
  });
  const status = async (body: string) => {
    const response = await door.post("/v1/completions", body).catch(() => undefined);
    const text = (await response?.text().catch(() => "")) ?? "";
    return `${response?.status} ${text.includes("bodies_in_flight")}`;
  };
  const from_ms = performance.now();
  // Until the half body has come as far as it was sent.
  while ((await status(long)) !== "503 true" && performance.now() - from_ms < 4_000) {
    await Bun.sleep(5);
  }
  expect(await status(long)).toBe("503 true");
  expect(await status('{"model":"toy","prompt":"hi"}')).toBe("200 false");
  half.end();
  while ((await status(long)) !== "400 false" && performance.now() - from_ms < 8_000) {
    await Bun.sleep(5);
  }
  expect(await status(long)).toBe("400 false");
});

test("bodies that are only announced, of any size, keep nobody out", async () => {
  await using door = await startDoor({ bodies_bytes: 600_000, body_ms: 20_000 });
  const open: { terminate(): void }[] = [];
  for (const bytes of [16_384, 16_385, 262_144, 1_000_000]) {
    for (let i = 0; i < 40; i += 1) {
      const socket = await Bun.connect({
        hostname: "127.0.0.1",
        port: door.port,
        socket: { data: () => {} },
      });
      socket.write(`${postHead(bytes)}{`);
      open.push(socket);
    }
  }
  // All of them are under way once the door has answered to a request that came behind them.
  for (const size of [2, 30_000, 400_000]) {
    const body = `{"model":"toy","prompt":"${"x".repeat(size)}","max_tokens":1}`;
    const response = await door.post("/v1/completions", body);
    expect([size, await response.text()]).not.toEqual([
      size,
      expect.stringContaining("bodies_in_flight"),
    ]);
    expect([size, response.status]).toEqual([size, size === 2 ? 200 : 400]);
  }
  for (const socket of open) socket.terminate();
});
