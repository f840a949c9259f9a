/** POST /clear_kv_blocks: all workers empty their prefix caches. Shapes: Dynamo's. */
import { type JsonRoute, jsonAnswer } from "../json-route.ts";

const NAME = "clear_kv_blocks";

export const clearKvBlocks: JsonRoute = {
  makes: "json",
  method: "POST",
  path: `/${NAME}`,
  access: "key",
  page: { summary: "All workers forget the prefixes that no answer uses" },
  handle: async ({ server }) => {
    const all = await server.clearCaches();
    if (all.length === 0) return jsonAnswer({ message: "No active worker groups found" });
    const said = all.map(({ worker, blocks, error }) => {
      const endpoint = `${server.namespace}/${worker}/${NAME}`;
      return error === undefined
        ? {
            ...{ name: worker, endpoint, status: "Successfully cleared kv blocks for instance" },
            response: `${blocks} cached blocks`,
          }
        : { name: worker, endpoint, status: "Failed to clear kv blocks for instance", error };
    });
    return jsonAnswer({
      cleared_workers: said.filter((one) => !("error" in one)),
      failed_workers: said.filter((one) => "error" in one),
    });
  },
};
