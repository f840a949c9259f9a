/** Converts the runtime's values to their wire form and back. */
import type { WireExit, ActorRef as WireRef } from "../../proto/index.ts";
import type { ExitReason } from "../kernel/exit-reason.ts";
import type { Address } from "../kernel/message.ts";

export type { WireRef };

/** Ids of the envelopes that the two nodes themselves exchange; see proto/envelope.proto. */
export const control = {
  hello: 1,
  rejected: 2,
  intern: 3,
  monitor: 4,
  down: 5,
  demonitor: 6,
  ping: 10,
  ask_failed: 12,
  nothing: 13,
} as const;

/** Ids below this one are the connection's own; the rest are messages to actors. */
export const FIRST_MESSAGE_TYPE = 16;

/**
 * The incarnation that means any actor with this path: for the few actors that are known by name
 * before a reference can be given. It is never drawn for an actor.
 */
export const WELL_KNOWN = 0n;

export function wellKnownRef(node: string, path: string, address: string): WireRef {
  return { node, path, address, incarnation: new Uint8Array(0) };
}

export function incarnationBytes(incarnation: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, incarnation, true);
  return bytes;
}

/** WELL_KNOWN for anything that is not eight bytes. */
export function incarnationOf(bytes: Uint8Array): bigint {
  if (bytes.length !== 8) return WELL_KNOWN;
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
}

export function addressOf(wire: WireRef): Address {
  return { node: wire.node, path: wire.path, incarnation: incarnationOf(wire.incarnation) };
}

export function exitToWire(reason: ExitReason): WireExit {
  switch (reason.kind) {
    case "crash":
      return { kind: "crash", detail: reason.error, stack: reason.stack ?? "" };
    case "shutdown":
      return { kind: "shutdown", detail: reason.detail ?? "", stack: "" };
    default:
      return { kind: reason.kind, detail: "", stack: "" };
  }
}

export function exitOfWire(wire: WireExit | undefined): ExitReason {
  const { kind, detail, stack } = wire ?? { kind: "unknown", detail: "", stack: "" };
  switch (kind) {
    case "normal":
    case "killed":
    case "noproc":
    case "noconnection":
      return { kind };
    case "shutdown":
      return detail === "" ? { kind } : { kind, detail };
    case "crash":
      return stack === "" ? { kind, error: detail } : { kind, error: detail, stack };
    default:
      return { kind: "crash", error: "the peer told of an end that is not known here" };
  }
}
