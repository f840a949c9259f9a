/** Unique text ids: hyperid, a random prefix for each process and a counter. */

import hyperid from "hyperid";
import type { Ids } from "../capabilities.ts";

export function realIds(): Ids {
  const next = hyperid({ urlSafe: true });
  return { next: () => next() };
}
