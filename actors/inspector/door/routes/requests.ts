/** Live and recent requests. */
import { requestPage, requestRows } from "../../requests-page.ts";
import { failed, written } from "../answers.ts";
import type { Route } from "../route.ts";

export const requestRoutes: readonly Route[] = [
  {
    path: "/api/requests",
    on: { GET: async (_call, door) => written(`{"requests":${await requestRows(door)}}`) },
  },
  {
    path: "/api/requests/{id}",
    on: {
      GET: async ({ params: { id = "" } }, door) => {
        const page = await requestPage(door, id);
        if (page !== undefined) return written(page);
        return failed(`no frontend knows a request ${id}; each keeps its last 200`, 404);
      },
    },
  },
];
