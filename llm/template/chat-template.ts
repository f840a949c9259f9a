/** A model's chat template: a conversation → the text of its prompt, as transformers makes it. */
import { TemplateBudgetError } from "./budget.ts";
import { type CompiledTemplate, compileTemplate } from "./compile/compile.ts";
import { TemplateRaisedError } from "./errors.ts";
import { formatTime } from "./library/time.ts";
import { Callable } from "./values/values.ts";

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

type Part = { readonly type: "text"; readonly text: string };

/** A model's own way to write a conversation down as one prompt. */
export class ChatTemplate {
  readonly #run: CompiledTemplate;
  /** Arguments of calls are objects to it; false: it joins their JSON to its text. */
  readonly #takes_objects: boolean;
  /** Which forms of `content` the template shows. */
  readonly #takes: { readonly text: boolean; readonly parts: boolean };

  constructor(source: string) {
    try {
      this.#run = compileTemplate(source);
    } catch (thrown) {
      const message = `the chat template cannot be read: ${lineOf(thrown)}`;
      throw new ChatTemplateError("template_broken", message);
    }
    this.#takes_objects = !this.#wantsArgumentsAsText();
    this.#takes = { text: this.#shows(PROBE), parts: this.#shows([{ type: "text", text: PROBE }]) };
  }

  /** Throws ChatTemplateError "template_refused" with the template's own words. */
  render(input: ChatTemplateInput): string {
    const messages = input.messages.map((message) => {
      const content = this.#content(message.content);
      const whole = withReasoning(message);
      return content === message.content ? whole : { ...whole, content };
    });
    try {
      return this.#run(variablesOf(input, messages));
    } catch (thrown) {
      throw new ChatTemplateError("template_refused", lineOf(thrown));
    }
  }

  /**
   * Why no conversation at all can be rendered; undefined where one can, or where the template
   * itself refuses by `raise_exception`: it may want what a sample does not have.
   */
  whyNever(): string | undefined {
    const reasons = SAMPLES.map(({ messages, tools }) => {
      const input = { messages, tools, add_generation_prompt: true, bos_token: "", eos_token: "" };
      try {
        this.#run(variablesOf({ ...input, now_ms: 0 }, messages));
      } catch (thrown) {
        return thrown instanceof TemplateRaisedError ? undefined : lineOf(thrown);
      }
      return undefined;
    });
    return reasons.includes(undefined) ? undefined : reasons[0];
  }

  /**
   * Calls of earlier turns as the template wants them: clients send arguments as JSON, and most
   * templates take the object that it says. JSON that is no object stays as it is.
   */
  withCallArguments(messages: readonly ChatMessage[]): readonly ChatMessage[] {
    if (!this.#takes_objects || !messages.some(hasCalls)) return messages;
    return messages.map((message) => {
      if (!hasCalls(message)) return message;
      return { ...message, tool_calls: message["tool_calls"].map(withObject) };
    });
  }

  /** It fails at an object, or shows it as Python does, and takes a text. */
  #wantsArgumentsAsText(): boolean {
    const shown = this.#showsCall({ [PROBE]: PROBE });
    if (shown !== undefined && !shown.includes(`'${PROBE}'`)) return false;
    return this.#showsCall(PROBE)?.includes(PROBE) === true;
  }

  /** What a conversation with a call of these arguments is; undefined: it is refused. */
  #showsCall(given: unknown): string | undefined {
    const call = {
      id: "probe0000",
      type: "function",
      function: { name: "probe", arguments: given },
    };
    const messages = [
      { role: "user", content: "-" },
      { role: "assistant", content: "", tool_calls: [call] },
      { role: "tool", content: "-", name: "probe", tool_call_id: call.id },
    ];
    const input = { messages, tools: [TOOL], add_generation_prompt: true };
    try {
      return this.#run(
        variablesOf({ ...input, bos_token: "", eos_token: "", now_ms: 0 }, messages),
      );
    } catch (thrown) {
      if (thrown instanceof TemplateBudgetError) {
        throw new ChatTemplateError("template_broken", thrown.message);
      }
      return undefined;
    }
  }

  /**
   * A text for templates that show texts, parts for those that loop over them. Nothing is an empty
   * text (docs/decisions/013), and parts of a template that knows none are lines of one text.
   */
  #content(content: ChatMessage["content"]): string | readonly Part[] {
    const { text, parts } = this.#takes;
    const wants_parts = parts && !text;
    if (content === null || content === undefined) return wants_parts ? [] : "";
    if (typeof content === "string") {
      return wants_parts ? [{ type: "text", text: content }] : content;
    }
    return parts ? content : content.map((part) => part.text).join("\n");
  }

  /** Whether a message of this content shows, and shows as nothing else. */
  #shows(content: string | readonly Part[]): boolean {
    const input = { messages: [], add_generation_prompt: false, bos_token: "", eos_token: "" };
    try {
      const messages = [{ role: "user", content }];
      const text = this.#run(variablesOf({ ...input, now_ms: 0 }, messages));
      return text.includes(PROBE) && !/["']type["']/.test(text);
    } catch (thrown) {
      if (thrown instanceof TemplateBudgetError) {
        throw new ChatTemplateError("template_broken", thrown.message);
      }
      return false;
    }
  }
}

const PROBE = "troupe-probe";

const ASKS = { role: "user", content: PROBE };
const PARTS = { role: "user", content: [{ type: "text", text: PROBE }] as const };
const TOOL = {
  type: "function",
  function: { name: "probe", description: "", parameters: { type: "object", properties: {} } },
};
const SAMPLES: readonly Pick<ChatTemplateInput, "messages" | "tools">[] = [
  { messages: [ASKS] },
  { messages: [PARTS] },
  { messages: [{ role: "system", content: PROBE }, ASKS] },
  { messages: [ASKS, { role: "assistant", content: PROBE }, ASKS], tools: [TOOL] },
];

type Calling = ChatMessage & { readonly tool_calls: readonly unknown[] };

const hasCalls = (message: ChatMessage): message is Calling =>
  Array.isArray(message["tool_calls"]) && message["tool_calls"].length > 0;

function withObject(call: unknown): unknown {
  const { function: made } = call as { readonly function?: Readonly<Record<string, unknown>> };
  const given = made?.["arguments"];
  if (typeof given !== "string") return call;
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch {
    return call;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return call;
  return { ...(call as object), function: { ...made, arguments: value } };
}

/** As transformers names what a template may read: tools and documents are none where none are. */
function variablesOf(input: ChatTemplateInput, messages: unknown): Record<string, unknown> {
  const { now_ms } = input;
  return {
    __proto__: null,
    documents: null,
    ...input.variables,
    tools: input.tools ?? null,
    messages,
    add_generation_prompt: input.add_generation_prompt,
    bos_token: input.bos_token,
    eos_token: input.eos_token,
    strftime_now: new Callable("strftime_now", ([format]) => formatTime(now_ms, String(format))),
  };
}

/** Reasoning under the names that templates read it by, whichever name it came under. */
function withReasoning(message: ChatMessage): ChatMessage {
  const reasoning = message["reasoning_content"] ?? message["thinking"] ?? message["reasoning"];
  if (reasoning === undefined || reasoning === null) return message;
  return { thinking: reasoning, ...message, reasoning_content: reasoning };
}

/** The first line of what was thrown, without the stack. */
function lineOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.split("\n", 1)[0]!.slice(0, 500);
}
