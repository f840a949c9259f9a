/**
 * A cell that writes down every turn of its actor. A system without a recorder makes none, and its
 * plain cells pay nothing.
 */
import { isPromise } from "../../is-promise.ts";
import { Actor } from "../../kernel/actor.ts";
import type { Cell } from "../../kernel/cell.ts";
import type { CellContext } from "../../kernel/cell-context.ts";
import type { Message } from "../../kernel/message.ts";
import type { Meta } from "../../kernel/ref.ts";
import { type StepHook, SteppedCell } from "../../kernel/stepped-cell.ts";
import type { Outside } from "../../outside.ts";
import { nodeOf } from "../../remote/node.ts";
import { incarnationBytes } from "../../remote/wire.ts";
import { ActorSession } from "./actor-session.ts";
import type { RecordFiles } from "./record-files.ts";
import { RecordedContext } from "./recorded-context.ts";

/** `number` is unique in the process. */
export type RecordedBy = { readonly number: number; readonly files: RecordFiles };

type Handler = (value: never) => void | Promise<void>;

export class RecordedCell extends SteppedCell {
  readonly #session: ActorSession;

  constructor(
    by: RecordedBy,
    steps: StepHook | undefined,
    ...of: ConstructorParameters<typeof Cell>
  ) {
    super(steps, ...of);
    const { kernel } = this;
    const session_of = {
      ...{ number: by.number, path: this.path, role: this.role ?? "" },
      incarnation: incarnationBytes(this.incarnation),
      node_address: () => nodeOf(kernel)?.address ?? "",
    };
    this.#session = new ActorSession(session_of, by.files, kernel.capabilities.clock);
  }

  override start(make: (outside: Outside) => Actor<never>): void {
    const session = this.#session;
    session.begin("start", "start");
    super.start(() => {
      const actor = make(session);
      this.#wrap(actor);
      return actor;
    });
    // Its constructor threw.
    if (session.live) session.end(undefined);
  }

  override deliver(message: Message, meta: Meta | undefined): boolean {
    const session = this.#session;
    if (!session.live) return super.deliver(message, meta);
    session.own(message);
    return session.reads.value(
      "outcome",
      session.apart(() => super.deliver(message, meta)),
    );
  }

  override context(): CellContext {
    return new RecordedContext(this, this.#session);
  }

  /** The actor's methods as its cell calls them. Those that it does not have stay the base's. */
  #wrap(actor: Actor<never>): void {
    const session = this.#session;
    const init = actor.init.bind(actor);
    actor.init = () => this.#during(actor, init);
    const receive = actor.receive.bind(actor) as (message: Message) => void | Promise<void>;
    (actor as { receive: Handler }).receive = (message: Message) => {
      // Called by the actor itself, in a turn that has begun.
      if (session.live) return receive(message);
      session.beginMessage(message, this.current);
      return this.#during(actor, () => receive(message));
    };
    this.#signal(actor, "down", Actor.prototype.down);
    this.#signal(actor, "childEnded", Actor.prototype.childEnded);
    this.#signal(actor, "terminate", Actor.prototype.terminate);
    // Also where it is the base's: the last turn says what the actor has become.
    this.#signal(actor, "release", undefined);
  }

  #signal<N extends keyof typeof turnOf>(actor: Actor<never>, name: N, base: unknown): void {
    const method = actor[name] as Handler;
    if (method === base) return;
    const bound = method.bind(actor);
    const session = this.#session;
    (actor as Record<N, Handler>)[name] = (signal: unknown) => {
      if (session.live) return bound(signal as never);
      session.begin(turnOf[name], name);
      if (signal !== undefined) session.value(signal);
      return this.#during(actor, () => bound(signal as never));
    };
  }

  /** Ends the turn that has begun. */
  #during(actor: Actor<never>, run: () => void | Promise<void>): void | Promise<void> {
    const session = this.#session;
    try {
      const result = run();
      if (isPromise(result)) session.gap("its handlers wait for promises");
      return result;
    } catch (error) {
      session.threw();
      throw error;
    } finally {
      session.end(actor);
    }
  }
}

const turnOf = {
  down: "down",
  childEnded: "child_ended",
  terminate: "terminate",
  release: "release",
} as const;
