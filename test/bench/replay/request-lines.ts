/** One JSON object a request, for other tools. Times in ms of virtual time from the start. */
import { rounded } from "../statistics.ts";
import type { RequestRecord } from "./simulate.ts";

export function requestLines(records: readonly RequestRecord[]): string {
  return records.map((record) => `${JSON.stringify(lineOf(record))}\n`).join("");
}

function lineOf(record: RequestRecord) {
  const { arrival_ms, routed_ms, first_token_ms, end_ms, ...rest } = record;
  const time = (value: number) => (Number.isNaN(value) ? null : rounded(value, 3));
  return {
    ...rest,
    arrival_ms: time(arrival_ms),
    routed_ms: time(routed_ms),
    first_token_ms: time(first_token_ms),
    end_ms: time(end_ms),
    ttft_ms: time(first_token_ms - arrival_ms),
    e2e_ms: time(end_ms - arrival_ms),
  };
}
