/** `GET /api/live`: a WebSocket with what has changed of what a page watches. */
import { failed } from "../answers.ts";
import type { Call, Door } from "../door.ts";
import type { Route } from "../route.ts";

export const liveRoute: Route = { path: "/api/live", on: { GET: live } };

function live({ exchange }: Call, door: Door): Response {
  if (exchange.upgrade === undefined) return failed("the network here has no WebSockets", 501);
  switch (exchange.upgrade(door.live.accept)) {
    case "done":
      return new Response(null);
    case "too_many":
      return failed("too many pages are open: close one and come back", 503);
    case "not_asked":
      return new Response(
        JSON.stringify({ error: "/api/live is a WebSocket: connect with ws://, not http://" }),
        { status: 426, headers: { "content-type": "application/json", upgrade: "websocket" } },
      );
  }
}
