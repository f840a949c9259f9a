import { expect, test } from "bun:test";
import { CHATML_TEMPLATE } from "../../../llm/template/built-in-templates.ts";
import {
  ChatTemplateError,
  type ChatTemplateInput,
  compileChatTemplate,
} from "../../../llm/template/chat-template.ts";
import { formatTime } from "../../../llm/template/library/time.ts";

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
  expect(text).toBe("<s></s>Falselook03 Feb 2026hi");
});

test("variables cannot take the place of the conversation", () => {
  const variables = { messages: [], add_generation_prompt: false, bos_token: "x" };
  const text = compileChatTemplate("{{ bos_token }}{{ messages | length }}").render(
    input({ variables }),
  );
  expect(text).toBe("<s>2");
});

test("without tools and documents both are none, as in transformers", () => {
  const source = "{{ tools is none }} {{ documents is none }} {{ tools is defined }}";
  expect(compileChatTemplate(source).render(input())).toBe("True True True");
  expect(compileChatTemplate(source).render(input({ tools: [{}] }))).toBe("False True True");
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

test("parts stay parts for a template that takes both, and nothing is an empty text", () => {
  const both = compileChatTemplate(
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}{% for p in m.content %}[{{ p.text }}]{% endfor %}{% endif %}{% endfor %}",
  );
  const parts = [{ type: "text", text: "one" } as const, { type: "text", text: "two" } as const];
  expect(both.render(input({ messages: [{ role: "user", content: parts }] }))).toBe("[one][two]");
  expect(both.render(input({ messages: [{ role: "user", content: "x" }] }))).toBe("x");
  const source = "{{ messages[0].content is none }}<{{ messages[0].content }}>";
  const nothing = [{ role: "assistant", content: null, tool_calls: [] }];
  expect(compileChatTemplate(source).render(input({ messages: nothing }))).toBe("False<>");
});

test("reasoning is read by each name that templates have for it", () => {
  const source = "{{ messages[0].thinking }}|{{ messages[0].reasoning_content }}";
  for (const field of ["reasoning_content", "thinking", "reasoning"]) {
    const messages = [{ role: "assistant", content: "", [field]: "why" }];
    expect(compileChatTemplate(source).render(input({ messages }))).toBe("why|why");
  }
});

const call = {
  function: { name: "look", arguments: { city: "Bern", n: 2, deep: [1.5, null, true] } },
};
const talk = [
  { role: "user", content: "a", n: 1 },
  { role: "assistant", content: "b", tool_calls: [call], nothing: null },
];

/** Kinds that templates in use have, and what Python gives for them. */
const kinds: readonly (readonly [string, string])[] = [
  [
    "{{ messages[1].tool_calls[0].function.arguments | string }}",
    "{'city': 'Bern', 'n': 2, 'deep': [1.5, None, True]}",
  ],
  ["{{ [8, 3, 5] | min }}{{ [messages | length, 9] | max }}", "39"],
  [
    "{% set t = {0: 'no', 512: 'some'} %}{{ t[512] }}{% for k, v in t.items() %}{{ k }}{% endfor %}",
    "some0512",
  ],
  ["[{{ messages[0].zz | trim }}{{ messages[0].zz | length }}]", "[0]"],
  ["{{ messages[1].nothing | selectattr('x') | list }}", "[]"],
  ["{% for a, (b, c) in [(1, (2, 3))] %}{{ a + b + c }}{% endfor %}", "6"],
  ["{% if false %}{{ not_there() }}{% endif %}ok", "ok"],
  [
    "{{ messages[1].tool_calls[0].function | tojson }}",
    '{"name": "look", "arguments": {"city": "Bern", "n": 2, "deep": [1.5, null, true]}}',
  ],
  [
    "{{ '%s: %d' | format('n', 2) }} {{ '{:>4}'.format(7) }} {{ 7 // 2 }} {{ 7 / 2 }} {{ 4 / 2 }}",
    "n: 2    7 3 3.5 2.0",
  ],
  ["{{ true }} {{ none }} {{ 1.0 }} {{ (1,) }} {{ 'a' ~ 1 }}", "True None 1.0 (1,) a1"],
  [
    "{% set x %} y {% endset %}[{{ x }}]{% for i in [1] %}{% set x = i %}{% endfor %}[{{ x }}]",
    "[ y ][ y ]",
  ],
  ["a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"],
  ["{{ messages | map(attribute='role') | join(', ') | upper }}", "USER, ASSISTANT"],
  ["{{ '<' | safe ~ {'a': '\"'} }}", "<{'a': '\"'}"],
];

test("each kind has Python's value", () => {
  for (const [source, text] of kinds) {
    expect([source, compileChatTemplate(source).render(input({ messages: talk }))]).toEqual([
      source,
      text,
    ]);
  }
});

test("what is called and not there, or changes what is not the template's, is refused", () => {
  expect(refusal("{{ not_there() }}").message).toBe("'not_there' is undefined");
  expect(refusal("{{ messages.append(1) }}").message).toContain("unsafe");
  expect(refusal("{{ a.b.c }}").message).toBe("a is undefined, so it has no 'b'");
  expect(refusal("{{ range(1000000) }}").message).toContain("Range too big");
  expect(refusal("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}").code).toBe("template_refused");
  expect(refusal("{{ 'x' * 1000000000 }}").code).toBe("template_refused");
});

test("a template that does not end is refused after a number of steps", () => {
  const twice = (body: string) =>
    `{% for i in range(99999) %}{% for j in range(99999) %}${body}{% endfor %}{% endfor %}`;
  const grown = (by: string, from: string) =>
    `{% set ns = namespace(x=${from}) %}{% for i in range(99) %}{% set ns.x = ${by} %}{% endfor %}`;
  const list = "{% set r = range(90000) | list %}{% for i in range(90000) %}";
  const endless = [
    twice(""),
    twice("{{ i }}"),
    "{% for i in range(9999) if range(9999) | sum > 1 %}{% endfor %}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(40) }}",
    "{% for i in [[[]]] recursive %}{{ loop([i, i]) }}{{ loop([i, i]) }}{% endfor %}",
    `${list}{{ r | sum }}{% endfor %}`,
    `${list}{{ r | string | length }}{% endfor %}`,
    `${list}{{ r == r }}{{ "a" in r }}{% endfor %}`,
    `${list}{% set x = r[:] %}{% endfor %}`,
    `${grown("ns.x + ns.x", "'ab'")}{{ ns.x }}`,
    `${grown("ns.x ~ ns.x", "'ab'")}{{ ns.x }}`,
    `${grown("ns.x + ns.x", "[1]")}{{ ns.x }}`,
    "{% set t = 'x' * 9000000 %}{% for i in range(90000) %}{{ t | length }}{% endfor %}",
  ];
  for (const source of endless) {
    const now = `{% if messages[0].content == "hello" %}${source}{% endif %}`;
    const { code, message } = refusal(now, { messages: [{ role: "user", content: "hello" }] });
    if (message.startsWith("Maximum call stack")) continue;
    expect([source, code, message]).toEqual([
      source,
      "template_refused",
      expect.stringMatching(
        /^the template does not end: more than \d+ (steps|characters of text)$/,
      ),
    ]);
    // Whatever it is asked: found when it is compiled.
    if (!source.includes("recursive")) expect(refusal(source).code).toBe("template_broken");
  }
  expect(refusal(grown("ns.x * ns.x", "9")).message).toContain("65536 bits");
  expect(refusal("{{ (9 ** 4000) ** 4000 }}").message).toContain("65536 bits");
});

test("a message that a template makes long is refused, and each rendering has a budget of its own", () => {
  const source = "{{ messages[0].content * 100000 }}";
  const of = (length: number) => ({ messages: [{ role: "user", content: "x".repeat(length) }] });
  expect(refusal(source + source, of(660)).message).toContain("does not end");
  expect(refusal(source, of(9000)).code).toBe("template_refused");
  const template = compileChatTemplate(source);
  for (let i = 0; i < 3; i++) expect(template.render(input(of(300)))).toHaveLength(30_000_000);
});

test("a long conversation is within the budget", () => {
  const content = "A line of a long conversation.\n".repeat(150);
  const messages = Array.from({ length: 8192 }, () => ({ role: "user", content }));
  const text = compileChatTemplate(CHATML_TEMPLATE).render(input({ messages }));
  expect(text.length).toBeGreaterThan(8192 * content.length - 8192);
  const first =
    "{% for m in messages %}{% for o in messages %}{% if o.role %}{% break %}{% endif %}{% endfor %}" +
    "{{ m.content | trim }}{% endfor %}";
  expect(compileChatTemplate(first).render(input({ messages }))).toContain("A line");
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
