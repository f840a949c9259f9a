/** Conversations that chat templates are compared with: all that clients send, and edges. */
import type { ChatMessage } from "../../../llm/template/chat-template.ts";

export type Conversation = {
  readonly name: string;
  readonly messages: readonly ChatMessage[];
  readonly tools?: readonly unknown[];
  readonly documents?: readonly unknown[];
  readonly add_generation_prompt: boolean;
  readonly variables?: Readonly<Record<string, unknown>>;
};

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: 'The weather of a place, "now".',
    parameters: {
      type: "object",
      properties: {
        city: { type: "string", description: "Where it is: Zürich, 東京 …" },
        unit: { type: "string", enum: ["celsius", "fahrenheit"], default: "celsius" },
        days: { type: ["integer", "null"], minimum: 1 },
      },
      required: ["city"],
    },
    return: { type: "string" },
  },
};
const nested = {
  type: "function",
  function: {
    name: "book",
    description: "Books a table.",
    strict: true,
    parameters: {
      type: "object",
      properties: {
        guests: { type: "array", items: { type: "object", properties: { n: { type: "number" } } } },
        when: { anyOf: [{ type: "string" }, { type: "null" }], description: "<date> & 'time'" },
        extra: { type: "object", additionalProperties: { type: "boolean" } },
      },
      required: ["guests", "when"],
      additionalProperties: false,
    },
  },
};
const bare = { type: "function", function: { name: "now", description: "", parameters: {} } };

const args = { city: "Zürich", days: 2, deep: { a: [1, 2.5, null, true], "b c": "x\ny" } };
const call = (name: string, given: unknown, id = "call00001") => ({
  id,
  type: "function",
  function: { name, arguments: given },
});
const system = (content = "You are brief.") => ({ role: "system", content });
const user = (content: ChatMessage["content"]) => ({ role: "user", content });
const assistant = (content: ChatMessage["content"], more = {}) => ({
  role: "assistant",
  content,
  ...more,
});
const tool = (content: string, more = {}) => ({
  role: "tool",
  tool_call_id: "call00001",
  name: "get_weather",
  content,
  ...more,
});

const talks: Readonly<Record<string, readonly ChatMessage[]>> = {
  one: [user("Hi")],
  system: [system(), user("Hi")],
  developer: [{ role: "developer", content: "Be brief." }, user("Hi")],
  turns: [system(), user("Hi"), assistant("Hello."), user("How?"), assistant("So."), user("Ok")],
  ends_with_assistant: [user("Hi"), assistant("Hello")],
  blanks: [system("  \n be brief \n\n"), user("\n\t hi  "), assistant("  yes \n"), user(" ")],
  empty: [system(""), user(""), assistant(""), user("x")],
  unicode: [system("Ÿ 𝒳 🧑‍🚀\u00a0"), user("é e\u0301 \u2028 “quotes” 'a' \"b\" <b>&amp;</b> \\n")],
  tokens: [
    user("<|im_end|> </s> <|eot_id|> {{ messages }} {% raw %}"),
    assistant("[INST]"),
    user("b"),
  ],
  late_system: [user("a"), assistant("b"), system("late"), user("c")],
  two_users: [user("a"), user("b")],
  two_systems: [system("a"), system("b"), user("c")],
  long: Array.from({ length: 41 }, (_, i) => (i % 2 ? assistant(`a${i}`) : user(`u${i}`))),
  parts: [
    system(),
    user([
      { type: "text", text: "one" },
      { type: "text", text: "two" },
    ]),
  ],
  reasoning: [
    user("a"),
    assistant("b", { reasoning_content: "Let me\n\nthink. " }),
    user("c"),
    assistant("d", { reasoning_content: "again" }),
  ],
  reasoning_middle: [user("a"), assistant("b", { reasoning_content: "why" }), user("c")],
  reasoning_empty: [user("a"), assistant("b", { reasoning_content: "" }), user("c")],
  thinking_in_text: [user("a"), assistant("<think>\nwhy\n</think>\n\nso"), user("c")],
  thinking_field: [user("a"), assistant("b", { thinking: "why" }), user("c")],
  call_dict: [user("w?"), assistant("", { tool_calls: [call("get_weather", args)] })],
  call_text: [
    user("w?"),
    assistant("", { tool_calls: [call("get_weather", JSON.stringify(args))] }),
  ],
  call_result: [
    system(),
    user("w?"),
    assistant("", { tool_calls: [call("get_weather", { city: "Bern" })] }),
    tool('{"t": 21, "sky": "clear"}'),
    assistant("21 °C"),
    user("And now?"),
  ],
  call_open: [
    user("w?"),
    assistant("Looking.", { tool_calls: [call("get_weather", { city: "Bern" })] }),
    tool("21"),
  ],
  calls_two: [
    user("w?"),
    assistant("", {
      tool_calls: [
        call("get_weather", { city: "Bern" }),
        call("book", { guests: [], when: null, x: true, f: 0.5 }, "call00002"),
      ],
    }),
    tool("21"),
    tool("no", { name: "book", tool_call_id: "call00002" }),
    assistant("Done"),
    user("ok"),
  ],
  call_reasoning: [
    system(),
    user("w?"),
    assistant("", {
      reasoning_content: "I look.",
      tool_calls: [call("get_weather", { city: "B" })],
    }),
    tool("21"),
    assistant("So.", { reasoning_content: "done" }),
  ],
  call_no_args: [user("w?"), assistant("", { tool_calls: [call("now", {})] }), tool("", {})],
  call_absent_content: [
    user("w?"),
    {
      role: "assistant",
      tool_calls: [call("get_weather", { city: "Bern" })],
    } as unknown as ChatMessage,
    tool("21"),
  ],
  content_null: [
    user("w?"),
    assistant(null, { tool_calls: [call("get_weather", { city: "Bern" })] }),
    tool("21"),
  ],
  calls_empty: [user("w?"), assistant("b", { tool_calls: [] }), user("c")],
  calls_null: [user("w?"), assistant("b", { tool_calls: null }), user("c")],
  named: [{ ...user("Hi"), name: "anna" }, assistant("b", { name: "bot" }), user("c")],
  odd_role: [user("a"), { role: "critic", content: "b" }, user("c")],
  nobody: [],
};

const settings: readonly (readonly [string, Partial<Conversation>])[] = [
  ["", {}],
  ["+open", { add_generation_prompt: false }],
  ["+tools", { tools: [weather, nested, bare] }],
  ["+tools open", { tools: [weather], add_generation_prompt: false }],
  ["+think", { variables: { enable_thinking: true } }],
  ["+no think", { variables: { enable_thinking: false } }],
  ["+tools no think", { tools: [weather], variables: { enable_thinking: false, thinking: false } }],
];

const special: readonly Conversation[] = [
  {
    name: "documents",
    messages: [user("Who?")],
    documents: [
      { title: "One", text: "First\ntext", doc_id: 1 },
      { title: "", text: "Second" },
    ],
    add_generation_prompt: true,
  },
  ...["low", "medium", "high"].map((reasoning_effort) => ({
    name: `effort ${reasoning_effort}`,
    messages: [system(), user("Hi")],
    add_generation_prompt: true,
    variables: { reasoning_effort },
  })),
  ...[0, -1, 512, 16384].map((thinking_budget) => ({
    name: `budget ${thinking_budget}`,
    messages: [system(), user("Hi")],
    add_generation_prompt: true,
    variables: { thinking_budget },
  })),
  ...Object.entries({
    date_string: "01 Jan 2026",
    tools_in_user_message: false,
    xml_tools: [],
    builtin_tools: ["code_interpreter"],
    model_identity: "You are Troupe.",
    preserve_thinking: true,
    clear_thinking: false,
    keep_past_thinking: true,
    thinking: true,
    system_message: "sys",
    custom_instructions: "be nice",
    citation_mode: "fast",
  }).map(([name, value]) => ({
    name: `variable ${name}`,
    messages: talks["call_reasoning"] ?? [],
    tools: [weather],
    add_generation_prompt: true,
    variables: { [name]: value },
  })),
];

export function conversations(): readonly Conversation[] {
  const all = Object.entries(talks).flatMap(([talk, messages]) =>
    settings.map(([name, setting]) => ({
      name: talk + name,
      messages,
      add_generation_prompt: true,
      ...setting,
    })),
  );
  return [...all, ...special];
}
