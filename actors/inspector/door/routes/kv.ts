/** Cached blocks by worker and tier, made of what workers and keepers of blocks say. */
import { kvPage, type Said } from "../../kv-page.ts";
import { workerActors } from "../../process-inspector.ts";
import { json } from "../answers.ts";
import type { Door } from "../door.ts";
import type { Route } from "../route.ts";

export const kvRoute: Route = {
  path: "/api/kv",
  on: { GET: async (_call, door) => json(kvPage(...(await saidOfBlocks(door)))) },
};

/** Of all workers, and of all keepers of blocks. */
async function saidOfBlocks(door: Door): Promise<[workers: Said[], keepers: Said[]]> {
  const trees = await door.trees();
  const said = async (roles: readonly string[]) => {
    const places = trees.flatMap(({ node, nodes }) =>
      nodes
        .filter(({ kind, role }) => kind === "actor" && roles.includes(role))
        .map(({ path }) => ({ node, path })),
    );
    const answers = await Promise.all(
      places.map(async (place) => ({ node: place.node, snapshot: await door.snapshotOf(place) })),
    );
    return answers.flatMap(({ node, snapshot }) =>
      snapshot === undefined ? [] : [{ node, snapshot }],
    );
  };
  return Promise.all([said(workerActors), said(["kv"])]);
}
