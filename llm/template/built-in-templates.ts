/**
 * Chat templates for models that come without one, by the family that their vocabulary shows: who
 * has a family's turn tokens was made to see turns written with them. Plain turns only: no tools.
 */

export type BuiltInTemplate = {
  readonly name: string;
  /** Tokens that a vocabulary of the family has; none: only by name. */
  readonly tokens: readonly string[];
  readonly source: string;
};

/** Whether the vocabulary has a token of this spelling. */
export type HasToken = (spelling: string) => boolean;

/** One turn a message, `turn` around role and text; `role` and `text` are expressions. */
const turns = (start: string, turn: string, opening: string): string =>
  `{{- ${start} }}{% for message in messages %}${turn}{% endfor %}{% if add_generation_prompt %}{{- ${opening} }}{% endif %}`;

const written = (text: string): string => `{{- ${text} }}`;

/** For templates without a system turn: its text stands before the first one of the user. */
const SYSTEM_FIRST = `{%- set ns = namespace(system='', rest=messages) -%}
{%- if messages and messages[0].role == 'system' and messages | length > 1 -%}
  {%- set ns.system = messages[0].content + '\\n\\n' -%}
  {%- set ns.rest = messages[1:] -%}
{%- endif -%}
`;

const gemma = `${SYSTEM_FIRST}{{- bos_token -}}
{%- for message in ns.rest -%}
  {%- set role = 'model' if message.role == 'assistant' else 'user' -%}
  {{- '<start_of_turn>' + role + '\\n' + (ns.system if loop.first else '') + message.content | trim -}}
  {{- '<end_of_turn>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\\n' -}}{%- endif -%}`;

/** `[INST]` turns; `open` and `close` are what stands around the text of a user. */
const instructed = (open: string, close: string, answer: string, system: string): string =>
  `${SYSTEM_FIRST}{{- bos_token -}}
{%- for message in ns.rest -%}
  {%- if message.role == 'assistant' -%}
    {{- ${answer} -}}
  {%- else -%}
    {{- ${open} + (${system} if loop.first and ns.system else '') + message.content + ${close} -}}
  {%- endif -%}
{%- endfor -%}`;

const llama2 = instructed(
  "(bos_token if not loop.first else '') + '[INST] '",
  "' [/INST]'",
  "' ' + message.content + ' ' + eos_token",
  "'<<SYS>>\\n' + ns.system | trim + '\\n<</SYS>>\\n\\n'",
);

const mistral = instructed("'[INST]'", "'[/INST]'", "message.content + eos_token", "ns.system");

const mistral_system = turns(
  "bos_token",
  `{% if message.role == 'system' %}${written("'[SYSTEM_PROMPT]' + message.content + '[/SYSTEM_PROMPT]'")}{% elif message.role == 'assistant' %}${written("message.content + eos_token")}{% else %}${written("'[INST]' + message.content + '[/INST]'")}{% endif %}`,
  "''",
);

const deepseek = turns(
  "bos_token",
  `{% if message.role == 'assistant' %}${written("'<｜Assistant｜>' + message.content + eos_token")}{% elif message.role == 'system' %}${written("message.content")}{% else %}${written("'<｜User｜>' + message.content")}{% endif %}`,
  "'<｜Assistant｜>'",
);

const command_r = turns(
  "bos_token",
  `{% set role = {'system': '<|SYSTEM_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'}.get(message.role, '<|USER_TOKEN|>') %}${written("'<|START_OF_TURN_TOKEN|>' + role + message.content | trim + '<|END_OF_TURN_TOKEN|>'")}`,
  "'<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>'",
);

const vicuna = turns(
  "bos_token",
  `{% if message.role == 'assistant' %}${written("'ASSISTANT: ' + message.content + eos_token + '\\n'")}{% elif message.role == 'system' %}${written("message.content + '\\n\\n'")}{% else %}${written("'USER: ' + message.content + '\\n'")}{% endif %}`,
  "'ASSISTANT:'",
);

const harmony = turns(
  "''",
  `{% if message.role == 'system' %}${written("'<|start|>developer<|message|># Instructions\\n\\n' + message.content + '\\n\\n<|end|>'")}{% elif message.role == 'assistant' %}${written("'<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>'")}{% else %}${written("'<|start|>' + message.role + '<|message|>' + message.content + '<|end|>'")}{% endif %}`,
  "'<|start|>assistant'",
);

/** A turn whose role stands between two tokens, as Llama 3 and its likes write it. */
const headed = (start: string, open: string, close: string, end: string): string =>
  turns(
    start,
    written(`'${open}' + message.role + '${close}' + message.content | trim + '${end}'`),
    `'${open}assistant${close}'`,
  );

/** A turn that begins with a token of its role. */
const marked = (start: string, between: string, end: string, last: string): string =>
  turns(
    start,
    written(`'<|' + message.role + '|>${between}' + message.content + ${end}`),
    `'<|assistant|>${last}'`,
  );

export const CHATML_TEMPLATE = turns(
  "''",
  written("'<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n'"),
  "'<|im_start|>assistant\\n'",
);

/** The most telling first: a vocabulary gets the first one whose tokens it has. */
export const builtInTemplates: readonly BuiltInTemplate[] = [
  {
    name: "phi4",
    tokens: ["<|im_start|>", "<|im_sep|>", "<|im_end|>"],
    source: turns(
      "''",
      written("'<|im_start|>' + message.role + '<|im_sep|>' + message.content + '<|im_end|>'"),
      "'<|im_start|>assistant<|im_sep|>'",
    ),
  },
  {
    name: "glm4",
    tokens: ["[gMASK]", "<sop>", "<|user|>", "<|assistant|>"],
    source: marked("'[gMASK]<sop>'", "\\n", "''", ""),
  },
  {
    name: "phi3",
    tokens: ["<|user|>", "<|assistant|>", "<|end|>"],
    source: marked("''", "\\n", "'<|end|>\\n'", "\\n"),
  },
  {
    name: "granite",
    tokens: ["<|start_of_role|>", "<|end_of_role|>"],
    source: turns(
      "''",
      written(
        "'<|start_of_role|>' + message.role + '<|end_of_role|>' + message.content + '<|end_of_text|>\\n'",
      ),
      "'<|start_of_role|>assistant<|end_of_role|>'",
    ),
  },
  {
    name: "command-r",
    tokens: ["<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"],
    source: command_r,
  },
  { name: "deepseek", tokens: ["<｜User｜>", "<｜Assistant｜>"], source: deepseek },
  {
    name: "llama4",
    tokens: ["<|header_start|>", "<|header_end|>", "<|eot|>"],
    source: headed("bos_token", "<|header_start|>", "<|header_end|>\\n\\n", "<|eot|>"),
  },
  {
    name: "llama3",
    tokens: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    source: headed("bos_token", "<|start_header_id|>", "<|end_header_id|>\\n\\n", "<|eot_id|>"),
  },
  {
    name: "gemma4",
    tokens: ["<|turn>", "<turn|>"],
    source: turns(
      "bos_token",
      `{% set role = 'model' if message.role == 'assistant' else message.role %}${written("'<|turn>' + role + '\\n' + message.content | trim + '<turn|>\\n'")}`,
      "'<|turn>model\\n'",
    ),
  },
  { name: "gemma", tokens: ["<start_of_turn>", "<end_of_turn>"], source: gemma },
  {
    name: "mistral-v7",
    tokens: ["[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[INST]", "[/INST]"],
    source: mistral_system,
  },
  { name: "mistral", tokens: ["[INST]", "[/INST]"], source: mistral },
  {
    name: "harmony",
    tokens: ["<|start|>", "<|message|>", "<|channel|>", "<|end|>"],
    source: harmony,
  },
  { name: "chatml", tokens: ["<|im_start|>", "<|im_end|>"], source: CHATML_TEMPLATE },
  { name: "llama2", tokens: [], source: llama2 },
  { name: "vicuna", tokens: [], source: vicuna },
  { name: "zephyr", tokens: [], source: marked("''", "\\n", "eos_token + '\\n'", "\\n") },
];

export const builtInTemplate = (name: string): BuiltInTemplate | undefined =>
  builtInTemplates.find((template) => template.name === name);

/** How chats of a model without a template are written, and how that was found. */
export type Stand = { readonly from: "vocabulary" | "default"; readonly template: BuiltInTemplate };

export function standFor(has: HasToken): Stand {
  const found = builtInTemplates.find(
    ({ tokens }) => tokens.length > 0 && tokens.every((token) => has(token)),
  );
  if (found !== undefined) return { from: "vocabulary", template: found };
  const chatml = { name: "chatml", tokens: [], source: CHATML_TEMPLATE };
  return { from: "default", template: builtInTemplate("chatml") ?? chatml };
}

/** Text for a person about a model without a template, and what to do. */
export function standText(model: string, { from, template }: Stand): string {
  const how =
    from === "vocabulary"
      ? `'${template.name}', whose turn tokens its vocabulary has`
      : `'${template.name}', which it was not trained on`;
  return (
    `Model '${model}' has no chat template; it may be a base model that cannot chat. Chats are ` +
    `written by the built-in template ${how}. Give its own by --chat-template FILE|NAME, or use ` +
    "/v1/completions."
  );
}
