/** What a chat request may say of tools: what templates and parsers get, what is a 400. */
import { expect, test } from "bun:test";
import { ApiError } from "../../../actors/frontend/api/api-error.ts";
import { prepareChat } from "../../../actors/frontend/api/chat/chat.ts";
import { chatFields, chatShape } from "../../../actors/frontend/api/chat/chat-fields.ts";
import { checkNames, checkShape } from "../../../actors/frontend/api/check-body.ts";
import type {
  RenderOptions,
  TemplateMessage,
} from "../../../actors/frontend/models/served-model.ts";
import { requestLimits } from "../../../llm/model/request-limits.ts";
import { SeededRandom } from "../../../runtime/simulation/random.ts";
import { fakeModel, noParsers } from "../../support/worlds/frontend-fakes.ts";

type Seen = { messages: readonly TemplateMessage[]; options: RenderOptions };

function chat(more: object, tool = "hermes") {
  const seen: Seen[] = [];
  const model = fakeModel(
    {},
    {
      parsers: { ...noParsers, tool },
      renderChat: (messages, options) => {
        seen.push({ messages, options });
        return { text: "prompt" };
      },
    },
  );
  const body = { model: "toy", messages: [{ role: "user", content: "hi" }], ...more };
  checkNames(body, chatFields, "refuse");
  const generation = prepareChat(checkShape(body, chatShape), model, {
    ...{ random: new SeededRandom(1), request: "r", deadline_ms: 1000, pin: "" },
    ...{ default_max_tokens: 500, timed: { begin: () => {}, end: () => {} } },
  });
  return { generation, ...seen[0]! };
}

/** [code, param] of the refusal; fails when there is none. */
function refusal(more: object, tool?: string): readonly [string, string | null] {
  try {
    chat(more, tool);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    expect(error.status).toBe(400);
    expect(error.message).toMatch(/\.$/);
    return [error.code, error.param];
  }
  throw new Error("it was not refused");
}

const tool = (name: string, more: object = {}) => ({
  type: "function",
  function: { name, ...more },
});

test("tools go to the template in OpenAI's form, and to the parser by name", () => {
  const parameters = { type: "object", properties: { a: { type: "integer" } } };
  const tools = [
    { ...tool("f", { parameters, description: "F", strict: false, odd: 1 }), cache_control: {} },
    tool("g"),
  ];
  const { options, generation } = chat({ tools });
  expect(options.tools).toEqual([
    { type: "function", function: { name: "f", description: "F", parameters } },
    { type: "function", function: { name: "g", parameters: { type: "object", properties: {} } } },
  ]);
  expect(generation.parsing).toMatchObject({
    ...{ tool: "hermes", reasoning: "none", one_call: false },
    tools: [{ name: "f", parameters }, { name: "g" }],
  });
});

test("tool_choice: none shows none, allowed_tools shows those, auto all", () => {
  const tools = [tool("f"), tool("g")];
  const shown = (tool_choice: unknown) => {
    const { options, generation } = chat({ tools, tool_choice });
    const names = options.tools?.map((each) => (each as ReturnType<typeof tool>).function.name);
    expect(generation.parsing?.tools.map(({ name }) => name)).toEqual(names);
    return names;
  };
  const allowed = (mode: string, ...names: string[]) => ({
    type: "allowed_tools",
    allowed_tools: { mode, tools: names.map((name) => tool(name)) },
  });
  expect(shown("auto")).toEqual(["f", "g"]);
  expect(shown(null)).toEqual(["f", "g"]);
  expect(shown("none")).toBeUndefined();
  expect(shown(allowed("auto", "g"))).toEqual(["g"]);
  const refused = (tool_choice: unknown, more: object = { tools }) =>
    refusal({ ...more, tool_choice });
  expect(shown("required")).toEqual(["f", "g"]);
  expect(shown(tool("f"))).toEqual(["f", "g"]);
  expect(shown(allowed("required", "f"))).toEqual(["f"]);
  expect(refused(tool("x"))).toEqual(["invalid_value", "tool_choice.function.name"]);
  expect(refused(allowed("auto", "f", "x"))[1]).toBe(
    "tool_choice.allowed_tools.tools[1].function.name",
  );
  expect(refused("required", {})).toEqual(["invalid_value", "tool_choice"]);
  expect(refused("sometimes")[1]).toBe("tool_choice");
  expect(refused({ type: "allowed_tools" })[1]).toBe("tool_choice.allowed_tools");
  expect(refused({ type: "function" })[1]).toBe("tool_choice.function");
  expect(refused({ type: "custom" })[1]).toBe("tool_choice.type");
  expect(chat({ tool_choice: "auto" }).generation.parsing).toBeUndefined();
});

test("tools that are none are a 400 that names them", () => {
  const of = (...tools: unknown[]) => refusal({ tools });
  expect(of(tool("f"), tool("f"))).toEqual(["invalid_value", "tools[1].function.name"]);
  for (const name of ["", "a b", "x".repeat(65), "é", 5, "a.b"]) {
    expect(of({ type: "function", function: { name } })[1]).toBe("tools[0].function.name");
  }
  expect(of({})[1]).toBe("tools[0].type");
  expect(of({ type: "custom", custom: { name: "x" } })[1]).toBe("tools[0].type");
  expect(of({ type: "function" })[1]).toBe("tools[0].function");
  for (const parameters of ["x", [], 5]) {
    expect(of(tool("f", { parameters }))[1]).toBe("tools[0].function.parameters");
  }
  expect(refusal({ tools: {} })[1]).toBe("tools");
  expect(refusal({ tools: [tool("f")] }, "none")).toEqual(["not_supported", "tools"]);
  expect(chat({ tools: [tool("f")], tool_choice: "none" }, "none").options.tools).toBeUndefined();
});

test("as many tools as the limits say, and not a character more than they may have", () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => tool(`f${i}`));
  expect(chat({ tools: many(requestLimits.tools) }).options.tools).toHaveLength(
    requestLimits.tools,
  );
  expect(refusal({ tools: many(requestLimits.tools + 1) })).toEqual(["invalid_value", "tools"]);
  const big = { description: "x".repeat(1_000_000) };
  const schema = { type: "object", properties: { a: { type: "string", ...big } } };
  expect(refusal({ tools: [tool("f"), tool("g", { parameters: schema })] })).toEqual([
    ...["invalid_value", "tools[1].function"],
  ] as [string, string]);
  expect(refusal({ tools: [tool("g", big)] })[1]).toBe("tools[0].function");
});

const call = (id: string, given = "{}") => ({
  ...{ id, type: "function" },
  function: { name: "f", arguments: given },
});
const calls = (...ids: string[]) => ({
  ...{ role: "assistant", content: null },
  tool_calls: ids.map((id) => call(id)),
});
const result = (tool_call_id: string) => ({ role: "tool", tool_call_id, content: "4" });

test("calls and results of earlier turns go to the template", () => {
  const messages = [
    { role: "user", content: "hi" },
    { ...calls("a", "b"), reasoning: "hm" },
    { ...result("b"), name: "f" },
    result("a"),
    calls("a"),
    { role: "assistant", content: "x", tool_calls: [] },
  ];
  expect(chat({ messages }).messages).toEqual([
    { role: "user", content: "hi" },
    {
      ...{ role: "assistant", content: "", reasoning_content: "hm" },
      tool_calls: [call("a"), call("b")],
    },
    { role: "tool", content: "4", name: "f", tool_call_id: "b" },
    { role: "tool", content: "4", tool_call_id: "a" },
    { role: "assistant", content: "", tool_calls: [call("a")] },
    { role: "assistant", content: "x" },
  ]);
});

test("results without their call, ids that come twice: a 400 that names the field", () => {
  const user = { role: "user", content: "hi" };
  const bad = (...messages: object[]) => refusal({ messages: [user, ...messages] })[1];
  expect(bad(result("a"))).toBe("messages[1].tool_call_id");
  expect(bad(calls("a"), result("b"))).toBe("messages[2].tool_call_id");
  expect(bad(calls("a"), result("a"), result("a"))).toBe("messages[3].tool_call_id");
  expect(bad(calls("a"), { role: "tool", content: "4" })).toBe("messages[2].tool_call_id");
  expect(bad(calls("a", "a"))).toBe("messages[1].tool_calls[1].id");
  expect(bad(calls("a"), calls("a"))).toBe("messages[2].tool_calls[0].id");
  expect(bad({ ...calls("a"), role: "user", content: "x" })).toBe("messages[1].tool_calls");
  expect(bad({ ...calls(), tool_calls: [{ id: "a" }] })).toBe("messages[1].tool_calls[0].function");
  expect(bad({ role: "tool", tool_call_id: "a", content: null })).toBe("messages[1].content");
});

test("arguments are JSON as text, within the limits of a body: a 400 that names them", () => {
  const field = (i: number) => `messages[1].tool_calls[${i}].function.arguments`;
  const calls = (...texts: string[]) => ({
    messages: [
      { role: "user", content: "hi" },
      {
        role: "assistant",
        tool_calls: texts.map((text, i) => ({
          ...{ id: `c${i}`, type: "function" },
          function: { name: "f", arguments: text },
        })),
      },
    ],
  });
  const nested = (levels: number) => `{"a":${"[".repeat(levels)}${"]".repeat(levels)}}`;
  const values = (count: number) => `{"a":[${"1,".repeat(count - 1)}1]}`;
  const written = '{"a":"[[[,:\\\\","b":"\\"[["}';
  chat(calls(nested(63), values(30_000), written.repeat(2_000), "[[[ no JSON"));
  expect(refusal(calls(nested(64)))).toEqual(["invalid_value", field(0)]);
  expect(refusal(calls(nested(5_000_000)))).toEqual(["invalid_value", field(0)]);
  expect(refusal(calls(values(40_000), values(40_000)))).toEqual(["invalid_value", field(1)]);
  const names = `{${Array.from({ length: 70_000 }, (_, i) => `"k${i}":[]`).join(",")}}`;
  expect(refusal(calls("{}", names))).toEqual(["invalid_value", field(1)]);
});

test("schemas hold no more values than a template writes at once", () => {
  const tools = (count: number) => [
    tool("f"),
    tool("g", { parameters: { enum: Array(count).fill(1) } }),
  ];
  chat({ tools: tools(60_000) });
  expect(refusal({ tools: tools(70_000) })).toEqual(["invalid_value", "tools[1].function"]);
});
