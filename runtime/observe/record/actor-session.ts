/**
 * The recording of one life of one actor. Whatever comes into the actor comes in a turn: a message,
 * a reply, a signal, its start and its end. What it reads meanwhile (clock, randomness, results of
 * functions that it was given) is an input as well, and stands with the turn:
 *
 *   begin(turn) ── reads, effects ── end ──▶ RecordTurn {number, value, reads, effects, state?}
 *
 * While a function from outside runs, the turn is `apart`: what comes to the actor then comes from
 * there, also when its own call caused it.
 */
import type { Clock } from "../../capabilities.ts";
import { newWriter, type Writer } from "../../codec.ts";
import type { Actor } from "../../kernel/actor.ts";
import type { Message } from "../../kernel/message.ts";
import type { Meta } from "../../kernel/ref.ts";
import type { Outside } from "../../outside.ts";
import { formatTraceparent } from "../trace.ts";
import { ReadLog } from "./reads.ts";
import type { RecordFiles } from "./record-files.ts";
import { type RecordTurn, type Turn, turns } from "./record-format.ts";
import { canonical, Hash, hashOf } from "./state-hash.ts";
import { ValueWriter } from "./value-codec.ts";

export type SessionOf = {
  readonly number: number;
  readonly path: string;
  readonly role: string;
  readonly incarnation: Uint8Array;
  readonly node_address: () => string;
};

type Open = {
  readonly turn: Turn;
  readonly at_ms: number;
  readonly kind: string;
  readonly effects: Hash;
  value: Uint8Array;
  own: number;
  failed: boolean;
  threw: boolean;
  gap: string;
  readonly meta: Meta | undefined;
};

/** A large state is hashed less often: one more turn in between for so many characters. */
const CHARS_A_TURN = 64;
const NOTHING = new Uint8Array(0);
/** For one value at a time. */
const scratch = newWriter();

export class ActorSession implements Outside {
  readonly reads: ReadLog;
  readonly #of: SessionOf;
  readonly #files: RecordFiles;
  readonly #clock: Clock;
  readonly #values: ValueWriter;
  /** For messages: what they hold cannot be replaced by something that is seen. */
  readonly #plain = new ValueWriter();
  readonly #own = new WeakMap<object, number>();
  #open: Open | undefined;
  #last_own = 0;
  #turns = 0;
  #hash_due = 0;
  /** Of the file that has told who this actor is; none at first. */
  #told_in = -1;
  #recipe = "";
  #given: Uint8Array = NOTHING;

  constructor(of: SessionOf, files: RecordFiles, clock: Clock) {
    this.#of = of;
    this.#files = files;
    this.#clock = clock;
    this.#values = new ValueWriter({
      function: (run, name) => this.#seen(run, name),
      instance: (value, name, methods) => this.#seenInstance(value, name, methods),
    });
    this.reads = new ReadLog(this.#values);
  }

  /** True: the actor's own code runs. */
  get live(): boolean {
    return this.#open !== undefined;
  }

  given<T>(recipe: string, options: T): T {
    this.#recipe = recipe;
    const writer = newWriter();
    const seen = this.#values.write(options, writer, recipe);
    this.#given = taken(writer);
    return seen;
  }

  // ---- turns ---------------------------------------------------------------------------------

  begin(turn: Turn, kind: string, own = 0, meta?: Meta): void {
    this.#open = {
      turn,
      kind,
      own,
      meta,
      at_ms: this.#clock.now_ms(),
      effects: new Hash(),
      value: NOTHING,
      failed: false,
      threw: false,
      gap: "",
    };
  }

  beginMessage(message: Message, meta: Meta | undefined): void {
    const own = this.#own.get(message);
    this.begin(own === undefined ? "message" : "own", message.kind, own, meta);
    if (own === undefined) this.value(message);
  }

  /** What came with the turn. */
  value(value: unknown, failed = false): void {
    const open = this.#open;
    if (open === undefined) return;
    scratch.pos = 0;
    this.#plain.lossy = false;
    this.#plain.write(value, scratch);
    if (this.#plain.lossy) open.gap = "its messages hold functions or objects of this process";
    open.value = taken(scratch);
    open.failed = failed;
  }

  threw(): void {
    if (this.#open !== undefined) this.#open.threw = true;
  }

  gap(why: string): void {
    if (this.#open !== undefined) this.#open.gap = why;
  }

  end(actor: Actor<never> | undefined): void {
    const open = this.#open;
    if (open === undefined) return;
    const state = this.#stateOf(actor, open.turn);
    this.#open = undefined;
    const { meta } = open;
    const trace = meta?.trace;
    const record: RecordTurn = {
      actor: this.#of.number,
      number: this.#turns++,
      turn: turns.indexOf(open.turn),
      at_ms: open.at_ms,
      kind: open.kind,
      value: open.value,
      own: open.own,
      failed: open.failed,
      ask: meta?.port !== undefined,
      deadline_ms: meta?.deadline_ms,
      traceparent: trace === undefined ? "" : formatTraceparent(trace),
      correlation: trace?.correlation ?? "",
      reads: this.reads.take(),
      effects: open.effects.word,
      threw: open.threw,
      gap: open.gap,
      state,
    };
    this.#introduce();
    if (this.#files.add({ turn: record })) return;
    // There is a hole now. The next turns count on, so that a reader sees it.
    this.#hash_due = 0;
  }

  #stateOf(actor: Actor<never> | undefined, turn: Turn): Uint8Array {
    const anew = this.#told_in !== this.#files.part || turn === "release";
    if (actor === undefined || (!anew && this.#hash_due-- > 0)) return NOTHING;
    const text = stateText(actor);
    this.#hash_due = Math.floor(text.length / CHARS_A_TURN);
    return hashOf(text);
  }

  #introduce(): void {
    const { part } = this.#files;
    if (this.#told_in === part) return;
    const { number, path, role, incarnation, node_address } = this.#of;
    const actor = {
      ...{ actor: number, path, role, incarnation, node_address: node_address() },
      ...{ recipe: this.#recipe, given: this.#given },
    };
    if (!this.#files.add({ actor })) return;
    this.#told_in = part;
    this.#given = NOTHING;
  }

  // ---- what the actor does -------------------------------------------------------------------

  /** Gives the thing the next number: a timer's message, a message to itself. */
  own(message: object): void {
    if (this.#open !== undefined) this.#own.set(message, ++this.#last_own);
  }

  effect(text: string): void {
    this.#open?.effects.add(text);
  }

  /** Runs what is not the actor's own code. */
  apart<T>(run: () => T): T {
    const open = this.#open;
    this.#open = undefined;
    try {
      return run();
    } finally {
      this.#open = open;
    }
  }

  /** A function of the actor that is called later, in a turn of its own. */
  callback<T>(kind: string, run: (value: T) => unknown, actor: () => Actor<never> | undefined) {
    const own = this.#open === undefined ? 0 : ++this.#last_own;
    return (value: T, failed = false): unknown => {
      if (own === 0 || this.#open !== undefined) return run(value);
      this.begin("callback", kind, own);
      this.value(value, failed);
      try {
        return run(value);
      } catch (error) {
        this.threw();
        throw error;
      } finally {
        this.end(actor());
      }
    };
  }

  #seen(run: (...args: never) => unknown, name: string): unknown {
    return (...args: never) => this.#call(() => run(...args), name);
  }

  #call(run: () => unknown, name: string): unknown {
    if (this.#open === undefined) return run();
    this.effect(name);
    let result: unknown;
    try {
      result = this.apart(run);
    } catch (error) {
      this.reads.value("thrown", error);
      throw error;
    }
    return this.reads.value("result", result, name);
  }

  #seenInstance(value: object, name: string, methods: readonly string[]): unknown {
    const seen = new Map<string | symbol, unknown>();
    for (const method of methods) {
      const run = (...args: unknown[]) =>
        (Reflect.get(value, method, value) as (...args: unknown[]) => unknown).apply(value, args);
      seen.set(method, this.#seen(run, `${name}.${method}`));
    }
    return new Proxy(value, {
      get: (target, key) => {
        const method = seen.get(key);
        if (method !== undefined) return method;
        const member: unknown = Reflect.get(target, key, target);
        if (this.#open === undefined || typeof key === "symbol") return member;
        return this.reads.value("member", member, `${name}.${key}`);
      },
      set: (target, key, member) => Reflect.set(target, key, member, target),
    });
  }
}

/** What is hashed of an actor. An actor that cannot say it has a state of its own kind. */
export function stateText(actor: Actor<never>): string {
  try {
    return canonical(actor.recordedState());
  } catch {
    return "cannot be told";
  }
}

function taken(writer: Writer): Uint8Array {
  return writer.buf.slice(0, writer.pos);
}
