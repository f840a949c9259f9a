/** Status without a terminal: what takes long says so at times, what does not says nothing. */
import { expect, test } from "bun:test";
import { statusLog } from "../../../runtime/real/terminal.ts";

test("a line every five seconds of what has a fraction, and none before", () => {
  let now_ms = 1_000;
  const lines: string[] = [];
  const status = statusLog(
    (line) => lines.push(line),
    () => now_ms,
  );
  status.show("starting 1 worker");
  for (let second = 0; second < 12; second++) {
    now_ms = 1_000 + second * 1_000;
    status.show(`worker-0: load reading ${second} of 12 GB`, second / 12);
  }
  now_ms += 60_000;
  status.show("waiting for the frontends");
  status.clear();
  expect(lines).toEqual([
    "41 % worker-0: load reading 5 of 12 GB",
    "83 % worker-0: load reading 10 of 12 GB",
  ]);
});
