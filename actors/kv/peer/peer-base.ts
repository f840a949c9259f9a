/** What all that a keeper does with other machines stands on. */
import type { Clock } from "../../../runtime/capabilities.ts";
import type { Context } from "../../../runtime/kernel/context.ts";
import type { Message } from "../../../runtime/kernel/message.ts";
import type { Members } from "./members.ts";
import type { AdmissionPolicy } from "./offering.ts";
import type { BlockPlane } from "./plane.ts";
import type { PeerSpace } from "./space.ts";

export type PeerBase = {
  readonly ctx: Pick<Context<Message>, "askThen" | "tell">;
  readonly clock: Clock;
  readonly plane: BlockPlane;
  /** Where the plane listens; empty: nobody can read here. */
  readonly address: string;
  readonly members: Members;
  readonly policy: AdmissionPolicy;
  readonly space: (identity: string) => PeerSpace | undefined;
  /** A name in a room that nobody else has. */
  readonly guest: () => string;
};

/** Bytes under way on one connection. */
const WINDOW_BYTES = 8 * 1024 * 1024;

/** How a space's blocks are pulled. */
export const pullShape = ({ block_bytes }: PeerSpace) => ({
  block_bytes,
  window: Math.min(256, Math.max(2, Math.floor(WINDOW_BYTES / block_bytes))),
});
