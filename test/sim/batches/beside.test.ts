/** What people who wait notice of a batch: nothing. Virtual time, so no other work disturbs it. */
import { expect, test } from "bun:test";
import { besideInVirtualTime } from "./beside.ts";

test("streams beside a batch get their first token as without it", async () => {
  const { lines, ratio, p95_ratio } = await besideInVirtualTime(8);
  expect(lines).toBeGreaterThan(100);
  expect(p95_ratio).toBeLessThan(1.1);
  // Of so few streams the 99th percentile jumps from one group of waits to the next.
  expect(ratio).toBeLessThan(1.3);
}, 120_000);
