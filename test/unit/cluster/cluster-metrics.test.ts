import { expect, test } from "bun:test";
import { metricsOfProcesses } from "../../../actors/inspector/cluster-metrics.ts";
import { Metrics } from "../../../runtime/observe/metrics.ts";

function processOf(node: string, fill: (metrics: Metrics) => void) {
  const metrics = new Metrics();
  fill(metrics);
  const info = {
    node,
    role: "frontend",
    resident_bytes: 7,
    event_loop_block_ms_max: 3,
    orphans: 0,
  };
  return { ...info, metrics: metrics.render() };
}

test("every process speaks for itself, and is spoken of", () => {
  const text = metricsOfProcesses([
    processOf("a", (metrics) => metrics.counter("x_total", "Help.", { model: "m" }).add(2)),
    processOf("b", (metrics) => {
      metrics.gauge("only_b", "B.").set(4);
      metrics.counter("x_total", "Help.", { model: "m" }).add(3);
    }),
    processOf("idle", () => {}),
  ]);
  const lines = text.trimEnd().split("\n");
  expect(lines).toContain('x_total{node="a",model="m"} 2');
  expect(lines).toContain('x_total{node="b",model="m"} 3');
  expect(lines).toContain('only_b{node="b"} 4');
  expect(lines).toContain('troupe_process_resident_bytes{node="idle",role="frontend"} 7');
  const block = "troupe_process_event_loop_block_seconds_max";
  expect(lines).toContain(`${block}{node="b",role="frontend"} 0.003`);
  expect(new Set(lines).size).toBe(lines.length);
  // Prometheus refuses a text in which a family begins twice.
  let family = "";
  for (const line of lines) {
    if (line.startsWith("# TYPE")) family = line.split(" ")[2]!;
    else if (!line.startsWith("#")) expect(line.startsWith(family)).toBe(true);
  }
});
