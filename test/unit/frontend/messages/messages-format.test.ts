/** Answers of /v1/messages: events, the same answer in one piece, resuming behind each event. */
import { expect, test } from "bun:test";
import type { Message } from "@anthropic-ai/sdk/resources/messages";
import fc from "fast-check";
import {
  foldedMessage,
  type MessageEvent,
  messageEvents,
} from "../../../support/message-events.ts";
import { parsedDoor, type Script } from "../../../support/worlds/parsed-door.ts";

const tools = [{ name: "weather", input_schema: { type: "object" } }];
const messages = [{ role: "user", content: "Hi" }];
const request = { model: "toy", max_tokens: 100, messages, tools };
const PARSERS = { tool: "hermes", reasoning: "qwen3" };
const CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>';

const doorWith = (script: Script, parsers = PARSERS) => {
  const door = parsedDoor(parsers);
  door.script = script;
  return door;
};

async function streamed(script: Script, parsers = PARSERS, more: object = {}) {
  const door = doorWith(script, parsers);
  const body = { ...request, ...(parsers === PARSERS ? {} : { tools: [] }), stream: true, ...more };
  const response = await door.ask("POST", "/v1/messages", body);
  expect(response.status).toBe(200);
  return messageEvents(await response.text());
}

async function whole(script: Script, more: object = {}): Promise<Message> {
  const response = await doorWith(script).ask("POST", "/v1/messages", { ...request, ...more });
  expect(response.status).toBe(200);
  return (await response.json()) as Message;
}

/** What an event says, short. */
function short({ name, data }: MessageEvent): string {
  const { index, delta, content_block: block } = data as Record<string, Record<string, unknown>>;
  const at = index === undefined ? "" : ` ${index}`;
  if (block !== undefined) return `start${at} ${block["type"]}`;
  if (name === "content_block_stop") return `stop${at}`;
  if (name !== "content_block_delta") return name;
  const { type, ...rest } = delta!;
  return `${type}${at} ${type === "signature_delta" ? "" : String(Object.values(rest)[0])}`;
}

test("thinking, text and a call are blocks, one open at a time", async () => {
  const choices = [["<think>", "\nIt is", " Bern.", "\n</think>\n\n", "I look. ", CALL, "\n"]];
  const events = await streamed({ choices });
  expect(events.map(short)).toEqual([
    ...["message_start", "ping"],
    ...["start 0 thinking", "thinking_delta 0 \nIt is", "thinking_delta 0  Bern."],
    "thinking_delta 0 \n",
    ...["signature_delta 0 ", "stop 0"],
    ...["start 1 text", "text_delta 1 I look. ", "stop 1"],
    ...["start 2 tool_use", 'input_json_delta 2 {"city": "Bern"}', "stop 2"],
    ...["message_delta", "message_stop"],
  ]);
  const start = events[0]!.data["message"];
  expect(start).toMatchObject({
    ...{ type: "message", role: "assistant", model: "toy", content: [], stop_reason: null },
    usage: { input_tokens: expect.any(Number), output_tokens: 0 },
  });
  const folded = await foldedMessage(events);
  expect(folded.stop_reason).toBe("tool_use");
  expect(folded.content.at(-1)).toMatchObject({
    ...{ type: "tool_use", id: expect.stringMatching(/^toolu_/), name: "weather" },
    input: { city: "Bern" },
  });
  expect(folded.usage.output_tokens_details).toEqual({ thinking_tokens: 2 });
});

test("plain text needs no parser", async () => {
  const events = await streamed(
    { choices: [["Hello", " ", "you"]] },
    { tool: "none", reasoning: "none" },
  );
  expect(events.map(short)).toEqual([
    ...["message_start", "ping", "start 0 text"],
    ...["text_delta 0 Hello", "text_delta 0  ", "text_delta 0 you", "stop 0"],
    ...["message_delta", "message_stop"],
  ]);
});

test("an answer without a token is a message without content", async () => {
  const events = await streamed({ choices: [[]] });
  expect(events.map(short)).toEqual(["message_start", "message_delta", "message_stop"]);
  expect((await whole({ choices: [[]] })).content).toEqual([]);
});

test("the reason of the end", async () => {
  const of = async (script: Script, more: object = {}) => {
    const { stop_reason, stop_sequence } = await whole(script, more);
    const { stop_reason: streams, stop_sequence: which } = await foldedMessage(
      await streamed(script, PARSERS, more),
    );
    expect([streams, which]).toEqual([stop_reason, stop_sequence]);
    return [stop_reason, stop_sequence];
  };
  const choices = [["a", "b"]];
  expect(await of({ choices })).toEqual(["end_turn", null]);
  expect(await of({ choices, stop_reason: "END" })).toEqual(["stop_sequence", "END"]);
  expect(await of({ choices, reason: "length" })).toEqual(["max_tokens", null]);
  expect(await of({ choices: [[CALL]] })).toEqual(["tool_use", null]);
  const cut = [["text ", '<tool_call>\n{"name": "weather", "arguments": {"ci']];
  expect(await of({ choices: cut, reason: "length" })).toEqual(["max_tokens", null]);
  // The made-up model has a context of 100,000 tokens.
  const full = [[...Array(60).fill("x")]];
  const long = { messages: [{ role: "user", content: "y".repeat(99_930) }], max_tokens: 5_000 };
  expect(await of({ choices: full, reason: "length" }, long)).toEqual([
    ...["model_context_window_exceeded", null],
  ]);
});

/** Without what differs from request to request. */
const plain = ({ id, content, ...rest }: Message) => ({
  ...rest,
  content: content.map((block) => ({
    ...block,
    ...("signature" in block ? { signature: "" } : {}),
    ...(block.type === "tool_use" ? { id: "" } : {}),
  })),
  id: id.slice(0, 4),
});

test("property: streamed and whole are one message, however the text is cut", async () => {
  const part = fc.constantFrom("text", " ", "\n", "<think>", "why", "</think>", CALL, "é<b>");
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 8 }),
      fc.array(fc.nat(12)),
      async (parts, cuts) => {
        const text = parts.join("");
        const tokens: string[] = [];
        for (let at = 0, i = 0; at < text.length; i += 1) {
          const size = 1 + (cuts[i % Math.max(1, cuts.length)] ?? 3);
          tokens.push(text.slice(at, at + size));
          at += size;
        }
        const script = { choices: [tokens] };
        const events = await streamed(script);
        expect(plain(await foldedMessage(events))).toEqual(plain(await whole(script)));
        for (const block of (await whole(script)).content) {
          if (block.type === "text") expect(block.text.trim()).not.toBe("");
        }
      },
    ),
    { numRuns: 60 },
  );
});

test("a stream is resumed behind each of its events, in its own form", async () => {
  const choices = [["<think>why", "</think>", "so ", `${CALL}${CALL}`, "end"]];
  const door = doorWith({ choices });
  const all = await (await door.ask("POST", "/v1/messages", { ...request, stream: true })).text();
  const events = all.trimEnd().split("\n\n");
  expect(events.length).toBeGreaterThan(15);
  const idOf = (event: string) => /^id: (.*)$/m.exec(event)![1]!;
  const path = `/v1/streams/${idOf(events[0]!).split(":")[0]}`;
  for (let at = 0; at < events.length - 1; at += 1) {
    const rest = await door.ask("GET", path, undefined, { "last-event-id": idOf(events[at]!) });
    expect((await rest.text()).trimEnd().split("\n\n")).toEqual(events.slice(at + 1));
  }
  const last = { "last-event-id": idOf(events.at(-1)!) };
  expect((await door.ask("GET", path, undefined, last)).status).toBe(204);
  const wrong = await door.ask("GET", path, undefined, {
    "last-event-id": idOf(events[0]!).replace(":0p1", ":0p1.1"),
  });
  expect((await wrong.json()) as object).toMatchObject({ type: "error" });
});
