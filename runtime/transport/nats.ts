/**
 * Frames between nodes over a message bus: nodes of many machines. Addresses are `nats:name`,
 * unique for each life of a node. Core NATS forgets what it cannot deliver at once, so each link
 * numbers, keeps and resends (bus-link.ts); one subscription a process carries all its links.
 *
 *     PREFIX.node.NAME      a listening process answers dials here
 *     PREFIX.link.NAME      all other messages for this process, by number of link
 *     PREFIX.gone           names of ended processes, published by the processes that started them
 */
import type { Clock, Listener, Random } from "../capabilities.ts";
import { type Bus, BusError } from "./bus.ts";
import { BusLink, type BusLinkHost, type BusLinkOptions, busLinkDefaults } from "./bus-link.ts";
import {
  kindOf,
  knockMessage,
  linkOf,
  probeOf,
  textMessage,
  textOf,
  kind as wire,
} from "./bus-wire.ts";
import {
  type Link,
  type LinkHandlers,
  type LinkLimits,
  type Transport,
  TransportError,
} from "./transport.ts";

type NatsTransportOptions = Partial<BusLinkOptions> & {
  /** Prefix of every subject; clusters that share a bus have different ones. */
  readonly prefix: string;
  /** Name of this process, unique for its life. Drawn when not given. */
  readonly name?: string;
};

/** Time between two looks at links for due work. */
const LOOK_PERIOD_MS = 100;
const KNOCK_TIMEOUT_MS = 1_000;

export function natsTransport(
  bus: Bus,
  world: { readonly clock: Clock; readonly random: Random },
  limits: LinkLimits,
  options: NatsTransportOptions,
): NatsTransport {
  return new NatsTransport(bus, world, limits, options);
}

export class NatsTransport implements Transport, BusLinkHost {
  readonly scheme = "nats";
  readonly clock: Clock;
  readonly limits: LinkLimits;
  readonly options: BusLinkOptions;
  readonly inbox: string;
  readonly #bus: Bus;
  readonly #prefix: string;
  readonly #links = new Map<number, BusLink>();
  #subscribed = false;
  #lastLink = 0;
  #looking = false;
  #downSince_ms: number | undefined;

  constructor(
    bus: Bus,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
    limits: LinkLimits,
    { prefix, name, ...options }: NatsTransportOptions,
  ) {
    this.#bus = bus;
    this.clock = clock;
    this.limits = limits;
    this.options = { ...busLinkDefaults, ...options };
    this.#prefix = prefix;
    this.inbox = this.#inboxOf(name ?? random.u64().toString(16).padStart(16, "0"));
    this.#downSince_ms = bus.up ? undefined : clock.now_ms();
    bus.onState((up) => this.#state(up));
  }

  get up(): boolean {
    return this.#bus.up;
  }

  get payload_limit_bytes(): number {
    return this.#bus.payload_limit_bytes;
  }

  /** Number of open links, for the inspector. */
  get links(): number {
    return this.#links.size;
  }

  publish(subject: string, bytes: Uint8Array): void {
    if (this.#bus.up) this.#bus.publish(subject, bytes);
  }

  ended(link: BusLink): void {
    this.#links.delete(link.id);
  }

  async listen(address: string, accept: (link: Link) => LinkHandlers): Promise<Listener> {
    const subject = this.#subject(address);
    this.#subscribe();
    await this.#knock(address, subject);
    const close = this.#bus.answer(subject, (bytes) => this.#dialled(bytes, accept));
    await this.#bus.settled();
    return { address, close };
  }

  async connect(
    address: string,
    open: (link: Link) => LinkHandlers,
    timeout_ms: number,
  ): Promise<Link> {
    const subject = this.#subject(address);
    this.#subscribe();
    const link = this.#add();
    link.handlers = open(link);
    try {
      const dial = textMessage(wire.dial, link.id, this.inbox);
      const answer = await this.#bus.ask(subject, dial, timeout_ms);
      if (kindOf(answer) !== wire.dialled) throw new BusError("nobody", "it is no node");
      link.meet({ link: linkOf(answer), inbox: textOf(answer) });
      return link;
    } catch (error) {
      link.handlers = undefined;
      link.end("no connection");
      throw connectError(address, error);
    }
  }

  /** The process with this address has ended: links to it break everywhere, at once. */
  tellEnd(address: string): void {
    this.publish(`${this.#prefix}.gone`, textMessage(wire.gone, 0, this.#name(address)));
  }

  #name(address: string): string {
    const name = address.slice(this.scheme.length + 1);
    if (address.startsWith(`${this.scheme}:`) && /^[\w-]+(\.[\w-]+)*$/.test(name)) return name;
    const rule = "letters, digits, _ and -, in parts between dots";
    throw new TransportError("bad_address", `"${address}" is no nats:name address (${rule})`);
  }

  #subject(address: string): string {
    return `${this.#prefix}.node.${this.#name(address)}`;
  }

  #inboxOf(name: string): string {
    return `${this.#prefix}.link.${name}`;
  }

  /** Finds out whether another process has the address. Skipped while the bus is away. */
  async #knock(address: string, subject: string): Promise<void> {
    if (!this.#bus.up) return;
    try {
      await this.#bus.ask(subject, knockMessage(), KNOCK_TIMEOUT_MS);
    } catch (error) {
      if (error instanceof BusError) return;
      throw error;
    }
    throw new TransportError("address_in_use", `${address} is taken by a live process`);
  }

  #dialled(bytes: Uint8Array, accept: (link: Link) => LinkHandlers): Uint8Array {
    if (kindOf(bytes) !== wire.dial) return knockMessage();
    const link = this.#add();
    link.meet({ link: linkOf(bytes), inbox: textOf(bytes) });
    link.handlers = accept(link);
    return textMessage(wire.dialled, link.id, this.inbox);
  }

  #add(): BusLink {
    const link = new BusLink(this, ++this.#lastLink);
    this.#links.set(link.id, link);
    this.#armLook();
    return link;
  }

  #subscribe(): void {
    if (this.#subscribed) return;
    this.#subscribed = true;
    this.#bus.subscribe(this.inbox, (bytes) => this.#take(bytes));
    this.#bus.subscribe(`${this.#prefix}.gone`, (bytes) => this.#gone(bytes));
  }

  #gone(bytes: Uint8Array): void {
    if (kindOf(bytes) !== wire.gone) return;
    const inbox = this.#inboxOf(textOf(bytes));
    for (const link of [...this.#links.values()]) {
      if (link.far_inbox === inbox) link.end("its process ended");
    }
  }

  /** Drops foreign messages: any client of the bus may publish to any subject. */
  #take(bytes: Uint8Array): void {
    const kind = kindOf(bytes);
    if (kind === undefined) return;
    const link = this.#links.get(linkOf(bytes));
    if (kind === wire.data) link?.data(bytes);
    else if (kind === wire.ack) link?.acked(bytes);
    else if (kind === wire.reset) link?.end(textOf(bytes));
    else if (kind === wire.probe && link !== undefined) link.probed();
    else if (kind === wire.probe) {
      // The probe is for a link that ended here while the bus was away.
      const from = probeOf(bytes);
      this.publish(from.inbox, textMessage(wire.reset, from.link, "closed by the peer"));
    }
  }

  #state(up: boolean): void {
    const now_ms = this.clock.now_ms();
    this.#downSince_ms = up ? undefined : now_ms;
    if (up) for (const link of [...this.#links.values()]) link.look(now_ms, true);
  }

  #armLook(): void {
    if (this.#looking) return;
    this.#looking = true;
    this.clock.after(LOOK_PERIOD_MS, () => {
      this.#looking = false;
      this.#look();
      if (this.#links.size > 0) this.#armLook();
    });
  }

  #look(): void {
    const now_ms = this.clock.now_ms();
    const { away_limit_ms } = this.options;
    const tooLong = this.#downSince_ms !== undefined && now_ms - this.#downSince_ms > away_limit_ms;
    for (const link of [...this.#links.values()]) {
      if (tooLong) link.end(`the bus was away for over ${away_limit_ms} ms`);
      else link.look(now_ms, false);
    }
  }
}

function connectError(address: string, error: unknown): TransportError {
  if (error instanceof TransportError) return error;
  if (!(error instanceof BusError)) {
    return new TransportError("connect_failed", `cannot connect to ${address}: ${String(error)}`);
  }
  const code = error.code === "late" ? "connect_timeout" : "connect_failed";
  return new TransportError(code, `cannot connect to ${address}: ${error.message}`);
}
