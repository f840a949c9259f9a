/** One actor: what it says of itself, and what a person does to it. */
import { controlActions } from "../../../../runtime/kernel/system.ts";
import { workerRoles } from "../../process-inspector.ts";
import { failed, json } from "../answers.ts";
import { ANSWER_DEADLINE_MS, type Call, type Door, type Place, placeOf } from "../door.ts";
import type { Route } from "../route.ts";

/** Those that the actors inside a process carry out. */
const inside: readonly string[] = ["drain", ...workerRoles];
export const actorActions = [...controlActions, "drain", ...workerRoles] as const;

export const actorRoutes: readonly Route[] = [
  { path: "/api/actors/{id...}/snapshot", on: { GET: snapshot } },
  ...actorActions.map((action) => ({
    path: `/api/actors/{id...}/${action}`,
    on: { POST: (call: Call, door: Door) => act(call, door, action) },
  })),
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

async function act({ params }: Call, door: Door, action: string): Promise<Response> {
  const place = placeOf(params["id"] ?? "");
  if (place === undefined) return noActor(params["id"] ?? "");
  const { node, path } = inside.includes(action) ? await insideOf(door, place) : place;
  const owner = door.inspectorOf(node);
  if (owner === undefined) return failed(`there is no process ${node}`, 404);
  const control = { kind: "control_actor", path, action } as const;
  try {
    const { done } = await door.system.ask(owner, control, { deadline_ms: ANSWER_DEADLINE_MS });
    if (done) return json({ node, path, action, done });
    return failed(`${node} has no ${path} that can ${action}`, 404);
  } catch (error) {
    return failed(`${node} does not answer: ${(error as Error).message}`, 503);
  }
}

/** The actors inside a process do it, so the command goes to its inspector. */
async function insideOf(door: Door, place: Place): Promise<Place> {
  const { node, pid } = (await door.snapshotOf(place)) ?? {};
  const isProcess = typeof node === "string" && typeof pid === "number";
  return isProcess ? { node, path: "" } : place;
}

const noActor = (id: string) =>
  failed(`"${id}" is no actor's id, which is a node's name and a path, as root/cluster`, 404);
