/** The context of an actor: a thin view of its cell. */

import type { Capabilities, Clock, Log, Random, Timer } from "../capabilities.ts";
import type { TraceContext } from "../observe/trace.ts";
import { type AskOptions, ask, askDeadline_ms, askWith } from "./ask.ts";
import type { Cell } from "./cell.ts";
import type { ActorSystem, Context, Make } from "./context.ts";
import type { AskError } from "./errors.ts";
import { type ExitReason, normal, shutdown } from "./exit-reason.ts";
import type { Message, ReplyTo } from "./message.ts";
import { ambient, type Ref, type ReplyPort, TellMeta } from "./ref.ts";
import type { SpawnOptions } from "./spawn-options.ts";

/** `Supervisor` reaches its cell through `cellOf`. */
export class CellContext implements Context<Message> {
  readonly cell: Cell;

  constructor(cell: Cell) {
    this.cell = cell;
  }

  get self(): Ref<Message> {
    return this.cell;
  }
  get system(): ActorSystem {
    return this.cell.kernel;
  }
  get parent(): Ref | undefined {
    return this.cell.parent;
  }
  get clock(): Clock {
    return this.cell.kernel.capabilities.clock;
  }
  get random(): Random {
    return this.cell.kernel.capabilities.random;
  }
  get capabilities(): Capabilities {
    return this.cell.kernel.capabilities;
  }
  get log(): Log {
    const { cell } = this;
    return {
      log: (level, message, fields) =>
        cell.kernel.capabilities.log.log(level, message, {
          actor: cell.path,
          ...tracedBy(cell.current?.trace ?? ambient.trace),
          ...fields,
        }),
    };
  }
  get deadline_ms(): number | undefined {
    return this.cell.current?.deadline_ms;
  }
  get trace(): TraceContext | undefined {
    return this.cell.current?.trace;
  }

  spawn<N extends Message>(make: Make<N>, options: SpawnOptions): Ref<N> {
    return this.cell.spawnChild(make, options);
  }
  async spawnReady<N extends Message>(make: Make<N>, options: SpawnOptions) {
    const child = this.cell.spawnChild(make, options);
    await child.ready();
    return child as Ref<N>;
  }
  stop(ref?: Ref, reason?: ExitReason): void {
    if (ref === undefined || ref === this.cell) this.cell.stop(reason ?? normal);
    else this.cell.stopChild(ref, reason ?? shutdown);
  }
  monitor(ref: Ref): number {
    return this.cell.monitor(ref);
  }
  demonitor(monitor: number): void {
    this.cell.demonitor(monitor);
  }
  after(delay_ms: number, message: Message): Timer {
    return this.cell.timers().after(delay_ms, () => this.cell.deliver(message, undefined));
  }
  every(period_ms: number, message: Message): Timer {
    return this.cell.timers().every(period_ms, () => this.cell.deliver(message, undefined));
  }
  cancel(timer: Timer): void {
    this.cell.timers().cancel(timer);
  }
  tell<N extends Message>(ref: Ref<N>, message: N): boolean {
    const trace = this.trace;
    return ref.deliver(message, trace === undefined ? undefined : new TellMeta(trace));
  }
  ask<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
  ): Promise<ReplyTo<N, K>> {
    const { kernel, current } = this.cell;
    const deadline_ms = askDeadline_ms(kernel.capabilities.clock, options, current);
    const answer = ask(kernel, ref, message, deadline_ms, options.trace ?? current?.trace);
    return answer as Promise<ReplyTo<N, K>>;
  }
  askThen<N extends Message, K extends N["kind"]>(
    ref: Ref<N>,
    message: N & { readonly kind: K },
    options: AskOptions,
    took: (answer: ReplyTo<N, K>) => void,
    failed: (error: AskError) => void,
  ): void {
    const { cell } = this;
    const { kernel, current } = cell;
    const deadline_ms = askDeadline_ms(kernel.capabilities.clock, options, current);
    const trace = options.trace ?? current?.trace;
    const took_it = (value: unknown) => cell.call(() => took(value as ReplyTo<N, K>));
    const failed_it = (error: AskError) => cell.call(() => failed(error));
    askWith(kernel, ref, message, deadline_ms, trace, took_it, failed_it);
  }
  reply(value: unknown): boolean {
    return this.cell.current?.port?.reply(value) ?? false;
  }
  refuse(detail: string): boolean {
    return this.cell.current?.port?.fail("refused", detail) ?? false;
  }
  replyLater(): ReplyPort {
    return this.cell.current?.port ?? nobody;
  }
}

/** Where answers to a plain tell go. */
const nobody: ReplyPort = { settled: true, reply: () => false, fail: () => false };

/** Throws TypeError when the context is not of this kernel. */
export function cellOf(ctx: Context<never>): Cell {
  if (ctx instanceof CellContext) return ctx.cell;
  throw new TypeError("this context was not made by the kernel");
}

/** What a line of the log says of the request that it belongs to. */
function tracedBy(trace: TraceContext | undefined): Readonly<Record<string, string>> {
  if (trace === undefined) return {};
  const { trace_id, correlation } = trace;
  return correlation === undefined || correlation === ""
    ? { trace_id }
    : { trace_id, request: correlation };
}
