/**
 * Outputs as models write them, by family: what the parsers have to take apart again. One line or
 * two a format, written from the models' chat templates.
 */
export type SampleCall = {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
};

export type Sample = {
  readonly reasoning: string;
  readonly before: string;
  readonly calls: readonly SampleCall[];
  readonly after: string;
};

export type Family = {
  /** Calls as one block. Absent where calls have no place in free text. */
  readonly block?: (calls: readonly SampleCall[]) => string;
  /** The whole output, of formats with messages. */
  readonly output?: (sample: Sample) => string;
  /** Text that no string of this format may have in it. */
  readonly reserved: readonly string[];
  /** Strings come out without white space around them. */
  readonly trims?: true;
};

const json = (value: unknown): string => JSON.stringify(value);
const entries = (call: SampleCall): [string, unknown][] => Object.entries(call.arguments);
/** Strings as they are, other values as JSON. */
const plain = (value: unknown): string => (typeof value === "string" ? value : json(value));

const object = (call: SampleCall, key = "arguments"): string =>
  `{"name": ${json(call.name)}, ${json(key)}: ${json(call.arguments)}}`;

const list = (calls: readonly SampleCall[]): string =>
  `[${calls.map((call) => object(call)).join(", ")}]`;

const eachCall =
  (one: (call: SampleCall, index: number) => string, between = "") =>
  (calls: readonly SampleCall[]): string =>
    calls.map(one).join(between);

const xml = (
  call: SampleCall,
  invoke: string,
  parameter: (key: string, value: unknown) => string,
  close: string,
): string =>
  `${invoke}${entries(call)
    .map(([key, value]) => parameter(key, value))
    .join("\n")}\n${close}`;

const qwen = eachCall(
  (call) =>
    `<tool_call>\n${xml(
      call,
      `<function=${call.name}>\n`,
      (key, value) => `<parameter=${key}>\n${plain(value)}\n</parameter>`,
      "</function>",
    )}\n</tool_call>`,
  "\n",
);

const dsml = (mark: string, wrapper: string) => (calls: readonly SampleCall[]) =>
  `<${mark}${wrapper}>\n${calls
    .map((call) =>
      xml(
        call,
        `<${mark}invoke name="${call.name}">\n`,
        (key, value) =>
          `<${mark}parameter name="${key}" string="${typeof value === "string"}">${plain(value)}</${mark}parameter>`,
        `</${mark}invoke>`,
      ),
    )
    .join("\n")}\n</${mark}${wrapper}>`;

const attributes = (prefix: string, call: SampleCall): string =>
  xml(
    call,
    `<${prefix}invoke name="${call.name}">\n`,
    (key, value) => `<${prefix}parameter name="${key}">${plain(value)}</${prefix}parameter>`,
    `</${prefix}invoke>`,
  );

const M = "]<]minimax[>[";
const m3 = (tag: string, value: unknown): string => {
  if (Array.isArray(value)) {
    return `${M}<${tag}>${value.map((item) => m3("item", item)).join("")}${M}</${tag}>`;
  }
  if (typeof value !== "object" || value === null) {
    return `${M}<${tag}>${plain(value)}${M}</${tag}>`;
  }
  const members = Object.entries(value).map(([key, member]) => m3(key, member));
  return `${M}<${tag}>${members.join("")}${M}</${tag}>`;
};

const glm = (space: string) =>
  eachCall(
    (call) =>
      `<tool_call>${call.name}${space}${entries(call)
        .map(
          ([key, value]) =>
            `<arg_key>${key}</arg_key>${space}<arg_value>${plain(value)}</arg_value>${space}`,
        )
        .join("")}</tool_call>`,
    space,
  );

const gemma = (value: unknown): string => {
  if (typeof value === "string") return `<|"|>${value}<|"|>`;
  if (Array.isArray(value)) return `[${value.map(gemma).join(",")}]`;
  if (typeof value !== "object" || value === null) return json(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${key}:${gemma(member)}`)
    .join(",")}}`;
};

const python = (value: unknown): string => {
  if (value === true) return "True";
  if (value === false) return "False";
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value !== "object") return json(value);
  return `{${Object.entries(value)
    .map(([key, member]) => `${json(key)}: ${python(member)}`)
    .join(", ")}}`;
};

const section =
  (marks: string[], one: (call: SampleCall, index: number) => string) =>
  (calls: readonly SampleCall[]) =>
    `${marks[0]}${eachCall(one)(calls)}${marks[1]}`;

const DEEPSEEK_SECTION = ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"];
const KIMI_SECTION = ["<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"];

const HERMES: Family = {
  block: eachCall((call) => `<tool_call>\n${object(call)}\n</tool_call>`, "\n"),
  reserved: [],
};
const KIMI_K2: Family = {
  block: section(
    KIMI_SECTION,
    (call, index) =>
      `<|tool_call_begin|>functions.${call.name}:${index}<|tool_call_argument_begin|>${json(call.arguments)}<|tool_call_end|>`,
  ),
  reserved: [],
};
const DEEPSEEK_V4: Family = {
  block: dsml("｜DSML｜", "tool_calls"),
  reserved: ["</｜DSML｜parameter>"],
};
const QWEN3_CODER: Family = { block: qwen, reserved: ["</parameter>"], trims: true };
const MINIMAX_M3: Family = {
  block: (calls) =>
    `${M}<tool_call>\n${calls
      .map(
        (call) =>
          `${M}<invoke name="${call.name}">${entries(call)
            .map(([key, value]) => m3(key, value))
            .join("")}${M}</invoke>`,
      )
      .join("\n")}\n${M}</tool_call>`,
  reserved: [M],
};
const GEMMA4: Family = {
  block: eachCall((call) => `<|tool_call>call:${call.name}${gemma(call.arguments)}<tool_call|>`),
  reserved: ['<|"|>'],
};

const K3_TYPES: Readonly<Record<string, string>> = {
  string: "string",
  number: "number",
  boolean: "boolean",
  object: "object",
};
const k3Type = (value: unknown): string =>
  Array.isArray(value) ? "array" : (K3_TYPES[typeof value] ?? "object");
const KIMI_K3: Family = {
  output: ({ reasoning, before, calls }) => {
    const think = reasoning && `<|open|>think<|sep|>${reasoning}<|close|>think<|sep|>`;
    const tools = eachCall(
      (call, index) =>
        `<|open|>call tool="${call.name}" index="${index + 1}"<|sep|>${entries(call)
          .map(
            ([key, value]) =>
              `<|open|>argument key="${key}" type="${k3Type(value)}"<|sep|>${plain(value)}<|close|>argument<|sep|>`,
          )
          .join("")}<|close|>call<|sep|>`,
    )(calls);
    const block = calls.length === 0 ? "" : `<|open|>tools<|sep|>${tools}<|close|>tools<|sep|>`;
    return `${think}<|open|>response<|sep|>${before}<|close|>response<|sep|>${block}<|close|>message<|sep|>`;
  },
  reserved: ["<|open|>", "<|close|>", "<|sep|>", "<|end_of_msg|>"],
};

const HARMONY: Family = {
  output: ({ reasoning, before, calls, after }) =>
    [
      reasoning && `<|channel|>analysis<|message|>${reasoning}<|end|>`,
      before && `<|channel|>commentary<|message|>${before}<|end|>`,
      ...calls.map(
        (call) =>
          `<|channel|>commentary to=functions.${call.name} <|constrain|>json<|message|>${json(call.arguments)}<|call|>`,
      ),
      after && `<|channel|>final<|message|>${after}<|return|>`,
    ]
      .filter((message) => message !== "")
      .join("<|start|>assistant"),
  reserved: [
    "<|channel|>",
    "<|message|>",
    "<|end|>",
    "<|start|>",
    "<|call|>",
    "<|return|>",
    "<|constrain|>",
  ],
};

const INKLING: Family = {
  output: ({ reasoning, before, calls, after }) =>
    `${[
      reasoning && `<|content_thinking|>${reasoning}`,
      before && `<|content_text|>${before}`,
      ...calls.map((call) => `${call.name}<|content_invoke_tool_json|>${object(call, "args")}`),
      after && `<|content_text|>${after}`,
    ]
      .filter((message) => message !== "")
      .join("<|end_message|><|message_model|>")}<|end_message|><|content_model_end_sampling|>`,
  reserved: ["<|end_message|>", "<|message_model|>", "<|content_"],
};

const MUSE: Family = {
  output: ({ reasoning, before, calls, after }) =>
    `${[
      reasoning && ` to=self<|message|>${reasoning}`,
      before && ` to=user<|message|>${before}`,
      ...calls.map(
        (call) =>
          ` to=${call.name}<|message|><atem:function_calls>\n${attributes("atem:", call)}\n</atem:function_calls>`,
      ),
      after && ` to=user<|message|>${after}`,
    ]
      .filter((message) => message !== "")
      .join("<|eom|><|start|>assistant")}<|eot|>`,
  reserved: ["<|message|>", "<|start|>", "<|eom|>", "<|eot|>", "</atem:parameter>"],
};

/** Of every tool parser's name. */
export const FAMILIES: Readonly<Record<string, Family>> = {
  "deepseek-v4": DEEPSEEK_V4,
  deepseek_v3: {
    block: section(
      DEEPSEEK_SECTION,
      (call) =>
        `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${call.name}\n\`\`\`json\n${json(call.arguments)}\n\`\`\`<｜tool▁call▁end｜>`,
    ),
    reserved: [],
  },
  deepseek_v3_1: {
    block: section(
      DEEPSEEK_SECTION,
      (call) =>
        `<｜tool▁call▁begin｜>${call.name}<｜tool▁sep｜>${json(call.arguments)}<｜tool▁call▁end｜>`,
    ),
    reserved: [],
  },
  deepseek_v3_2: { block: dsml("｜DSML｜", "function_calls"), reserved: ["</｜DSML｜parameter>"] },
  deepseek_v4: DEEPSEEK_V4,
  deepseek_v41: { block: dsml("｜DSML｜ ", "calls"), reserved: ["</｜DSML｜ parameter>"] },
  deepseekv4: DEEPSEEK_V4,
  default: { block: (calls) => `<TOOLCALL>${list(calls)}</TOOLCALL>`, reserved: [] },
  "gemma-4": GEMMA4,
  gemma4: GEMMA4,
  glm45: { block: glm("\n"), reserved: ["</arg_value>"] },
  glm47: { block: glm(""), reserved: ["</arg_value>"] },
  harmony: HARMONY,
  hermes: HERMES,
  inkling: INKLING,
  jamba: { block: (calls) => `<tool_calls>${list(calls)}</tool_calls>`, reserved: [] },
  "kimi-k3": KIMI_K3,
  kimi_k2: KIMI_K2,
  kimi_k25: KIMI_K2,
  kimi_k3: KIMI_K3,
  llama3_json: {
    block: (calls) => `<|python_tag|>${calls.map((call) => object(call, "parameters")).join("; ")}`,
    reserved: [],
  },
  "minimax-m3": MINIMAX_M3,
  "minimax-m3-nom": MINIMAX_M3,
  minimax_m2: {
    block: (calls) =>
      `<minimax:tool_call>\n${calls.map((call) => attributes("", call)).join("\n")}\n</minimax:tool_call>`,
    reserved: ["</parameter>"],
    trims: true,
  },
  minimax_m3: MINIMAX_M3,
  minimax_m3_nom: MINIMAX_M3,
  mistral: { block: (calls) => `[TOOL_CALLS]${list(calls)}`, reserved: [] },
  muse: MUSE,
  muse_glimmer: MUSE,
  nemotron_deci: { block: (calls) => `<TOOLCALL>${list(calls)}</TOOLCALL>`, reserved: [] },
  nemotron_nano: QWEN3_CODER,
  phi4: { block: (calls) => `functools${list(calls)}`, reserved: [] },
  pythonic: {
    // A bracket right behind a word is an index.
    block: (calls) =>
      ` [${calls
        .map(
          (call) =>
            `${call.name}(${entries(call)
              .map(([key, value]) => `${key}=${python(value)}`)
              .join(", ")})`,
        )
        .join(", ")}]`,
    reserved: [],
  },
  qwen25: HERMES,
  qwen3: { block: qwen, reserved: ["</parameter>"] },
  qwen3_coder: QWEN3_CODER,
};
