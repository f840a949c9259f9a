import { BAD, JsonScan, type JsonStatus, parseJson } from "../scan/json-scan.ts";
import { DONE, isToolName, MORE } from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import { isSpace, type Source } from "../scan/source.ts";

const NAME_KEYS = ["name"];
const ARGUMENT_KEYS = ["arguments", "parameters", "args"];

const OPEN_OBJECT = 123;

type Place = "open" | "key" | "in key" | "colon" | "value" | "in value" | "after";

/**
 * `{"name": …, "arguments": {…}}`, keys in any order. The call begins as soon as its name is known
 * and its arguments begin; their text then flows as the model writes it.
 */
export class CallObject {
  /** The call is out. */
  begun = false;
  readonly #accepts: ((name: string) => boolean) | undefined;
  #place: Place = "open";
  #scan = new JsonScan();
  /** Text of the key or of a value that is not handed on. */
  #text = "";
  #key = "";
  #name: string | undefined;
  /** Arguments that came before the name, or that are no object. */
  #arguments: string | undefined;
  #streams = false;
  /** The arguments' text, to see that it is JSON. */
  #whole = "";

  /**
   * @param accepts for objects that may be anything: which names are calls; arguments are
   * necessary then
   */
  constructor(accepts?: (name: string) => boolean) {
    this.#accepts = accepts;
  }

  /** As far as it is known. */
  get name(): string | undefined {
    return this.#name;
  }

  /** The object's brace was read already. */
  openedBefore(): void {
    this.#place = "key";
  }

  /** BAD: it is no call, or a broken one when it is `begun`. DONE: a complete call came out. */
  read(source: Source, sink: Sink): JsonStatus {
    for (;;) {
      if (this.#place === "in key" || this.#place === "in value") {
        const status = this.#scan.read(source);
        if (this.#streams) {
          this.#whole += this.#scan.text;
          sink.arguments(this.#scan.text);
        } else this.#text += this.#scan.text;
        if (this.begun) source.settle("call");
        if (status !== DONE) return status;
        if (!this.#endScan()) return BAD;
        continue;
      }
      const unit = source.peek();
      if (unit < 0) return MORE;
      if (isSpace(unit)) {
        source.at++;
        continue;
      }
      if (this.#place === "value") {
        if (!this.#beginValue(unit, sink)) return BAD;
        continue;
      }
      if (this.#place === "key" && unit === 34) {
        this.#begin("in key");
        continue;
      }
      source.at++;
      if (unit === 125 && (this.#place === "key" || this.#place === "after")) {
        return this.#end(sink) ? DONE : BAD;
      }
      if (!this.#punctuation(unit)) return BAD;
    }
  }

  #punctuation(unit: number): boolean {
    if (this.#place === "open" && unit === OPEN_OBJECT) this.#place = "key";
    else if (this.#place === "colon" && unit === 58) this.#place = "value";
    else if (this.#place === "after" && unit === 44) this.#place = "key";
    else return false;
    return true;
  }

  #begin(place: Place): void {
    this.#place = place;
    this.#scan = new JsonScan();
    this.#text = "";
  }

  /** False: the name is none. */
  #beginValue(unit: number, sink: Sink): boolean {
    const is_arguments = ARGUMENT_KEYS.includes(this.#key);
    this.#begin("in value");
    if (!is_arguments || this.begun || unit !== OPEN_OBJECT || this.#name === undefined) {
      return true;
    }
    if (this.#accepts?.(this.#name) === false) return false;
    sink.call(this.#name);
    this.begun = true;
    this.#streams = true;
    return true;
  }

  /** A key or a value is through. */
  #endScan(): boolean {
    if (this.#place === "in key") {
      this.#place = "colon";
      this.#key = String(parseJson(this.#text));
      return true;
    }
    this.#place = "after";
    if (this.#streams) {
      this.#streams = false;
      return true;
    }
    if (ARGUMENT_KEYS.includes(this.#key)) this.#arguments = this.#text;
    if (!NAME_KEYS.includes(this.#key) || this.#name !== undefined) return true;
    const name = parseJson(this.#text);
    if (typeof name !== "string" || !isToolName(name)) return false;
    this.#name = name;
    return true;
  }

  #end(sink: Sink): boolean {
    if (this.begun) return typeof parseJson(this.#whole) === "object";
    if (this.#name === undefined) return false;
    const all = this.#arguments === undefined ? "{}" : argumentsText(this.#arguments);
    if (all === undefined) return false;
    if (this.#accepts && (this.#arguments === undefined || !this.#accepts(this.#name)))
      return false;
    sink.call(this.#name);
    sink.arguments(all);
    this.begun = true;
    return true;
  }
}

/** Arguments as an object's text: also where they are written as a string of JSON, or not at all. */
function argumentsText(text: string): string | undefined {
  const value = parseJson(text);
  if (value === null) return "{}";
  if (typeof value === "object") return text;
  if (typeof value !== "string") return undefined;
  if (value.trim() === "") return "{}";
  const inner = parseJson(value);
  return typeof inner === "object" && inner !== null ? value : undefined;
}
