import { BAD, JsonScan, parseJson } from "../scan/json-scan.ts";
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
import type { Sink } from "../scan/sink.ts";
import { MAYBE, MAYBE_ANY, type Source, YES } from "../scan/source.ts";
import { CallObject } from "./call-object.ts";

/**
 * Calls as JSON objects behind an opener, one or in a list:
 *
 *   <tool_call>{"name": "f", "arguments": {}}</tool_call>      hermes, qwen25
 *   <TOOLCALL>[{…}, {…}]</TOOLCALL>                            nemotron_deci, default
 *   <tool_calls>[{…}]</tool_calls>                             jamba
 *   functools[{…}]                                             phi4
 *   <|python_tag|>{…}; {…}                                     llama3_json
 *   [TOOL_CALLS][{…}]   [TOOL_CALLS]f[ARGS]{…}                 mistral
 */
export type JsonBlock = {
  readonly open: string;
  readonly close: string;
  /** The close marker may be missing. */
  readonly close_optional?: boolean;
  /** The opener ends with the list's bracket. */
  readonly in_list?: boolean;
  /** `NAME[ARGS]{…}` may stand for an object. */
  readonly named?: boolean;
  /** An object that may be anything: a call only if it names a tool of the request. */
  readonly bare?: boolean;
};

const SEMICOLON = 59;
const COMMA = 44;
const OPEN_OBJECT = 123;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const CALL_ID = "[CALL_ID]";
const ARGS = "[ARGS]";
const NAME_ENDS = [ARGS, CALL_ID, "{"];

type Place = "expect" | "object" | "closing" | "name" | "id" | "named" | "skip";

export function jsonCalls(
  blocks: readonly JsonBlock[],
  extra: Pick<ToolFormat, "first"> = {},
): ToolFormat {
  return {
    openers: blocks.filter((block) => !block.bare).map((block) => block.open),
    strays: blocks.map((block) => block.close).filter((close) => close !== ""),
    inner: blocks.some((block) => block.named) ? [ARGS, CALL_ID] : [],
    ...extra,
    reader: (opener, context) =>
      new JsonCalls(blocks.find((block) => block.open === opener)!, context),
  };
}

class JsonCalls implements CallReader {
  readonly #block: JsonBlock;
  readonly #context: ReadContext;
  #place: Place = "expect";
  #in_list: boolean;
  #object: CallObject | undefined;
  #calls = 0;
  /** A separator came, so another call should. */
  #separated = false;
  #name = "";
  #id = "";
  #scan = new JsonScan();
  #whole = "";

  constructor(block: JsonBlock, context: ReadContext) {
    this.#block = block;
    this.#context = context;
    this.#in_list = block.in_list === true;
    if (block.bare) {
      this.#beginObject();
      this.#object?.openedBefore();
    }
  }

  read(source: Source, sink: Sink): Status {
    for (;;) {
      const status = this.#step(source, sink);
      if (status !== undefined) return status;
    }
  }

  end(finish: string): typeof DONE | typeof TEXT {
    // Where nothing closes the block, a separator that no call follows is text.
    if (this.#calls > 0) return this.#separated && this.#endless ? TEXT : DONE;
    // An object that is no call so far, and an opener that is also a word.
    if (this.#block.bare) return this.#context.tools.has(this.#object?.name ?? "") ? DONE : TEXT;
    const opener_only = this.#block.in_list && this.#place === "expect";
    return opener_only && finish !== "length" ? TEXT : DONE;
  }

  get #endless(): boolean {
    return this.#block.close === "" && !this.#in_list;
  }

  /** One step; undefined: go on. */
  #step(source: Source, sink: Sink): Status | undefined {
    if (this.#place === "object") return this.#readObject(source, sink);
    if (this.#place === "closing") return this.#readClosing(source);
    if (this.#place === "name") return this.#readName(source, sink);
    if (this.#place === "id") return this.#readId(source, sink);
    if (this.#place === "named") return this.#readNamed(source, sink);
    if (this.#place === "skip") return this.#skip(source);
    if (!source.skipSpace()) return MORE;
    const unit = source.peek();
    const { close } = this.#block;
    if (unit === OPEN_OBJECT) this.#beginObject();
    else if (unit === OPEN_LIST && !this.#in_list && (this.#calls === 0 || close !== "")) {
      source.at++;
      this.#in_list = true;
    } else if (unit === CLOSE_LIST && this.#in_list) {
      source.at++;
      this.#in_list = false;
      if (close === "") return this.#block.in_list && this.#calls === 0 ? TEXT : DONE;
      if (this.#block.close_optional) this.#place = "closing";
    } else if ((unit === COMMA || unit === SEMICOLON) && this.#calls > 0 && !this.#separated) {
      source.settle("call");
      source.at++;
      this.#separated = true;
    } else {
      const match = close === "" ? 0 : source.match(close);
      if (match === YES) return DONE;
      if (match === MAYBE) return MORE;
      if (this.#block.named && this.#calls === 0 && !this.#in_list) this.#place = "name";
      else return this.#calls === 0 || (this.#separated && this.#endless) ? TEXT : DONE;
    }
    return undefined;
  }

  #beginObject(): void {
    this.#object = new CallObject(
      this.#block.bare ? (name) => this.#context.tools.has(name) : undefined,
    );
    this.#place = "object";
    this.#separated = false;
  }

  #readObject(source: Source, sink: Sink): Status | undefined {
    const object = this.#object!;
    const status = object.read(source, sink);
    if (status === MORE) return MORE;
    if (status === BAD) {
      // Behind an opener that is closed again an object is meant for a call, whatever it is.
      if (!object.begun && this.#calls === 0 && this.#block.close === "") return TEXT;
      sink.callEnd(false);
      this.#place = "skip";
      return undefined;
    }
    sink.callEnd(true);
    source.settle("call");
    this.#calls++;
    this.#place = this.#block.close_optional && !this.#in_list ? "closing" : "expect";
    return undefined;
  }

  /** Behind the last call: the close marker, if it stands there at once. */
  #readClosing(source: Source): Status {
    return source.match(this.#block.close) === MAYBE ? MORE : DONE;
  }

  #readName(source: Source, sink: Sink): Status | undefined {
    for (;;) {
      const unit = source.peek();
      if (unit < 0) return MORE;
      if (unit !== OPEN_LIST && unit !== OPEN_OBJECT) {
        this.#name += source.buffer[source.at];
        if (!isToolName(this.#name) || this.#name.length > MAX_TAG_UNITS) return TEXT;
        source.at++;
        continue;
      }
      const found = source.matchAny(NAME_ENDS);
      if (found === MAYBE_ANY) return MORE;
      if (found < 0 || this.#name === "") return TEXT;
      if (NAME_ENDS[found] === CALL_ID) {
        this.#place = "id";
        return undefined;
      }
      return this.#beginNamed(source, sink, NAME_ENDS[found] === "{");
    }
  }

  #readId(source: Source, sink: Sink): Status | undefined {
    for (;;) {
      const unit = source.peek();
      if (unit < 0) return MORE;
      if (unit !== OPEN_LIST) {
        this.#id += source.buffer[source.at];
        source.at++;
        continue;
      }
      const match = source.match(ARGS);
      if (match === MAYBE) return MORE;
      if (match !== YES) return DONE;
      return this.#beginNamed(source, sink, false);
    }
  }

  #beginNamed(source: Source, sink: Sink, at_brace: boolean): undefined {
    if (at_brace) source.at--;
    sink.call(this.#name, this.#id === "" ? undefined : this.#id);
    source.settle("call");
    this.#scan = new JsonScan();
    this.#whole = "";
    this.#place = "named";
    return undefined;
  }

  #readNamed(source: Source, sink: Sink): Status | undefined {
    if (this.#whole === "" && !source.skipSpace()) return MORE;
    const status = this.#scan.read(source);
    this.#whole += this.#scan.text;
    sink.arguments(this.#scan.text);
    source.settle("call");
    if (status === MORE) return MORE;
    sink.callEnd(status === DONE && typeof parseJson(this.#whole) === "object");
    this.#calls++;
    this.#place = status === BAD ? "skip" : "closing";
    return undefined;
  }

  /** The rest of a broken block is dropped, up to its close marker or the end. */
  #skip(source: Source): Status {
    const { close } = this.#block;
    if (close === "") {
      source.rest();
      source.settle("call");
      return MORE;
    }
    return source.until(new Markers([close]), "call") ? DONE : MORE;
  }
}
