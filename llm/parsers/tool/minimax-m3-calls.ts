import { ArgumentWriter } from "../scan/argument-writer.ts";
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
import {
  itemSchema,
  jsonOfText,
  LIST,
  OBJECT,
  parameterSchema,
  propertySchema,
  STRING,
  typesOf,
} from "../scan/schema-types.ts";
import type { Sink } from "../scan/sink.ts";
import { MAYBE, type Source, YES } from "../scan/source.ts";

/**
 * Every tag carries a mark, M here; parameters are named by their tag, and values nest:
 *
 *   M<tool_call>M<invoke name="f">M<k>textM</k>
 *   M<list>M<item>1M</item>M</list>M</invoke>M</tool_call>
 */
const MARK = "]<]minimax[>[";
const OPEN = `${MARK}<tool_call>`;
const INVOKE = `${MARK}<invoke name=`;
const CLOSE = "</tool_call>";
const ITEM = "item";
const MARKS = new Markers([MARK]);
const BLOCK_END = new Markers([`${MARK}${CLOSE}`]);
const MAX_DEPTH = 64;

const LESS = 60;
const GREATER = 62;
const LINE = 10;

/** A value that is being read: text, or children by their tags. */
type Node = {
  readonly tag: string;
  readonly schema: unknown;
  text: string;
  readonly children: { readonly tag: string; readonly json: string }[];
};

type Place = "block" | "tag" | "text" | "skip";

export const MINIMAX_M3_CALLS: ToolFormat = {
  openers: [OPEN, INVOKE],
  strays: [`${MARK}${CLOSE}`, `${MARK}</invoke>`],
  inner: [MARK],
  reader: (opener, context) => new MinimaxM3Calls(context, opener === INVOKE),
};

class MinimaxM3Calls implements CallReader {
  readonly #context: ReadContext;
  /** An invoke without its block. */
  readonly #bare: boolean;
  #place: Place;
  #tag = "";
  #calls = 0;
  #root: unknown;
  #tool_name = "";
  #arguments: ArgumentWriter | undefined;
  /** Open parameters, the outermost first. The outermost may be a string that flows. */
  readonly #nodes: Node[] = [];
  #flows = false;

  constructor(context: ReadContext, bare: boolean) {
    this.#context = context;
    this.#bare = bare;
    this.#place = bare ? "tag" : "block";
    if (bare) this.#tag = "<invoke name=";
  }

  read(source: Source, sink: Sink): Status {
    for (;;) {
      const status = this.#step(source, sink);
      if (status !== undefined) return status;
    }
  }

  end(): typeof DONE {
    return DONE;
  }

  #step(source: Source, sink: Sink): Status | undefined {
    if (this.#place === "block") {
      if (!source.skipSpace()) return MORE;
      const match = source.match(MARK);
      if (match === MAYBE) return MORE;
      if (match !== YES) return this.#calls > 0 ? DONE : TEXT;
      this.#beginTag();
      return undefined;
    }
    if (this.#place === "skip") return source.until(BLOCK_END, "call") ? DONE : MORE;
    if (this.#place === "tag") {
      const whole = this.#readTag(source);
      if (whole === undefined) return MORE;
      if (whole) return this.#onTag(source, sink);
      this.#place = this.#arguments === undefined ? "skip" : "text";
      return undefined;
    }
    const found = source.until(MARKS, "call");
    this.#onText(source.run);
    if (!found) return MORE;
    this.#beginTag();
    return undefined;
  }

  #beginTag(): void {
    this.#tag = "";
    this.#place = "tag";
  }

  /** Reads `<…>`. False: that is no tag. */
  #readTag(source: Source): boolean | undefined {
    for (;;) {
      const unit = source.peek();
      if (unit < 0) return undefined;
      const fits = this.#tag === "" ? unit === LESS : unit !== LESS && unit !== LINE;
      if (!fits || this.#tag.length > MAX_TAG_UNITS) return false;
      source.at++;
      this.#tag += String.fromCharCode(unit);
      if (unit === GREATER) return true;
    }
  }

  #onTag(source: Source, sink: Sink): Status | undefined {
    const tag = this.#tag.slice(1, -1);
    if (this.#arguments === undefined) {
      if (tag === "/tool_call") return DONE;
      const name = /^invoke\s+name\s*=\s*["']?([^"']*)/.exec(tag)?.[1]?.trim() ?? "";
      if (isToolName(name)) this.#beginCall(sink, name);
      else {
        this.#place = "skip";
        return undefined;
      }
    } else if (tag === "/invoke" && this.#nodes.length === 0) {
      this.#arguments.close();
      this.#arguments = undefined;
      sink.callEnd(true);
      source.settle("call");
      if (this.#bare) return DONE;
      this.#place = "block";
      return undefined;
    } else if (tag.startsWith("/")) this.#endNode(tag.slice(1));
    else this.#beginNode(tag);
    source.settle("call");
    this.#place = "text";
    return undefined;
  }

  #beginCall(sink: Sink, name: string): void {
    const tool = this.#context.tools.get(name);
    sink.call(name);
    this.#calls++;
    this.#tool_name = name;
    this.#root = tool?.parameters;
    this.#arguments = new ArgumentWriter(sink, tool, "raw", "string");
  }

  #onText(text: string): void {
    const node = this.#nodes.at(-1);
    if (node === undefined || text === "") return;
    if (this.#flows) this.#arguments?.text(text);
    else node.text += text;
  }

  #beginNode(tag: string): void {
    // Markup inside of a string is the string's text.
    if (this.#flows || this.#nodes.length >= MAX_DEPTH) {
      this.#onText(`${MARK}<${tag}>`);
      return;
    }
    const parent = this.#nodes.at(-1);
    const schema =
      parent === undefined
        ? parameterSchema(this.#context.tools.get(this.#tool_name), tag)
        : (propertySchema(parent.schema, tag, this.#root) ?? itemSchema(parent.schema, this.#root));
    this.#nodes.push({ tag, schema, text: "", children: [] });
    this.#flows = parent === undefined && typesOf(schema, this.#root) === STRING;
    if (this.#flows) this.#arguments?.begin(tag);
  }

  #endNode(tag: string): void {
    const node = this.#nodes.at(-1);
    if (node === undefined) return;
    if (node.tag !== tag) {
      this.#onText(`${MARK}</${tag}>`);
      return;
    }
    this.#nodes.pop();
    if (this.#flows) {
      this.#arguments?.end();
      this.#flows = false;
      return;
    }
    const json = this.#jsonOf(node);
    const parent = this.#nodes.at(-1);
    if (parent === undefined) this.#arguments?.json(tag, json);
    else parent.children.push({ tag, json });
  }

  #jsonOf(node: Node): string {
    const types = typesOf(node.schema, this.#root);
    const { children } = node;
    if (children.length === 0) {
      if (node.text.trim() === "" && types === LIST) return "[]";
      if (node.text.trim() === "" && types === OBJECT) return "{}";
      return jsonOfText(node.text, types, "string");
    }
    const is_list = types === 0 ? children.every((child) => child.tag === ITEM) : types & LIST;
    if (is_list) return `[${children.map((child) => child.json).join(",")}]`;
    const members = new Map<string, string[]>();
    for (const { tag, json } of children) members.set(tag, [...(members.get(tag) ?? []), json]);
    const texts = [...members].map(([tag, jsons]) => {
      const value = jsons.length === 1 ? jsons[0] : `[${jsons.join(",")}]`;
      return `${JSON.stringify(tag)}:${value}`;
    });
    return `{${texts.join(",")}}`;
  }
}
