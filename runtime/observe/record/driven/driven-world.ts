/**
 * The world of one actor that is driven from a recording: every reading of the clock, every random
 * number and every result is the recorded one, and whatever the actor does goes nowhere. Where it
 * asks for something else than it did then, the first difference is noted and it goes on with what
 * is likely.
 */
import type { Capabilities, Clock, Log, Random } from "../../../capabilities.ts";
import { newReader } from "../../../codec.ts";
import type { AskOptions } from "../../../kernel/ask.ts";
import type { Context } from "../../../kernel/context.ts";
import type { AskError } from "../../../kernel/errors.ts";
import type { Address, Message } from "../../../kernel/message.ts";
import type { Ref, ReplyPort } from "../../../kernel/ref.ts";
import type { ActorSystem } from "../../../kernel/system.ts";
import type { Outside } from "../../../outside.ts";
import { type RemoteNode, standFor } from "../../../remote/node.ts";
import { addressOf, incarnationOf, type WireRef } from "../../../remote/wire.ts";
import { SeededRandom } from "../../../simulation/random.ts";
import { Metrics } from "../../metrics.ts";
import { parseTraceparent } from "../../trace.ts";
import type { RecordedLife } from "../read-folder.ts";
import { ReadsDiffer, ReadTape } from "../reads.ts";
import type { RecordTurn } from "../record-format.ts";
import { effectTexts } from "../recorded-context.ts";
import { Hash } from "../state-hash.ts";
import { readValue, type Stands } from "../value-codec.ts";

/** What the actor waits for of itself: a message of its own, or one of its functions. */
type Own =
  | { readonly message: Message }
  | { readonly run: (value: unknown, failed: boolean) => unknown };

type Read = Parameters<ReadTape["value"]>[0];

export class DrivenWorld implements Outside {
  readonly context: Context<Message>;
  readonly stands: Stands;
  /** What it did in this turn, for people. */
  did: string[] = [];
  /** What was not as in the recording in this turn. */
  differs: string | undefined;
  readonly #life: RecordedLife;
  readonly #own = new Map<number, Own>();
  readonly #refs = new Map<string, Ref<Message>>();
  readonly #random: SeededRandom;
  #effects = new Hash();
  #tape: ReadTape | undefined;
  #turn: RecordTurn | undefined;
  #last_own = 0;
  #now_ms = 0;

  constructor(life: RecordedLife) {
    this.#life = life;
    this.#random = new SeededRandom(life.header.seed);
    this.stands = {
      ref: (address, node_address) => this.ref(address, node_address),
      function: (name) => this.#stand(name),
      instance: (name, methods) => this.#standInstance(name, methods),
    };
    this.context = this.#newContext();
  }

  given<T>(_recipe: string, _options: T): T {
    return readValue(newReader(this.#life.actor.given), this.stands) as T;
  }

  /** The next turn begins. Its own thing, if it has one. */
  begin(turn: RecordTurn): Own | undefined {
    this.#turn = turn;
    this.#tape = new ReadTape(turn.reads, this.stands);
    this.#now_ms = turn.at_ms;
    this.#effects = new Hash();
    this.did = [];
    this.differs = undefined;
    return this.#own.get(turn.own);
  }

  value(turn: RecordTurn): unknown {
    if (turn.value.length === 0) return undefined;
    return readValue(newReader(turn.value), this.stands);
  }

  end(): void {
    const turn = this.#turn;
    if (turn === undefined) return;
    if (this.#tape?.over === false) this.differ("it reads less of clock, chance and results");
    if (this.#effects.word !== turn.effects) this.differ("it does something else");
    this.#tape = undefined;
    this.#turn = undefined;
  }

  /** The first difference of a turn counts. */
  differ(what: string): void {
    this.differs ??= what;
  }

  ref(address: Address, node_address?: string): Ref<Message> {
    const { node, path, incarnation } = address;
    const key = `${node}${path}#${incarnation}`;
    let ref = this.#refs.get(key);
    if (ref === undefined) {
      ref = this.#newRef(address, node_address);
      this.#refs.set(key, ref);
    }
    return ref;
  }

  #newRef(address: Address, node_address: string | undefined): Ref<Message> {
    const { node, path } = address;
    const tell = (message: Message): boolean => {
      this.did.push(`tell ${node}${path} ${message.kind}`);
      return true;
    };
    const nothing = () => {};
    const ways = { tell, deliver: tell, watch: nothing, unwatch: nothing };
    return {
      address,
      local: node === this.#life.header.node,
      ...ways,
      node_address,
    } as Ref<Message>;
  }

  #self(): Ref<Message> {
    const { path, incarnation } = this.#life.actor;
    const { node } = this.#life.header;
    const address = { node, path, incarnation: incarnationOf(incarnation) };
    const tell = (message: Message): boolean => {
      this.#own.set(++this.#last_own, { message });
      return this.#read("outcome", true);
    };
    const nothing = () => {};
    const ways = { tell, deliver: tell, watch: nothing, unwatch: nothing };
    const self: Ref<Message> = { address, local: true, ...ways };
    this.#refs.set(`${node}${path}#${address.incarnation}`, self);
    return self;
  }

  // ---- reads ---------------------------------------------------------------------------------

  #read<T>(what: Read, likely: T): T {
    if (this.#tape === undefined) return likely;
    try {
      return this.#tape.value(what) as T;
    } catch (error) {
      if (!(error instanceof ReadsDiffer)) throw error;
      this.differ(error.message);
      return likely;
    }
  }

  #now(): number {
    try {
      if (this.#tape !== undefined) this.#now_ms = this.#tape.now();
    } catch (error) {
      if (!(error instanceof ReadsDiffer)) throw error;
      this.differ(error.message);
    }
    return this.#now_ms;
  }

  #stand(name: string): unknown {
    return () => {
      if (this.#turn === undefined) return undefined;
      this.#effect(name);
      return this.#read("result", undefined);
    };
  }

  #standInstance(name: string, methods: readonly string[]): unknown {
    const seen = new Map(methods.map((method) => [method, this.#stand(`${name}.${method}`)]));
    return new Proxy(
      {},
      {
        get: (_target, key) => {
          if (typeof key === "symbol") return undefined;
          return seen.get(key) ?? this.#read("member", undefined);
        },
        set: () => true,
      },
    );
  }

  // ---- what the actor does -------------------------------------------------------------------

  #effect(text: string): void {
    this.#effects.add(text);
    this.did.push(text);
  }

  #callback(run: (value: unknown, failed: boolean) => unknown): void {
    this.#own.set(++this.#last_own, { run });
  }

  #later(run: () => void): { readonly id: number } {
    this.#callback(() => run());
    return { id: this.#last_own };
  }

  #ask(ref: Ref, message: Message): Promise<never> {
    this.#effect(effectTexts.ask(ref.address.path, message.kind));
    const promise = new Promise<never>(() => {});
    const then = (took?: unknown, failed?: unknown): Promise<never> => {
      this.#callback((value, is_failure) => {
        const run = is_failure ? failed : took;
        return typeof run === "function" ? (run(value) as unknown) : undefined;
      });
      return new Promise<never>(() => {});
    };
    // biome-ignore lint/suspicious/noThenProperty: its reactions are turns of the actor
    Object.defineProperty(promise, "then", { value: then });
    return promise;
  }

  #newContext(): Context<Message> {
    const world = this;
    const clock: Clock = {
      now_ms: () => this.#now(),
      wall_ms: () => this.#read("wall", this.#now_ms),
      after: (_delay_ms, run) => this.#later(run),
      cancel: () => {},
      defer: (run) => void this.#later(run),
    };
    const random: Random = {
      u32: () => this.#read("u32", this.#random.u32()),
      u64: () => this.#read("u64", this.#random.u64()),
      unit: () => this.#read("unit", this.#random.unit()),
    };
    const log: Log = { log: (level, text) => void this.did.push(`log ${level} ${text}`) };
    const ids = { next: () => this.#read("id", "id") };
    const capabilities = only({ clock, random, log, ids }, "capability") as unknown as Capabilities;
    const system = this.#newSystem(capabilities);
    const self = this.#self();
    return {
      ...{ clock, random, log, capabilities, system, self, parent: undefined },
      ...this.#lifeWays(),
      ...this.#messageWays(self),
      get deadline_ms() {
        return world.#turn?.deadline_ms;
      },
      get trace() {
        const { traceparent = "", correlation = "" } = world.#turn ?? {};
        const trace = parseTraceparent(traceparent);
        return trace === undefined || correlation === "" ? trace : { ...trace, correlation };
      },
    } as Context<Message>;
  }

  #lifeWays(): Partial<Context<Message>> {
    const { node } = this.#life.header;
    const { path } = this.#life.actor;
    return {
      spawn: (_make, { name }) => {
        this.#effect(effectTexts.spawn(name));
        return this.ref({ node, path: `${path}/${name}`, incarnation: 0n });
      },
      stop: (ref) => this.#effect(effectTexts.stop(ref?.address.path ?? "")),
      monitor: (ref) => {
        this.#effect(effectTexts.monitor(ref.address.path));
        return this.#read("outcome", 0);
      },
      demonitor: (monitor) => this.#effect(effectTexts.demonitor(monitor)),
      after: (delay_ms, message) => {
        this.#effect(effectTexts.after(delay_ms, message.kind));
        this.#own.set(++this.#last_own, { message });
        return { id: this.#last_own };
      },
      every: (period_ms, message) => {
        this.#effect(effectTexts.every(period_ms, message.kind));
        this.#own.set(++this.#last_own, { message });
        return { id: this.#last_own };
      },
      cancel: () => {},
    };
  }

  #messageWays(self: Ref<Message>): Partial<Context<Message>> {
    const reply = (value: unknown): boolean => {
      this.#effect(effectTexts.reply(value));
      return this.#read("outcome", true);
    };
    const refuse = (detail: string): boolean => {
      this.#effect(effectTexts.fail(detail));
      return this.#read("outcome", true);
    };
    return {
      tell: (ref, message) => {
        if ((ref as Ref) === (self as Ref)) return self.tell(message);
        this.#effect(effectTexts.tell(ref.address.path, message.kind));
        return this.#read("outcome", true);
      },
      ask: (ref, message) => this.#ask(ref as Ref, message),
      askThen: (ref, message, _options, took, failed) => {
        this.#effect(effectTexts.ask(ref.address.path, message.kind));
        this.#callback((value, is_failure) =>
          is_failure ? failed(value as AskError) : took(value as never),
        );
      },
      reply,
      refuse,
      replyLater: () => this.#port(reply, refuse),
    };
  }

  #port(reply: (value: unknown) => boolean, refuse: (detail: string) => boolean): ReplyPort {
    const settled = () => this.#read("outcome", false);
    return {
      get settled() {
        return settled();
      },
      reply,
      fail: (_code, detail) => refuse(detail),
    };
  }

  #newSystem(capabilities: Capabilities): ActorSystem {
    const { header, actor } = this.#life;
    const parts = {
      ...{ node: header.node, capabilities, metrics: new Metrics() },
      ask: (ref: Ref, message: Message, _options: AskOptions) => this.#ask(ref, message),
    };
    const system = only(parts, "part of the system") as unknown as ActorSystem;
    const node = {
      address: actor.node_address,
      ref: (wire: WireRef) => this.ref(addressOf(wire), wire.address),
      isAway: () => this.#read("outcome", false),
    };
    standFor(system, () => only(node, "part of the node") as unknown as RemoteNode);
    return system;
  }
}

/** The object; whatever else is asked of it is an error that says so. */
function only(of: Readonly<Record<string, unknown>>, what: string): object {
  return new Proxy(of, {
    get: (target, key) => {
      if (typeof key === "symbol" || key in target) return Reflect.get(target, key);
      throw new Error(`an actor that is driven from a recording has no such ${what}: ${key}`);
    },
  });
}
