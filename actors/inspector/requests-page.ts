/** The requests of all frontends, the newest first, and all that is known of one of them. */
import type { InspectMessage } from "../../proto/index.ts";
import type { Ref } from "../../runtime/kernel/ref.ts";
import { ANSWER_DEADLINE_MS, type Door } from "./door/door.ts";
import { pageWithoutContent } from "./without-content.ts";

/** A row as its frontend wrote it. */
export type RequestRow = { readonly id: string; readonly started_ms: number };

const deadline = { deadline_ms: ANSWER_DEADLINE_MS };

export async function requestRows(door: Door): Promise<RequestRow[]> {
  return newestFirst(await door.askAll((ref) => requestRowsOf(door, ref)));
}

/** Those that one process knows. */
export async function requestRowsOf(
  door: Door,
  ref: Ref<InspectMessage>,
): Promise<readonly RequestRow[]> {
  const { json } = await door.system.ask(ref, { kind: "get_requests" }, deadline);
  return JSON.parse(json) as RequestRow[];
}

export const newestFirst = (lists: readonly (readonly RequestRow[])[]): RequestRow[] =>
  lists.flat().sort((one, other) => other.started_ms - one.started_ms);

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
