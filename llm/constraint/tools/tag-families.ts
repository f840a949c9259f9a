/** Families that write each parameter between tags: XML-like, GLM, Kimi K3, Muse. */

import { BOOLEAN, LIST, NULL, NUMBER, OBJECT, STRING } from "../../parsers/scan/schema-types.ts";
import { type Expression, either, literal, maybe, NOTHING, row, times } from "../schema/rules.ts";
import type { ObjectShape, Property, Shape } from "../schema/shape.ts";
import {
  type Calls,
  objectsOf,
  type ReadTool,
  repeated,
  type ToolFamily,
  unwritable,
} from "./family.ts";
import { ParameterText, type TextFrame, typesOfShape } from "./parameter-text.ts";

const LINE = maybe('"\\u000a"');
/** A tag's name has no character that would end the tag. */
const TAG_NAME = /^[^\s<>"'&]+$/;
/** Names of parameters that the schema does not list. */
const OTHER_NAME = "[a-zA-Z_] [a-zA-Z0-9_\\u002d]*";
const NUMBERED_CALLS = 16;
/** With more functions than this there are at most two calls. */
const NUMBERED_TOOLS = 64;

/**
 * Parameters one behind the other, in the schema's order.
 * @param parameter from the name (as an expression) and the shape
 */
export function parametersOf(
  calls: Calls,
  tool: ReadTool,
  at: number,
  parameter: (name: Expression, shape: Shape) => Expression | undefined,
): Expression {
  const objects = objectsOf(tool.table);
  const choices = (objects ?? []).flatMap((object) => {
    const text = membersOf(object, calls, parameter);
    return text ?? [];
  });
  if (choices.length === 0) throw unwritable(at);
  return calls.book.rule(either(choices));
}

function membersOf(
  { properties, others }: ObjectShape,
  { book }: Calls,
  parameter: (name: Expression, shape: Shape) => Expression | undefined,
): Expression | undefined {
  const parts: Expression[] = [];
  const write = ({ name, shape }: Property) =>
    TAG_NAME.test(name) ? parameter(literal(name), shape) : undefined;
  for (const property of properties) {
    const text = write(property);
    if (text !== undefined) parts.push(property.required ? text : maybe(book.rule(text)));
    else if (property.required) return undefined;
  }
  // Beside listed names others might come twice.
  if (properties.length === 0) {
    const free = others.flatMap(({ shape }) => parameter(OTHER_NAME, shape) ?? []);
    if (free.length > 0) parts.push(times(book.rule(either(free)), 0, undefined));
  }
  return row(...parts);
}

type Tags = {
  /** Around all calls, "" where there is none. */
  readonly open: string;
  readonly close: string;
  /** Each call has a wrapper of its own. */
  readonly each: boolean;
  readonly call: (name: string) => string;
  readonly call_close: string;
  /** Before and behind the parameter's name. */
  readonly parameter: readonly [string, string];
  readonly parameter_close: string;
  readonly frame: Omit<TextFrame, "mark">;
  /** The tag says whether the value is a string. */
  readonly says_string?: boolean;
  /** A call may come without the wrapper; what begins it. */
  readonly bare?: string;
};

/** `<tool_call><function=f><parameter=k>…</parameter></function></tool_call>` and its like. */
export function invokeFamily(tags: Tags): ToolFamily {
  return {
    all: (calls) => invokeCalls(calls, tags),
    behind: (calls) => {
      const { book } = calls;
      const one = book.rule(either(calls.tools.map((tool, i) => invoke(calls, tool, i, tags))));
      const wrapped = row(LINE, tags.each ? one : rowOf(one, calls), literal(tags.close));
      const openers: (readonly [string, Expression])[] = [[tags.open, book.rule(wrapped)]];
      if (tags.bare !== undefined) {
        const rest = calls.tools.map((tool, i) => invoke(calls, tool, i, tags, tags.bare));
        openers.push([tags.bare, book.rule(either(rest))]);
      }
      return openers;
    },
  };
}

const rowOf = (one: Expression, { many }: Calls): Expression =>
  many ? times(one, 1, undefined) : one;

export function invokeCalls(calls: Calls, tags: Tags): Expression {
  const { book } = calls;
  const one = book.rule(either(calls.tools.map((tool, i) => invoke(calls, tool, i, tags))));
  const open = literal(`${tags.open}\n`);
  if (!tags.each) return row(open, rowOf(one, calls), literal(tags.close));
  return repeated(book.rule(row(open, one, literal(tags.close))), "\n", calls.many);
}

/** One call and the line break behind it. @param written what of it stands there already */
function invoke(calls: Calls, tool: ReadTool, at: number, tags: Tags, written = ""): Expression {
  const text = new ParameterText(calls.book, tool.table, {
    ...tags.frame,
    mark: tags.parameter_close,
  });
  const [before, behind] = tags.parameter;
  const parameters = parametersOf(calls, tool, at, (name, shape) => {
    const flag = (said: boolean) =>
      row(literal(before), name, literal(`${behind} string="${said}">`));
    const line = literal("\n");
    if (tags.says_string !== true) {
      const value = text.value(shape);
      return value && row(literal(before), name, literal(`${behind}>`), value, line);
    }
    return saidStrings(text, shape, flag, line);
  });
  const head = tags.call(tool.name).slice(written.length);
  return row(literal(`${head}\n`), parameters, literal(`${tags.call_close}\n`));
}

/** A string under one tag, JSON under the other. */
function saidStrings(
  text: ParameterText,
  shape: Shape,
  tag: (is_string: boolean) => Expression,
  line: Expression,
): Expression | undefined {
  const shapes = text.alternatives(shape);
  const any = shapes.some(({ kind }) => kind === "any");
  const isString = (each: Shape) => typesOfShape(each) === STRING;
  const strings = any ? text.freeText() : text.strings(shapes.filter(isString));
  const rest = any ? shapes : shapes.filter((each) => !isString(each));
  const others = rest.length === 0 ? undefined : text.json({ kind: "or", shapes: rest });
  const choices: Expression[] = [];
  if (strings !== undefined) choices.push(row(tag(true), strings, line));
  if (others !== undefined) choices.push(row(tag(false), others, line));
  return choices.length === 0 ? undefined : either(choices);
}

const QWEN_XML: Omit<Tags, "frame"> = {
  open: "<tool_call>",
  close: "</tool_call>",
  each: true,
  call: (name) => `<function=${name}>`,
  call_close: "</function>",
  parameter: ["<parameter=", ""],
  parameter_close: "</parameter>",
  bare: "<function=",
};

export const qwenCoderFamily = invokeFamily({
  ...QWEN_XML,
  frame: { line: "\n", trims: true, unknown: "string" },
});

export const qwen3Family = invokeFamily({
  ...QWEN_XML,
  frame: { line: "\n", trims: false, unknown: "string" },
});

export const minimaxM2Family = invokeFamily({
  open: "<minimax:tool_call>",
  close: "</minimax:tool_call>",
  each: false,
  call: (name) => `<invoke name="${name}">`,
  call_close: "</invoke>",
  parameter: ['<parameter name="', '"'],
  parameter_close: "</parameter>",
  frame: { line: "", trims: true, unknown: "string" },
  bare: "<invoke name=",
});

/** DeepSeek's markup: every tag carries a mark. */
export const dsmlFamily = (mark: string, wrapper: string): ToolFamily =>
  invokeFamily({
    open: `<${mark}${wrapper}>`,
    close: `</${mark}${wrapper}>`,
    each: false,
    call: (name) => `<${mark}invoke name="${name}">`,
    call_close: `</${mark}invoke>`,
    parameter: [`<${mark}parameter name="`, '"'],
    parameter_close: `</${mark}parameter>`,
    frame: { line: "", trims: false, unknown: "string" },
    says_string: true,
    bare: `<${mark}invoke name=`,
  });

const MUSE: Tags = {
  open: "<atem:function_calls>",
  close: "</atem:function_calls>",
  each: true,
  call: (name) => `<atem:invoke name="${name}">`,
  call_close: "</atem:invoke>",
  parameter: ['<atem:parameter name="', '"'],
  parameter_close: "</atem:parameter>",
  frame: { line: "", trims: false, unknown: "string" },
};

/** A message a call, addressed to the function. */
export const museFamily: ToolFamily = {
  all: (calls) => {
    const messages = calls.tools.map((tool, i) => {
      const call = invoke(calls, tool, i, MUSE);
      return row(literal(` to=${tool.name}<|message|>${MUSE.open}\n`), call, literal(MUSE.close));
    });
    const one = calls.book.rule(either(messages));
    return row(repeated(one, "<|eom|><|start|>assistant", calls.many), maybe(literal("<|eot|>")));
  },
  behind: (calls) => {
    const choices = calls.tools.map((tool, i) => invoke(calls, tool, i, MUSE));
    return [[MUSE.open, row(LINE, calls.book.rule(either(choices)), literal(MUSE.close))]];
  },
};

/** `<tool_call>f<arg_key>k</arg_key><arg_value>v</arg_value></tool_call>`, with line breaks or not. */
const glmBehind = (calls: Calls): Expression => {
  const { book } = calls;
  const choices = calls.tools.map((tool, i) => {
    const mark = "</arg_value>";
    const text = new ParameterText(book, tool.table, {
      ...{ mark, line: "", trims: false, unknown: "json" },
    });
    const parameters = parametersOf(calls, tool, i, (name, shape) => {
      const value = text.value(shape);
      if (value === undefined) return undefined;
      const key = row('"<arg_key>"', name, '"</arg_key>"', LINE);
      return row(key, '"<arg_value>"', value, LINE);
    });
    return row(literal(tool.name), LINE, parameters, literal("</tool_call>"));
  });
  return book.rule(either(choices));
};

export const glmFamily: ToolFamily = {
  all: (calls) => {
    const one = calls.book.rule(row('"<tool_call>"', glmBehind(calls)));
    return calls.many ? row(one, `(${row(LINE, one)})*`) : one;
  },
  behind: (calls) => [["<tool_call>", glmBehind(calls)]],
};

const K3_TYPES: readonly (readonly [string, number])[] = [
  ["number", NUMBER],
  ["boolean", BOOLEAN],
  ["null", NULL],
  ["array", LIST],
  ["object", OBJECT],
];

const k3 = (tag: string): string =>
  `<|${tag.startsWith("/") ? "close" : "open"}|>${tag.replace("/", "")}<|sep|>`;

/** `<|open|>argument key="k" type="string"<|sep|>v<|close|>argument<|sep|>`, all in one channel. */
export const kimiK3Family: ToolFamily = {
  all: (calls) => {
    const { book } = calls;
    const bodies = calls.tools.map((tool, i) => k3Body(calls, tool, i));
    const call = (number: number) =>
      book.rule(
        either(
          calls.tools.map(({ name }, i) =>
            row(
              literal(k3(`call tool="${name}" index="${number}"`)),
              bodies[i]!,
              literal(k3("/call")),
            ),
          ),
        ),
      );
    let rest: Expression = NOTHING;
    const most = calls.tools.length > NUMBERED_TOOLS ? 2 : NUMBERED_CALLS;
    for (let number = calls.many ? most : 1; number > 1; number--) {
      rest = maybe(book.rule(row(call(number), rest)));
    }
    const response = maybe(literal(k3("response") + k3("/response")));
    const end = row(literal(k3("/tools")), maybe(literal(k3("/message"))));
    return row(response, literal(k3("tools")), call(1), rest, end);
  },
  behind: (calls) => {
    const choices = calls.tools.map((tool, i) => {
      const number = '"\\" index=\\"" [1-9] [0-9]{0,2} "\\"<|sep|>"';
      return row(literal(tool.name), number, k3Body(calls, tool, i), literal(k3("/call")));
    });
    return [['<|open|>call tool="', calls.book.rule(either(choices))]];
  },
};

function k3Body(calls: Calls, tool: ReadTool, at: number): Expression {
  const text = new ParameterText(calls.book, tool.table, {
    ...{ mark: k3("/argument"), line: "", trims: false, unknown: "string" },
  });
  return parametersOf(calls, tool, at, (name, shape) => {
    const shapes = text.alternatives(shape);
    const any = shapes.some(({ kind }) => kind === "any");
    const choices: Expression[] = [];
    const add = (type: string, value: Expression | undefined) => {
      if (value === undefined) return;
      const open = row(literal('<|open|>argument key="'), name, literal(`" type="${type}"<|sep|>`));
      choices.push(row(open, value));
    };
    const ofType = (type: number) => shapes.filter((each) => typesOfShape(each) === type);
    add("string", any ? text.freeText() : text.strings(ofType(STRING)));
    for (const [type, bit] of K3_TYPES) {
      if (ofType(bit).length > 0) add(type, text.json({ kind: "or", shapes: ofType(bit) }));
    }
    return choices.length === 0 ? undefined : either(choices);
  });
}
