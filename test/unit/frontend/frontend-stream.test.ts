/**
 * Answers on their way out: events, back-pressure, cursors, several prompts, leaving clients.
 *
 * Long because both outputs of an answer are held to one set of rules.
 */
import { expect, test } from "bun:test";
import { meanLogprob, pickBest } from "../../../actors/frontend/answer/choice-collector.ts";
import { CollectedOutput } from "../../../actors/frontend/answer/collected-output.ts";
import { type AnswerOutput, RequestRun } from "../../../actors/frontend/answer/request-run.ts";
import { StreamedOutput } from "../../../actors/frontend/answer/streamed-output.ts";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { ChatChunks } from "../../../actors/frontend/api/chat/chat-format.ts";
import { CompletionChunks } from "../../../actors/frontend/api/completions/completion-format.ts";
import { completions } from "../../../actors/frontend/api/completions/completions.ts";
import type { AnswerHead, Generation } from "../../../actors/frontend/api/dialect.ts";
import { quoted } from "../../../actors/frontend/api/openai-format.ts";
import { FrontendMetrics } from "../../../actors/frontend/frontend-metrics.ts";
import { FlushRounds } from "../../../actors/frontend/http/flush-rounds.ts";
import { SseWriter } from "../../../actors/frontend/http/sse-writer.ts";
import { parseEventId } from "../../../actors/frontend/resume/stream-id.ts";
import type { AnswerRequest } from "../../../actors/stream/stream.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { FakeAnswers, fakeModel, finish, wordPiece } from "../../support/worlds/frontend-fakes.ts";
import { parseEvents } from "../../support/worlds/frontend-server.ts";

const head: AnswerHead = {
  ...{ id: "chatcmpl-r", created_s: 7, model: 'm"1', prompt_tokens: 1, context_length: 1_000 },
  ...{ include_usage: false, logprobs: false },
};

/** The value in an event's data line. */
function dataOf(event: string) {
  expect(event).toStartWith("data: ");
  return JSON.parse(event.slice("data: ".length));
}

function writerWith(buffer_chars: number) {
  const clock = new VirtualClock();
  const heard: string[] = [];
  const opened: (ReadableStream<Uint8Array> | string)[] = [];
  const writer = new SseWriter({
    rounds: new FlushRounds(clock),
    opened: (body) => opened.push(body),
    buffer_chars,
    drained: () => heard.push("drained"),
    cancelled: () => heard.push("cancelled"),
  });
  const reader = () => {
    const [body] = opened;
    if (!(body instanceof ReadableStream)) throw new Error("there must be a stream");
    return body.getReader();
  };
  return { clock, heard, writer, opened, reader };
}

const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

test("what is written within a tick leaves as one chunk", async () => {
  const { clock, writer, opened, reader: open } = writerWith(1000);
  writer.write("a");
  writer.write("b");
  expect(opened).toEqual([]);
  await clock.advance(0);
  writer.write("c");
  writer.close();
  await clock.advance(0);
  const reader = open();
  expect(text((await reader.read()).value)).toBe("ab");
  expect(text((await reader.read()).value)).toBe("c");
  expect((await reader.read()).done).toBe(true);
});

test("a body that is over by its first flush is no stream", async () => {
  const { clock, heard, writer, opened } = writerWith(5);
  writer.write("abc");
  expect(writer.write("def")).toBe(false);
  writer.close();
  await clock.advance(0);
  expect(opened).toEqual(["abcdef"]);
  expect(heard).toEqual([]);
});

test("a body opens for a head without text", async () => {
  const { clock, writer, reader } = writerWith(5);
  writer.arm();
  await clock.advance(0);
  const first = reader().read();
  writer.write("a");
  await clock.advance(0);
  expect(text((await first).value)).toBe("a");
});

test("a client that does not read stalls the writer, and drains it when it reads", async () => {
  const { clock, heard, writer, reader: open } = writerWith(1000);
  expect(writer.write("x".repeat(65_536))).toBe(true === 65_536 <= 1000);
  await clock.advance(0);
  // The queue is full now: what follows is kept here, up to the limit.
  expect(writer.write("y".repeat(900))).toBe(true);
  await clock.advance(0);
  expect(writer.write("z".repeat(200))).toBe(false);
  await clock.advance(0);
  const before = heard.length;
  const reader = open();
  expect((await reader.read()).value?.length).toBe(65_536);
  expect(text((await reader.read()).value)).toBe("y".repeat(900) + "z".repeat(200));
  expect(heard.slice(before)).toEqual(["drained"]);
});

test("a client that leaves cancels once, and later writes go nowhere", async () => {
  const { clock, heard, writer, reader } = writerWith(10);
  writer.write("a");
  await clock.advance(0);
  await reader().cancel();
  expect(writer.write("b".repeat(100))).toBe(true);
  writer.close();
  await clock.advance(0);
  expect(heard).toEqual(["cancelled"]);
});

test("a chunk is JSON whatever the text, and says what it says", () => {
  for (const hard of ["", '"', "\n\n", "\u2028", "\ud800", "\u0000", "😀", "data: x"]) {
    const piece = { kind: "content" as const, choice: 0, text: hard, tokens: [1], delivered: 1 };
    const line = new ChatChunks(head).piece(3, piece, false);
    expect(line).not.toContain("\n");
    expect(dataOf(line)).toEqual({
      id: "chatcmpl-r",
      object: "chat.completion.chunk",
      created: 7,
      model: 'm"1',
      choices: [{ index: 3, delta: { content: hard }, logprobs: null, finish_reason: null }],
    });
  }
});

test("chunks with usage announced carry usage null, the last one usage", () => {
  const format = new ChatChunks({ ...head, include_usage: true });
  const piece = { kind: "content" as const, choice: 0, text: "a", tokens: [1], delivered: 1 };
  expect(dataOf(format.piece(0, piece, true))).toMatchObject({
    usage: null,
    choices: [{ delta: { role: "assistant", content: "a" } }],
  });
  const usage = { prompt_tokens: 3, completion_tokens: 2, cached_tokens: 1 };
  expect(dataOf(format.usage(usage))).toMatchObject({
    choices: [],
    usage: { total_tokens: 5, prompt_tokens_details: { cached_tokens: 1 } },
  });
});

test("logprobs: impossible tokens are -9999, offsets run on through a choice", () => {
  const entry = (token: string, logprob: number) => ({ token, bytes: [], logprob, top: [] });
  const format = new CompletionChunks({ ...head, logprobs: true });
  const piece = (token: string, delivered: number) => ({
    kind: "content" as const,
    choice: 0,
    text: token,
    tokens: [1],
    delivered,
    logprobs: [entry(token, Number.NEGATIVE_INFINITY)],
  });
  expect(dataOf(format.piece(0, piece("abc", 1))).choices[0].logprobs).toEqual({
    tokens: ["abc"],
    token_logprobs: [-9999],
    top_logprobs: [{ abc: -9999 }],
    text_offset: [0],
  });
  expect(dataOf(format.piece(0, piece("d", 2))).choices[0].logprobs.text_offset).toEqual([3]);
});

test("a stop reason is told with the end", () => {
  const end = { choice: 0, reason: "stop" as const, stop_reason: "\n" };
  expect(dataOf(new ChatChunks(head).end(0, end)).choices[0]).toEqual({
    index: 0,
    delta: {},
    logprobs: null,
    finish_reason: "stop",
    stop_reason: "\n",
  });
});

test("the best answers are those with the highest mean log probability", () => {
  const choice = (name: string, ...logprobs: number[]) => ({
    ...{ text: name, tokens: [] },
    logprobs: logprobs.map((logprob) => ({ token: "", bytes: [], logprob, top: [] })),
    end: { choice: 0, reason: "stop" as const },
  });
  const made = [
    choice("bad", -5),
    choice("long", -1, -1, -1),
    choice("none"),
    choice("good", -0.5),
  ];
  expect(pickBest(made, 2).map((one) => one.text)).toEqual(["good", "long"]);
  expect(pickBest(made, 4).map((one) => one.text)).toEqual(["bad", "long", "none", "good"]);
  expect(meanLogprob([])).toBe(Number.NEGATIVE_INFINITY);
});

function request(name: string, choices: number, max_tokens = 4): AnswerRequest {
  return {
    request: name,
    model: "toy",
    prompt: Uint32Array.of(1, 2),
    sampling: {} as AnswerRequest["sampling"],
    choices,
    max_tokens,
    min_tokens: 0,
    stop_tokens: [],
    stop_strings: [],
    include_stop: false,
    ignore_eos: false,
    logprobs: -1,
    deadline_ms: 1000,
    pin: "",
  };
}

function generationOf(
  answers: readonly AnswerRequest[],
  more: Partial<Generation> = {},
): Generation {
  const each = answers[0]?.choices ?? 1;
  return {
    dialect: completions,
    model: fakeModel(),
    answers,
    shown_each: each,
    made_each: each,
    counted_each: each,
    echo: undefined,
    stream: true,
    include_usage: true,
    logprobs: false,
    ...more,
  };
}

function runOf(generation: Generation, output: AnswerOutput, answers: FakeAnswers) {
  const metrics = new Metrics();
  let ended = 0;
  const meter = new FrontendMetrics(metrics, new VirtualClock()).request(
    { model: "toy", endpoint: "completions", type: "stream" },
    0,
    undefined,
    () => {
      ended += 1;
    },
  );
  const run = new RequestRun({
    generation,
    start: answers.start,
    output,
    meter,
    trace: undefined,
    keeps: () => false,
  });
  return { run, metrics, ended: () => ended };
}

function streamed(
  choices: number,
  clock: VirtualClock,
  echo?: (choice: number) => string,
  last_event_id?: string,
) {
  return new StreamedOutput({
    from: last_event_id === undefined ? undefined : parseEventId(last_event_id),
    rounds: new FlushRounds(clock),
    request: "r",
    format: new CompletionChunks(head),
    choices,
    prompts: 1,
    include_usage: true,
    echo,
    headers: {},
    buffer_chars: 1000,
    drained: () => {},
    cancelled: () => {},
  });
}

test("choices of all prompts are numbered through, and the cursor counts each", async () => {
  const clock = new VirtualClock();
  const answers = new FakeAnswers(() => {});
  const generation = generationOf([request("r-0", 2), request("r-1", 2)]);
  const output = streamed(4, clock, (choice) => `p${Math.floor(choice / 2)}:`);
  const { run, ended } = runOf(generation, output, answers);
  run.begin();
  const [first, second] = answers.live;
  if (first === undefined || second === undefined) throw new Error("two answers must start");
  second.sink.piece(wordPiece(second.request, 1, 0));
  first.sink.piece(wordPiece(first.request, 0, 0));
  finish(first, 1);
  expect(ended()).toBe(0);
  finish(second, 1);
  expect(ended()).toBe(1);
  await clock.advance(0);
  const events = parseEvents(await (await output.response).text());
  const shown = events.map(({ id, data }) => {
    if (data === "[DONE]") return `${id} DONE`;
    const { choices, usage } = JSON.parse(data);
    const [choice] = choices;
    if (choice === undefined) return `${id} usage ${usage.total_tokens}`;
    return `${id} ${choice.index} ${choice.finish_reason ?? choice.text}`;
  });
  expect(shown).toEqual([
    "r:0.0.0.0b 3 p1:",
    "r:0.0.0.1 3 w0 ",
    "r:0b.0.0.1 0 p0:",
    "r:1.0.0.1 0 w0 ",
    "r:1f.0.0.1 0 length",
    "r:1f.0b.0.1 1 p0:",
    "r:1f.0f.0.1 1 length",
    "r:1f.0f.0b.1 2 p1:",
    "r:1f.0f.0f.1 2 length",
    "r:1f.0f.0f.1f 3 length",
    "r:1f.0f.0f.1fu usage 8",
    "r:1f.0f.0f.1fud DONE",
  ]);
});

test("a cursor beyond what was made is a 400, as is an end where the answer went on", async () => {
  const status = async (last_event_id: string) => {
    const clock = new VirtualClock();
    const answers = new FakeAnswers(() => {});
    const output = streamed(2, clock, undefined, last_event_id);
    const told = output.response.then(
      async (response) => `${response.status} ${parseEvents(await response.text()).length}`,
      (error: ApiError) => `${error.status} ${error.code} ${error.param}`,
    );
    const { run } = runOf(generationOf([request("r", 2)]), output, answers);
    run.begin();
    const [live] = answers.live;
    if (live === undefined) throw new Error("the answer must start");
    for (const choice of [0, 1]) {
      for (let i = 0; i < 3; i += 1) live.sink.piece(wordPiece(live.request, choice, i));
    }
    finish(live, 3);
    await clock.advance(0);
    return told;
  };
  const odd = "400 invalid_header Last-Event-ID";
  expect(await status("r:3.3")).toBe("200 4");
  expect(await status("r:3f.2")).toBe("200 4");
  expect(await status("r:3f.3f")).toBe("200 2");
  expect(await status("r:4f.3")).toBe(odd);
  expect(await status("r:4.4")).toBe(odd);
  expect(await status("r:9f.9f")).toBe(odd);
  expect(await status("r:2f.3f")).toBe(odd);
  // What the first choice sends is on its way when the second turns out to be odd.
  expect(await status("r:1.4")).toBe("200 4");
});

test("a failure before the first token keeps its status, one after it is an event", async () => {
  const failure = { code: "no_worker", status: 503, message: "none", retry_after_s: 5 } as const;
  const clock = new VirtualClock();
  const early = streamed(1, clock);
  early.failed(failure);
  const error = await early.response.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ status: 503, code: "no_worker", headers: { "Retry-After": "5" } });
  const late = streamed(1, clock);
  late.piece(0, { kind: "content" as const, choice: 0, text: "a", tokens: [1], delivered: 1 });
  late.failed(failure);
  await clock.advance(0);
  const events = parseEvents(await (await late.response).text());
  expect(events.map((event) => event.id)).toEqual(["r:1", "r:1"]);
  expect(JSON.parse(events[1]?.data ?? "")).toEqual({
    error: { message: "none", type: "server_error", code: "no_worker", param: null },
  });
});

test("one prompt that fails takes the others with it, once", () => {
  const answers = new FakeAnswers(() => {});
  const generation = generationOf([request("r-0", 1), request("r-1", 1), request("r-2", 1)]);
  const collected = new CollectedOutput(generation, head);
  const { run, ended } = runOf(generation, collected, answers);
  const failed = collected.json.catch((error: ApiError) => error.code);
  run.begin();
  const [a, b, c] = answers.live;
  if (a === undefined || b === undefined || c === undefined) throw new Error("three must start");
  finish(a, 0);
  b.sink.failed({ code: "worker_lost", status: 503, message: "x" });
  c.sink.failed({ code: "deadline", status: 504, message: "y" });
  c.sink.piece(wordPiece(c.request, 0, 0));
  run.abandon("late");
  expect([a, b, c].map((live) => live.commands.length)).toEqual([0, 0, 1]);
  expect(ended()).toBe(1);
  return expect(failed).resolves.toBe("worker_lost");
});

test("a start that fails at once starts nothing more", async () => {
  const answers = new FakeAnswers((live) =>
    live.sink.failed({ code: "overloaded", status: 529, message: "x" }),
  );
  const generation = generationOf([request("r-0", 1), request("r-1", 1)]);
  const collected = new CollectedOutput(generation, head);
  const { run } = runOf(generation, collected, answers);
  run.begin();
  expect(answers.live.length).toBe(1);
  expect(await collected.json.catch((error: ApiError) => error.status)).toBe(529);
});

test("a client that leaves abandons every answer that is not done, and is counted", async () => {
  const answers = new FakeAnswers(() => {});
  const generation = generationOf([request("r-0", 1), request("r-1", 1)]);
  const collected = new CollectedOutput(generation, head);
  const { run, metrics } = runOf(generation, collected, answers);
  run.begin();
  const [a, b] = answers.live;
  if (a !== undefined) finish(a, 0);
  run.abandon("gone");
  run.abandon("gone");
  expect(a?.commands).toEqual([]);
  expect(b?.commands).toEqual([{ kind: "abandon", reason: "gone" }]);
  expect(metrics.render()).toContain('dynamo_frontend_disconnected_clients{model="toy"} 1');
  expect(metrics.render()).toContain('error_type="cancelled"');
  expect(await collected.json.catch((error: ApiError) => error.status)).toBe(499);
});

test("drained reaches the answers that still run", () => {
  const answers = new FakeAnswers(() => {});
  const generation = generationOf([request("r-0", 1), request("r-1", 1)]);
  const { run } = runOf(generation, new CollectedOutput(generation, head), answers);
  run.begin();
  if (answers.live[0] !== undefined) finish(answers.live[0], 0);
  run.drained();
  expect(answers.live.map((live) => live.commands)).toEqual([[], [{ kind: "drained" }]]);
});

test("text that needs no escape is quoted as JSON would", () => {
  const samples = [
    "",
    "plain text",
    'a"b',
    "a\\b",
    "\n",
    "\u007f",
    "é漢😀",
    "\ud83d",
    "\udc00x",
    "[]",
    "\0",
  ];
  for (let unit = 0; unit < 65_536; unit += 1) samples.push(String.fromCharCode(unit));
  for (const sample of samples) {
    if (quoted(sample) !== JSON.stringify(sample)) expect(sample).toBe("quoted alike");
  }
});
