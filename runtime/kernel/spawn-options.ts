/** What can never work is told to whoever spawns, at once. */

import type { SpawnOptions } from "./context.ts";
import { SpawnRefused } from "./errors.ts";

/** Throws SpawnRefused. */
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
