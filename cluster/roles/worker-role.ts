/** A process of workers. */
import { workerPaths } from "../../supervisors/paths.ts";
import { workerTree } from "../../supervisors/worker-tree.ts";
import type { WorkerBoot } from "../boot.ts";
import { workerWorld } from "../worker-world.ts";
import { drainActor, type Role } from "./role.ts";

export const workerRole: Role<WorkerBoot> = {
  async tree(boot, { names, ...parts }) {
    const workers = await workerWorld(boot, parts);
    return workerTree(workers, names, boot.drain_timeout_ms);
  },
  async stands(_boot, { line }) {
    line.ready();
  },
  /** New work goes elsewhere, and long answers move there. */
  async drain(boot, system) {
    const paths = boot.workers.map((worker) => `${workerPaths.top}/${worker}`);
    await Promise.all(paths.map((path) => drainActor(system, path, boot.drain_timeout_ms)));
  },
};
