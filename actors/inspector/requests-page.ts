/** The requests of all frontends, the newest first, and all that is known of one of them. */
import type { InspectMessage, RequestList } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { ANSWER_DEADLINE_MS, type Door } from "./door/door.ts";
import { pageWithoutContent } from "./without-content.ts";

const deadline = { deadline_ms: ANSWER_DEADLINE_MS };

/** An array as JSON, of rows as their frontends wrote them. */
export async function requestRows(door: Door): Promise<string> {
  const lists = await door.askAll((ref) => requestListOf(door, ref, 0));
  const rows = lists.flatMap((list) => list.rows);
  rows.sort((one, other) => other.started_ms - one.started_ms);
  return `[${rows.map(({ json }) => json).join()}]`;
}

/** What one process knows; of those that have ended what came since that number. */
export const requestListOf = (
  { system }: Door,
  ref: Ref<InspectMessage>,
  after: number,
): Promise<RequestList> => system.ask(ref, { kind: "get_requests", after }, deadline);

/** Its text is kept from now on, for who asks again. Undefined: no frontend knows it. */
export async function requestPage(door: Door, id: string): Promise<string | undefined> {
  const said = await door.askAll((ref) => requestPageOf(door, ref, id));
  return said.find((json) => json !== undefined);
}

/** Undefined: that process does not know it. */
export async function requestPageOf(
  door: Door,
  ref: Ref<InspectMessage>,
  id: string,
): Promise<string | undefined> {
  const ask = { kind: "get_request", id, follow: true } as const;
  const { found, json } = await door.system.ask(ref, ask, deadline);
  if (!found) return undefined;
  if (door.options.shows_content !== false) return json;
  return JSON.stringify(pageWithoutContent(JSON.parse(json)));
}
