/** How a request is doing: a shape and a word, never colour alone. */
import { duration } from "../../ui/format.ts";
import { isStuck } from "./request-list.ts";
import type { RequestRow } from "./request-row.ts";

const looks = {
  live: ["good", "◐", "live"],
  done: ["plain", "✓", "done"],
  failed: ["bad", "✕", "failed"],
  cancelled: ["plain", "○", "cancelled"],
} as const;

export function RequestState({ row }: { row: RequestRow }) {
  const stuck = isStuck(row);
  const [tone, shape, word] = stuck ? (["bad", "!", "stuck"] as const) : looks[row.state];
  const phase = row.state === "live" && row.phase !== "" ? ` in ${row.phase}` : "";
  const since = stuck && row.idle_ms ? `, ${duration(row.idle_ms)}` : "";
  const status = row.state === "failed" && row.status > 0 ? ` ${row.status}` : "";
  return (
    <span class={`state ${tone}`} title={stuck ? "No progress for this long" : undefined}>
      <i aria-hidden="true">{shape}</i>
      {`${word}${phase}${since}${status}`}
    </span>
  );
}
