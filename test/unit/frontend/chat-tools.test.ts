/** Calls and reasoning in chat answers: whole, streamed over every cut, resumed. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { ChatCompletion, ChatCompletionChunk } from "openai/resources/chat/completions";
import { parseEvents } from "../../support/worlds/frontend-server.ts";
import { type ParsedDoor, parsedDoor } from "../../support/worlds/parsed-door.ts";

const tool = (name: string) => ({
  type: "function",
  function: {
    name,
    description: "What it does.",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
});

const body = {
  model: "toy",
  messages: [{ role: "user", content: "hi" }],
  tools: [tool("weather"), tool("time")],
};

const HERMES = { tool: "hermes", reasoning: "qwen3" };
const OUTPUT =
  "<think>The user is in Bern, <b>maybe</b>.</think>One moment. " +
  '<tool_call>\n{"name": "weather", "arguments": {"city": "B\\u00e9rn \\"<think>\\""}}\n</tool_call>\n' +
  '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>';
const CALLS = [
  { name: "weather", arguments: '{"city": "B\\u00e9rn \\"<think>\\""}' },
  { name: "time", arguments: "{}" },
];

type Message = ChatCompletion.Choice["message"] & { reasoning_content?: string };
type Choice = { message: Message; finish_reason: string | null };

async function whole(door: ParsedDoor, more: object = {}): Promise<ChatCompletion> {
  const response = await door.ask("POST", "/v1/chat/completions", { ...body, ...more });
  expect(response.status).toBe(200);
  return (await response.json()) as ChatCompletion;
}

async function events(door: ParsedDoor, more: object = {}, headers: object = {}) {
  const asked = { ...body, ...more, stream: true };
  const response = await door.ask("POST", "/v1/chat/completions", asked, headers);
  expect(response.status).toBe(200);
  return parseEvents(await response.text());
}

const chunksOf = (all: readonly { readonly data: string }[]): ChatCompletionChunk[] =>
  all.slice(0, -1).map(({ data }) => JSON.parse(data) as ChatCompletionChunk);

/** What a client has of each choice after these chunks; fails where a delta is out of order. */
function folded(chunks: readonly ChatCompletionChunk[]): Choice[] {
  const choices: Choice[] = [];
  for (const chunk of chunks) {
    for (const { index, delta, finish_reason } of chunk.choices) {
      const empty = { role: "assistant", content: null, refusal: null } as const;
      choices[index] ??= { message: { ...empty }, finish_reason: null };
      const choice = choices[index];
      const { message } = choice;
      const { reasoning_content } = delta as { reasoning_content?: string };
      if (delta.content) message.content = (message.content ?? "") + delta.content;
      if (reasoning_content !== undefined) {
        message.reasoning_content = (message.reasoning_content ?? "") + reasoning_content;
      }
      for (const { index: at, id, function: made } of delta.tool_calls ?? []) {
        message.tool_calls ??= [];
        if (id !== undefined) {
          expect(at).toBe(message.tool_calls.length);
          const { name = "", arguments: given = "" } = made ?? {};
          message.tool_calls.push({ id, type: "function", function: { name, arguments: given } });
          continue;
        }
        const call = message.tool_calls[at];
        if (call?.type !== "function") throw new Error("arguments of a call that has not begun");
        call.function.arguments += made?.arguments ?? "";
      }
      choice.finish_reason = finish_reason;
    }
  }
  return choices;
}

/** The same without ids, which each request has of its own. */
const plain = ({ message, finish_reason }: Choice | ChatCompletion.Choice) => {
  const { content, tool_calls, reasoning_content } = message as Message;
  return {
    ...{ content, reasoning_content, finish_reason },
    calls: tool_calls?.map((call) => (call.type === "function" ? call.function : undefined)),
  };
};

function cutAt(output: string, cuts: readonly number[]): string[] {
  const places = [...new Set([0, ...cuts, output.length])].sort((a, b) => a - b);
  return places.slice(1).map((to, i) => output.slice(places[i], to));
}

test("an answer in one piece has content, reasoning, calls and their finish reason", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [cutAt(OUTPUT, [])] };
  const answer = await whole(door);
  expect(plain(answer.choices[0]!)).toEqual({
    ...{ content: "One moment. ", reasoning_content: "The user is in Bern, <b>maybe</b>." },
    ...{ finish_reason: "tool_calls", calls: CALLS },
  });
  const ids = answer.choices[0]!.message.tool_calls!.map(({ id }) => id);
  for (const id of ids) expect(id).toMatch(/^call_[0-9A-Za-z]{22}$/);
  expect(new Set(ids).size).toBe(2);
});

test("only calls: the content is null", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [[OUTPUT.slice(OUTPUT.indexOf("<tool_call>"))]] };
  expect((await whole(door)).choices[0]!.message.content).toBeNull();
  const [first] = chunksOf(await events(door));
  expect(first?.choices[0]?.delta).toMatchObject({ role: "assistant", content: null });
});

test("streamed is whole, wherever the text is cut", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [[OUTPUT]] };
  const expected = plain((await whole(door)).choices[0]!);
  const cut = fc.array(fc.integer({ min: 1, max: OUTPUT.length - 1 }), { maxLength: 40 });
  const check = async (cuts: readonly number[]) => {
    door.script = { choices: [cutAt(OUTPUT, cuts)] };
    const chunks = chunksOf(await events(door));
    expect(chunks[0]?.choices[0]?.delta.role).toBe("assistant");
    expect(folded(chunks).map(plain)).toEqual([expected]);
    expect(plain((await whole(door)).choices[0]!)).toEqual(expected);
  };
  await check(Array.from(OUTPUT, (_, i) => i));
  await fc.assert(fc.asyncProperty(cut, check), { numRuns: 50, seed: 1 });
});

test("taken up behind any event, the rest is the rest, inside of a call too", async () => {
  const parts = cutAt(
    OUTPUT,
    Array.from(OUTPUT, (_, i) => 3 * i),
  );
  const door = parsedDoor(HERMES);
  door.script = { choices: [parts, [...parts].reverse()] };
  const more = { n: 2, stream_options: { include_usage: true }, temperature: 1 };
  const all = await events(door, more, { "x-resumable": "true" });
  const request = all[0]!.id.slice(0, all[0]!.id.indexOf(":"));
  for (let at = 0; at < all.length - 1; at += 1) {
    const headers = { "last-event-id": all[at]!.id };
    const rest = await door.ask("GET", `/v1/streams/${request}`, undefined, headers);
    expect(rest.status).toBe(200);
    const datas = parseEvents(await rest.text()).map(({ data }) => data);
    expect(datas).toEqual(all.slice(at + 1).map(({ data }) => data));
  }
});

test("several choices have parsers of their own; equal answers differ in their calls' ids", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [[OUTPUT], ["just text"]] };
  const answer = await whole(door, { n: 2, temperature: 1 });
  expect(answer.choices.map((choice) => plain(choice).calls?.length)).toEqual([2, undefined]);
  expect(answer.choices.map(({ finish_reason }) => finish_reason)).toEqual(["tool_calls", "stop"]);
  const equal = await whole(door, { n: 2, temperature: 0 });
  const ids = equal.choices.flatMap(({ message }) => message.tool_calls!.map(({ id }) => id));
  expect(new Set(ids).size).toBe(4);
});

test("tokens of the reasoning are counted, its markers and the rest are not", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [["<think>", "a", " b", " c", "</think>", "d"]] };
  const { usage } = await whole(door);
  expect(usage?.completion_tokens_details).toEqual({ reasoning_tokens: 3 });
  const chunks = chunksOf(await events(door, { stream_options: { include_usage: true } }));
  expect(chunks.at(-1)?.usage?.completion_tokens_details).toEqual({ reasoning_tokens: 3 });
  const none = parsedDoor({ tool: "hermes", reasoning: "none" });
  none.script = door.script;
  expect((await whole(none)).usage).not.toHaveProperty("completion_tokens_details");
});

test("with log probabilities each token has a chunk, as each has an entry of the whole", async () => {
  const door = parsedDoor(HERMES);
  const parts = cutAt(OUTPUT, [3, 9, 60, 80, 81, 100, 130]);
  door.script = { choices: [parts] };
  const answer = await whole(door, { logprobs: true });
  expect(answer.choices[0]!.logprobs!.content!.map(({ token }) => token)).toEqual(parts);
  const chunks = chunksOf(await events(door, { logprobs: true }));
  expect(chunks).toHaveLength(parts.length + 1);
  const streamed = chunks.flatMap(({ choices }) => choices[0]?.logprobs?.content ?? []);
  expect(streamed).toEqual(answer.choices[0]!.logprobs!.content!);
});

test("an answer cut inside a call ends with length and without that call", async () => {
  const door = parsedDoor(HERMES);
  const output = OUTPUT.slice(0, OUTPUT.lastIndexOf('"arguments": {}') + 14);
  door.script = { choices: [[output]], reason: "length" };
  const [choice] = (await whole(door)).choices;
  expect(plain(choice!)).toMatchObject({ finish_reason: "length", calls: [CALLS[0]] });
  const [streamed] = folded(chunksOf(await events(door)));
  expect(streamed!.finish_reason).toBe("length");
});

test("a stop string behind a call is the client's end, and the call counts", async () => {
  const door = parsedDoor(HERMES);
  const end = OUTPUT.indexOf("</tool_call>") + "</tool_call>".length;
  for (const [to, finish_reason, calls] of [
    [end, "tool_calls", [CALLS[0]]],
    [end - 20, "stop", undefined],
  ] as const) {
    door.script = { choices: [[OUTPUT.slice(0, to)]], stop_reason: "END" };
    const [choice] = (await whole(door)).choices;
    expect(plain(choice!)).toMatchObject({ finish_reason });
    expect(plain(choice!).calls as unknown).toEqual(calls);
    expect(choice).toHaveProperty("stop_reason", "END");
    const last = chunksOf(await events(door)).at(-1)!.choices[0];
    expect(last).toMatchObject({ finish_reason, stop_reason: "END" } as object);
  }
});

test("without parallel calls the first one is left", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [cutAt(OUTPUT, [40, 90, 120, 150, 170])] };
  const one = { parallel_tool_calls: false };
  expect(plain((await whole(door, one)).choices[0]!).calls).toEqual([CALLS[0]!]);
  expect(folded(chunksOf(await events(door, one))).map((each) => plain(each).calls)).toEqual([
    [CALLS[0]],
  ]);
});

test("the field of the reasoning may have another name", async () => {
  const parsers = { ...HERMES, reasoning_field: "reasoning", shownTokens: () => undefined };
  const door = parsedDoor(HERMES, { parsers });
  door.script = { choices: [["<think>a</think>b"]] };
  const [choice] = (await whole(door)).choices;
  expect(choice!.message).toMatchObject({ reasoning: "a", content: "b" });
  const deltas = chunksOf(await events(door)).map(({ choices }) => choices[0]?.delta);
  expect(deltas[0]).toEqual({ role: "assistant", reasoning: "a", content: "b" } as object);
});

test("a prompt that ends inside the reasoning begins the answer there", async () => {
  const renderChat = () => ({ text: "[user]hi;[assistant]<think>\n" });
  const door = parsedDoor(HERMES, { renderChat });
  door.script = { choices: [["so", "</think>", "yes"]] };
  const { choices, usage } = await whole(door);
  expect(choices[0]!.message).toMatchObject({ reasoning_content: "so", content: "yes" });
  expect(usage?.completion_tokens_details?.reasoning_tokens).toBe(1);
});

test("without tools calls are text, and without any parser the chunks are as ever", async () => {
  const door = parsedDoor(HERMES);
  const parts = cutAt(OUTPUT.slice(OUTPUT.lastIndexOf("<tool_call>")), [5, 14, 30]);
  door.script = { choices: [parts] };
  for (const more of [{ tools: undefined }, { tools: [] }, { tool_choice: "none" }]) {
    expect((await whole(door, more)).choices[0]!.message.content).toBe(parts.join(""));
  }
  const bare = parsedDoor({ tool: "hermes", reasoning: "none" });
  bare.script = door.script;
  const deltas = chunksOf(await events(bare, { tools: undefined })).map(
    ({ choices }) => choices[0]?.delta,
  );
  expect(deltas.slice(0, -1).map((delta) => delta?.content)).toEqual(parts);
  expect(bare.answers.last.request.shown_tokens).toBeUndefined();
});

test("a model's own ids are kept, and Mistral's have their length", async () => {
  const kimi = parsedDoor({ tool: "kimi_k2", reasoning: "none" });
  kimi.script = {
    choices: [
      [
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.time:7<|tool_call_argument_begin|>",
        "{}<|tool_call_end|><|tool_calls_section_end|>",
      ],
    ],
  };
  expect((await whole(kimi)).choices[0]!.message.tool_calls![0]!.id).toBe("functions.time:7");
  const mistral = parsedDoor({ tool: "mistral", reasoning: "none" });
  mistral.script = { choices: [['[TOOL_CALLS][{"name": "time", "arguments": {}}]']] };
  const [call] = (await whole(mistral)).choices[0]!.message.tool_calls!;
  expect(call!.id).toMatch(/^[0-9A-Za-z]{9}$/);
});

test("schemas that hold themselves, in many branches, hold nobody up", async () => {
  const again = { $ref: "#/$defs/a" };
  const branches = Array.from({ length: 100 }, () => again);
  const parameters = {
    $defs: { a: { anyOf: branches, allOf: branches }, b: { $ref: "#/$defs/b" } },
    anyOf: branches,
    properties: { x: again, y: { $ref: "#/$defs/b" } },
  };
  const loops = { type: "function", function: { name: "f", parameters } };
  for (const tool of ["qwen3_coder", "glm45", "minimax_m3", "gemma4", "hermes"]) {
    const door = parsedDoor({ tool, reasoning: "none" });
    door.script = {
      choices: [
        [
          "<tool_call><function=f><parameter=x>1</parameter><parameter=z>2</parameter>",
          "</function></tool_call>",
        ],
      ],
    };
    const { choices } = await whole(door, { tools: [loops] });
    expect(choices).toHaveLength(1);
  }
});
