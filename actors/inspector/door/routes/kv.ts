/** Cached blocks: by worker and tier, as maps, and the prefixes that come most often. */
import { askDetails } from "../../kv/ask-details.ts";
import type { PrefixPage } from "../../kv/prefix-page.ts";
import { prefixPage } from "../../kv/prefix-page.ts";
import { type KvPage, kvPage } from "../../kv-page.ts";
import { workerActors } from "../../process-inspector.ts";
import { failed, json } from "../answers.ts";
import type { Call, Door } from "../door.ts";
import type { Route } from "../route.ts";

export const kvRoutes: readonly Route[] = [
  { path: "/api/kv", on: { GET: async (_call, door) => json(await kvOf(door)) } },
  { path: "/api/kv/map", on: { GET: map } },
  { path: "/api/kv/prefixes", on: { GET: async (_call, door) => json(await prefixesOf(door)) } },
];

/** Of all workers and of all keepers of blocks, with one question to each process. */
export async function kvOf({ system, options }: Door): Promise<KvPage> {
  const roles = [...workerActors, "kv"];
  return kvPage(await askDetails(system, options.processes(), roles, "snapshot"));
}

async function map({ url }: Call, door: Door): Promise<Response> {
  const worker = url.searchParams.get("worker") ?? "";
  if (worker === "") return failed("which worker? ask /api/kv/map?worker=NAME", 400);
  const { system, options } = door;
  const [own] = await askDetails(system, options.processes(), workerActors, "kv_map", worker);
  if (own === undefined) {
    return failed(`there is no worker ${worker} that answers; /api/kv lists them`, 404);
  }
  const { keeper, identity, tiers } = own.snapshot;
  const owner = typeof keeper === "string" ? door.inspectorOf(keeper) : undefined;
  const beyond =
    owner === undefined ? [] : await askDetails(system, [owner], ["kv"], "kv_map", `${identity}`);
  const more = beyond.flatMap(({ snapshot }) => snapshot["tiers"]);
  return json({ worker, tiers: [tiers, more].flat() });
}

/** Routers by cached prefixes know them; where there are none, workers say what they have. */
async function prefixesOf({ system, options }: Door): Promise<PrefixPage> {
  const said = (roles: readonly string[]) =>
    askDetails(system, options.processes(), roles, "prefixes");
  const routed = await said(["router"]);
  return prefixPage(routed.length > 0 ? routed : await said(workerActors));
}
