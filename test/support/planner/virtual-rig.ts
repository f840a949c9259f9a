/** The virtual connector over any keys, and a launcher that uses its client. */
import { VirtualConnector } from "../../../actors/planner/connect/virtual.ts";
import { VirtualClient } from "../../../actors/planner/connect/virtual-client.ts";
import type { PlanKeys } from "../../../actors/planner/connect/virtual-keys.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import type { ConnectorRig } from "./connector-rig.ts";

const clock = realClock();
const log = { log: () => {} };

type Mood = { readonly why: string } | "obey" | "ignore";

export function virtualRig(keys: PlanKeys, patience_ms = 1_800_000): ConnectorRig {
  const open = (planner: string): VirtualConnector =>
    new VirtualConnector({ keys, clock, log, planner, mode: "disagg", patience_ms, poll_ms: 5 });
  const made = [open("planner-1")];
  const client = new VirtualClient({ keys, clock, poll_ms: 5 });
  let mood: Mood = "ignore";
  let stopped = false;
  const launcher = (async () => {
    while (!stopped) {
      const told = await client.wait(20);
      const now = mood as Mood;
      if (now === "ignore") await Bun.sleep(5);
      else if (told !== undefined && now === "obey") await client.complete(told);
      else if (told !== undefined && now !== "obey") await client.fail(told, now.why);
    }
  })();
  return {
    connector: made[0] as VirtualConnector,
    again: () => {
      const connector = open(`planner-${made.length + 1}`);
      made.push(connector);
      return connector;
    },
    obey: () => {
      mood = "obey";
    },
    ignore: () => {
      mood = "ignore";
    },
    refuse: (why) => {
      mood = { why };
    },
    async stop() {
      stopped = true;
      for (const connector of made) connector.close();
      await launcher;
    },
  };
}
