/** Actors made of functions, for tests in which a class each would hide the point. */

import { Actor, type ChildEnded, type Down, type Snapshot } from "../../../runtime/kernel/actor.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import type { ExitReason } from "../../../runtime/kernel/exit-reason.ts";
import type { Message } from "../../../runtime/kernel/message.ts";

export type Parts<M extends Message> = {
  init?: (ctx: Context<M>) => void | Promise<void>;
  receive?: (message: M, ctx: Context<M>) => void | Promise<void>;
  down?: (signal: Down, ctx: Context<M>) => void | Promise<void>;
  childEnded?: (signal: ChildEnded, ctx: Context<M>) => void;
  terminate?: (reason: ExitReason, ctx: Context<M>) => void | Promise<void>;
  release?: (ctx: Context<M>) => void;
  inspect?: () => Snapshot;
};

class PartsActor<M extends Message> extends Actor<M> {
  readonly parts: Parts<M>;

  constructor(parts: Parts<M>) {
    super();
    this.parts = parts;
  }
  override init(): void | Promise<void> {
    return this.parts.init?.(this.ctx);
  }
  receive(message: M): void | Promise<void> {
    return this.parts.receive?.(message, this.ctx);
  }
  override down(signal: Down): void | Promise<void> {
    return this.parts.down?.(signal, this.ctx);
  }
  override terminate(reason: ExitReason): void | Promise<void> {
    return this.parts.terminate?.(reason, this.ctx);
  }
  override release(): void {
    this.parts.release?.(this.ctx);
  }
  override inspect(): Snapshot {
    return this.parts.inspect?.() ?? {};
  }
}

class ParentPartsActor<M extends Message> extends PartsActor<M> {
  override childEnded(signal: ChildEnded): void {
    this.parts.childEnded?.(signal, this.ctx);
  }
}

export function actorOf<M extends Message>(parts: Parts<M>): () => Actor<M> {
  // Overriding `childEnded` changes who reports a crash, so only those that name it do.
  if (parts.childEnded === undefined) return () => new PartsActor(parts);
  return () => new ParentPartsActor(parts);
}
