/** Topics over HTTP, for a page whose socket cannot be had. */
import { getJson } from "./http.ts";
import type { Wants } from "./live.ts";
import { actorPath } from "./paths.ts";
import type { ActorPage, Frame, Topic, TreeRow } from "./types.ts";

/** Rejects with HttpError; undefined: there is nothing to show. */
export async function poll(topic: Topic, wants: Wants): Promise<Frame | undefined> {
  switch (topic) {
    case "tree": {
      const { nodes } = await getJson<{ nodes: readonly TreeRow[] }>("/api/tree");
      return { topic, full: true, at_ms: Date.now(), nodes, gone: [] };
    }
    case "actor": {
      if (wants.actor === undefined) return undefined;
      const page = await getJson<ActorPage>(actorPath(wants.actor));
      return { topic, id: wants.actor, entries: page.entries ?? [], dropped: 0 };
    }
    case "requests": {
      const { requests } = await getJson<{ requests: readonly object[] }>("/api/requests");
      return { topic, rows: requests, gone: [] } as Frame;
    }
    case "request": {
      if (wants.request === undefined) return undefined;
      const path = `/api/requests/${encodeURIComponent(wants.request)}`;
      return { topic, ...(await getJson<object>(path)) };
    }
    case "load": {
      const { points } = await getJson<{ points: readonly object[] }>("/api/load");
      return { topic, point: points.at(-1) } as Frame;
    }
    // They are wholes, as their routes write them.
    case "kv":
    case "acts":
    case "planner":
      return { topic, ...(await getJson<object>(`/api/${topic}`)) } as Frame;
  }
}
