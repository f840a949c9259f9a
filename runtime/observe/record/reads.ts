/** What an actor reads of the world in a turn, in order: written live, read when it is driven. */
import { newReader, newWriter, type Reader, type Writer } from "../../codec.ts";
import { readValue, type Stands, type ValueWriter } from "./value-codec.ts";

const READ = {
  now: 0,
  /** The same as the last reading of the clock. */
  same: 1,
  wall: 2,
  u32: 3,
  u64: 4,
  unit: 5,
  id: 6,
  /** What a function of the actor's options returned. */
  result: 7,
  /** What it threw. */
  thrown: 8,
  /** A value of an object among its options. */
  member: 9,
  /** Whether a message was taken, an answer was in time; the number of a monitor. */
  outcome: 10,
} as const;

type ReadName = keyof typeof READ;
const names = Object.keys(READ) as readonly ReadName[];

export class ReadLog {
  readonly #values: ValueWriter;
  #writer: Writer = newWriter();
  #last_ms = Number.NaN;

  constructor(values: ValueWriter) {
    this.#values = values;
  }

  now(value_ms: number): number {
    if (value_ms === this.#last_ms) this.#writer.uint32(READ.same);
    else this.#writer.uint32(READ.now).double(value_ms);
    this.#last_ms = value_ms;
    return value_ms;
  }

  /** Returns the value as the actor has to use it. */
  value<T>(what: Exclude<ReadName, "now" | "same">, value: T, name = ""): T {
    this.#writer.uint32(READ[what]);
    return this.#values.write(value, this.#writer, name);
  }

  /** All since the last call. */
  take(): Uint8Array {
    const { pos, buf } = this.#writer;
    const bytes = buf.slice(0, pos);
    this.#writer.pos = 0;
    this.#last_ms = Number.NaN;
    return bytes;
  }
}

/** The actor read something else than the recording has here. */
export class ReadsDiffer extends Error {
  override readonly name = "ReadsDiffer";
}

export class ReadTape {
  readonly #reader: Reader;
  readonly #stands: Stands;
  #last_ms = Number.NaN;

  constructor(bytes: Uint8Array, stands: Stands) {
    this.#reader = newReader(bytes);
    this.#stands = stands;
  }

  get over(): boolean {
    return this.#reader.pos >= this.#reader.len;
  }

  now(): number {
    const tag = this.#tag("now", "same");
    if (tag === "now") this.#last_ms = this.#reader.double();
    return this.#last_ms;
  }

  value(what: Exclude<ReadName, "now" | "same" | "thrown">): unknown {
    const tag = this.#tag(what, what === "result" ? "thrown" : what);
    const value = readValue(this.#reader, this.#stands);
    if (tag === "thrown") throw value;
    return value;
  }

  #tag(wanted: ReadName, or: ReadName): ReadName {
    if (this.over) throw new ReadsDiffer(`it asks for more (${wanted}) than it did then`);
    const at = this.#reader.pos;
    const tag = names[this.#reader.uint32()];
    if (tag === wanted || tag === or) return tag;
    this.#reader.pos = at;
    throw new ReadsDiffer(`it asks for ${wanted} where it asked for ${tag} then`);
  }
}
