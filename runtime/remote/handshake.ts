/**
 * The first frame of a connection, both ways. Its format outlives protocol versions: two nodes of
 * different ones must still understand that they differ.
 */
import { codecs } from "../../proto/index.ts";
import { Batch, FrameWalk } from "./envelope.ts";
import { control, incarnationBytes, incarnationOf } from "./wire.ts";

/** Identity of a node: its name, life and address. */
export type Identity = {
  readonly protocol_version: number;
  readonly node: string;
  readonly incarnation: bigint;
  readonly lease_epoch: number;
  /** Address where the node listens; empty: it does not. */
  readonly address: string;
};

/**
 * `version`: other protocol. `superseded`: a later start of the same node is connected.
 * `duplicate`: both sides dialled, and the other connection is kept.
 */
export type RejectCode = "version" | "superseded" | "duplicate";

type Handshake =
  | { readonly kind: "hello"; readonly identity: Identity }
  | { readonly kind: "rejected"; readonly code: string; readonly message: string }
  | { readonly kind: "garbage" };

export class HandshakeError extends Error {
  override readonly name = "HandshakeError";
  readonly code: RejectCode | "wrong_node" | "no_hello" | "garbage";
  constructor(code: HandshakeError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

export function helloFrame(identity: Identity): Uint8Array {
  const batch = new Batch();
  batch.begin(control.hello, 0);
  const incarnation = incarnationBytes(identity.incarnation);
  codecs.Hello.encode({ ...identity, incarnation }, batch.body());
  batch.end();
  return batch.view(0, batch.size_bytes);
}

export function rejectedFrame(code: RejectCode, message: string): Uint8Array {
  const batch = new Batch();
  batch.begin(control.rejected, 0);
  codecs.Rejected.encode({ code, message }, batch.body());
  batch.end();
  return batch.view(0, batch.size_bytes);
}

export function readHandshake(frame: Uint8Array): Handshake {
  try {
    const walk = new FrameWalk(frame);
    if (!walk.next()) return { kind: "garbage" };
    const { head, reader } = walk;
    if (head.type === control.hello) {
      const hello = codecs.Hello.decode(reader, head.body_bytes);
      const { protocol_version, node, lease_epoch, address } = hello;
      const incarnation = incarnationOf(hello.incarnation);
      return {
        kind: "hello",
        identity: { protocol_version, node, incarnation, lease_epoch, address },
      };
    }
    if (head.type !== control.rejected) return { kind: "garbage" };
    const { code, message } = codecs.Rejected.decode(reader, head.body_bytes);
    return { kind: "rejected", code, message };
  } catch {
    return { kind: "garbage" };
  }
}

/** Undefined: the two versions fit. */
export function versionMismatch(mine: Identity, theirs: Identity): string | undefined {
  if (mine.protocol_version === theirs.protocol_version) return undefined;
  return (
    `node "${mine.node}" speaks protocol version ${mine.protocol_version}, ` +
    `node "${theirs.node}" version ${theirs.protocol_version}; run the same release on both`
  );
}
