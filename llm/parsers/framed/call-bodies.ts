import { BAD, JsonScan, parseJson } from "../scan/json-scan.ts";
import { type CallReader, DONE, MORE, type Status, TEXT } from "../scan/reader.ts";
import type { Sink } from "../scan/sink.ts";
import type { Source } from "../scan/source.ts";
import { CallObject } from "../tool/call-object.ts";

const OPEN_OBJECT = 123;
const LESS = 60;

/** A message's body that is the arguments of a call whose name stands in the header. */
export class ArgumentsBody implements CallReader {
  readonly #name: string;
  /** Whether a body that is no object is a broken call, or text. */
  readonly #surely: boolean;
  readonly #scan = new JsonScan();
  #whole = "";
  #begun = false;

  constructor(name: string, surely: boolean) {
    this.#name = name;
    this.#surely = surely;
  }

  read(source: Source, sink: Sink): Status {
    if (!this.#begun) {
      if (!source.skipSpace()) return MORE;
      const unit = source.peek();
      if (unit !== OPEN_OBJECT && unit !== LESS && !this.#surely) return TEXT;
      sink.call(this.#name);
      source.settle("call");
      this.#begun = true;
      if (unit !== OPEN_OBJECT) {
        // Nothing at all stands for no arguments.
        if (unit === LESS) sink.arguments("{}");
        sink.callEnd(unit === LESS);
        return DONE;
      }
    }
    const status = this.#scan.read(source);
    this.#whole += this.#scan.text;
    sink.arguments(this.#scan.text);
    source.settle("call");
    if (status === MORE) return MORE;
    sink.callEnd(status === DONE && parseJson(this.#whole) !== undefined);
    return DONE;
  }

  end(): typeof DONE | typeof TEXT {
    return this.#begun || this.#surely ? DONE : TEXT;
  }
}

/** A message's body that is a whole call as an object. */
export class ObjectBody implements CallReader {
  readonly #object = new CallObject();

  read(source: Source, sink: Sink): Status {
    const status = this.#object.read(source, sink);
    if (status === MORE) return MORE;
    if (status === BAD && !this.#object.begun) return TEXT;
    sink.callEnd(status === DONE);
    source.settle("call");
    return DONE;
  }

  end(): typeof DONE {
    return DONE;
  }
}
