import { ArgumentWriter, type Framing } from "../scan/argument-writer.ts";
import { Markers } from "../scan/markers.ts";
import {
  type CallReader,
  DONE,
  isToolName,
  MAX_TAG_UNITS,
  MORE,
  type ReadContext,
  type Status,
  TEXT,
  type ToolFormat,
} from "../scan/reader.ts";
import { STRING, type Types } from "../scan/schema-types.ts";
import type { Sink } from "../scan/sink.ts";
import { MAYBE_ANY, type Source } from "../scan/source.ts";

/**
 * Calls as XML-like tags, one parameter a tag, in a wrapper:
 *
 *   <tool_call><function=f><parameter=k>\nv\n</parameter></function></tool_call>
 *   <minimax:tool_call><invoke name="f"><parameter name="k">v</parameter></invoke>…
 *   <｜DSML｜tool_calls><｜DSML｜invoke name="f"><｜DSML｜parameter name="k" string="true">v…
 */
export type InvokeFormat = {
  readonly wrapper_open: readonly string[];
  readonly wrapper_close: string;
  /** Up to where the name begins; `>` ends the tag. */
  readonly invoke_open: string;
  readonly invoke_close: string;
  readonly parameter_open: string;
  readonly parameter_close: string;
  /** A call may stand without its wrapper; where tags are also text, it has to name a tool. */
  readonly bare: boolean;
  readonly framing: Framing;
  /** The tag says by string="true|false" what a value is, not the schema. */
  readonly says_string?: boolean;
};

type Place = "wrapper" | "name" | "body" | "parameter" | "value" | "skip";

const BRACE = 123;
const GREATER = 62;
const LESS = 60;
const LINE = 10;
const STRING_FLAG = /\bstring\s*=\s*["']?(true|false)/;
/** Any type but a string. */
const NO_STRING: Types = ~STRING;

export function invokeCalls(format: InvokeFormat): ToolFormat {
  const bare = format.bare ? [format.invoke_open] : [];
  return {
    openers: [...format.wrapper_open, ...bare],
    strays: [
      format.wrapper_close,
      ...(format.says_string ? [format.invoke_close, format.parameter_close] : []),
    ],
    inner: [format.invoke_open, format.invoke_close, format.parameter_open, format.parameter_close],
    reader: (opener, context) =>
      new InvokeCalls(format, context, opener === format.invoke_open ? "bare" : "wrapped"),
  };
}

export class InvokeCalls implements CallReader {
  readonly #format: InvokeFormat;
  readonly #context: ReadContext;
  readonly #bare: boolean;
  readonly #value_end: Markers;
  readonly #wrapper_end: Markers;
  readonly #in_wrapper: readonly string[];
  readonly #in_body: readonly string[];
  #place: Place;
  #tag = "";
  #calls = 0;
  #arguments: ArgumentWriter | undefined;

  constructor(format: InvokeFormat, context: ReadContext, where: "wrapped" | "bare") {
    this.#format = format;
    this.#context = context;
    this.#bare = where === "bare";
    this.#place = this.#bare ? "name" : "wrapper";
    this.#value_end = new Markers([format.parameter_close]);
    this.#wrapper_end = new Markers([format.wrapper_close]);
    this.#in_wrapper = [format.invoke_open, format.wrapper_close];
    this.#in_body = [format.parameter_open, format.invoke_close];
  }

  read(source: Source, sink: Sink): Status {
    for (;;) {
      const status = this.#step(source, sink);
      if (status !== undefined) return status;
    }
  }

  end(finish: string): typeof DONE | typeof TEXT {
    const textual = this.#bare && !this.#format.says_string;
    return textual && this.#calls === 0 && finish !== "length" ? TEXT : DONE;
  }

  #step(source: Source, sink: Sink): Status | undefined {
    if (this.#place === "wrapper") return this.#readWrapper(source);
    if (this.#place === "name") return this.#readName(source, sink);
    if (this.#place === "body") return this.#readBody(source, sink);
    if (this.#place === "parameter") return this.#readParameter(source);
    if (this.#place === "value") return this.#readValue(source);
    return source.until(this.#wrapper_end, "call") ? DONE : MORE;
  }

  #readWrapper(source: Source): Status | undefined {
    if (!source.skipSpace()) return MORE;
    const found = source.matchAny(this.#in_wrapper);
    if (found === MAYBE_ANY) return MORE;
    if (found === 1) return DONE;
    if (found === 0) {
      this.#tag = "";
      this.#place = "name";
      return undefined;
    }
    if (this.#calls > 0) return DONE;
    // A call in another format than the model's: no text, and not taken for a call either.
    if (source.peek() !== BRACE) return TEXT;
    this.#place = "skip";
    return undefined;
  }

  /** Reads up to the tag's end. False: that is no tag. */
  #readTag(source: Source): boolean | undefined {
    for (;;) {
      const unit = source.peek();
      if (unit < 0) return undefined;
      if (unit === LESS || unit === LINE || this.#tag.length > MAX_TAG_UNITS) return false;
      source.at++;
      if (unit === GREATER) return true;
      this.#tag += String.fromCharCode(unit);
    }
  }

  #readName(source: Source, sink: Sink): Status | undefined {
    const is_tag = this.#readTag(source);
    if (is_tag === undefined) return MORE;
    const name = attributeValue(this.#tag);
    const known = !this.#bare || this.#format.says_string || this.#context.tools.has(name);
    if (!is_tag || !isToolName(name) || !known) {
      if (this.#calls === 0) return TEXT;
      this.#place = "skip";
      return undefined;
    }
    sink.call(name);
    source.settle("call");
    const { framing } = this.#format;
    this.#calls++;
    this.#arguments = new ArgumentWriter(sink, this.#context.tools.get(name), framing, "string");
    this.#place = "body";
    return undefined;
  }

  #readBody(source: Source, sink: Sink): Status | undefined {
    if (!source.skipSpace()) return MORE;
    const found = source.matchAny(this.#in_body);
    if (found === MAYBE_ANY) return MORE;
    if (found === 0) {
      this.#tag = "";
      this.#place = "parameter";
      return undefined;
    }
    if (found < 0) {
      source.at++; // what stands between parameters says nothing
      return undefined;
    }
    this.#arguments?.close();
    sink.callEnd(true);
    source.settle("call");
    if (this.#bare) return DONE;
    this.#place = "wrapper";
    return undefined;
  }

  #readParameter(source: Source): Status | undefined {
    const is_tag = this.#readTag(source);
    if (is_tag === undefined) return MORE;
    if (!is_tag) {
      this.#place = "body";
      return undefined;
    }
    const flag = this.#format.says_string ? STRING_FLAG.exec(this.#tag)?.[1] : undefined;
    const types = flag === undefined ? undefined : flag === "true" ? STRING : NO_STRING;
    this.#arguments?.begin(attributeValue(this.#tag), types);
    this.#place = "value";
    return undefined;
  }

  #readValue(source: Source): Status | undefined {
    const found = source.until(this.#value_end, "call");
    this.#arguments?.text(source.run);
    if (!found) return MORE;
    this.#arguments?.end();
    source.settle("call");
    this.#place = "body";
    return undefined;
  }
}

/** `"f" string="true"` and `'f'` and `f` → f. */
function attributeValue(tag: string): string {
  const text = tag.trim();
  const quote = text[0];
  if (quote !== '"' && quote !== "'") return text;
  const end = text.indexOf(quote, 1);
  return end < 0 ? text.slice(1) : text.slice(1, end);
}

const QWEN3_XML: InvokeFormat = {
  wrapper_open: ["<tool_call>"],
  wrapper_close: "</tool_call>",
  invoke_open: "<function=",
  invoke_close: "</function>",
  parameter_open: "<parameter=",
  parameter_close: "</parameter>",
  bare: true,
  framing: "trim",
};

export const QWEN3_CODER_CALLS = invokeCalls(QWEN3_XML);

/** Qwen's own reading: one line break on each side of a value is framing, the rest is the value. */
export const QWEN3_CALLS = invokeCalls({ ...QWEN3_XML, framing: "lines" });

export const MINIMAX_M2_CALLS = invokeCalls({
  wrapper_open: ["<minimax:tool_call>"],
  wrapper_close: "</minimax:tool_call>",
  invoke_open: "<invoke name=",
  invoke_close: "</invoke>",
  parameter_open: "<parameter name=",
  parameter_close: "</parameter>",
  bare: true,
  framing: "trim",
});

/** DeepSeek's markup: every tag carries a mark that is no text of users. */
function dsmlCalls(mark: string, wrapper: string): ToolFormat {
  return invokeCalls({
    wrapper_open: [`<${mark}${wrapper}>`],
    wrapper_close: `</${mark}${wrapper}>`,
    invoke_open: `<${mark}invoke name=`,
    invoke_close: `</${mark}invoke>`,
    parameter_open: `<${mark}parameter name=`,
    parameter_close: `</${mark}parameter>`,
    bare: true,
    framing: "raw",
    says_string: true,
  });
}

export const DEEPSEEK_V3_2_CALLS = dsmlCalls("｜DSML｜", "function_calls");
export const DEEPSEEK_V4_CALLS = dsmlCalls("｜DSML｜", "tool_calls");
export const DEEPSEEK_V41_CALLS = dsmlCalls("｜DSML｜ ", "calls");

/** Muse's calls; the channel around them says where they may stand. */
export const MUSE_INVOKE: InvokeFormat = {
  wrapper_open: ["<atem:function_calls>"],
  wrapper_close: "</atem:function_calls>",
  invoke_open: "<atem:invoke name=",
  invoke_close: "</atem:invoke>",
  parameter_open: "<atem:parameter name=",
  parameter_close: "</atem:parameter>",
  bare: false,
  framing: "raw",
};
