/**
 * Compiled chat templates against the library that they stand for: whatever the conversation, the
 * same text, or none at all (then the library renders).
 */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Environment, Interpreter, Template } from "@huggingface/jinja";
import fc from "fast-check";
import { CHATML_TEMPLATE, compileChatTemplate } from "../../llm/chat-template.ts";
import { compileTemplate } from "../../llm/template-compile.ts";

const tiny = join(import.meta.dir, "../../deploy/models/tiny/chat_template.jinja");

/** In the manner of the large models' templates; each must be compiled. */
const templates: Readonly<Record<string, string>> = {
  chatml: CHATML_TEMPLATE,
  tiny: readFileSync(tiny, "utf8"),
  alternating: `{{ bos_token }}{% if messages[0]['role'] == 'system' %}{%
set rest = messages[1:] %}{% set
system = messages[0].content | trim + '\n\n' %}{% else %}{% set rest = messages %}{%
set system = '' %}{% endif %}{%
for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{
raise_exception('roles must alternate') }}{%
endif %}{% if loop.first %}{{ system }}{% endif %}{{ '<' ~ m.role ~ '>' + m.content | trim }}{%
if not loop.last %}{{ eos_token }}{% endif %}{% else %}nobody{% endfor %}`,
  namespaces: `{% set ns = namespace(last=-1, text='', seen=[]) %}{% for m in messages[::-1] %}{%
set index =
(messages | length - 1) - loop.index0 %}{% if ns.last < 0 and m.role == 'user' and not
(m.content is string and m.content.startswith('<') and m.content.endswith('>')) %}{%
set ns.last = index %}{% endif %}{%
set ns.seen = ns.seen + [m.role] %}{% endfor %}{{ ns.last }}|{{ ns.seen | join(',') }}|{%
for m in messages if m.role !=
'system' %}{{ loop.index }}{{ loop.previtem.role if loop.previtem else '-' }}{{
loop.nextitem.role }}{{ m.role | upper
}}{% endfor %}`,
  thinking: `{% for m in messages %}{% set content = m.content %}{% set why = '' %}{%
if m.reasoning_content is string %}{% set
why = m.reasoning_content %}{% elif '</think>' in content %}{%
set why = content.split('</think>')[0].rstrip('\n').split(
'<think>')[-1].lstrip('\n') %}{% set content = content.split('</think>')[-1].lstrip('\n') %}{%
endif %}{{ m.role }}:{%
if why and loop.index0 > 0 %}[{{ why.strip() }}]{% endif %}{{
content | default('none', true) }};{% endfor %}{%
if enable_thinking is defined and enable_thinking is false %}quiet{% endif %}`,
  tools: `{% macro shown(call, n=1) %}{{ n }}:{{ call.name }}({%
for key, value in call.arguments.items() %}{{ key }}={{ value
| tojson if value is not string else value }}{% if not loop.last %}, {% endif %}{% endfor %}){%
endmacro %}{% if tools is defined
and tools %}{{ tools | tojson(indent=2) }}{% for tool in tools %}{{ tool.function.name }}{%
for k, v in
tool.function.parameters.properties | items %}{{ k }}{{ v.type }}{% endfor %}{% endfor %}{%
endif %}{% for m in messages %}{%
if m.tool_calls is defined and m.tool_calls is iterable and m.tool_calls | length > 0 %}{%
for c in m.tool_calls %}{% set c =
c.function if c.function else c %}{{ shown(c, n=loop.index) }}{% endfor %}{%
elif m.role == 'tool' %}{{ m.get('name', '?') }}={{
m.content }}{% else %}{{ m.content }}{% endif %}
{% endfor %}`,
  values: `{{ {'a': 1, 'b': [1.5, none, true]} | tojson }}{{ [1, 2, 3][-1] }}{{ 'abc'[::-1] }}{{
7 // 2 }}{{ 7 % 4 }}{{ -3 + 1
}}{{ 'x' * 0 if false else 'y' }}{{ messages | map(attribute='role') | join('-') }}{{
messages | selectattr('role', 'equalto',
'user') | list | length }}{{ messages | rejectattr('content') | list | length }}{{
messages[0].nothing }}{{ messages[0].nothing
is undefined }}{{ none }}{{ true and 'yes' or 'no' }}{{ 'role' in messages[0] }}{{
messages | first | tojson }}{% for i in
range(1, 6, 2) %}{{ i }}{% if i == 3 %}{% break %}{% endif %}{% endfor %}{% set both %}<{{
bos_token }}>{% endset %}{{ both |
lower | title | replace('<', '[') }}{{ '%d' }}{{ strftime_now('%Y') }}{{
'a b  c'.split() | tojson }}`,
};

const text = fc.oneof(
  fc.constantFrom("", " hi ", "<x>", "<think>\nwhy\n</think>\n\nso", 'say "é"\n', "😀 \u2028"),
  fc.string({ unit: "grapheme", maxLength: 12 }),
);
const argument = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.nat()));
const call = fc.record({
  type: fc.constant("function"),
  function: fc.record({
    name: fc.constantFrom("look", "weather"),
    arguments: fc.dictionary(fc.constantFrom("city", "n", "unit"), argument),
  }),
});
const message = fc.oneof(
  fc.record({ role: fc.constantFrom("system", "user", "assistant", "tool"), content: text }),
  fc.record({ role: fc.constant("assistant"), content: text, reasoning_content: text }),
  fc.record({ role: fc.constant("assistant"), content: text, tool_calls: fc.array(call) }),
  fc.record({ role: fc.constant("tool"), name: fc.constantFrom("look"), content: text }),
);
const tool = {
  type: "function",
  function: {
    name: "look",
    description: 'up "é"',
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, n: { type: "integer" } },
    },
  },
};
const variables = fc.record({
  messages: fc.array(message, { minLength: 1, maxLength: 6 }),
  add_generation_prompt: fc.boolean(),
  tools: fc.constantFrom(undefined, [tool]),
  enable_thinking: fc.constantFrom(undefined, true, false),
});

type Variables = Readonly<Record<string, unknown>>;

/** Undefined variables are absent ones, as in ChatTemplate. */
function whole(given: Variables): Variables {
  const present = Object.entries(given).filter(([, value]) => value !== undefined);
  return {
    ...Object.fromEntries(present),
    bos_token: "<s>",
    eos_token: "</s>",
    range: (from: number, to: number, step: number) =>
      Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step),
    strftime_now: (format: string) => `at ${format}`,
    raise_exception: (why: unknown) => {
      throw new Error(String(why));
    },
  };
}

const constants = { true: true, false: false, none: null };

/** The text, or undefined when it refuses. */
function byLibrary(template: Template, given: Variables): string | undefined {
  const scope = new Environment();
  for (const [name, value] of Object.entries({ ...constants, ...given })) scope.set(name, value);
  try {
    return String(new Interpreter(scope).run(template.parsed).value);
  } catch {
    return undefined;
  }
}

for (const [name, source] of Object.entries(templates)) {
  test(`compiled and interpreted are the same: ${name}`, () => {
    const template = new Template(source);
    const compiled = compileTemplate(template.parsed);
    if (compiled === undefined) throw new Error("it must be compiled");
    let rendered = 0;
    fc.assert(
      fc.property(variables, (drawn) => {
        const given = whole(drawn);
        const expected = byLibrary(template, given);
        let shown: string | undefined;
        try {
          shown = compiled(given);
        } catch {
          // What the library refuses is refused; what it renders must be no surprise here.
        }
        expect(shown).toBe(expected as string);
        if (shown !== undefined) rendered++;
      }),
      { numRuns: 300, seed: 20261125 },
    );
    expect(rendered).toBeGreaterThan(0);
  });
}

test("what is not known is left to the library", () => {
  const unknown = [
    "{{ messages | batch(2) }}",
    "{{ 4.0 }}",
    "{{ (1, 2) }}",
    "{{ x is divisibleby }}",
  ];
  for (const source of unknown)
    expect(compileTemplate(new Template(source).parsed)).toBeUndefined();
  const turns = { messages: [{ role: "user", content: "a" }], add_generation_prompt: false };
  const input = { ...turns, bos_token: "", eos_token: "", now_ms: 0 };
  expect(compileChatTemplate("{{ 4.0 }}{{ messages[0].content }}").render(input)).toBe("4.0a");
});

test("a surprise at run time is rendered by the library", () => {
  const source = "{{ messages[0].extra + ['b'] }}{{ messages[0].content }}";
  const compiled = compileTemplate(new Template(source).parsed);
  const messages = [{ role: "user", content: "a", extra: ["a"] }];
  expect(compiled?.({ messages })).toBe('["a", "b"]a');
  expect(() => compiled?.({ messages: [{ role: "user", content: "a" }] })).toThrow();
  const input = { messages, add_generation_prompt: false, bos_token: "", eos_token: "", now_ms: 0 };
  expect(compileChatTemplate(source).render(input)).toBe('["a", "b"]a');
});
