/** An inspector's door on a real socket, over the actors of the test's own process. */
import {
  InspectorDoor,
  type InspectorDoorOptions,
  ProcessInspector,
} from "../../../actors/inspector/inspector.ts";
import type { InspectMessage } from "../../../proto/index.ts";
import type { Ref } from "../../../runtime/kernel/ref.ts";
import { type ActorSystem, createSystem } from "../../../runtime/kernel/system.ts";
import { realClock } from "../../../runtime/real/clock.ts";
import { realIds } from "../../../runtime/real/ids.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { realRandom } from "../../../runtime/real/random.ts";
import { absent, MemoryLog } from "../worlds/test-system.ts";

export type DoorSystem = {
  readonly system: ActorSystem;
  readonly url: string;
  readonly log: MemoryLog;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Actors `/inspector` and `/door` of a node `root`. */
export async function startDoorSystem(
  options: Partial<InspectorDoorOptions> = {},
): Promise<DoorSystem> {
  const log = new MemoryLog();
  const system = createSystem({
    node: "root",
    capabilities: {
      clock: realClock(),
      random: realRandom(),
      ids: realIds(),
      log,
      net: realNet(),
      spawn: {
        start: () => absent("start"),
        self: [],
        pid: process.pid,
        isAlive: () => true,
        resident_bytes: () => 1,
      },
      files: absent("files"),
      store: absent("store"),
    },
  });
  const own = await system.spawnReady(() => new ProcessInspector({ role: "root" }), {
    name: "inspector",
  });
  let port = 0;
  const door = new InspectorDoor({
    host: "127.0.0.1",
    port: () => 0,
    processes: () => [own as Ref<InspectMessage>],
    listening: (_host, at) => {
      port = at;
    },
    ...options,
  });
  await system.spawnReady(() => door, { name: "door" });
  return {
    ...{ system, log, url: `http://127.0.0.1:${port}` },
    [Symbol.asyncDispose]: () => system.shutdown(1_000),
  };
}
