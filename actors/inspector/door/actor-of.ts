/** Asks the process of an actor about it. */
import type { ActorPage } from "../../../proto/index.ts";
import { errorText } from "../../../runtime/error-text.ts";
import { ANSWER_DEADLINE_MS, type Door, type Place } from "./door.ts";

export type ActorFound = { readonly page: ActorPage };

/** `watch`: its messages are written down for a while; "": they are not. */
export async function askActor(
  door: Door,
  { node, path }: Place,
  watch: string,
  after: number,
): Promise<ActorFound | { readonly error: string; readonly status: number }> {
  const owner = door.inspectorOf(node);
  if (owner === undefined) return { error: `there is no process ${node}`, status: 404 };
  const question = { kind: "get_actor", path, watch, after } as const;
  try {
    return {
      page: await door.system.ask(owner, question, { deadline_ms: ANSWER_DEADLINE_MS }),
    };
  } catch (error) {
    return { error: `${node} does not answer: ${errorText(error)}`, status: 503 };
  }
}
