/** What people who wait notice of a batch: nothing. Virtual time, so no other work disturbs it. */
import { expect, test } from "bun:test";
import { besideInVirtualTime } from "./beside.ts";

test("streams beside a batch get their first token as without it", async () => {
  const { lines, ratio } = await besideInVirtualTime(5);
  expect(lines).toBeGreaterThan(100);
  expect(ratio).toBeLessThan(1.1);
}, 120_000);
