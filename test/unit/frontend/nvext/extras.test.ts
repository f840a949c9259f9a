/** What `nvext` asks for beside an answer: annotations as events, members of `nvext` in answers. */
import { expect, test } from "bun:test";
import { parsedDoor } from "../../../support/worlds/parsed-door.ts";

const all = {
  annotations: ["request_id", "formatted_prompt", "token_ids", "llm_metrics", "odd"],
  extra_fields: ["worker_id", "timing", "stop_reason", "odd"],
};

const chat = { model: "toy", messages: [{ role: "user", content: "hi" }], max_tokens: 5 };

const doorWith = (choices: readonly (readonly string[])[]) => {
  const door = parsedDoor({ tool: "none", reasoning: "none" });
  door.script = { choices, stop_reason: "END" };
  return door;
};

const nvext = {
  worker_id: { prefill_worker_id: "w1", decode_worker_id: "w1" },
  timing: {
    ...{ request_received_ms: expect.any(Number), ttft_ms: expect.any(Number) },
    ...{ itl_ms: expect.any(Number), total_time_ms: expect.any(Number) },
  },
  stop_reason: "END",
};

/** Events without their ids. */
const eventsOf = (text: string) =>
  text
    .trimEnd()
    .split("\n\n")
    .map((block) => block.slice(block.indexOf("\n") + 1));

const idsOf = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id!);

test("annotations are events whose value is a comment; extra fields are in the last chunk", async () => {
  const door = doorWith([["a", "b"]]);
  const body = { ...chat, stream: true, nvext: all };
  const text = await (await door.ask("POST", "/v1/chat/completions", body)).text();
  const events = eventsOf(text);
  const [prompt] = door.answers.live.map(({ request }) => request.prompt);
  expect(events.slice(0, 3)).toEqual([
    expect.stringMatching(/^event: request_id\n: "chatcmpl-[\w-]{22}"$/),
    `event: formatted_prompt\n: "<bos>[user]hi;[assistant]"`,
    `event: token_ids\n: [${[...prompt!].join(",")}]`,
  ]);
  expect(events.slice(-3, -1)).toEqual([
    `event: llm_metrics\n: {"input_tokens":${prompt!.length},"output_tokens":2,"chunk_tokens":0}`,
    expect.stringMatching(/^data: /),
  ]);
  expect(JSON.parse(events.at(-2)!.slice("data: ".length))).toMatchObject({
    choices: [{ finish_reason: "stop" }],
    nvext,
  });
});

test("where usage is told, llm_metrics comes behind it and knows what a cache had", async () => {
  const door = doorWith([["a", "b"]]);
  const stream_options = { include_usage: true };
  const body = { ...chat, stream: true, stream_options, nvext: { annotations: ["llm_metrics"] } };
  const text = await (await door.ask("POST", "/v1/chat/completions", body)).text();
  const blocks = text.trimEnd().split("\n\n");
  const [usage, metrics] = blocks.slice(-3);
  expect(usage).toContain('"usage":{');
  expect(metrics).toMatch(/^event: llm_metrics\n: \{.*"output_tokens":2,.*"cached_tokens":\d+\}$/);
});

test("a stream with annotations is resumed behind each of its events", async () => {
  const door = doorWith([["a", "b"]]);
  const body = { ...chat, stream: true, nvext: { annotations: all.annotations } };
  const text = await (await door.ask("POST", "/v1/chat/completions", body)).text();
  const blocks = text.trimEnd().split("\n\n");
  const ids = idsOf(text);
  expect(new Set(ids).size).toBe(blocks.length);
  const path = `/v1/streams/${ids[0]!.split(":")[0]}`;
  for (let at = 0; at < blocks.length - 1; at += 1) {
    const rest = await door.ask("GET", path, undefined, { "last-event-id": ids[at]! });
    expect((await rest.text()).trimEnd().split("\n\n")).toEqual(blocks.slice(at + 1));
  }
});

test("an echo and an answer without a token have them too", async () => {
  const door = doorWith([[]]);
  const body = { model: "toy", prompt: "hi", echo: true, stream: true, nvext: all };
  const text = await (await door.ask("POST", "/v1/completions", body)).text();
  const events = eventsOf(text);
  expect(events[0]).toStartWith("event: request_id");
  expect(events[3]).toContain('"text":"hi"');
  const ids = idsOf(text);
  const path = `/v1/streams/${ids[0]!.split(":")[0]}`;
  const rest = await door.ask("GET", path, undefined, { "last-event-id": ids[1]! });
  expect(eventsOf(await rest.text()).slice(0, 2)).toEqual(events.slice(2, 4));
});

test("an answer in one piece has extra fields; messages have them in their last words", async () => {
  const whole = async (path: string, body: object) =>
    (await (await doorWith([["a", "b"]]).ask("POST", path, body)).json()) as object;
  expect(await whole("/v1/chat/completions", { ...chat, nvext: all })).toMatchObject({ nvext });
  expect(await whole("/v1/messages", { ...chat, nvext: all })).toMatchObject({ nvext });
  expect(await whole("/v1/chat/completions", chat)).not.toHaveProperty("nvext");
  const streamed = { ...chat, stream: true, nvext: all };
  const text = await (await doorWith([["a", "b"]]).ask("POST", "/v1/messages", streamed)).text();
  const delta = eventsOf(text).find((event) => event.startsWith("event: message_delta"))!;
  expect(JSON.parse(delta.slice(delta.indexOf("data: ") + 6))).toMatchObject({ nvext });
});

test("token ids are the prompt, and greedy is greedy", async () => {
  const door = doorWith([["a"]]);
  const more = { nvext: { token_data: [104, 105], greed_sampling: true }, temperature: 1 };
  for (const [path, body] of [
    ["/v1/chat/completions", chat],
    ["/v1/completions", { model: "toy", prompt: "not this" }],
  ] as const) {
    expect((await door.ask("POST", path, { ...body, ...more })).status).toBe(200);
    const { prompt, sampling } = door.answers.last.request;
    expect([...prompt]).toEqual([104, 105]);
    expect(sampling.temperature).toBe(0);
    const beyond = { ...body, nvext: { token_data: [9_999] } };
    expect((await door.ask("POST", path, beyond)).status).toBe(400);
  }
});

test("hints of agents route as the headers do, which win", async () => {
  const door = doorWith([["a"]]);
  const hints = {
    agent_hints: { priority: 3, strict_priority: 2, osl: 9, speculative_prefill: true },
    session_control: { session_id: "s", action: "bind" },
    decode_worker_id: "w7",
  };
  await door.ask("POST", "/v1/chat/completions", { ...chat, nvext: hints });
  const { request } = door.answers.last;
  expect(request.pin).toBe("w7");
  expect(request.hints).toMatchObject({
    ...{ session: "s", priority_jump_ms: 3_000, strict_priority: 2 },
  });
  const headers = { "x-dynamo-session-id": "h", "x-dynamo-request-priority": "0" };
  await door.ask("POST", "/v1/chat/completions", { ...chat, nvext: hints }, headers);
  expect(door.answers.last.request.hints).toMatchObject({ session: "h", priority_jump_ms: 0 });
});
