import { expect, test } from "bun:test";
import { Metrics } from "../../../runtime/observe/metrics.ts";
import { OrphanWatch, orphansIn } from "../../../runtime/supervision/orphan-watch.ts";

test("only what is found at every look of the grace time counts", () => {
  const metrics = new Metrics();
  const watch = new OrphanWatch(metrics, { of: "answers" });
  watch.look(["a", "b"], 0);
  watch.look(["a"], 1_000);
  watch.look(["a", "b"], 2_000);
  expect(watch.count).toBe(0);
  watch.look(["a", "b"], 3_000);
  expect([watch.count, orphansIn(metrics)]).toEqual([1, 1]);
  expect(watch.names()).toEqual(["a", "b"]);
  watch.look(["b"], 5_000);
  expect(watch.count).toBe(1);
  watch.look([], 6_000);
  expect(metrics.render()).toContain('troupe_orphans{of="answers"} 0');
  watch.remove();
  expect(metrics.render()).not.toContain("troupe_orphans{");
});

test("a process has the sum of its actors' orphans", () => {
  const metrics = new Metrics();
  for (const of of ["answers", "routes"]) {
    const watch = new OrphanWatch(metrics, { of });
    for (const now_ms of [0, 4_000]) watch.look(["x"], now_ms);
  }
  expect(orphansIn(metrics)).toBe(2);
});
