/** A real prometheus of this test's own: loopback, a free port, a folder that goes with it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./cluster.ts";

const config = join(import.meta.dir, "../../deploy/prometheus");

export type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: number };

export type Prometheus = {
  readonly pid: number;
  readonly url: string;
  /** An instant query; rejects with Prometheus' own words. */
  query(expression: string): Promise<Sample[]>;
  get(path: string): Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Our own configuration, but for the target and a scrape each second. */
export async function startPrometheus(target: string): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), "prometheus-"));
  const text = readFileSync(join(config, "prometheus.yml"), "utf8");
  const own = text
    .replace("127.0.0.1:8001", target)
    .replaceAll("_interval: 15s", "_interval: 1s")
    .replace("scrape_timeout: 5s", "scrape_timeout: 1s");
  writeFileSync(join(folder, "prometheus.yml"), own);
  writeFileSync(join(folder, "alerts.yml"), readFileSync(join(config, "alerts.yml")));
  const port = freePort();
  const child = Bun.spawn(
    [
      "prometheus",
      "--config.file=prometheus.yml",
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ],
    { cwd: folder, stdout: "ignore", stderr: "ignore" },
  );
  const url = `http://127.0.0.1:${port}`;
  const get = async (path: string): Promise<unknown> => {
    const body = (await (await fetch(`${url}${path}`)).json()) as Answer;
    if (body.status !== "success") throw new Error(`${path}: ${body.error}`);
    return body.data;
  };
  await until("prometheus", 30_000, () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    pid: child.pid,
    url,
    get,
    query: async (expression) => {
      const data = await get(`/api/v1/query?query=${encodeURIComponent(expression)}`);
      const { result } = data as { result: readonly Told[] };
      return result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      rmSync(folder, { recursive: true });
    },
  };
}

type Told = { readonly metric: Sample["metric"]; readonly value: readonly [number, string] };
type Answer = { readonly status: string; readonly error?: string; readonly data?: unknown };

function freePort(): number {
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = probe;
  probe.stop(true);
  return port;
}
