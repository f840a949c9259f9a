import { GEMMA_QUOTE, LooseValue } from "../scan/loose-value.ts";
import { Markers } from "../scan/markers.ts";
import {
  type CallReader,
  DONE,
  MAX_TAG_UNITS,
  MORE,
  type Status,
  type ToolFormat,
} from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import type { Source } from "../scan/source.ts";

/** `<|tool_call>call:NAME{key:<|"|>text<|"|>,n:3,list:[1,2]}<tool_call|>`, calls side by side. */
const OPEN = "<|tool_call>";
const CLOSE = "<tool_call|>";
const CLOSE_END = new Markers([CLOSE]);
const NAME_END = new Markers(["{", CLOSE]);

type Place = "name" | "value" | "tail";

export const GEMMA4_CALLS: ToolFormat = {
  openers: [OPEN],
  strays: [CLOSE],
  inner: [GEMMA_QUOTE],
  reader: () => new Gemma4Call(),
};

class Gemma4Call implements CallReader {
  #place: Place = "name";
  #header = "";
  #valid = false;
  readonly #value = new LooseValue(true);

  read(source: Source, sink: Sink): Status {
    if (this.#place === "name") {
      const found = source.until(NAME_END, "call");
      this.#header += source.run;
      if (!found) return MORE;
      const name = this.#header.trim().replace(/^call:\s*/, "");
      if (source.marker === CLOSE) return DONE;
      if (name === "" || name.length > MAX_TAG_UNITS) this.#place = "tail";
      else {
        source.at--; // the brace belongs to the value
        sink.call(name);
        this.#place = "value";
      }
    }
    if (this.#place === "value") {
      const status = this.#value.read(source);
      sink.arguments(this.#value.text);
      source.settle("call");
      if (status === MORE) return MORE;
      this.#valid = status === DONE;
      this.#place = "tail";
    }
    if (!source.until(CLOSE_END, "call")) return MORE;
    sink.callEnd(this.#valid);
    return DONE;
  }

  end(): typeof DONE {
    return DONE;
  }
}
