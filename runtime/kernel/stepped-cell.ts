/**
 * A cell for fault injection: a step hook can change each message and each step of its actor. A
 * system without a step hook makes plain cells and pays nothing for this one.
 */

import { isPromise } from "../is-promise.ts";
import type { Outside } from "../outside.ts";
import type { Actor } from "./actor.ts";
import { Cell } from "./cell.ts";
import type { Message } from "./message.ts";
import type { Meta } from "./ref.ts";

/** `late`: after so many milliseconds. `swap`: after the next message to the same actor. */
export type Delivery =
  | { readonly kind: "pass" | "drop" | "twice" | "swap" }
  | { readonly kind: "late"; readonly delay_ms: number };

export interface StepHook {
  /** Asked for each message before it is put into a mailbox. */
  deliver(path: string, message: Message): Delivery;
  /** Called before a message is handled; what it throws is the actor's crash. */
  before(path: string, message: Message): void;
  /** Called after a message was handled, its promise included; a throw is the actor's crash. */
  after(path: string, message: Message): void;
}

/** A message that waits for the next one to overtake it does not wait for ever. */
const SWAP_MAX_MS = 20;

export class SteppedCell extends Cell {
  readonly #hook: StepHook | undefined;
  #swapped: (() => void) | undefined = undefined;

  /** Without a hook it is a plain cell. */
  constructor(hook: StepHook | undefined, ...of: ConstructorParameters<typeof Cell>) {
    super(...of);
    this.#hook = hook;
  }

  override start(make: (outside: Outside) => Actor<never>): void {
    const hook = this.#hook;
    if (hook === undefined) {
      super.start(make);
      return;
    }
    super.start((outside) => {
      const actor = make(outside);
      this.#wrap(actor, hook);
      return actor;
    });
  }

  override deliver(message: Message, meta: Meta | undefined): boolean {
    const hook = this.#hook;
    if (hook === undefined) return super.deliver(message, meta);
    const delivery = hook.deliver(this.path, message);
    const { clock } = this.kernel.capabilities;
    switch (delivery.kind) {
      case "drop":
        return true;
      case "late":
        clock.after(delivery.delay_ms, () => void super.deliver(message, meta));
        return true;
      case "swap": {
        this.#releaseSwapped();
        const swapped = (): void => void super.deliver(message, meta);
        this.#swapped = swapped;
        clock.after(SWAP_MAX_MS, () => {
          if (this.#swapped === swapped) this.#releaseSwapped();
        });
        return true;
      }
      case "twice":
        super.deliver(message, meta);
        // Only one of the two copies can be answered.
        return super.deliver(message, undefined);
      case "pass": {
        const taken = super.deliver(message, meta);
        this.#releaseSwapped();
        return taken;
      }
    }
  }

  #releaseSwapped(): void {
    const swapped = this.#swapped;
    this.#swapped = undefined;
    swapped?.();
  }

  #wrap(actor: Actor<never>, hook: StepHook): void {
    const receive = actor.receive.bind(actor) as (message: Message) => void | Promise<void>;
    const stepped = (message: Message): void | Promise<void> => {
      hook.before(this.path, message);
      const result = receive(message);
      if (isPromise(result)) return result.then(() => hook.after(this.path, message));
      hook.after(this.path, message);
    };
    actor.receive = stepped;
  }
}
