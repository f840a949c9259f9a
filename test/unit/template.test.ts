import { expect, test } from "bun:test";
import {
  CHATML_TEMPLATE,
  ChatTemplateError,
  type ChatTemplateInput,
  compileChatTemplate,
} from "../../llm/chat-template.ts";
import { formatTime } from "../../llm/template-time.ts";

const NOW_MS = Date.UTC(2026, 1, 3, 14, 5, 9);

function input(changes: Partial<ChatTemplateInput> = {}): ChatTemplateInput {
  return {
    messages: [
      { role: "system", content: "be brief" },
      { role: "user", content: "hi" },
    ],
    add_generation_prompt: true,
    bos_token: "<s>",
    eos_token: "</s>",
    now_ms: NOW_MS,
    ...changes,
  };
}

function refusal(source: string, changes: Partial<ChatTemplateInput> = {}): ChatTemplateError {
  try {
    compileChatTemplate(source).render(input(changes));
  } catch (thrown) {
    if (thrown instanceof ChatTemplateError) return thrown;
    throw thrown;
  }
  throw new Error("nothing was thrown");
}

test("the template for models without one is ChatML", () => {
  const text = compileChatTemplate(CHATML_TEMPLATE).render(input());
  expect(text).toBe(
    "<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
  );
  const closed = compileChatTemplate(CHATML_TEMPLATE).render(
    input({ add_generation_prompt: false }),
  );
  expect(closed.endsWith("hi<|im_end|>\n")).toBe(true);
});

test("begin and end tokens, variables, tools and the date reach the template", () => {
  const source =
    "{{ bos_token }}{{ eos_token }}{{ enable_thinking }}{{ tools[0].name }}" +
    "{{ strftime_now('%d %b %Y') }}{{ messages[1].content }}";
  const text = compileChatTemplate(source).render(
    input({ variables: { enable_thinking: false }, tools: [{ name: "look" }] }),
  );
  expect(text).toBe("<s></s>falselook03 Feb 2026hi");
});

test("variables cannot take the place of the conversation", () => {
  const variables = { messages: [], add_generation_prompt: false, bos_token: "x" };
  const text = compileChatTemplate("{{ bos_token }}{{ messages | length }}").render(
    input({ variables }),
  );
  expect(text).toBe("<s>2");
});

test("no tools means that tools are not defined", () => {
  const source = "{% if tools is defined %}yes{% else %}no{% endif %}";
  expect(compileChatTemplate(source).render(input({ tools: [] }))).toBe("no");
});

test("what the template refuses is an error with its words", () => {
  const source = "{{ raise_exception('System role not supported') }}";
  const error = refusal(source);
  expect(error.code).toBe("template_refused");
  expect(error.message).toBe("System role not supported");
  expect(refusal("{{ messages[0].content | nonsense }}").code).toBe("template_refused");
});

test("a template that cannot be read is said to be broken", () => {
  expect(refusal("{% if %}").code).toBe("template_broken");
  expect(refusal("{% for x in y %}").code).toBe("template_broken");
});

test("parts become text, and text becomes parts for templates that want them", () => {
  const parts = [
    { type: "text", text: "one" },
    { type: "text", text: "two" },
  ] as const;
  const messages = [{ role: "user", content: parts }];
  const plain = compileChatTemplate("{{ messages[0].content }}");
  expect(plain.render(input({ messages }))).toBe("one\ntwo");
  const looping = compileChatTemplate(
    "{% for m in messages %}{% for p in m.content %}{% if p.type == 'text' %}[{{ p.text }}]{% endif %}{% endfor %}{% endfor %}",
  );
  expect(looping.render(input({ messages }))).toBe("[one][two]");
  expect(looping.render(input({ messages: [{ role: "user", content: "x" }] }))).toBe("[x]");
  expect(plain.render(input({ messages: [{ role: "assistant", content: null }] }))).toBe("");
});

test("the cache is bounded and gives the same template back", () => {
  const first = compileChatTemplate("{{ 1 }}");
  expect(compileChatTemplate("{{ 1 }}")).toBe(first);
  for (let i = 2; i < 40; i++) compileChatTemplate(`{{ ${i} }}`);
  expect(compileChatTemplate("{{ 1 }}")).not.toBe(first);
});

test("dates are those of the calendar", () => {
  const format = "%Y-%m-%d %H:%M:%S %A %a %B %b %I%p %y %-d %-m %e %% %Q";
  expect(formatTime(NOW_MS, format)).toBe(
    "2026-02-03 14:05:09 Tuesday Tue February Feb 02PM 26 3 2  3 % %Q",
  );
  for (let day = -30_000; day < 60_000; day += 17) {
    const unix_ms = day * 86_400_000;
    expect(formatTime(unix_ms, "%Y-%m-%d")).toBe(new Date(unix_ms).toISOString().slice(0, 10));
  }
});
