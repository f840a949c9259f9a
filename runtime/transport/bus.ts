/**
 * Interface of a message bus for the NATS transport: subjects, delivery at most once, no storage.
 * The real client is in runtime/real/nats-bus.ts, the simulated one in memory-bus.ts. The bus keeps
 * the order of one publisher for each subscriber; bus-link.ts handles loss, resending and credit.
 */
export interface Bus {
  /** Address of the bus for people, without passwords. */
  readonly name: string;
  /** True: connected to its server. Messages published otherwise are lost. */
  readonly up: boolean;
  /** This machine's address as the server sees it; undefined: not known (yet). */
  readonly own_host?: string | undefined;
  /** Largest payload of one message. */
  readonly payload_limit_bytes: number;
  /** Keeps the bytes until they are on the wire: the caller does not change them afterwards. */
  publish(subject: string, bytes: Uint8Array): void;
  /** The subscription survives reconnects. Returns a function that ends it. */
  subscribe(subject: string, take: (bytes: Uint8Array) => void): () => void;
  /**
   * Asks the subscriber that answers on `subject`. Fails with BusError: `nobody` at once without a
   * subscriber, `away` when the bus is not up, `late` after `timeout_ms`.
   */
  ask(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array>;
  /** The other side of `ask`. Returns a function that ends it. */
  answer(subject: string, answer: (bytes: Uint8Array) => Uint8Array): () => void;
  /** Resolves when the server knows all subscriptions made before, or is away. */
  settled(): Promise<void>;
  /** Calls `listener` at each change of `up`. Returns a function that ends it. */
  onState(listener: (up: boolean) => void): () => void;
  close(): Promise<void>;
}

export class BusError extends Error {
  override readonly name = "BusError";
  readonly code: "nobody" | "away" | "late";
  constructor(code: BusError["code"], message: string) {
    super(message);
    this.code = code;
  }
}
