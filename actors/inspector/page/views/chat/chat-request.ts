/** The chat's settings and turns → the body of `POST /v1/chat/completions`, or what is wrong. Pure. */
import type { ToolCall } from "./answer.ts";

export type ChatSettings = {
  readonly model: string;
  readonly system: string;
  /** Numbers as they were typed; "": the server's own. */
  readonly temperature: string;
  readonly top_p: string;
  readonly max_tokens: string;
  readonly seed: string;
  /** JSON; "": none. */
  readonly tools: string;
  readonly schema: string;
};

export const defaultSettings: ChatSettings = {
  ...{ model: "", system: "", temperature: "", top_p: "", max_tokens: "", seed: "" },
  ...{ tools: "", schema: "" },
};

export type Turn =
  | { readonly role: "user"; readonly content: string }
  | {
      readonly role: "assistant";
      readonly content: string;
      readonly reasoning: string;
      readonly calls: readonly ToolCall[];
    }
  | { readonly role: "tool"; readonly call: string; readonly content: string };

export type SettingName = keyof ChatSettings;
export type SettingErrors = { readonly [name in SettingName]?: string };

export type ChatRequest =
  | { readonly body: object; readonly errors?: undefined }
  | { readonly body?: undefined; readonly errors: SettingErrors };

type NumberRule = {
  readonly name: "temperature" | "top_p" | "max_tokens" | "seed";
  readonly field: string;
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
};

const numberRules: readonly NumberRule[] = [
  { name: "temperature", field: "temperature", min: 0, max: 2, whole: false },
  { name: "top_p", field: "top_p", min: 0, max: 1, whole: false },
  {
    ...{ name: "max_tokens", field: "max_completion_tokens" },
    ...{ min: 1, max: 2_147_483_647, whole: true },
  },
  {
    ...{ name: "seed", field: "seed" },
    ...{ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER, whole: true },
  },
];

export function chatRequest(settings: ChatSettings, turns: readonly Turn[]): ChatRequest {
  const errors: { [name in SettingName]?: string } = {};
  if (settings.model === "") errors.model = "No model is served yet.";
  const numbers: Record<string, number> = {};
  for (const rule of numberRules) {
    const text = settings[rule.name].trim();
    if (text === "") continue;
    const error = numberError(rule, text);
    if (error === undefined) numbers[rule.field] = Number(text);
    else errors[rule.name] = error;
  }
  const tools = readTools(settings.tools);
  const form = readSchema(settings.schema);
  if (tools.error !== undefined) errors.tools = tools.error;
  if (form.error !== undefined) errors.schema = form.error;
  if (Object.keys(errors).length > 0) return { errors };
  const system = settings.system.trim();
  const first = system === "" ? [] : [{ role: "system", content: settings.system }];
  return {
    body: {
      model: settings.model,
      messages: [...first, ...turns.map(messageOf)],
      stream: true,
      stream_options: { include_usage: true },
      ...numbers,
      ...(tools.value === undefined ? {} : { tools: tools.value }),
      ...(form.value === undefined ? {} : { response_format: form.value }),
      nvext: { extra_fields: ["worker_id", "timing"] },
    },
  };
}

function numberError({ min, max, whole }: NumberRule, text: string): string | undefined {
  const value = Number(text);
  const fits = Number.isFinite(value) && value >= min && value <= max;
  if (fits && (!whole || Number.isSafeInteger(value))) return undefined;
  if (max > 1_000) return whole && min === 1 ? "A whole number from 1." : "A whole number.";
  return `A number from ${min} to ${max}.`;
}

function messageOf(turn: Turn): object {
  if (turn.role === "user") return turn;
  if (turn.role === "tool") {
    return { role: "tool", tool_call_id: turn.call, content: turn.content };
  }
  const { content, reasoning, calls } = turn;
  return {
    role: "assistant",
    content: content === "" && calls.length > 0 ? null : content,
    ...(reasoning === "" ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls.map(callOf) }),
  };
}

const callOf = ({ id, name, arguments: text }: ToolCall) => ({
  id,
  type: "function",
  function: { name, arguments: text === "" ? "{}" : text },
});

type Read = { readonly value?: object; readonly error?: string };

function readJson(text: string): { readonly value?: unknown; readonly error?: string } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { error: `This is not JSON: ${(error as Error).message}` };
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** OpenAI's tools, or functions alone, one or a list of them. */
function readTools(text: string): Read {
  if (text.trim() === "") return {};
  const { value, error } = readJson(text);
  if (error !== undefined) return { error };
  const list = Array.isArray(value) ? value : [value];
  const tools: object[] = [];
  for (const item of list) {
    const fn: unknown = isObject(item) && isObject(item["function"]) ? item["function"] : item;
    if (!isObject(fn) || typeof fn["name"] !== "string") {
      return { error: 'Each tool needs a name: [{"name": "…", "parameters": {…}}].' };
    }
    tools.push({ type: "function", function: fn });
  }
  return tools.length === 0 ? {} : { value: tools };
}

/** A schema, or a whole `response_format`. */
function readSchema(text: string): Read {
  if (text.trim() === "") return {};
  const { value, error } = readJson(text);
  if (error !== undefined) return { error };
  if (!isObject(value)) return { error: "A schema is a JSON object." };
  const { type } = value;
  if (type === "json_schema" || type === "json_object") return { value };
  return {
    value: {
      type: "json_schema",
      json_schema: { name: "answer", schema: value, strict: true },
    },
  };
}
