/** Items of a request → turns of the chat template, and what `truncation` leaves out. */
import { expect, test } from "bun:test";
import { ApiError } from "../../../../actors/frontend/api/api-error.ts";
import { fitting } from "../../../../actors/frontend/api/responses/fitting.ts";
import { conversationOf } from "../../../../actors/frontend/api/responses/input-turns.ts";
import { checkItemIds, keptInput } from "../../../../actors/frontend/api/responses/kept-input.ts";
import type { Turn } from "../../../../actors/frontend/prompt/turns.ts";
import { templateMessages, textTurns } from "../../../../actors/frontend/prompt/turns.ts";

type Items = readonly Readonly<Record<string, unknown>>[];

const call = (call_id: string, name = "f") => ({
  ...{ type: "function_call", call_id, name, arguments: "{}" },
});
const result = (call_id: string, output: unknown = "42") => ({
  ...{ type: "function_call_output", call_id, output },
});
const shownCall = (id: string) => ({
  id,
  type: "function",
  function: { name: "f", arguments: "{}" },
});

function shown(input: Items | string, instructions?: string) {
  const conversation = conversationOf({ input: input as never, instructions }, undefined);
  return templateMessages(textTurns("m", conversation.turns), conversation);
}

const cases: readonly (readonly [string, Items | string, readonly object[]])[] = [
  ["a text is the user's", "hi", [{ role: "user", content: "hi" }]],
  [
    "parts are joined by line breaks, whatever their kind",
    [
      {
        role: "user",
        content: [
          { type: "input_text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
    ],
    [{ role: "user", content: "a\nb" }],
  ],
  [
    "system and developer messages in a row are one",
    [
      { role: "developer", content: "a" },
      { role: "system", content: "b" },
      { role: "user", content: "c" },
    ],
    [
      { role: "system", content: "a\n\nb" },
      { role: "user", content: "c" },
    ],
  ],
  [
    "reasoning, text and calls in a row are one turn",
    [
      { role: "user", content: "q" },
      { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "hm" }] },
      { role: "assistant", content: [{ type: "output_text", text: "so", annotations: [] }] },
      ...[call("1"), call("2"), result("2"), result("1", [{ type: "input_text", text: "x" }])],
    ],
    [
      { role: "user", content: "q" },
      {
        ...{ role: "assistant", content: "so", reasoning_content: "hm" },
        tool_calls: [shownCall("1"), shownCall("2")],
      },
      { role: "tool", content: "42", tool_call_id: "2" },
      { role: "tool", content: "x", tool_call_id: "1" },
    ],
  ],
  [
    "what is written behind a call is a turn of its own",
    [call("1"), { role: "assistant", content: "and" }, result("1")],
    [
      { role: "assistant", content: "", tool_calls: [shownCall("1")] },
      { role: "assistant", content: "and" },
      { role: "tool", content: "42", tool_call_id: "1" },
    ],
  ],
  [
    "encrypted reasoning says nothing",
    [
      { type: "reasoning", summary: [], encrypted_content: "gA" },
      { role: "user", content: "q" },
    ],
    [{ role: "user", content: "q" }],
  ],
];

for (const [name, input, expected] of cases) {
  test(name, () => expect(shown(input)).toEqual(expected as never));
}

test("instructions go before all", () => {
  expect(
    shown(
      [
        { role: "system", content: "b" },
        { role: "user", content: "c" },
      ],
      "a",
    ),
  ).toEqual([
    { role: "system", content: "a\n\nb" },
    { role: "user", content: "c" },
  ]);
});

const wrong: readonly (readonly [Items | string, string])[] = [
  [[], "input"],
  [[{ role: "critic", content: "x" }], "input[0].role"],
  [[{ content: "x" }], "input[0].role"],
  [[{ role: "user" }], "input[0].content"],
  [[{ role: "user", content: 5 }], "input[0].content"],
  [[{ role: "user", content: ["x"] }], "input[0].content[0]"],
  [[{ role: "user", content: [{ text: "x" }] }], "input[0].content[0].type"],
  [[{ role: "user", content: [{ type: "input_audio" }] }], "input[0].content[0]"],
  [[{ role: "user", content: [{ type: "input_image", image_url: "x" }] }], "input[0].content[0]"],
  [[{ role: "user", content: [{ type: "odd" }] }], "input[0].content[0].type"],
  [[{ role: "user", content: [{ type: "input_text" }] }], "input[0].content[0].text"],
  [[{ type: "mcp_call" }], "input[0].type"],
  [[{ type: "function_call", name: "f", arguments: "{}" }], "input[0].call_id"],
  [[{ ...call("1"), arguments: {} }], "input[0].arguments"],
  [[result("1")], "input[0].call_id"],
  [[call("1"), result("1"), result("1")], "input[2].call_id"],
  [[call("1"), call("1")], "input[1].call_id"],
  [[{ role: "user", content: "\ud800" }], "input[0].content"],
];

test("what is wrong is named by its path", () => {
  for (const [input, param] of wrong) {
    let error: unknown;
    try {
      shown(input);
    } catch (thrown) {
      error = thrown;
    }
    expect([error instanceof ApiError, param]).toEqual([true, param]);
    const { status, param: said } = error as ApiError;
    expect({ status, said }).toEqual({ status: 400, said: param });
  }
});

const turn = (role: Turn["role"], content: string): Turn => ({ role, content, param: "input" });
const turns = [
  turn("system", "s"),
  ...["a", "b", "c", "d"].flatMap((text) => [turn("user", text), turn("assistant", text)]),
];

test("the fewest oldest turns are left out, and system messages stay", () => {
  for (let room = 0; room <= 10; room += 1) {
    const answerTo = (some: readonly Turn[]) => {
      if (some.length <= room) return some.map(({ content }) => content).join("");
      throw new ApiError(400, "context_length_exceeded", `${some.length} turns`);
    };
    const expected = [
      "",
      "",
      "",
      "sdd",
      "sdd",
      "sccdd",
      "sccdd",
      "sbbccdd",
      "sbbccdd",
      "saabbccdd",
    ];
    if (room < 3) expect(() => fitting(turns, answerTo)).toThrow("9 turns");
    else expect(fitting(turns, answerTo)).toBe(expected[Math.min(room, 9)]!);
  }
});

test("another error is no reason to leave turns out", () => {
  const answerTo = () => {
    throw new ApiError(400, "invalid_value", "odd");
  };
  expect(() => fitting(turns, answerTo)).toThrow("odd");
});

test("ids of items are each item's own, and a client hears which is not", () => {
  const items = [{ id: "a" }, {}, { id: "b" }, {}];
  checkItemIds(items, "input");
  const refused = (run: () => void) => {
    expect(run).toThrow(ApiError);
    try {
      run();
    } catch (error) {
      return (error as ApiError).param;
    }
  };
  expect(refused(() => checkItemIds([...items, { id: "a" }], "input"))).toBe("input[4].id");
  expect(refused(() => checkItemIds(items, "items", new Set(["b"])))).toBe("items[2].id");
  expect(refused(() => keptInput({ input: [{ id: "a" }, { id: "a" }] }, "r"))).toBe("input[1].id");
});
