/** What reaches an actor on its signal lane: before any message, and while a handler waits. */

import type { Cell } from "./cell.ts";
import type { ExitReason } from "./exit-reason.ts";
import type { Monitor } from "./relations.ts";

export type Signal =
  | { readonly kind: "stop"; readonly reason: ExitReason }
  | { readonly kind: "kill" }
  | { readonly kind: "down"; readonly monitor: Monitor; readonly reason: ExitReason }
  | { readonly kind: "child_ended"; readonly child: Cell; readonly started: boolean }
  /** The kernel's own: runs in the actor's turn. */
  | { readonly kind: "call"; readonly run: () => void };
