import { escapedText } from "./json-scan.ts";
import type { ToolShape } from "./reader.ts";
import { jsonOfText, parameterSchema, STRING, type Types, typesOf } from "./schema-types.ts";
import type { Sink } from "./sink.ts";
import { isSpace } from "./source.ts";

/**
 * White space around the text of a string: "trim" takes it all for framing, "lines" one line break
 * on each side, "raw" none.
 */
export type Framing = "trim" | "lines" | "raw";

const LINE = 10;

/**
 * Writes a call's parameters, which come one after the other as text, as one JSON object. A string
 * flows on while it comes; values of other types come out when they end.
 */
export class ArgumentWriter {
  readonly #sink: Sink;
  readonly #tool: ToolShape | undefined;
  readonly #framing: Framing;
  readonly #unknown: "json" | "string";
  #count = 0;
  #types: Types = 0;
  #streams = false;
  /** The value's text; of a string that flows, the white space that may be framing. */
  #held = "";
  #begun = false;

  /** @param unknown how a value is read that the schema says nothing of */
  constructor(
    sink: Sink,
    tool: ToolShape | undefined,
    framing: Framing,
    unknown: "json" | "string",
  ) {
    this.#sink = sink;
    this.#tool = tool;
    this.#framing = framing;
    this.#unknown = unknown;
  }

  /** @param types what the format itself says of the value; absent: the schema decides */
  begin(name: string, types?: Types): void {
    this.#key(name);
    this.#types = types ?? typesOf(parameterSchema(this.#tool, name), this.#tool?.parameters);
    this.#streams = this.#types === STRING || (this.#types === 0 && this.#unknown === "string");
    this.#held = "";
    this.#begun = false;
    if (this.#streams) this.#sink.arguments('"');
  }

  text(text: string): void {
    if (text === "") return;
    if (!this.#streams) this.#held += text;
    else if (this.#framing === "raw") this.#sink.arguments(escapedText(text));
    else this.#framed(text);
  }

  /** The value ended. */
  end(): void {
    if (!this.#streams) {
      this.#sink.arguments(
        jsonOfText(unframed(this.#held, this.#framing), this.#types, this.#unknown),
      );
      return;
    }
    if (this.#framing === "lines" && this.#held !== "") {
      const ends = this.#held.endsWith("\n");
      this.#sink.arguments(escapedText(ends ? this.#held.slice(0, -1) : this.#held));
    }
    this.#sink.arguments('"');
  }

  /** A whole parameter whose value is JSON already. */
  json(name: string, json: string): void {
    this.#key(name);
    this.#sink.arguments(json);
  }

  /** All parameters are through. */
  close(): void {
    this.#sink.arguments(this.#count === 0 ? "{}" : "}");
  }

  #key(name: string): void {
    const before = this.#count === 0 ? "{" : ",";
    this.#sink.arguments(`${before}${JSON.stringify(name)}:`);
    this.#count++;
  }

  /** Text of a string, without what is framing at its beginning and may be at its end. */
  #framed(text: string): void {
    let from = 0;
    if (!this.#begun) {
      if (this.#framing === "lines") from = text.charCodeAt(0) === LINE ? 1 : 0;
      else while (from < text.length && isSpace(text.charCodeAt(from))) from++;
      if (from === text.length && this.#framing === "trim") return;
      this.#begun = true;
    }
    let to = text.length;
    if (this.#framing === "lines") {
      if (to > from && text.charCodeAt(to - 1) === LINE) to--;
    } else while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
    if (to === from) {
      this.#hold(text.slice(from));
      return;
    }
    this.#sink.arguments(escapedText(this.#held + text.slice(from, to)));
    this.#held = text.slice(to);
  }

  /** White space after white space: only the last line break may be framing. */
  #hold(space: string): void {
    if (this.#framing === "trim" || this.#held === "" || space === "") {
      this.#held += space;
      return;
    }
    this.#sink.arguments(escapedText(this.#held));
    this.#held = space;
  }
}

function unframed(text: string, framing: Framing): string {
  if (framing === "trim") return text.trim();
  if (framing === "raw") return text;
  const from = text.startsWith("\n") ? 1 : 0;
  return text.slice(from, text.length > from && text.endsWith("\n") ? -1 : undefined);
}
