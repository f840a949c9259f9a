import { expect, test } from "bun:test";
import { mergeMetrics } from "../../../actors/inspector/merge-metrics.ts";

const text = (value: number) =>
  `# HELP up Is it.\n# TYPE up gauge\nup ${value}\n` +
  `# HELP took_s How long.\n# TYPE took_s histogram\n` +
  `took_s_bucket{le="0.1"} ${value}\ntook_s_count ${value}\n`;

test("samples of one name stand together, each with its process", () => {
  const merged = mergeMetrics([
    { node: "root", text: text(1) },
    { node: "worker-0", text: text(2) },
  ]);
  expect(merged.split("\n")).toEqual([
    "# HELP up Is it.",
    "# TYPE up gauge",
    'up{node="root"} 1',
    'up{node="worker-0"} 2',
    "# HELP took_s How long.",
    "# TYPE took_s histogram",
    'took_s_bucket{node="root",le="0.1"} 1',
    'took_s_count{node="root"} 1',
    'took_s_bucket{node="worker-0",le="0.1"} 2',
    'took_s_count{node="worker-0"} 2',
    "",
  ]);
});

test("a label's value may hold a space, and a process may have nothing to say", () => {
  const sample = '# TYPE a counter\na{why="no worker"} 3\n';
  const merged = mergeMetrics([
    { node: "x", text: "" },
    { node: "y", text: sample },
  ]);
  expect(merged).toBe('# TYPE a counter\na{node="y",why="no worker"} 3\n');
});
