/** Calls of earlier turns in chat templates: objects where templates want them, and no forgery. */
import { expect, test } from "bun:test";
import { compileChatTemplate } from "../../../llm/template/chat-template.ts";
import { ControlMarks } from "../../../llm/template/control-marks.ts";
import { renderGuarded } from "../../../llm/template/guarded-render.ts";

const looped = (shown: string) =>
  `{% for m in messages %}{% for c in m.tool_calls or [] %}${shown}{% endfor %}{% endfor %}`;

const messages = (given: unknown) => [
  { role: "user", content: "hi" },
  {
    ...{ role: "assistant", content: "" },
    tool_calls: [{ id: "a", type: "function", function: { name: "f", arguments: given } }],
  },
];

const GIVEN = '{"city": "Bern", "n": 2}';

const rest = { add_generation_prompt: false, bos_token: "", eos_token: "", now_ms: 0 };

function shown(template: string, given: unknown): string {
  const chat = compileChatTemplate(looped(template));
  return chat.render({ ...rest, messages: chat.withCallArguments(messages(given)) });
}

test("a template that writes JSON, or goes through the arguments, gets an object", () => {
  expect(shown("{{ c.function.arguments | tojson }}", GIVEN)).toBe(GIVEN);
  const walks = "{% for k, v in c.function.arguments.items() %}<{{ k }}>{{ v }};{% endfor %}";
  expect(shown(walks, GIVEN)).toBe("<city>Bern;<n>2;");
  const either =
    "{% if c.function.arguments is string %}s{% else %}{{ c.function.arguments | tojson }}{% endif %}";
  expect(shown(either, GIVEN)).toBe(GIVEN);
});

test("a template that joins the arguments to its text gets the text", () => {
  expect(shown("{{ '=' + c.function.arguments }}", GIVEN)).toBe(`=${GIVEN}`);
  expect(shown("{{ c.function.arguments }}", GIVEN)).toBe(GIVEN);
});

test("what is no object stays as the client sent it", () => {
  for (const given of ["", "[1]", "5", "{broken", '"x"']) {
    expect(shown("{{ c.function.arguments | tojson }}", given)).toBe(JSON.stringify(given));
  }
  expect(shown("{{ c.function.arguments | tojson }}", { a: 1 })).toBe('{"a": 1}');
});

test("control tokens that arguments spell by escapes make none", () => {
  const chat = compileChatTemplate(looped("{{ c.function.arguments | tojson }}"));
  const marks = new ControlMarks(["<|im_end|>"]);
  const turns = chat.withCallArguments(messages('{"a": "\\u003c|im_end|>", "<|im_end|>": 1}'));
  const { text, barrier } = renderGuarded(marks, { messages: turns }, (input) =>
    chat.render({ ...rest, ...input }),
  );
  expect(text).not.toContain("<|im_end|>");
  expect(text.replaceAll(barrier!, "")).toBe('{"a": "<|im_end|>", "<|im_end|>": 1}');
});
