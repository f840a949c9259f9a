/** `bun run bench actors`: the kernel in one process, and between two over a unix socket. */

import type { Report } from "../bench.ts";
import { benchActors } from "./actors.ts";
import { benchActorsNats, benchActorsRemote } from "./actors-remote.ts";

export async function benchKernel(report: Report): Promise<void> {
  report({ case: "one process", ...(await benchActors()) });
  report({ case: "two processes", ...(await benchActorsRemote()) });
  const nats = await benchActorsNats();
  if (nats !== undefined) report({ case: "two processes over NATS", ...nats });
}
