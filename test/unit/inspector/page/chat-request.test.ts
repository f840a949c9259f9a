import { expect, test } from "bun:test";
import { newAnswer, SEAM_MARK } from "../../../../actors/inspector/page/views/chat/answer.ts";
import {
  keptText,
  openCalls,
  readKept,
  type Said,
  turnsOf,
} from "../../../../actors/inspector/page/views/chat/chat-history.ts";
import {
  chatRequest,
  defaultSettings,
} from "../../../../actors/inspector/page/views/chat/chat-request.ts";

const settings = { ...defaultSettings, model: "tiny" };
const hello = { role: "user", content: "Hello" } as const;
const bodyOf = (more: Partial<typeof settings>) => chatRequest({ ...settings, ...more }, [hello]);

test("what is left open is left to the server", () => {
  expect(bodyOf({}).body).toEqual({
    model: "tiny",
    messages: [hello],
    stream: true,
    stream_options: { include_usage: true },
    nvext: { extra_fields: ["worker_id", "timing"] },
  });
});

test("sampling, system, tools and schema go into their fields", () => {
  const { body } = bodyOf({
    ...{ system: "Be short.", temperature: "0", top_p: "0.5", max_tokens: "9", seed: "-3" },
    tools: '{"name": "get", "parameters": {"type": "object"}}',
    schema: '{"type": "object"}',
  });
  expect(body).toMatchObject({
    messages: [{ role: "system", content: "Be short." }, hello],
    ...{ temperature: 0, top_p: 0.5, max_completion_tokens: 9, seed: -3 },
    tools: [{ type: "function", function: { name: "get", parameters: { type: "object" } } }],
    response_format: {
      type: "json_schema",
      json_schema: { name: "answer", schema: { type: "object" }, strict: true },
    },
  });
});

test("what a field may not be is said beside it", () => {
  const { errors } = bodyOf({
    ...{ model: "", temperature: "3", top_p: "x", max_tokens: "0", seed: "1.5" },
    ...{ tools: "[{}]", schema: "{" },
  });
  expect(Object.keys(errors ?? {}).sort()).toEqual(
    ["max_tokens", "model", "schema", "seed", "temperature", "tools", "top_p"].sort(),
  );
  expect(errors?.temperature).toBe("A number from 0 to 2.");
  expect(errors?.schema).toStartWith("This is not JSON");
});

const answered = (fields: object): Said => ({
  role: "assistant",
  answer: { ...newAnswer(0), state: "done", ...fields },
});
const call = { id: "c1", name: "get", arguments: "" };

test("a conversation becomes messages, calls and their results too", () => {
  const said: Said[] = [
    hello,
    answered({ calls: [call], reasoning: "hm" }),
    { role: "tool", call: "c1", content: "42" },
    answered({ content: `It is ${SEAM_MARK}42` }),
  ];
  const { body } = chatRequest(settings, turnsOf(said));
  expect(body).toMatchObject({
    messages: [
      hello,
      {
        ...{ role: "assistant", content: null, reasoning_content: "hm" },
        tool_calls: [{ id: "c1", type: "function", function: { name: "get", arguments: "{}" } }],
      },
      { role: "tool", tool_call_id: "c1", content: "42" },
      { role: "assistant", content: "It is 42" },
    ],
  });
});

test("a question whose answer failed is not asked twice", () => {
  const failed = answered({ state: "failed" });
  expect(turnsOf([hello, failed, { role: "user", content: "Again" }])).toEqual([
    { role: "user", content: "Again" },
  ]);
});

test("calls wait for their results", () => {
  const said = [hello, answered({ calls: [call, { ...call, id: "c2" }] })];
  expect(openCalls(said).map(({ id }) => id)).toEqual(["c1", "c2"]);
  expect(openCalls([...said, { role: "tool", call: "c1", content: "" }])).toHaveLength(1);
  expect(openCalls([...said, answered({ content: "x" })])).toEqual([]);
});

test("what is kept is read again, and an answer under way has stopped", () => {
  const said = [hello, answered({ content: "Hi", state: "streaming" })];
  const kept = readKept(keptText({ said, settings }));
  expect(kept.settings).toEqual(settings);
  expect(kept.said).toEqual([hello, answered({ content: "Hi", state: "stopped" })]);
});

test("old turns give way, and what cannot be read is nothing", () => {
  const long = { role: "user", content: "x".repeat(600_000) } as const;
  const { said } = readKept(keptText({ said: [long, answered({ content: "a" }), long], settings }));
  expect(said).toEqual([long]);
  for (const text of [null, "", "{", '{"said":[{"role":"user"},7,null],"settings":4}']) {
    expect(readKept(text)).toEqual({ said: [], settings: defaultSettings });
  }
});
