/** Responses: events in OpenAI's order, whole and streamed alike, read again from any number. */
import { expect, test } from "bun:test";
import type {
  Response as OpenAiResponse,
  ResponseStreamEvent,
} from "openai/resources/responses/responses";
import { type ParsedDoor, parsedDoor } from "../../../support/worlds/parsed-door.ts";

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
