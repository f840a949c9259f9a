/**
 * Health of a whole cluster, in the form of Dynamo's system status server: what probes of its
 * operator read. Pure.
 */
import type { Said } from "./kv-page.ts";
import { workerActors } from "./process-inspector.ts";

export type Health = {
  readonly status: "ready" | "notready";
  readonly endpoints: Readonly<Record<string, "ready" | "notready">>;
  readonly uptime: Uptime;
};

type Uptime = { readonly secs: number; readonly nanos: number };

/**
 * Of one machine. `generate`: a worker takes requests; `http`: a frontend answers them. Each is
 * there where the machine has such processes, whether they run or not; before it has any, it is
 * not ready.
 * @param roles of the machine's processes
 * @param workers,doors what they say of themselves
 */
export function healthOf(
  roles: readonly string[],
  workers: readonly Said[],
  doors: readonly Said[],
  uptime_ms: number,
): Health {
  const word = (isReady: boolean) => (isReady ? "ready" : "notready");
  const takes = ({ snapshot }: Said) => snapshot["ready"] === true && snapshot["draining"] !== true;
  const endpoints: Record<string, "ready" | "notready"> = {};
  if (roles.some((role) => workerActors.includes(role))) {
    endpoints["generate"] = word(workers.some(takes));
  }
  if (roles.includes("frontend")) {
    endpoints["http"] = word(doors.some(({ snapshot }) => snapshot["health"] === "ready"));
  }
  const each = Object.values(endpoints);
  const isReady = each.length > 0 && each.every((one) => one === "ready");
  return { status: word(isReady), endpoints, uptime: uptimeOf(uptime_ms) };
}

/** Those of this machine; several machines' nodes begin with the name of their root. */
export function ofMachine(said: readonly Said[], root: string): Said[] {
  const isIts = ({ node }: Said) => node === root || node.startsWith(`${root}.`);
  const its = said.filter(isIts);
  return its.length > 0 || said.some(({ node }) => node.includes(".")) ? its : [...said];
}

/** Whole seconds, and the rest of it. */
export function uptimeOf(uptime_ms: number): Uptime {
  const secs = Math.floor(uptime_ms / 1_000);
  return { secs, nanos: Math.floor((uptime_ms - 1_000 * secs) * 1_000_000) };
}
