import { expect, test } from "bun:test";
import { join } from "node:path";
import { Metrics } from "../../../runtime/observe/metrics.ts";

test("families render as Prometheus text", () => {
  const metrics = new Metrics();
  metrics.counter("requests_total", "Requests\nserved.", { model: 'a"b\\c' }).add(3);
  metrics.counter("requests_total", "Requests served.", { model: "d" }).add();
  metrics.gauge("depth", "Waiting.").set(2.5);
  metrics.gauge("lazy", "Asked for.", {}, () => 7);
  const ttft = metrics.histogram("ttft_ms", "First token.", [1, 5, 10], { model: "d" });
  for (const value of [0.5, 5, 7, 70]) ttft.observe(value);
  expect(metrics.render()).toBe(`# HELP requests_total Requests\\nserved.
# TYPE requests_total counter
requests_total{model="a\\"b\\\\c"} 3
requests_total{model="d"} 1
# HELP depth Waiting.
# TYPE depth gauge
depth 2.5
# HELP lazy Asked for.
# TYPE lazy gauge
lazy 7
# HELP ttft_ms First token.
# TYPE ttft_ms histogram
ttft_ms_bucket{model="d",le="1"} 1
ttft_ms_bucket{model="d",le="5"} 2
ttft_ms_bucket{model="d",le="10"} 3
ttft_ms_bucket{model="d",le="+Inf"} 4
ttft_ms_sum{model="d"} 82.5
ttft_ms_count{model="d"} 4
`);
});

test("the same name and labels are one series, in whatever order the labels come", () => {
  const metrics = new Metrics();
  const first = metrics.counter("n", "N.", { a: "1", b: "2" });
  const second = metrics.counter("n", "N.", { b: "2", a: "1" });
  expect(second).toBe(first);
  expect(metrics.remove("n", { a: "1", b: "2" })).toBe(true);
  expect(metrics.remove("n", { a: "1", b: "2" })).toBe(false);
  expect(metrics.render()).toBe("");
});

test("mistakes are told at once", () => {
  const metrics = new Metrics();
  metrics.counter("n", "N.");
  expect(() => metrics.gauge("n", "N.")).toThrow("counter, not a gauge");
  expect(() => metrics.counter("bad name", "")).toThrow("not a metric name");
  expect(() => metrics.counter("m", "", { "bad-label": "" })).toThrow("not a label name");
  expect(() => metrics.counter("n", "N.").add(-1)).toThrow("only goes up");
  expect(() => metrics.histogram("h", "", [1, 1])).toThrow("must ascend");
});

test("our own metrics are in base units: seconds, bytes, shares of one", async () => {
  const odd: string[] = [];
  const files = new Bun.Glob("{actors,runtime,supervisors}/**/*.ts").scan({
    cwd: join(import.meta.dir, "../../.."),
  });
  for await (const file of files) {
    const text = await Bun.file(join(import.meta.dir, "../../..", file)).text();
    for (const [, name = ""] of text.matchAll(/["`](troupe_[a-z_]+)["`]/g)) {
      if (/_(?:[munµ]s|millis\w*|minutes|hours|[kmg]i?b|percent)(?:_|$)/.test(name)) odd.push(name);
    }
  }
  expect(odd).toEqual([]);
});
