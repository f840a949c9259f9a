import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { areOrdinary, type CompiledTemplate, compileTemplate } from "./template-compile.ts";
import { formatTime } from "./template-time.ts";

export type ChatMessage = {
  readonly role: string;
  readonly content: string | readonly { readonly type: "text"; readonly text: string }[] | null;
  readonly [field: string]: unknown;
};

export type ChatTemplateInput = {
  readonly messages: readonly ChatMessage[];
  readonly add_generation_prompt: boolean;
  readonly tools?: readonly unknown[] | undefined;
  /** Text of the begin and end tokens; empty where the model has none. */
  readonly bos_token: string;
  readonly eos_token: string;
  /** Handed to the template as they are, such as `enable_thinking`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
  /** Unix time in milliseconds, for templates that print the date; in UTC. */
  readonly now_ms: number;
};

export type ChatTemplateErrorCode = "template_refused" | "template_broken";

/**
 * `template_refused`: the template does not take this conversation, the message says why (a 400).
 * `template_broken`: the template itself cannot be read.
 */
export class ChatTemplateError extends Error {
  readonly code: ChatTemplateErrorCode;
  constructor(code: ChatTemplateErrorCode, message: string) {
    super(message);
    this.name = "ChatTemplateError";
    this.code = code;
  }
}

/** ChatML: for models that come without a template. */
export const CHATML_TEMPLATE = `{% for message in messages -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{%- endfor -%}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}`;

const MAX_CACHED = 32;
const compiled = new Map<string, ChatTemplate>();

/** Compiles a template, or takes it from the cache. Throws ChatTemplateError "template_broken". */
export function compileChatTemplate(source: string): ChatTemplate {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const template = new ChatTemplate(source);
  if (compiled.size === MAX_CACHED) compiled.delete(compiled.keys().next().value ?? "");
  compiled.set(source, template);
  return template;
}

/** A model's own way to write a conversation down as one prompt. */
export class ChatTemplate {
  private readonly template: Template;
  /** Undefined when the template holds something that only the library knows. */
  private readonly compiled: CompiledTemplate | undefined;
  /** Some templates loop over the parts of a message and drop a plain string. */
  private readonly wants_parts: boolean;

  constructor(source: string) {
    try {
      this.template = new Template(source);
    } catch (thrown) {
      const message = `the model's chat template cannot be read: ${lineOf(thrown)}`;
      throw new ChatTemplateError("template_broken", message);
    }
    this.compiled = compileTemplate(this.template.parsed);
    this.wants_parts = wantsParts(this.template);
  }

  /** Throws ChatTemplateError "template_refused" with the template's own words. */
  render(input: ChatTemplateInput): string {
    const messages = input.messages.map((message) => ({
      ...message,
      content: this.wants_parts ? asParts(message.content) : asText(message.content),
    }));
    const variables = { ...variablesOf(input), messages };
    if (this.compiled !== undefined && areOrdinary(input.variables ?? {})) {
      try {
        return this.compiled({ range, ...variables });
      } catch {
        // The library has the words of a refusal, and renders what was a surprise.
      }
    }
    try {
      return run(this.template, variables);
    } catch (thrown) {
      throw new ChatTemplateError("template_refused", lineOf(thrown));
    }
  }
}

/**
 * `Template.render` declares a `strftime_now` that reads the clock by itself, and refuses another;
 * so the globals of chat templates are declared here, the time handed in among them.
 */
function run(template: Template, variables: Record<string, unknown>): string {
  const scope = new Environment();
  for (const [name, value] of Object.entries({ ...globals, ...variables })) scope.set(name, value);
  return String(new Interpreter(scope).run(template.parsed).value);
}

const globals = {
  true: true,
  True: true,
  false: false,
  False: false,
  none: null,
  None: null,
  range,
};

const RANGE_MAX = 100_000;

/** As Python's; a template may not count further than a prompt is long. */
function range(start: number, stop?: number, step = 1): number[] {
  const [from, to] = stop === undefined ? [0, start] : [start, stop];
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= RANGE_MAX)) throw new Error(`range() of ${length} items is too long`);
  return Array.from({ length }, (_, index) => from + index * step);
}

function variablesOf(input: ChatTemplateInput): Record<string, unknown> {
  return {
    ...input.variables,
    ...(input.tools === undefined || input.tools.length === 0 ? {} : { tools: input.tools }),
    add_generation_prompt: input.add_generation_prompt,
    bos_token: input.bos_token,
    eos_token: input.eos_token,
    strftime_now: (format: string): string => formatTime(input.now_ms, format),
    raise_exception: (message: unknown): never => {
      throw new Error(String(message));
    },
  };
}

type Content = ChatMessage["content"];

function asText(content: Content): string {
  if (content === null) return "";
  return typeof content === "string" ? content : content.map((part) => part.text).join("\n");
}

function asParts(content: Content): readonly { type: "text"; text: string }[] {
  if (content === null) return [];
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

const PROBE = "troupe-probe";

/** True when a message shows only if its content is a list of parts. */
function wantsParts(template: Template): boolean {
  const shows = (content: unknown): boolean => {
    const variables = variablesOf({
      messages: [],
      add_generation_prompt: false,
      bos_token: "",
      eos_token: "",
      now_ms: 0,
    });
    try {
      const messages = [{ role: "user", content }];
      return run(template, { ...variables, messages }).includes(PROBE);
    } catch {
      return false;
    }
  };
  return !shows(PROBE) && shows([{ type: "text", text: PROBE }]);
}

/** The first line of what was thrown, without the stack. */
function lineOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.split("\n", 1)[0]!.slice(0, 500);
}
