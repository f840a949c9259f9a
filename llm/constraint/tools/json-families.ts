/** Families that write the arguments of a call as JSON. */
import { type Expression, either, literal, maybe, row } from "../schema/rules.ts";
import { jsonStyle } from "../values/value-style.ts";
import { type Calls, callsWith, repeated, type ToolFamily } from "./family.ts";

const LINE = maybe('"\\u000a"');
/** Ids have the number of their call, so calls are written out up to this one. */
const NUMBERED_CALLS = 16;
/** With more functions than this, all calls of an answer have the same number. */
const NUMBERED_TOOLS = 64;

/** `{"name": "f", "arguments": {…}}`, one of the tools. */
function objectCall(calls: Calls, key = "arguments"): Expression {
  const choices = callsWith(calls, jsonStyle(), (name, given) =>
    row(literal(`{"name": ${JSON.stringify(name)}, "${key}": `), given, '"}"'),
  );
  return calls.book.rule(either(choices));
}

/** `<tool_call>{…}</tool_call>`, one call a block. */
export function blockFamily(open: string, close: string): ToolFamily {
  const behind = (calls: Calls) => row(LINE, objectCall(calls), LINE, literal(close));
  return {
    all: (calls) => {
      const block = calls.book.rule(row(literal(open), behind(calls)));
      return calls.many ? row(block, `(${row(LINE, block)})*`) : block;
    },
    behind: (calls) => [[open, calls.book.rule(behind(calls))]],
  };
}

/** `<TOOLCALL>[{…}, {…}]</TOOLCALL>`. @param open ends with the bracket where `has_bracket` is set */
export function listFamily(open: string, close: string, has_bracket = false): ToolFamily {
  const behind = (calls: Calls) => {
    const list = repeated(objectCall(calls), ", ", calls.many);
    return row(has_bracket ? '""' : '"["', list, literal(`]${close}`));
  };
  return {
    all: (calls) => row(literal(open), behind(calls)),
    behind: (calls) => [[open, calls.book.rule(behind(calls))]],
  };
}

const MISTRAL = "[TOOL_CALLS]";

/** A list of objects, or in newer models a name and its arguments behind each marker. */
export const mistralFamily: ToolFamily = {
  all: (calls) => {
    const list = mistralList(calls);
    const named = repeated(mistralNamed(calls), MISTRAL, calls.many);
    return row(literal(MISTRAL), either([list, named]));
  },
  behind: (calls) => [
    [MISTRAL, calls.book.rule(either([mistralList(calls), mistralNamed(calls)]))],
  ],
};

const mistralList = (calls: Calls): Expression =>
  row(maybe('" "'), '"["', repeated(objectCall(calls), ", ", calls.many), '"]"');

const mistralNamed = (calls: Calls): Expression =>
  calls.book.rule(
    either(callsWith(calls, jsonStyle(), (name, given) => row(literal(`${name}[ARGS]`), given))),
  );

export const PYTHON_TAG = "<|python_tag|>";

/** Objects side by side, with a marker or as the whole answer. */
export const llamaFamily: ToolFamily = {
  all: (calls) => row(maybe(literal(PYTHON_TAG)), llamaObjects(calls)),
  behind: (calls) => [[PYTHON_TAG, calls.book.rule(llamaObjects(calls))]],
  first: "{",
};

/** Either of two formats; models write the first. */
export const eitherFamily = (first: ToolFamily, second: ToolFamily): ToolFamily => ({
  all: first.all,
  behind: (calls) => [first, second].flatMap((family) => family.behind?.(calls) ?? []),
});

const llamaObjects = (calls: Calls): Expression =>
  repeated(objectCall(calls, "parameters"), "; ", calls.many);

type Marks = {
  readonly section: readonly string[];
  readonly section_end: string;
  readonly call: string;
  /** What stands between the call's mark and its arguments; `{n}`: the number of the call. */
  readonly header: (name: string) => string;
  readonly end: string;
  readonly between: string;
};

/** Calls between special tokens, in one section. */
export function markedFamily(marks: Marks): ToolFamily {
  const numbered = marks.header("f").includes("{n}");
  const call = (calls: Calls, number: number) =>
    calls.book.rule(
      either(
        callsWith(calls, jsonStyle(), (name, given) =>
          row(
            literal(marks.header(name).replace("{n}", String(number))),
            given,
            literal(marks.end),
          ),
        ),
      ),
    );
  const section = (calls: Calls): Expression => {
    const begin = (number: number) => row(literal(marks.call), call(calls, number));
    if (!numbered || calls.tools.length > NUMBERED_TOOLS) {
      return row(repeated(begin(0), marks.between, calls.many), literal(marks.section_end));
    }
    let rest: Expression = '""';
    for (let number = calls.many ? NUMBERED_CALLS - 1 : 0; number > 0; number--) {
      rest = maybe(calls.book.rule(row(begin(number), rest)));
    }
    return row(begin(0), rest, literal(marks.section_end));
  };
  return {
    all: (calls) => row(literal(marks.section[0]!), section(calls)),
    behind: (calls) => [
      ...marks.section.map((open) => [open, calls.book.rule(section(calls))] as const),
      [marks.call, call(calls, 0)],
    ],
  };
}

const DEEPSEEK = {
  section: ["<｜tool▁calls▁begin｜>"],
  section_end: "<｜tool▁calls▁end｜>",
  call: "<｜tool▁call▁begin｜>",
} as const;

export const deepseekV3Family = markedFamily({
  ...DEEPSEEK,
  header: (name) => `function<｜tool▁sep｜>${name}\n\`\`\`json\n`,
  end: "\n```<｜tool▁call▁end｜>",
  between: "\n",
});

export const deepseekV31Family = markedFamily({
  ...DEEPSEEK,
  header: (name) => `${name}<｜tool▁sep｜>`,
  end: "<｜tool▁call▁end｜>",
  between: "",
});

export const kimiK2Family = markedFamily({
  section: ["<|tool_calls_section_begin|>", "<|tool_call_section_begin|>"],
  section_end: "<|tool_calls_section_end|>",
  call: "<|tool_call_begin|>",
  header: (name) => `functions.${name}:{n}<|tool_call_argument_begin|>`,
  end: "<|tool_call_end|>",
  between: "",
});

/** `<|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}`, a message a call. */
export const harmonyFamily: ToolFamily = {
  all: (calls) => {
    const one = calls.book.rule(
      either(
        callsWith(calls, jsonStyle(), (name, given) => row(literal(harmonyHeader(name)), given)),
      ),
    );
    // The last call's end is the engine's stop token.
    return row(repeated(one, "<|call|><|start|>assistant", calls.many), maybe(literal("<|call|>")));
  },
  behind: (calls) => {
    const header = calls.book.rule(either(HARMONY_AFTER.map(literal)));
    const choices = callsWith(calls, jsonStyle(), (name, given) =>
      row(literal(name), header, given),
    );
    return [[HARMONY_TO, calls.book.rule(either(choices))]];
  },
};

const harmonyHeader = (name: string): string =>
  `<|channel|>commentary to=functions.${name}${HARMONY_JSON}`;

const HARMONY_TO = "to=functions.";
const HARMONY_JSON = " <|constrain|>json<|message|>";
/** The recipient may also stand before the channel. */
const HARMONY_AFTER = [
  HARMONY_JSON,
  `<|channel|>commentary${HARMONY_JSON}`,
  "<|channel|>commentary json<|message|>",
  " json<|message|>",
];

export const inklingFamily: ToolFamily = {
  all: (calls) => {
    const choices = callsWith(calls, jsonStyle(), (name, given) =>
      row(
        literal(`${name}${INKLING_CALL}{"name": ${JSON.stringify(name)}, "args": `),
        given,
        literal("}<|end_message|>"),
      ),
    );
    return row(
      repeated(calls.book.rule(either(choices)), "<|message_model|>", calls.many),
      maybe(literal("<|content_model_end_sampling|>")),
    );
  },
  // The name before it is there again in the object, which is what counts.
  behind: (calls) => [[INKLING_CALL, row(objectCall(calls, "args"), '"<|end_message|>"')]],
};

const INKLING_CALL = "<|content_invoke_tool_json|>";
