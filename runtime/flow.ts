/**
 * A stream of items from one actor to another, on any nodes, with credit: the consumer says up to
 * which number it can take items, the producer never sends beyond. Items are numbered from 1, so a
 * lost one is noticed and none is taken twice. Both sides learn of the other's end.
 *
 *     producer  ── item 1, 2, … up to the credit ──►  consumer
 *               ◄── credit up_to = taken + window ──
 *               ── end(last)   ◄── cancel(reason)
 *
 * Each half belongs to an actor, which hands it the messages and Downs that it gets.
 */
import type { Down } from "./actor.ts";
import type { Clock } from "./capabilities.ts";
import type { Message } from "./message.ts";
import type { Ref } from "./ref.ts";
import type { FlowCancel, FlowCredit, FlowEnd, FlowItem } from "./wire-messages.ts";

export type ToConsumer<T extends Message> = FlowItem<T> | FlowEnd | FlowGone;
export type ToProducer = FlowCredit | FlowCancel;

/**
 * Told by a consumer to itself. A Down overtakes the items that wait in the mailbox; this one does
 * not, so a producer may say its last item, end and stop in one go.
 */
export type FlowGone = { readonly kind: "flow_gone"; readonly flow: string; readonly why: string };

/** What a half needs of its actor's context. */
export type FlowContext = {
  monitor(ref: Ref): number;
  demonitor(monitor: number): void;
  readonly clock: Clock;
};

export type ConsumerContext = FlowContext & {
  readonly self: { tell(message: FlowGone): boolean };
};

export type FlowOptions = {
  /** Names the flow between these two actors. */
  readonly flow: string;
  /** Items that may be on their way; both sides agree on it when they open. */
  readonly window: number;
};

/** How a flow ended for this side. */
export type FlowOutcome =
  | { readonly kind: "ended" }
  | { readonly kind: "failed"; readonly error: string }
  | { readonly kind: "cancelled"; readonly reason: string }
  /** The other actor is gone, or an item did not arrive. */
  | { readonly kind: "lost"; readonly why: string };

/** A signal that a full mailbox refused is sent again after this. */
const retry_ms = 20;

export class FlowProducer<T extends Message> {
  outcome: FlowOutcome | undefined = undefined;
  readonly #ctx: FlowContext;
  readonly #consumer: Ref<ToConsumer<T>>;
  readonly #flow: string;
  readonly #monitor: number;
  #sent = 0;
  #up_to: number;

  constructor(ctx: FlowContext, consumer: Ref<ToConsumer<T>>, options: FlowOptions) {
    this.#ctx = ctx;
    this.#consumer = consumer;
    this.#flow = options.flow;
    this.#up_to = options.window;
    this.#monitor = ctx.monitor(consumer as Ref);
  }

  /** Items that may be offered now. */
  get credit(): number {
    return this.outcome === undefined ? this.#up_to - this.#sent : 0;
  }

  /** False: no credit (more comes with a FlowCredit), the queue is full, or the flow is over. */
  offer(item: T): boolean {
    if (this.credit <= 0) return false;
    const number = this.#sent + 1;
    const taken = this.#consumer.tell({ kind: "flow_item", flow: this.#flow, number, item });
    if (taken) this.#sent = number;
    return taken;
  }

  /** No more items; `error` when it is no regular end. */
  end(error = ""): void {
    if (this.outcome !== undefined) return;
    this.#close(error === "" ? { kind: "ended" } : { kind: "failed", error });
    this.#tellEnd({ kind: "flow_end", flow: this.#flow, last: this.#sent, error });
  }

  /** False: the message belongs to another flow. */
  receive(message: ToProducer): boolean {
    if (message.flow !== this.#flow) return false;
    if (this.outcome !== undefined) return true;
    if (message.kind === "flow_cancel") this.#close({ kind: "cancelled", reason: message.reason });
    // Credits are absolute, so one that comes late or twice does no harm.
    else this.#up_to = Math.max(this.#up_to, message.up_to);
    return true;
  }

  /** False: the Down is not about the consumer. */
  down({ monitor, reason }: Down): boolean {
    if (monitor !== this.#monitor) return false;
    if (this.outcome === undefined) this.#close({ kind: "lost", why: reason.kind });
    return true;
  }

  #close(outcome: FlowOutcome): void {
    this.outcome = outcome;
    this.#ctx.demonitor(this.#monitor);
  }

  #tellEnd(end: FlowEnd, attempts = 50): void {
    if (this.#consumer.tell(end) || attempts === 0) return;
    this.#ctx.clock.after(retry_ms, () => this.#tellEnd(end, attempts - 1));
  }
}

export class FlowConsumer<T extends Message> {
  outcome: FlowOutcome | undefined = undefined;
  readonly #ctx: ConsumerContext;
  readonly #producer: Ref<ToProducer>;
  readonly #flow: string;
  readonly #window: number;
  readonly #monitor: number;
  readonly #items: T[] = [];
  #received = 0;
  #taken = 0;
  #granted: number;
  #retrying = false;

  constructor(ctx: ConsumerContext, producer: Ref<ToProducer>, options: FlowOptions) {
    this.#ctx = ctx;
    this.#producer = producer;
    this.#flow = options.flow;
    this.#window = options.window;
    this.#granted = options.window;
    this.#monitor = ctx.monitor(producer as Ref);
  }

  /** Items that arrived and were not taken; never more than the window. */
  get waiting(): number {
    return this.#items.length;
  }

  /** The next item in order; undefined when none is there. Items stay takeable after the end. */
  take(): T | undefined {
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    this.#taken++;
    // Half a window at a time: a credit for each item would double the messages.
    if (this.outcome === undefined && this.#granted - this.#taken <= this.#window / 2)
      this.#grant();
    return item;
  }

  /** False: the message belongs to another flow. */
  receive(message: ToConsumer<T>): boolean {
    if (message.flow !== this.#flow) return false;
    if (this.outcome !== undefined) return true;
    if (message.kind === "flow_item") this.#item(message);
    else if (message.kind === "flow_end") this.#end(message);
    else this.#close({ kind: "lost", why: message.why });
    return true;
  }

  /** Wants no more; what has arrived stays takeable. */
  cancel(reason: string): void {
    if (this.outcome !== undefined) return;
    this.#close({ kind: "cancelled", reason });
    this.#tell({ kind: "flow_cancel", flow: this.#flow, reason });
  }

  /** False: the Down is not about the producer. The outcome follows what came before it. */
  down({ monitor, reason }: Down): boolean {
    if (monitor !== this.#monitor) return false;
    this.#gone({ kind: "flow_gone", flow: this.#flow, why: reason.kind });
    return true;
  }

  #gone(message: FlowGone): void {
    if (this.outcome !== undefined || this.#ctx.self.tell(message)) return;
    this.#ctx.clock.after(retry_ms, () => this.#gone(message));
  }

  #item({ number, item }: FlowItem<T>): void {
    if (number <= this.#received) return; // a repeat
    if (number > this.#received + 1) {
      this.#gap(number - 1);
      return;
    }
    this.#received = number;
    this.#items.push(item);
  }

  #end({ last, error }: FlowEnd): void {
    if (last > this.#received) this.#gap(last);
    else this.#close(error === "" ? { kind: "ended" } : { kind: "failed", error });
  }

  #gap(last: number): void {
    const why = `items ${this.#received + 1} to ${last} did not arrive`;
    this.#close({ kind: "lost", why });
    this.#tell({ kind: "flow_cancel", flow: this.#flow, reason: why });
  }

  #grant(): void {
    const up_to = this.#taken + this.#window;
    if (this.#producer.tell({ kind: "flow_credit", flow: this.#flow, up_to })) {
      this.#granted = up_to;
    } else if (!this.#retrying) {
      this.#retrying = true;
      this.#ctx.clock.after(retry_ms, () => {
        this.#retrying = false;
        if (this.outcome === undefined) this.#grant();
      });
    }
  }

  #tell(cancel: FlowCancel, attempts = 50): void {
    if (this.#producer.tell(cancel) || attempts === 0) return;
    this.#ctx.clock.after(retry_ms, () => this.#tell(cancel, attempts - 1));
  }

  #close(outcome: FlowOutcome): void {
    this.outcome = outcome;
    this.#ctx.demonitor(this.#monitor);
  }
}
