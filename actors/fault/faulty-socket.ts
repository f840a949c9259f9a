/**
 * A byte channel with injected faults that keeps the order: bytes that are late, or that wait
 * behind a cut cable, hold up everything after them in their direction, the close included.
 */
import type { Socket, SocketHandlers } from "../../runtime/capabilities.ts";
import type { FaultInjector } from "./injector.ts";
import type { FaultPoint } from "./plan.ts";

/** A byte with which no frame begins and no message continues. */
const NOISE = 0xff;
const NOISE_BYTES = 16;

type Item = { readonly due_ms: number; readonly size_bytes: number; readonly run: () => void };

/** One direction of a channel. */
class Lane {
  held_bytes = 0;
  readonly #injector: FaultInjector;
  readonly #point: FaultPoint;
  readonly #detail: string;
  readonly #emptied: () => void;
  readonly #items: Item[] = [];
  #stalled = false;
  #armed = false;

  constructor(injector: FaultInjector, point: FaultPoint, detail: string, emptied: () => void) {
    this.#injector = injector;
    this.#point = point;
    this.#detail = detail;
    this.#emptied = emptied;
  }

  get empty(): boolean {
    return this.#items.length === 0;
  }

  /** "fail": the channel has to break. */
  push(bytes: Uint8Array, run: (bytes: Uint8Array) => void): "ok" | "fail" {
    const fault = this.#injector.at(this.#point, this.#detail);
    if (fault?.do === "fail") return "fail";
    if (fault?.do === "drop") this.#stalled = true;
    const whole = fault?.do === "corrupt" ? corrupted(bytes) : bytes;
    const due_ms = fault?.do === "delay" ? this.#injector.clock.now_ms() + fault.delay_ms : 0;
    if (this.#items.length === 0 && !this.#stalled && due_ms === 0) {
      run(whole);
      return "ok";
    }
    const copy = whole.slice();
    this.#add({ due_ms, size_bytes: copy.length, run: () => run(copy) });
    return "ok";
  }

  /** Calls `run` after all waiting bytes. */
  last(run: () => void): void {
    if (this.#items.length === 0 && !this.#isCut()) run();
    else this.#add({ due_ms: 0, size_bytes: 0, run });
  }

  clear(): void {
    this.#items.length = 0;
    this.held_bytes = 0;
  }

  /** The rules changed. */
  readonly look = (): void => {
    if (this.#stalled && !this.#isCut()) this.#stalled = false;
    this.#go();
  };

  #isCut(): boolean {
    return this.#injector.blocked(this.#point, this.#detail);
  }

  #add(item: Item): void {
    this.#items.push(item);
    this.held_bytes += item.size_bytes;
    this.#go();
  }

  #go(): void {
    const { clock } = this.#injector;
    if (this.#stalled || this.#armed || this.#items.length === 0) return;
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      const wait_ms = item.due_ms - clock.now_ms();
      if (wait_ms > 0) {
        this.#armed = true;
        clock.after(wait_ms, () => {
          this.#armed = false;
          this.#go();
        });
        return;
      }
      this.#items.shift();
      this.held_bytes -= item.size_bytes;
      item.run();
    }
    this.#emptied();
  }
}

export class FaultySocket implements Socket {
  readonly handlers: SocketHandlers;
  readonly #injector: FaultInjector;
  readonly #out: Lane;
  readonly #in: Lane;
  readonly #outer: () => SocketHandlers;
  readonly #unlisten: readonly (() => void)[];
  #inner: Socket | undefined = undefined;
  #closing = false;
  #closed = false;

  /** `outer`: asked for at each use, as they come with the socket. */
  constructor(injector: FaultInjector, detail: string, outer: () => SocketHandlers) {
    this.#injector = injector;
    this.#outer = outer;
    this.#out = new Lane(injector, "net.send", detail, () => this.#sentAll());
    this.#in = new Lane(injector, "net.receive", detail, () => {});
    this.#unlisten = [injector.onChange(this.#out.look), injector.onChange(this.#in.look)];
    this.handlers = {
      data: (bytes) => {
        if (this.#in.push(bytes, (all) => this.#arrive(all)) === "fail") this.#inner?.close();
      },
      drain: () => {
        if (!this.#closing && this.#out.held_bytes === 0) outer().drain();
      },
      close: (reason) => this.#in.last(() => this.#ended(reason)),
    };
  }

  attach(inner: Socket): void {
    this.#inner = inner;
  }

  get buffered_bytes(): number {
    return this.#out.held_bytes + (this.#inner?.buffered_bytes ?? 0);
  }

  write(bytes: Uint8Array): number {
    if (this.#closing || this.#closed) return 0;
    const write = (all: Uint8Array): void => void this.#inner?.write(all);
    if (this.#out.push(bytes, write) === "fail") this.#inner?.close();
    return this.buffered_bytes;
  }

  pause(): void {
    this.#inner?.pause();
  }

  resume(): void {
    this.#inner?.resume();
  }

  /** Behind a cut cable this side closes at once; the other side hears of it when it heals. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#in.clear();
    this.#out.last(() => this.#inner?.close());
    this.#injector.clock.defer(() => this.#ended("closed here"));
  }

  #arrive(bytes: Uint8Array): void {
    if (!this.#closing && !this.#closed) this.#outer().data(bytes);
  }

  #sentAll(): void {
    if (this.#closed) this.#leave();
    else if (!this.#closing && this.buffered_bytes === 0) this.#outer().drain();
  }

  #ended(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#closing) this.#out.clear();
    if (this.#out.empty) this.#leave();
    this.#outer().close(reason);
  }

  #leave(): void {
    for (const unlisten of this.#unlisten) unlisten();
  }
}

function corrupted(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.fill(NOISE, 0, NOISE_BYTES);
  return copy;
}
