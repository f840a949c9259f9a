/** A frontend: ready once its door listens, serving once it knows a model. */
import type { DoorState, FrontendMessage } from "../../actors/frontend/frontend.ts";
import type { Progress } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import type { ActorSystem } from "../../runtime/kernel/system.ts";
import { frontendTree } from "../../supervisors/frontend-tree.ts";
import { frontendPaths } from "../../supervisors/paths.ts";
import { type FrontendBoot, SERVING_STAGE } from "../boot.ts";
import { feedWorkers, frontendWorld } from "../frontend-world.ts";
import { eachStanding, standing } from "../keep-registered.ts";
import { drainActor, type Role } from "./role.ts";

const LOOK_PERIOD_MS = 10;

export const frontendRole: Role<FrontendBoot> = {
  async tree(boot, { system, discovery, names, planes, serveGrpc, page }) {
    return frontendTree(frontendWorld(boot, system, discovery, { planes, serveGrpc, page }), names);
  },
  async stands(_boot, { system, discovery, line, remote }) {
    let unfeed = () => {};
    eachStanding(system, frontendPaths.main, () => {
      unfeed();
      unfeed = feedWorkers(system, discovery);
    });
    await new Promise<void>((listens) => whenDoor(system, ({ port }) => port !== 0, listens));
    line.ready(standing(system, frontendPaths.main));
    whenDoor(system, isServing, () => {
      remote.quiet(0);
      const serving = { kind: "progress", stage: SERVING_STAGE, fraction: 1, detail: "" } as const;
      (line.ref as Ref<Progress>).tell(serving);
    });
  },
  /** The door refuses new requests, and streams end or learn where to go on. */
  drain: (boot, system) => drainActor(system, frontendPaths.main, boot.drain_timeout_ms),
};

/** The door knows a model once it has fetched its tokenizer from a worker. */
const isServing = ({ health }: DoorState): boolean => health === "ready";

function whenDoor(system: ActorSystem, is: (door: DoorState) => boolean, then: () => void): void {
  const look = async () => {
    const door = standing(system, frontendPaths.main) as Ref<FrontendMessage>;
    const state = await system.ask(door, { kind: "get_door" }, { deadline_ms: 1_000 });
    if (!is(state)) throw new Error("not yet");
    then();
  };
  const again = () => {
    system.capabilities.clock.after(LOOK_PERIOD_MS, () => void look().catch(again));
  };
  again();
}
