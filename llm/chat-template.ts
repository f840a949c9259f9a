import { Environment, Interpreter, Template } from "@huggingface/jinja";

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
  /** Some templates loop over the parts of a message and drop a plain string. */
  private readonly wants_parts: boolean;

  constructor(source: string) {
    try {
      this.template = new Template(source);
    } catch (thrown) {
      const message = `the model's chat template cannot be read: ${lineOf(thrown)}`;
      throw new ChatTemplateError("template_broken", message);
    }
    this.wants_parts = wantsParts(this.template);
  }

  /** Throws ChatTemplateError "template_refused" with the template's own words. */
  render(input: ChatTemplateInput): string {
    const messages = input.messages.map((message) => ({
      ...message,
      content: this.wants_parts ? asParts(message.content) : asText(message.content),
    }));
    try {
      return run(this.template, { ...variablesOf(input), messages });
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

const MONTHS =
  "January February March April May June July August September October November December".split(
    " ",
  );
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/** Python's strftime for what templates use, in UTC and English; unknown letters stay. */
export function formatTime(unix_ms: number, format: string): string {
  const { year, month, day, weekday, hour, minute, second } = civilTime(unix_ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const values: Record<string, string> = {
    Y: String(year),
    y: two(year % 100),
    m: two(month),
    d: two(day),
    e: String(day).padStart(2, " "),
    B: MONTHS[month - 1]!,
    b: MONTHS[month - 1]!.slice(0, 3),
    A: DAYS[weekday]!,
    a: DAYS[weekday]!.slice(0, 3),
    H: two(hour),
    I: two(hour % 12 === 0 ? 12 : hour % 12),
    M: two(minute),
    S: two(second),
    p: hour < 12 ? "AM" : "PM",
    "%": "%",
  };
  const plain = format.replaceAll(/%-([dmHIMS])/g, (_, letter: string) =>
    String(Number(values[letter])),
  );
  return plain.replaceAll(/%(.)/g, (whole, letter: string) => values[letter] ?? whole);
}

/** Calendar fields of a Unix time, by the days-to-civil algorithm of Howard Hinnant. */
function civilTime(unix_ms: number): {
  year: number;
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
  second: number;
} {
  const days = Math.floor(unix_ms / 86_400_000);
  const seconds = Math.floor((unix_ms - days * 86_400_000) / 1000);
  const shifted = days + 719_468; // days since 0000-03-01
  const era = Math.floor(shifted / 146_097);
  const day_of_era = shifted - era * 146_097;
  const leaps = Math.floor(day_of_era / 1460) - Math.floor(day_of_era / 36_524);
  const year_of_era = Math.floor((day_of_era - leaps - Math.floor(day_of_era / 146_096)) / 365);
  const before = 365 * year_of_era + Math.floor(year_of_era / 4) - Math.floor(year_of_era / 100);
  const day_of_year = day_of_era - before;
  const shifted_month = Math.floor((5 * day_of_year + 2) / 153);
  const month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  return {
    year: year_of_era + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: day_of_year - Math.floor((153 * shifted_month + 2) / 5) + 1,
    weekday: (((days + 4) % 7) + 7) % 7,
    hour: Math.floor(seconds / 3600),
    minute: Math.floor(seconds / 60) % 60,
    second: seconds % 60,
  };
}
