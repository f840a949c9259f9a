/** `GET /api/me`: which cluster this is, and what the one who asks may do. */
import { json } from "../answers.ts";
import { mayAct } from "../may-act.ts";
import type { Route } from "../route.ts";

export const meRoute: Route = {
  path: "/api/me",
  on: {
    GET: ({ request }, { options }) => {
      const { about, acting } = options;
      return json({
        version: about?.version ?? "",
        namespace: about?.namespace ?? "",
        machine: about?.machine ?? "",
        openai: about?.openai() ?? null,
        can_act: mayAct(request, acting) === undefined,
        read_only: acting?.read_only ?? false,
        token_needed: acting?.token !== undefined,
      });
    },
  },
};
