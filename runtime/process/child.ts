/** The child's side of spawn.ts: joins its parent, says when it is ready, learns of its end. */

import { errorText } from "../error-text.ts";
import { describeExit } from "../kernel/exit-reason.ts";
import type { Message } from "../kernel/message.ts";
import type { Ref } from "../kernel/ref.ts";
import { type RemoteNode, wireOf } from "../remote/node.ts";
import type { WireRef } from "../remote/wire.ts";

/** Environment: the actor that the child reports to. */
export const LINE_VARIABLE = "TROUPE_LINE";

export type ParentLine = {
  /** The actor that waits for our words. */
  readonly ref: Ref<Message>;
  /** Once everything serves; `main` is what others may talk to. */
  ready(main?: Ref): void;
};

export class LineError extends Error {
  override readonly name = "LineError";
  readonly code = "bad_line";
}

/**
 * Connects to the parent named in the environment. `lost` is called once, when the parent dies
 * or the actor that stands for us there does: the process is to exit within a second.
 * Rejects with LineError, TransportError or HandshakeError.
 */
export async function joinParent(
  remote: RemoteNode,
  env: Readonly<Record<string, string | undefined>>,
  lost: (why: string) => void,
): Promise<ParentLine> {
  const text = env[LINE_VARIABLE];
  if (text === undefined) {
    throw new LineError(`${LINE_VARIABLE} is not set: this role is started by its supervisor only`);
  }
  const wire = lineOfText(text);
  // A parent that hangs is no reason to stop serving; one that died closes the connection.
  remote.neverSuspect(wire.node);
  await remote.connect(wire.address);
  const ref = remote.ref<Message>(wire);
  remote.system.onDown(ref, (reason) => {
    // In an orderly stop SIGTERM follows, with a budget.
    if (reason.kind !== "shutdown") lost(`the parent's line ended: ${describeExit(reason)}`);
  });
  return {
    ref,
    ready: (main) => {
      const { pid } = remote.system.capabilities.spawn;
      const ready = main === undefined ? { pid } : { pid, main: wireOf(remote.system, main) };
      ref.tell({ kind: "process_ready", ...ready } as Message);
    },
  };
}

export function lineToText({ node, path, incarnation, address }: WireRef): string {
  const hex = Buffer.from(incarnation).toString("hex");
  return JSON.stringify({ node, path, incarnation: hex, address });
}

/** Throws LineError. */
export function lineOfText(text: string): WireRef {
  try {
    const { node, path, incarnation, address } = JSON.parse(text);
    const parts = [node, path, incarnation, address];
    if (!parts.every((part) => typeof part === "string")) throw new TypeError("a part is missing");
    return { node, path, address, incarnation: Buffer.from(incarnation, "hex") };
  } catch (error) {
    const why = errorText(error);
    throw new LineError(`${LINE_VARIABLE} is unreadable: ${why}`);
  }
}
