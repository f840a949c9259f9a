import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

test("a replay with a planner writes the planner's report: its plots, figures and decisions", () => {
  const folder = mkdtempSync(join(tmpdir(), "troupe-plan-html-"));
  const file = join(folder, "plan.html");
  const trace = "synthetic:rate=4,shape=step,low=4,high=30,at_s=60,requests=2000";
  const flags = ["--planner", "sla", "--workers", "1", "--max-workers", "8", "--html", file];
  const run = Bun.spawnSync(["bun", "test/bench/replay.ts", trace, ...flags, "--json"], {
    cwd: join(import.meta.dir, "../../.."),
  });
  expect([run.exitCode, `${run.stderr}`]).toEqual([0, ""]);
  const { sla_attainment, worker_hours, decisions } = JSON.parse(`${run.stdout}`);
  const html = readFileSync(file, "utf8");
  rmSync(folder, { recursive: true });
  expect(html).toContain(`>${Number((100 * sla_attainment).toFixed(2))} %<`);
  expect(html).toContain(`>${worker_hours.toFixed(2)}<`);
  expect(html.match(/<figure>/g)?.length).toBe(8);
  expect(decisions.length).toBeGreaterThan(0);
  for (const { why } of decisions.slice(0, 3)) {
    expect(html).toContain(why.replaceAll("&", "&amp;").replaceAll("<", "&lt;"));
  }
  expect(html).not.toMatch(/<script|src=|href=|NaN|undefined/);
}, 60_000);
