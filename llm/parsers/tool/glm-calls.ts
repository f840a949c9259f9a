import { ArgumentWriter } from "../scan/argument-writer.ts";
import { Markers } from "../scan/markers.ts";
import {
  type CallReader,
  DONE,
  isToolName,
  MORE,
  type ReadContext,
  type Status,
  TEXT,
  type ToolFormat,
} from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import { isSpace, MAYBE_ANY, type Source } from "../scan/source.ts";

/**
 * GLM 4.5 with line breaks between the tags, 4.7 without:
 *
 *   <tool_call>NAME<arg_key>K</arg_key><arg_value>V</arg_value></tool_call>
 */
const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";
const KEY_OPEN = "<arg_key>";
const VALUE_OPEN = "<arg_value>";
const AFTER_NAME = [KEY_OPEN, CLOSE];
const AFTER_KEY = [VALUE_OPEN, KEY_OPEN, CLOSE];
const KEY_END = new Markers(["</arg_key>"]);
const VALUE_END = new Markers(["</arg_value>"]);
const CLOSE_END = new Markers([CLOSE]);

const SPACE = 32;
const BRACE = 123;
const LESS = 60;

type Place = "begin" | "name" | "body" | "key" | "before value" | "value" | "skip";

export const GLM_CALLS: ToolFormat = {
  openers: [OPEN],
  strays: [CLOSE],
  inner: [KEY_OPEN, ...KEY_END.texts, VALUE_OPEN, ...VALUE_END.texts],
  reader: (_opener, context) => new GlmCall(context),
};

class GlmCall implements CallReader {
  readonly #context: ReadContext;
  #place: Place = "begin";
  #name = "";
  #key = "";
  #arguments: ArgumentWriter | undefined;

  constructor(context: ReadContext) {
    this.#context = context;
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
    if (this.#place === "begin") {
      // The name follows at once or on the next line; behind a space comes prose.
      if (source.peek() === SPACE) return TEXT;
      if (!source.skipSpace()) return MORE;
      this.#place = source.peek() === BRACE ? "skip" : "name";
    }
    if (this.#place === "skip") return source.until(CLOSE_END, "call") ? DONE : MORE;
    if (this.#place === "name") return this.#readName(source);
    if (this.#place === "body") return this.#readBody(source, sink);
    if (this.#place === "before value") return this.#beforeValue(source);
    if (this.#place === "key") {
      const found = source.until(KEY_END, "call");
      this.#key += source.run;
      if (!found) return MORE;
      this.#place = "before value";
      return undefined;
    }
    const found = source.until(VALUE_END, "call");
    this.#arguments?.text(source.run);
    if (!found) return MORE;
    this.#arguments?.end();
    source.settle("call");
    this.#place = "body";
    return undefined;
  }

  #readName(source: Source): Status | undefined {
    for (;;) {
      const unit = source.peek();
      if (unit < 0) return MORE;
      if (unit === LESS || isSpace(unit)) {
        if (this.#name === "") return TEXT;
        this.#place = "body";
        return undefined;
      }
      const name = this.#name + source.buffer[source.at];
      if (!isToolName(name)) return TEXT;
      this.#name = name;
      source.at++;
    }
  }

  #readBody(source: Source, sink: Sink): Status | undefined {
    if (!source.skipSpace()) return MORE;
    const found = source.matchAny(AFTER_NAME);
    if (found === MAYBE_ANY) return MORE;
    if (found < 0) {
      if (this.#arguments === undefined) return TEXT;
      source.at++; // what stands between arguments says nothing
      return undefined;
    }
    if (this.#arguments === undefined) {
      sink.call(this.#name);
      const tool = this.#context.tools.get(this.#name);
      this.#arguments = new ArgumentWriter(sink, tool, "raw", "json");
    }
    source.settle("call");
    if (found === 1) {
      this.#arguments.close();
      sink.callEnd(true);
      return DONE;
    }
    this.#key = "";
    this.#place = "key";
    return undefined;
  }

  #beforeValue(source: Source): Status | undefined {
    if (!source.skipSpace()) return MORE;
    const found = source.matchAny(AFTER_KEY);
    if (found === MAYBE_ANY) return MORE;
    if (found === 0) {
      this.#arguments?.begin(this.#key.trim());
      this.#place = "value";
    } else if (found > 0) {
      // A key without a value: what comes next is read as if the key were not there.
      source.at -= AFTER_KEY[found]!.length;
      this.#place = "body";
    } else source.at++;
    return undefined;
  }
}
