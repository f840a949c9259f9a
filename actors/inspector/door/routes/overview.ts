/** The whole cluster on one page: its tree, its processes, its planes. */
import type { ProcessInfo } from "../../../../proto/index.ts";
import { mergeTrees } from "../../merge-trees.ts";
import { failed, json } from "../answers.ts";
import type { Route } from "../route.ts";

export const overviewRoutes: readonly Route[] = [
  {
    path: "/api/tree",
    on: {
      GET: async (_call, door) => {
        const [own, ...others] = await door.trees();
        if (own === undefined) return failed("the root does not answer", 503);
        return json({ nodes: mergeTrees(own, others) });
      },
    },
  },
  {
    path: "/api/processes",
    on: {
      GET: async (_call, door) =>
        json({ processes: (await door.processInfos()).map(withoutMetrics) }),
    },
  },
  {
    path: "/api/planes",
    on: { GET: (_call, door) => json({ planes: door.options.planes?.() ?? [] }) },
  },
  {
    path: "/api/orphans",
    on: { GET: async (_call, door) => json(orphansOf(await door.processInfos())) },
  },
];

const withoutMetrics = ({ kind: _kind, metrics: _metrics, ...info }: ProcessInfo) => info;

function orphansOf(infos: readonly { readonly node: string; readonly orphans: number }[]) {
  const processes = infos.map(({ node, orphans }) => ({ node, orphans }));
  return { orphans: processes.reduce((sum, { orphans }) => sum + orphans, 0), processes };
}
