/** The load of the last hour. */
import { loadHistoryOf } from "../../load/load-history.ts";
import { failed, json } from "../answers.ts";
import { ANSWER_DEADLINE_MS } from "../door.ts";
import type { Route } from "../route.ts";

export const loadRoute: Route = {
  path: "/api/load",
  on: {
    GET: async (_call, { system, options }) => {
      const history = loadHistoryOf(system, options.load_path);
      if (history === undefined) return failed("the load's history is being restarted", 503);
      const question = { kind: "get_load_page" } as const;
      return json(await system.ask(history, question, { deadline_ms: ANSWER_DEADLINE_MS }));
    },
  },
};
