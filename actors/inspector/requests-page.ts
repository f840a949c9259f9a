/** The requests of all frontends, the newest first, and all that is known of one of them. */
import { ANSWER_DEADLINE_MS, type Door } from "./door/door.ts";

/** A row as its frontend wrote it. */
export type RequestRow = { readonly id: string; readonly started_ms: number };

const deadline = { deadline_ms: ANSWER_DEADLINE_MS };

export async function requestRows(door: Door): Promise<RequestRow[]> {
  const lists = await door.askAll((ref) =>
    door.system.ask(ref, { kind: "get_requests" }, deadline),
  );
  const rows = lists.flatMap(({ json }) => JSON.parse(json) as RequestRow[]);
  return rows.sort((one, other) => other.started_ms - one.started_ms);
}

/** Its text is kept from now on, for who asks again. Undefined: no frontend knows it. */
export async function requestPage(door: Door, id: string) {
  const ask = { kind: "get_request", id, follow: true } as const;
  const said = await door.askAll((ref) => door.system.ask(ref, ask, deadline));
  return said.find(({ found }) => found)?.json;
}
