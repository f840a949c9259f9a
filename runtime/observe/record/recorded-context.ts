/** The context of a recorded actor: what it reads is written down, what comes back is a turn. */
import type { Capabilities, Clock, Random, Timer } from "../../capabilities.ts";
import type { Actor } from "../../kernel/actor.ts";
import type { AskOptions } from "../../kernel/ask.ts";
import type { Cell } from "../../kernel/cell.ts";
import { CellContext } from "../../kernel/cell-context.ts";
import type { ActorSystem, Make } from "../../kernel/context.ts";
import type { AskError } from "../../kernel/errors.ts";
import type { ExitReason } from "../../kernel/exit-reason.ts";
import type { Message, ReplyTo } from "../../kernel/message.ts";
import type { Ref, ReplyPort } from "../../kernel/ref.ts";
import type { SpawnOptions } from "../../kernel/spawn-options.ts";
import { nodeOf, standFor } from "../../remote/node.ts";
import type { ActorSession } from "./actor-session.ts";

/** What the actor does, as one text: a recording keeps a sum of them for each turn. */
export const effectTexts = {
  tell: (path: string, kind: string) => `tell ${path} ${kind}`,
  ask: (path: string, kind: string) => `ask ${path} ${kind}`,
  after: (delay_ms: number, kind: string) => `after ${delay_ms} ${kind}`,
  every: (period_ms: number, kind: string) => `every ${period_ms} ${kind}`,
  monitor: (path: string) => `monitor ${path}`,
  demonitor: (monitor: number) => `demonitor ${monitor}`,
  reply: (value: unknown) =>
    `reply ${(value as Partial<Message> | undefined)?.kind ?? typeof value}`,
  fail: (detail: string) => `fail ${detail}`,
  spawn: (name: string) => `spawn ${name}`,
  stop: (path: string) => `stop ${path}`,
} as const;

export class RecordedContext extends CellContext {
  readonly #session: ActorSession;
  readonly #seen: { readonly capabilities: Capabilities; readonly system: ActorSystem };

  constructor(cell: Cell, session: ActorSession) {
    super(cell);
    this.#session = session;
    const capabilities = seenCapabilities(cell.kernel.capabilities, session, () => cell.actor);
    this.#seen = { capabilities, system: this.#seenSystem(capabilities) };
  }

  override get clock(): Clock {
    return this.#seen.capabilities.clock;
  }
  override get random(): Random {
    return this.#seen.capabilities.random;
  }
  override get capabilities(): Capabilities {
    return this.#seen.capabilities;
  }
  override get system(): ActorSystem {
    return this.#seen.system;
  }

  override spawn<N extends Message>(make: Make<N>, options: SpawnOptions): Ref<N> {
    this.#session.effect(effectTexts.spawn(options.name));
    return this.#session.apart(() => super.spawn(make, options));
  }
  override spawnReady<N extends Message>(make: Make<N>, options: SpawnOptions) {
    this.#session.gap("it waits for children");
    return this.#session.apart(() => super.spawnReady(make, options));
  }
  override stop(ref?: Ref, reason?: ExitReason): void {
    this.#session.effect(effectTexts.stop(ref?.address.path ?? ""));
    this.#session.apart(() => super.stop(ref, reason));
  }
  override monitor(ref: Ref): number {
    this.#session.effect(effectTexts.monitor(ref.address.path));
    return this.#outcome(() => super.monitor(ref));
  }
  override demonitor(monitor: number): void {
    this.#session.effect(effectTexts.demonitor(monitor));
    this.#session.apart(() => super.demonitor(monitor));
  }
  override after(delay_ms: number, message: Message): Timer {
    this.#session.effect(effectTexts.after(delay_ms, message.kind));
    this.#session.own(message);
    return super.after(delay_ms, message);
  }
  override every(period_ms: number, message: Message): Timer {
    this.#session.effect(effectTexts.every(period_ms, message.kind));
    this.#session.own(message);
    return super.every(period_ms, message);
  }
  override tell<N extends Message>(ref: Ref<N>, message: N): boolean {
    if ((ref as Ref) === this.cell) return super.tell(ref, message);
    this.#session.effect(effectTexts.tell(ref.address.path, message.kind));
    return this.#outcome(() => super.tell(ref, message));
  }

  override ask<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
  ): Promise<ReplyTo<N, K>> {
    this.#session.effect(effectTexts.ask(ref.address.path, message.kind));
    return this.#answered(
      this.#session.apart(() => super.ask(ref, message, options)),
      message.kind,
    );
  }

  override askThen<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
    took: (answer: ReplyTo<N, K>) => void,
    failed: (error: AskError) => void,
  ): void {
    const session = this.#session;
    session.effect(effectTexts.ask(ref.address.path, message.kind));
    const run = (outcome: { readonly error?: AskError; readonly answer?: unknown }) =>
      outcome.error === undefined ? took(outcome.answer as ReplyTo<N, K>) : failed(outcome.error);
    const answered = both(session, message.kind, this.cell, run);
    session.apart(() => super.askThen(ref, message, options, answered.took, answered.failed));
  }

  override reply(value: unknown): boolean {
    this.#session.effect(effectTexts.reply(value));
    return this.#outcome(() => super.reply(value));
  }
  override refuse(detail: string): boolean {
    this.#session.effect(effectTexts.fail(detail));
    return this.#outcome(() => super.refuse(detail));
  }
  override replyLater(): ReplyPort {
    return seenPort(super.replyLater(), this.#session);
  }

  #outcome<T>(run: () => T): T {
    const { live } = this.#session;
    const outcome = this.#session.apart(run);
    return live ? this.#session.reads.value("outcome", outcome) : outcome;
  }

  /**
   * The promise's reactions are turns. A handler that awaits it goes on without one: such an actor
   * can be listed and not driven.
   */
  #answered<T>(promise: Promise<T>, kind: string): Promise<T> {
    const { cell } = this;
    const session = this.#session;
    const then = (took?: unknown, failed?: unknown): Promise<unknown> => {
      const run = ({ error, answer }: { readonly error?: unknown; readonly answer?: unknown }) => {
        if (error !== undefined) return (failed as (error: unknown) => unknown)(error);
        return (took as (answer: unknown) => unknown)(answer);
      };
      const outcome = both(session, kind, cell, run);
      return Promise.prototype.then.call(
        promise,
        typeof took === "function" ? outcome.took : undefined,
        typeof failed === "function" ? outcome.failed : undefined,
      );
    };
    // biome-ignore lint/suspicious/noThenProperty: its reactions are turns of the actor
    Object.defineProperty(promise, "then", { value: then });
    return promise;
  }

  #seenSystem(capabilities: Capabilities): ActorSystem {
    const { kernel } = this.cell;
    const ask = (ref: Ref, message: Message, options: AskOptions) => {
      this.#session.effect(effectTexts.ask(ref.address.path, message.kind));
      const answer = this.#session.apart(() => kernel.ask(ref as never, message as never, options));
      return this.#answered(answer as Promise<unknown>, message.kind);
    };
    const system: ActorSystem = seenThrough(kernel as ActorSystem, { capabilities, ask });
    standFor(system, () => {
      const node = nodeOf(kernel);
      if (node === undefined) return undefined;
      const isAway = (of: string) => {
        const { live, reads } = this.#session;
        return live ? reads.value("outcome", node.isAway(of)) : node.isAway(of);
      };
      return seenThrough(node, { isAway });
    });
    return system;
  }
}

/** The object with some of its members replaced. Methods get the object itself as `this`. */
function seenThrough<T extends object>(of: T, own: Readonly<Record<string, unknown>>): T {
  return new Proxy(of, {
    get: (target, key) => {
      if (typeof key === "string" && Object.hasOwn(own, key)) return own[key];
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

type Outcome = { readonly error?: never; readonly answer?: unknown };

/** One callback with two ways in. */
function both(
  session: ActorSession,
  kind: string,
  cell: Cell,
  run: (outcome: never) => unknown,
): { readonly took: (answer: unknown) => unknown; readonly failed: (error: unknown) => unknown } {
  let failed = false;
  const called = session.callback(
    kind,
    (value: unknown) =>
      (run as (outcome: Outcome) => unknown)(
        failed ? { error: value as never } : { answer: value },
      ),
    () => cell.actor,
  );
  return {
    took: (answer) => called(answer),
    failed: (error) => {
      failed = true;
      return called(error, true);
    },
  };
}

function seenPort(port: ReplyPort, session: ActorSession): ReplyPort {
  const outcome = (run: () => boolean): boolean => {
    const { live } = session;
    const value = session.apart(run);
    return live ? session.reads.value("outcome", value) : value;
  };
  return {
    get settled(): boolean {
      return outcome(() => port.settled);
    },
    reply: (value) => {
      session.effect(effectTexts.reply(value));
      return outcome(() => port.reply(value));
    },
    fail: (code, detail) => {
      session.effect(effectTexts.fail(detail));
      return outcome(() => port.fail(code, detail));
    },
  };
}

function seenCapabilities(
  of: Capabilities,
  session: ActorSession,
  actor: () => Actor<never> | undefined,
): Capabilities {
  const { clock, random, ids } = of;
  const { reads } = session;
  const late = (run: () => void) => {
    const called = session.callback("timer", run, actor);
    return () => void called(undefined);
  };
  return {
    ...of,
    clock: {
      now_ms: () => (session.live ? reads.now(clock.now_ms()) : clock.now_ms()),
      wall_ms: () => (session.live ? reads.value("wall", clock.wall_ms()) : clock.wall_ms()),
      after: (delay_ms, run) => clock.after(delay_ms, late(run)),
      cancel: (timer) => clock.cancel(timer),
      defer: (run) => clock.defer(late(run)),
    },
    random: {
      u32: () => (session.live ? reads.value("u32", random.u32()) : random.u32()),
      u64: () => (session.live ? reads.value("u64", random.u64()) : random.u64()),
      unit: () => (session.live ? reads.value("unit", random.unit()) : random.unit()),
    },
    ids: { next: () => (session.live ? reads.value("id", ids.next()) : ids.next()) },
  };
}
