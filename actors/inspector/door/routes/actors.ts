/** One actor: what it says of itself. */
import { askActor } from "../actor-of.ts";
import { failed, json } from "../answers.ts";
import { ANSWER_DEADLINE_MS, type Call, type Door, placeOf } from "../door.ts";
import { shownEntry } from "../live/actor-topic.ts";
import { pageRow } from "../live/cluster-tree.ts";
import type { Route } from "../route.ts";

export const actorRoutes: readonly Route[] = [
  { path: "/api/actors/{id}", on: { GET: actor } },
  { path: "/api/actors/{id...}/snapshot", on: { GET: snapshot } },
];

async function snapshot({ params }: Call, door: Door): Promise<Response> {
  const place = placeOf(params["id"] ?? "");
  if (place === undefined) return noActor(params["id"] ?? "");
  const { node, path } = place;
  const owner = door.inspectorOf(node);
  if (owner === undefined) return failed(`there is no process ${node}`, 404);
  const question = { kind: "get_snapshot", path } as const;
  try {
    const answer = await door.system.ask(owner, question, { deadline_ms: ANSWER_DEADLINE_MS });
    if (!answer.found) return failed(`${node} has no ${path} that shows a snapshot`, 404);
    return json({ node, path, snapshot: JSON.parse(answer.json) });
  } catch (error) {
    return failed(`${node} does not answer: ${(error as Error).message}`, 503);
  }
}

async function actor({ params }: Call, door: Door): Promise<Response> {
  const id = params["id"] ?? "";
  const place = placeOf(id);
  if (place === undefined) return noActor(id);
  const found = await askActor(door, place, "", 0);
  if ("error" in found) return failed(found.error, found.status);
  const { page } = found;
  const { row, crashes, dead_letters, entries, dropped, recorded } = page;
  const past = crashes.length + dead_letters.length + entries.length;
  if (!page.found && past === 0) return failed(`${place.node} has no ${place.path}`, 404);
  return json({
    ...{ id, ...place, found: page.found },
    row: row === undefined ? null : pageRow({ ...place, pid: 0, resident_bytes: 0 }, row),
    snapshot: JSON.parse(page.snapshot),
    relations: {
      parent: page.parent ?? null,
      children: row?.node?.children ?? [],
      monitors: page.monitors,
      watchers: page.watchers,
    },
    ...{
      dead_letters,
      crashes,
      recorded,
      dropped,
      entries: entries.map((entry) => shownEntry(entry, door)),
    },
  });
}

const noActor = (id: string) =>
  failed(`"${id}" is no actor's id, which is a node's name and a path, as root/cluster`, 404);
