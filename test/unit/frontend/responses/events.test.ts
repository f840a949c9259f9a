/** Responses: events in OpenAI's order, whole and streamed alike, read again from any number. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type {
  Response as OpenAiResponse,
  ResponseStreamEvent,
} from "openai/resources/responses/responses";
import { type ParsedDoor, parsedDoor } from "../../../support/worlds/parsed-door.ts";

const PLAIN = { tool: "none", reasoning: "none" };
const HERMES = { tool: "hermes", reasoning: "qwen3" };
const weather = { type: "function", name: "weather", parameters: { type: "object" } };
const body = { model: "toy", input: "hi", tools: [weather] };
const OUTPUT = [
  ...["<think>", "It ", "rains.", "</think>", "One ", "moment."],
  ...['<tool_call>\n{"name": "weather", ', '"arguments": {"city": ', '"Bern"}}', "\n</tool_call>"],
];

type Told = ResponseStreamEvent & { response?: OpenAiResponse };

async function eventsOf(response: Response): Promise<Told[]> {
  expect(response.status).toBe(200);
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const [, type, data] = /^(?:id: .*\n)?event: (.*)\ndata: (.*)$/.exec(block) ?? [];
      const event = JSON.parse(data ?? "") as Told;
      expect(event.type as string).toBe(type as string);
      return event;
    });
}

const streamed = async (door: ParsedDoor, more: object = {}) =>
  eventsOf(await door.ask("POST", "/v1/responses", { ...body, ...more, stream: true }));

/** OpenAI's order, with any number of deltas in a row as one. */
const order = (events: readonly Told[]): string[] =>
  events
    .map(({ type }) => type.replace(/^response\./, ""))
    .filter((type, i, all) => !(type.endsWith(".delta") && all[i - 1] === type));

test("events come in OpenAI's order, numbered from 0", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [OUTPUT] };
  const events = await streamed(door);
  expect(order(events)).toEqual([
    ...["created", "in_progress"],
    ...["output_item.added", "content_part.added", "reasoning_text.delta"],
    ...["reasoning_text.done", "content_part.done", "output_item.done"],
    ...["output_item.added", "content_part.added", "output_text.delta"],
    ...["output_text.done", "content_part.done", "output_item.done"],
    ...["output_item.added", "function_call_arguments.delta"],
    ...["function_call_arguments.done", "output_item.done"],
    "completed",
  ]);
  expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, i) => i));
  const last = events.at(-1)!.response!;
  expect(last.status).toBe("completed");
  expect(last.output.map(({ type }) => type)).toEqual(["reasoning", "message", "function_call"]);
  expect(last.output[2]).toMatchObject({ name: "weather", arguments: '{"city": "Bern"}' });
  expect(last.usage).toMatchObject({ output_tokens: OUTPUT.length });
});

test("streamed is whole, and what is stored, wherever the text is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 12 }),
      async (cuts) => {
        const door = parsedDoor(HERMES);
        door.script = { choices: [cutAt(OUTPUT.join(""), cuts)] };
        const events = await streamed(door);
        const last = events.at(-1)!.response!;
        expect(last.output).toEqual(outputOf(events));
        const whole = await door.ask("POST", "/v1/responses", body);
        const { output } = (await whole.json()) as OpenAiResponse;
        expect(output.map(plain)).toEqual(last.output.map(plain));
        const stored = await door.ask("GET", `/v1/responses/${last.id}`);
        expect(await stored.json()).toEqual(JSON.parse(JSON.stringify(last)));
      },
    ),
    { numRuns: 30 },
  );
});

test("what is stored gives the same events again, from any number on", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [OUTPUT] };
  const events = await streamed(door);
  const { id } = events[0]!.response!;
  for (let after = -1; after < events.length; after += 1) {
    const query = after < 0 ? "" : `&starting_after=${after}`;
    const again = await eventsOf(await door.ask("GET", `/v1/responses/${id}?stream=true${query}`));
    expect(again).toEqual(events.slice(after + 1));
  }
  const beyond = `/v1/responses/${id}?stream=true&starting_after=${events.length}`;
  const refused = await door.ask("GET", beyond);
  const body = (await refused.json()) as Refused;
  expect([refused.status, body.error?.param]).toEqual([400, "starting_after"]);
});

type Refused = { readonly error?: { readonly param: string } };

test("a result without its call is not added to a conversation", async () => {
  const door = parsedDoor(PLAIN);
  const output = { type: "function_call_output", call_id: "c", output: "4" };
  const call = { type: "function_call", call_id: "c", name: "sum", arguments: "{}" };
  const begun = await door.ask("POST", "/v1/conversations", { items: [output] });
  expect(begun.status).toBe(400);
  const conversation = await door.ask("POST", "/v1/conversations", {});
  const { id } = (await conversation.json()) as { id: string };
  const add = async (...items: object[]) => {
    const answer = await door.ask("POST", `/v1/conversations/${id}/items`, { items });
    return [answer.status, ((await answer.json()) as Refused).error?.param];
  };
  expect(await add(output)).toEqual([400, "items[0].call_id"]);
  expect(await add(call)).toEqual([200, undefined]);
  expect(await add({ role: "user", content: "Hm." }, output, output)).toEqual([
    400,
    "items[2].call_id",
  ]);
  expect(await add(output)).toEqual([200, undefined]);
  expect(await add(output)).toEqual([400, "items[0].call_id"]);
});

test("log probabilities are in deltas, in what is done and in what is read again", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One", " two", "!"]] };
  const events = await streamed(door, { tools: [], include: ["message.output_text.logprobs"] });
  const deltas = events.filter(({ type }) => type === "response.output_text.delta");
  expect(deltas.map((event) => "logprobs" in event && event.logprobs.length)).toEqual([1, 1, 1]);
  const [item] = events.at(-1)!.response!.output;
  const part = item?.type === "message" ? item.content[0] : undefined;
  expect(part?.type === "output_text" && part.logprobs?.map(({ token }) => token)).toEqual([
    ...["One", " two", "!"],
  ]);
  const { id } = events[0]!.response!;
  const again = await eventsOf(await door.ask("GET", `/v1/responses/${id}?stream=true`));
  expect(again).toEqual(events);
});

type Ending = {
  readonly name: string;
  readonly choices: readonly string[];
  readonly reason?: "stop" | "length";
  readonly types: readonly string[];
  readonly status: string;
  readonly items: readonly string[];
};

const endings: readonly Ending[] = [
  {
    name: "no token at all",
    choices: [],
    types: ["created", "in_progress", ...messageTypes().filter((type) => !type.endsWith("delta"))],
    status: "completed",
    items: ["message completed"],
  },
  {
    name: "cut inside a text",
    choices: ["One "],
    reason: "length",
    types: ["created", "in_progress", ...messageTypes()],
    status: "incomplete",
    items: ["message incomplete"],
  },
  {
    name: "cut inside the reasoning",
    choices: ["<think>", "Well"],
    reason: "length",
    types: [
      ...["created", "in_progress", "output_item.added", "content_part.added"],
      ...["reasoning_text.delta", "reasoning_text.done", "content_part.done", "output_item.done"],
    ],
    status: "incomplete",
    items: ["reasoning incomplete"],
  },
  {
    name: "cut inside a call",
    choices: ['<tool_call>\n{"name": "weather", "arguments": {"city"'],
    reason: "length",
    types: [
      ...["created", "in_progress", "output_item.added", "function_call_arguments.delta"],
      ...["function_call_arguments.done", "output_item.done"],
    ],
    status: "incomplete",
    items: ["function_call incomplete"],
  },
];

function messageTypes(): string[] {
  return [
    ...["output_item.added", "content_part.added", "output_text.delta"],
    ...["output_text.done", "content_part.done", "output_item.done"],
  ];
}

for (const { name, choices, reason, types, status, items } of endings) {
  test(`an answer with ${name}`, async () => {
    const door = parsedDoor(HERMES);
    door.script = { choices: [choices], ...(reason === undefined ? {} : { reason }) };
    const events = await streamed(door);
    expect(order(events)).toEqual([...types, status]);
    const { output } = events.at(-1)!.response!;
    expect(output.map((item) => `${item.type} ${(item as { status?: string }).status}`)).toEqual([
      ...items,
    ]);
  });
}

test("an answer that fails midway ends with response.failed, and stays so", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One", " two"]], fails: "engine_error" };
  const events = await streamed(door, { tools: [] });
  expect(order(events)).toEqual([
    ...["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"],
    "failed",
  ]);
  const failed = events.at(-1)!.response!;
  expect(failed).toMatchObject({ status: "failed", error: { code: "server_error" } });
  const stored = await door.ask("GET", `/v1/responses/${failed.id}`);
  expect(await stored.json()).toMatchObject({ status: "failed" });
});

test("a request that is refused leaves nothing in the store", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [[]], fails: "overloaded" };
  const refused = await door.ask("POST", "/v1/responses", { ...body, tools: [] });
  expect(refused.status).toBe(529);
  expect(await door.store.list("", 100)).toEqual([expect.stringContaining("kept/door/")]);
});

test("store: false leaves nothing in the store", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One"]] };
  const events = await streamed(door, { tools: [], store: false });
  expect(order(events).at(-1)).toBe("completed");
  expect(await door.store.list("", 100)).toEqual([]);
});

test("a store that fails is a 503 for what is stored, and nothing to what is not", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One"]] };
  door.store.put = async () => Promise.reject(new Error("the disk is full"));
  const kept = await door.ask("POST", "/v1/responses", { ...body, tools: [] });
  expect(kept.status).toBe(503);
  expect(await kept.json()).toMatchObject({ error: { code: "store_unavailable" } });
  const free = await door.ask("POST", "/v1/responses", { ...body, tools: [], store: false });
  expect(free.status).toBe(200);
});

test("a store that fails at the end holds no answer back", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One"]] };
  door.store.replace = async () => Promise.reject(new Error("the disk is full"));
  const events = await streamed(door, { tools: [] });
  expect(events.at(-1)!.type).toBe("response.completed");
});

/** The output that the events add up to, as a client that reads all of them has it. */
function outputOf(events: readonly Told[]): OpenAiResponse["output"] {
  return events.flatMap((event) =>
    event.type === "response.output_item.done" ? [event.item] : [],
  );
}

/** Without ids, which each request has of its own. */
function plain(item: OpenAiResponse["output"][number]): unknown {
  const { id: _id, ...rest } = item as { id?: string };
  return { ...rest, call_id: undefined };
}

function cutAt(output: string, cuts: readonly number[]): string[] {
  const inside = cuts.filter((cut) => cut < output.length);
  const places = [...new Set([0, ...inside, output.length])].sort((a, b) => a - b);
  return places.slice(1).map((to, i) => output.slice(places[i], to));
}

test("forms, required and strict calls are what the answer is held to", async () => {
  const door = parsedDoor(HERMES);
  door.script = { choices: [["{}"]] };
  const held = async (more: object): Promise<string> => {
    const response = await door.ask("POST", "/v1/responses", { ...body, ...more });
    expect(response.status).toBe(200);
    return door.answers.live.at(-1)?.request.constraint ?? "";
  };
  expect(await held({})).toBe("");
  const schema = { type: "object", properties: { sum: { type: "integer" } } };
  const format = { type: "json_schema", name: "sum", schema, strict: true };
  expect(await held({ tools: [], text: { format } })).toContain("sum");
  expect(await held({ tool_choice: "required" })).toContain("weather");
  expect(await held({ tool_choice: { type: "function", name: "weather" } })).toContain("weather");
  expect(await held({ tools: [{ ...weather, strict: true }] })).toContain("weather");
  const wrong = { ...format, schema: { type: "odd" } };
  const refused = await door.ask("POST", "/v1/responses", { ...body, text: { format: wrong } });
  expect(refused.status).toBe(400);
  expect(await refused.json()).toMatchObject({ error: { param: "text.format.schema.type" } });
});

test("a key makes a response once, and a retry gets it in its own form", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One", " two"]] };
  const keyed = { "Idempotency-Key": "k" };
  const asked = { ...body, tools: [] };
  const first = await door.ask("POST", "/v1/responses", asked, keyed);
  const { id, output } = (await first.json()) as OpenAiResponse;
  const again = await door.ask("POST", "/v1/responses", asked, keyed);
  expect(again.headers.get("content-type")).toBe("application/json");
  expect(await again.json()).toMatchObject({ id, output });
  const other = await door.ask("POST", "/v1/responses", { ...asked, input: "ho" }, keyed);
  expect(other.status).toBe(422);
});

test("a background stream begins before its first token", async () => {
  const door = parsedDoor(PLAIN);
  door.script = { choices: [["One"]] };
  const whole = await streamed(door, { tools: [], background: true });
  expect(order(whole).slice(0, 3)).toEqual(["created", "in_progress", "output_item.added"]);
  expect(whole.map(({ sequence_number }) => sequence_number)).toEqual(whole.map((_, i) => i));
});
