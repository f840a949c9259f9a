/**
 * What the NATS transport needs of a message bus: subjects, at most once, no memory. The real
 * client is in runtime/real/nats-bus.ts, the simulated one in memory-bus.ts. The order of one
 * publisher is kept for each subscriber; all else (loss, resending, credit) is bus-link.ts's.
 */
export interface Bus {
  /** Where it is, for people: no passwords in it. */
  readonly name: string;
  /** Connected to its server now. What is published while it is not is lost. */
  readonly up: boolean;
  /** Of one message. */
  readonly payload_limit_bytes: number;
  /** Keeps the bytes until they are on the wire: the caller does not change them afterwards. */
  publish(subject: string, bytes: Uint8Array): void;
  /** Holds over reconnects. Returns what ends it. */
  subscribe(subject: string, take: (bytes: Uint8Array) => void): () => void;
  /**
   * Asks whoever answers on `subject`. Fails with BusError: `nobody` at once when no one subscribes,
   * `away` when the bus is not up, `late` after `timeout_ms`.
   */
  ask(subject: string, bytes: Uint8Array, timeout_ms: number): Promise<Uint8Array>;
  /** The other side of `ask`. Returns what ends it. */
  answer(subject: string, answer: (bytes: Uint8Array) => Uint8Array): () => void;
  /** Resolves when the server knows what was subscribed before, or is away. */
  settled(): Promise<void>;
  /** Each change of `up`. Returns what ends it. */
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
