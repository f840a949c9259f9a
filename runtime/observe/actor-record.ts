/**
 * The recent history of one actor while somebody watches it: each message with the actor's state
 * before and after. The actor's own object gets a `receive` that writes it down, and its cell a
 * `deliver` that notes when a message came and from whom. All other actors are untouched, and so is
 * this one when the record ends.
 */

import type { Clock, Timer } from "../capabilities.ts";
import { errorText } from "../error-text.ts";
import { isPromise } from "../is-promise.ts";
import { Actor } from "../kernel/actor.ts";
import { Cell } from "../kernel/cell.ts";
import type { ActorSystem } from "../kernel/context.ts";
import type { Message } from "../kernel/message.ts";
import { type Meta, NOWHERE, type Watcher } from "../kernel/ref.ts";
import { plainText } from "./plain-text.ts";
import type { TurnTimes } from "./turn-times.ts";

export type RecordEntry = {
  /** Counts up by one from entry to entry; 1 is the first. */
  readonly seq: number;
  /** Unix time when its handling began. */
  readonly at_ms: number;
  /** In the mailbox; a lower bound for what waited there when the record began. */
  readonly waited_ms: number;
  /** Until its handler was done, its promise included. */
  readonly took_ms: number;
  /** The message's; `(answer)`, `(down)` and `(child ended)` are what else an actor handles. */
  readonly kind: string;
  /** Node and path, where it was sent in a turn of an actor of this process. */
  readonly from: string | undefined;
  readonly ask: boolean;
  readonly trace_id: string | undefined;
  /** JSON texts, cut where they are long. */
  readonly message: string;
  readonly before: string;
  readonly after: string;
  readonly crashed: string | undefined;
};

const ENTRIES_MAX = 256;
const CHARS_MAX = 1024 * 1024;
const MESSAGE_CHARS = 4 * 1024;
const STATE_CHARS = 4 * 1024;
/** More in one second are counted, and not written down. */
const PER_SECOND_MAX = 256;
/** How often an actor that has ended is looked for. */
const COMES_BACK_MS = 50;

type Arrival = { readonly at_ms: number; readonly from: string | undefined };
/** What is known before the handler runs. */
type About = Omit<
  RecordEntry,
  "seq" | "at_ms" | "took_ms" | "message" | "before" | "after" | "crashed"
>;
const signal = { from: undefined, ask: false, trace_id: undefined, waited_ms: 0 } as const;

export class ActorRecord {
  readonly path: string;
  /** Handled while the record ran, and not written down or forgotten since. */
  dropped = 0;
  readonly #system: ActorSystem;
  readonly #clock: Clock;
  readonly #times: TurnTimes;
  readonly #entries: RecordEntry[] = [];
  #chars = 0;
  #last_seq = 0;
  #second = 0;
  #in_second = 0;
  #cell: Cell | undefined;
  #detach: () => void = () => {};
  #timer: Timer | undefined;

  constructor(system: ActorSystem, path: string, times: TurnTimes) {
    this.path = path;
    this.#system = system;
    this.#clock = system.capabilities.clock;
    this.#times = times;
    times.follows++;
    this.#attach();
  }

  /** Those after `seq`, oldest first; all of them when `seq` is of a record before this one. */
  after(seq: number): readonly RecordEntry[] {
    const from = seq > this.#last_seq ? 0 : seq;
    return this.#entries.filter((entry) => entry.seq > from);
  }

  stop(): void {
    this.#times.follows--;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    this.#detach();
    this.#detach = () => {};
  }

  /** A restarted actor is another one at the same path: the record goes on with it. */
  #attach(): void {
    const cell = this.#system.lookup(this.path);
    const actor = cell instanceof Cell && cell.alive ? cell.actor : undefined;
    if (!(cell instanceof Cell) || actor === undefined) {
      this.#timer = this.#clock.after(COMES_BACK_MS, () => this.#attach());
      return;
    }
    this.#timer = undefined;
    this.#cell = cell;
    const arrivals = new WeakMap<object, Arrival>();
    const own = [
      replaced(cell, "deliver", this.#delivering(cell, arrivals)),
      replaced(cell, "call", this.#calling(cell)),
      replaced(actor, "receive", this.#receiving(cell, actor, arrivals)),
      ...this.#signals(actor),
    ];
    const watcher: Watcher = {
      place: NOWHERE,
      ended: () => {
        this.#detach();
        this.#detach = () => {};
        this.#timer = this.#clock.after(COMES_BACK_MS, () => this.#attach());
      },
    };
    cell.watch(watcher);
    this.#detach = () => {
      cell.unwatch(watcher);
      for (const undo of own) undo();
      this.#cell = undefined;
    };
  }

  #delivering(cell: Cell, arrivals: WeakMap<object, Arrival>): Cell["deliver"] {
    const deliver = cell.deliver.bind(cell);
    return (message, meta) => {
      const from = this.#times.running?.id;
      arrivals.set(message, { at_ms: this.#clock.now_ms(), from });
      return deliver(message, meta);
    };
  }

  /** Outcomes of `askThen`. */
  #calling(cell: Cell): Cell["call"] {
    const call = cell.call.bind(cell);
    return (run) =>
      call(() => this.#step({ ...signal, kind: "(answer)" }, undefined, run) as undefined);
  }

  #receiving(
    cell: Cell,
    actor: Actor<never>,
    arrivals: WeakMap<object, Arrival>,
  ): (message: Message) => void | Promise<void> {
    const receive = actor.receive.bind(actor) as (message: Message) => void | Promise<void>;
    return (message) => {
      const meta: Meta | undefined = cell.current;
      const now_ms = this.#clock.now_ms();
      const arrival = arrivals.get(message);
      const about = {
        kind: message.kind,
        from: arrival?.from,
        ask: meta?.port !== undefined,
        trace_id: meta?.trace?.trace_id,
        waited_ms: arrival === undefined ? cell.oldestAge_ms(now_ms) : now_ms - arrival.at_ms,
      };
      return this.#step(about, message, () => receive(message));
    };
  }

  /** Only what the actor overrides: the kernel asks whether it does. */
  #signals(actor: Actor<never>): (() => void)[] {
    const undo: (() => void)[] = [];
    if (actor.down !== Actor.prototype.down) {
      const down = actor.down.bind(actor);
      undo.push(
        replaced(actor, "down", (told) =>
          this.#step({ ...signal, kind: "(down)" }, told, () => down(told)),
        ),
      );
    }
    if (actor.childEnded !== Actor.prototype.childEnded) {
      const ended = actor.childEnded.bind(actor);
      undo.push(
        replaced(actor, "childEnded", (told) =>
          this.#step({ ...signal, kind: "(child ended)" }, told, () => ended(told)),
        ),
      );
    }
    return undo;
  }

  #step<T>(about: About, message: unknown, run: () => T): T {
    const began_ms = this.#clock.now_ms();
    if (!this.#mayWrite(began_ms)) {
      this.dropped++;
      return run();
    }
    const at_ms = this.#clock.wall_ms();
    const shown = plainText(message, MESSAGE_CHARS);
    const before = this.#state();
    const done = (crashed: string | undefined): void => {
      const took_ms = this.#clock.now_ms() - began_ms;
      const after = this.#state();
      this.#add({ ...about, seq: 0, at_ms, took_ms, message: shown, before, after, crashed });
    };
    try {
      const result = run();
      if (!isPromise(result)) {
        done(undefined);
        return result;
      }
      const settled = result.then(
        (value) => {
          done(undefined);
          return value;
        },
        (error: unknown) => {
          done(errorText(error));
          throw error;
        },
      );
      return settled as T;
    } catch (error) {
      done(errorText(error));
      throw error;
    }
  }

  #mayWrite(now_ms: number): boolean {
    const second = Math.floor(now_ms / 1_000);
    if (second !== this.#second) {
      this.#second = second;
      this.#in_second = 0;
    }
    return ++this.#in_second <= PER_SECOND_MAX;
  }

  #state(): string {
    try {
      return plainText(this.#cell?.inspect() ?? {}, STATE_CHARS);
    } catch (error) {
      return JSON.stringify({ error: `inspect() failed: ${errorText(error)}` });
    }
  }

  #add(entry: RecordEntry): void {
    this.#entries.push({ ...entry, seq: ++this.#last_seq });
    this.#chars += charsOf(entry);
    while (this.#entries.length > ENTRIES_MAX || this.#chars > CHARS_MAX) {
      const oldest = this.#entries.shift();
      if (oldest === undefined) return;
      this.#chars -= charsOf(oldest);
    }
  }
}

const charsOf = ({ message, before, after }: RecordEntry): number =>
  message.length + before.length + after.length;

/** Gives an object a method of its own; the result takes it away again. */
function replaced<T extends object, K extends keyof T>(of: T, name: K, by: T[K]): () => void {
  const was = Object.hasOwn(of, name) ? of[name] : undefined;
  of[name] = by;
  return () => {
    if (was === undefined) delete of[name];
    else of[name] = was;
  };
}
