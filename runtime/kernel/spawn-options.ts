/** Options of `spawn`. Options that can never work make it throw at once. */

import { SpawnRefused } from "./errors.ts";
import type { MailboxOptions } from "./mailbox.ts";

/** The time a stop may take before it becomes a kill; brutal: killed at once. */
export type Shutdown = number | "brutal" | "infinity";

export type SpawnOptions = {
  /** Unique among its siblings; no "/". */
  readonly name: string;
  /** The inspector groups actors by role. */
  readonly role?: string;
  /** 65,536 messages, `reject`. */
  readonly mailbox?: MailboxOptions;
  /** How long a stop may take before it becomes a kill; 5,000 ms. */
  readonly shutdown_ms?: Shutdown;
};

export const DEFAULT_SHUTDOWN_MS = 5_000;

/** Throws SpawnRefused: `bad_name` or `bad_mailbox`. */
export function checkSpawnOptions(options: SpawnOptions): void {
  const { name, mailbox } = options;
  if (name === "" || name.includes("/")) {
    throw new SpawnRefused("bad_name", `an actor's name is not empty and has no "/": "${name}"`);
  }
  if (mailbox === undefined) return;
  if (Number.isSafeInteger(mailbox.capacity) && mailbox.capacity >= 1) return;
  const detail = `a mailbox holds at least 1 message, not ${mailbox.capacity}`;
  throw new SpawnRefused("bad_mailbox", detail);
}
