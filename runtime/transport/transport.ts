/**
 * Interface of transports for the remote layer: whole frames between two nodes, in order, each at
 * most once, with a bounded queue. `framing.ts` adapts byte sockets, `nats.ts` a message bus.
 * All of them pass test/contract/transport.test.ts.
 */
import type { Listener } from "../capabilities.ts";

export interface Transport {
  /** The word before the colon of its addresses: `unix`, `memory`. */
  readonly scheme: string;
  /** False: this address cannot be reached from here, so the node's next one is tried. */
  reaches?(address: string): boolean;
  /** Calls `accept` once for each link that another node opens. Throws TransportError. */
  listen(address: string, accept: (link: Link) => LinkHandlers): Promise<Listener>;
  /** Fails with TransportError (`connect_failed`, `connect_timeout`) within `timeout_ms`. */
  connect(address: string, open: (link: Link) => LinkHandlers, timeout_ms: number): Promise<Link>;
}

export type LinkHandlers = {
  /** One whole frame. The bytes are the receiver's to keep; they may be a view of a larger read. */
  readonly frame: (bytes: Uint8Array) => void;
  /** The outbound queue is empty again. */
  readonly drain: () => void;
  /** Called once, whichever side closed. No frame comes after it. */
  readonly close: (reason: string) => void;
};

export interface Link {
  /**
   * Queues one frame; the caller may reuse its bytes afterwards. False when the queue is full: the
   * frame was not taken, `drain` tells when to try again. A frame alone in the queue is always
   * taken. Throws TransportError `frame_too_big` beyond the limit.
   */
  send(frame: Uint8Array): boolean;
  /** Bytes taken but not yet handed to the wire. */
  readonly queued_bytes: number;
  /**
   * True: the link is interrupted for a while. Frames wait, and the peer's silence means nothing.
   * This ends by itself or with `close`. Never set by transports that lose the link then.
   */
  readonly away?: boolean;
  /** Stops delivering frames, so that the sender's queue fills; `resume` goes on. */
  pause(): void;
  resume(): void;
  /** Queued frames still go out; then both sides see `close`. */
  close(): void;
}

export type LinkLimits = {
  readonly frame_limit_bytes: number;
  readonly queue_limit_bytes: number;
};

type TransportErrorCode =
  | "bad_address"
  | "address_in_use"
  | "connect_failed"
  | "connect_timeout"
  | "frame_too_big";

export class TransportError extends Error {
  readonly code: TransportErrorCode;
  constructor(code: TransportErrorCode, message: string) {
    super(message);
    this.name = "TransportError";
    this.code = code;
  }
}

/** A node may have several addresses, the cheapest first, with spaces between them. */
export const addressesOf = (text: string): readonly string[] =>
  text.split(" ").filter((address) => address !== "");

type Way = { readonly transport: Transport; readonly address: string };

/** The first of a node's addresses that can be dialled here. Throws TransportError `bad_address`. */
export function wayTo(text: string, transports: readonly Transport[]): Way {
  for (const address of addressesOf(text)) {
    const scheme = schemeOf(address);
    const transport = transports.find((each) => each.scheme === scheme);
    if (transport?.reaches?.(address) ?? transport !== undefined) {
      return { transport: transport as Transport, address };
    }
  }
  const known = transports.map((transport) => `${transport.scheme}:…`).join(", ");
  throw new TransportError(
    "bad_address",
    `no transport for address "${text}"; this node speaks ${known}`,
  );
}

export function schemeOf(address: string): string {
  const colon = address.indexOf(":");
  return colon < 0 ? "" : address.slice(0, colon);
}
