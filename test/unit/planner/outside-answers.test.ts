/** Answers of outside servers that mean harm or are broken: real HTTP, on a clock that is moved. */
import { afterEach, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import {
  PrometheusKeysError,
  PrometheusTraffic,
  prometheusDefaults,
  prometheusKeys,
} from "../../../actors/planner/observe/prometheus.ts";
import { figuresOf, trafficOf } from "../../../actors/planner/observe/promql.ts";
import { fetchText } from "../../../actors/planner/outside/timed.ts";
import { realNet } from "../../../runtime/real/net.ts";
import { VirtualClock } from "../../../runtime/simulation/virtual-clock.ts";
import { until } from "../../support/cluster.ts";
import { graphs, status } from "../../support/planner/fake-kubernetes.ts";

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

function served(fetch: (request: Request) => Response | Promise<Response>): string {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 0, fetch });
  ends.push(() => server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}

/** Sends `part` again and again, until nobody reads any more. */
function endless(part: Uint8Array, sent: { parts: number; over: boolean }, every_ms = 0): Response {
  return new Response(
    new ReadableStream({
      async pull(to) {
        if (every_ms > 0) await Bun.sleep(every_ms);
        sent.parts++;
        to.enqueue(part);
      },
      cancel() {
        sent.over = true;
      },
    }),
  );
}

function trafficFrom(url: string) {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const source = new PrometheusTraffic({
    ...{ namespace: "", clock, net: realNet() },
    files: { read: async () => new Uint8Array() },
    log: { log: (_level, message, fields) => void logged.push(`${message}: ${fields?.["error"]}`) },
    keys: {
      ...prometheusDefaults,
      metric_pulling_prometheus_endpoint: url,
      metric_pulling_prometheus_token: "secret",
    },
  });
  return { clock, logged, traffic: () => source.traffic("m", 5_000) };
}

const success = (rows: readonly unknown[]) => ({ status: "success", data: { result: rows } });

describe("an answer", () => {
  test.each([301, 302, 303, 307, 308])("with status %d is not followed", async (code) => {
    const seen: string[] = [];
    const elsewhere = served((request) => {
      seen.push(request.headers.get("authorization") ?? "");
      return Response.json(success([{ metric: { figure: "started" }, value: [0, "9"] }]));
    });
    const url = served(
      () => new Response(null, { status: code, headers: { location: elsewhere } }),
    );
    const { traffic, logged } = trafficFrom(url);
    expect(await traffic()).toBeUndefined();
    expect(seen).toEqual([]);
    const { host } = new URL(url);
    expect(logged).toEqual([
      `no traffic from Prometheus: ${host} answers ${code} and sends to ${elsewhere}, ` +
        "which is not followed: give the address that it names, if you trust it",
    ]);
  });

  test("without an end is read to a bound, and not on", async () => {
    const sent = { parts: 0, over: false };
    const { traffic, logged } = trafficFrom(
      served(() => endless(new Uint8Array(64 * 1024).fill(32), sent)),
    );
    expect(await traffic()).toBeUndefined();
    expect(logged[0]).toContain("answers more than 8388608 bytes");
    await until("nothing is sent any more", 5_000, () => sent.over);
    expect(sent.parts).toBeLessThan(1_000);
  });

  test("that is small and unpacks to much more is read to the bound too", async () => {
    const packed = gzipSync(new Uint8Array(64 * 1024 ** 2));
    expect(packed.length).toBeLessThan(100_000);
    const headers = { "content-encoding": "gzip" };
    const { traffic, logged } = trafficFrom(served(() => new Response(packed, { headers })));
    expect(await traffic()).toBeUndefined();
    expect(logged[0]).toContain("answers more than 8388608 bytes");
  });

  test("that trickles is waited for ten seconds in all", async () => {
    const sent = { parts: 0, over: false };
    const url = served(() => endless(new Uint8Array([32]), sent, 5));
    const { traffic, logged, clock } = trafficFrom(url);
    const asking = traffic();
    await until("some of it came", 5_000, () => sent.parts > 5);
    await clock.advance(10_000);
    expect(await asking).toBeUndefined();
    expect(logged[0]).toContain("did not answer within 10000 ms");
    expect(clock.pending).toBe(0);
    await until("nothing is sent any more", 5_000, () => sent.over);
  });

  test("that is a text comes whole", async () => {
    const text = "é".repeat(500_000);
    const url = served(() => new Response(text));
    const clock = new VirtualClock();
    const answer = await fetchText({ clock, net: realNet() }, url, {}, 1_000);
    expect(answer).toEqual({ status: 200, text });
  });
});

test.each([
  [{ status: "error", error: { code: 7 } }, 'Prometheus says: {"code":7}'],
  [
    { status: "error", error: `a\nb${"x".repeat(9_000)}` },
    `Prometheus says: a b${"x".repeat(197)}`,
  ],
  [{ status: "success", data: { result: {} } }, "Prometheus' answer has no list of results"],
  [[], 'Prometheus says: "nothing"'],
  [null, 'Prometheus says: "nothing"'],
])("Prometheus' words are one line %#", (body, told) => {
  expect(() => figuresOf(body)).toThrow(new TypeError(told));
});

test("rows that are none are left out, and so are figures that no load has", () => {
  const row = (figure: unknown, value: unknown) => ({ metric: { figure }, value: [0, value] });
  const rows = [
    ...[null, 7, "x", {}, { metric: null }, { metric: { figure: "a" } }],
    ...[row("a", "-3"), row("b", "1e300"), row("c", 5), row("d", ""), row(9, "1")],
    ...[{ metric: { figure: "e" }, value: "12" }, row("f", "0x10z"), row("started", "4")],
  ];
  expect([...figuresOf(success(rows))]).toEqual([["started", 4]]);
  const figures = figuresOf(success([...rows, row("hit_sum", "50"), row("hit_count", "10")]));
  expect(trafficOf(figures)?.kv_hit_rate).toBe(1);
});

test.each(["http://", "https:// x", "http://[1", "ftp://p"])("%s is told at the start", (url) => {
  expect(() => prometheusKeys({ metric_pulling_prometheus_endpoint: url }, {})).toThrow(
    PrometheusKeysError,
  );
});

describe("a Kubernetes API server", () => {
  function fakeWith(answer: (request: Request) => Response | undefined) {
    const fake = graphs["kubernetes, v1beta1"]!();
    ends.push(() => fake.stop());
    fake.mood = "obey";
    fake.before = answer;
    const logged: string[] = [];
    const log = {
      log: (_level: string, message: string, fields?: Readonly<Record<string, unknown>>) =>
        void logged.push([message, fields?.["error"]].filter(Boolean).join(": ")),
    };
    const connector = fake.connector({ log });
    ends.push(async () => connector.close());
    return { fake, connector, logged };
  }
  const change = { change: "a", epoch: 1, model: "m" };

  test.each([
    ["no JSON", () => new Response("<html>"), "the list of versions is not as expected"],
    ["a list", () => Response.json([]), "the list of versions is not as expected"],
    ["an address", () => Response.redirect("http://127.0.0.1:9/"), "is not followed"],
  ])("that answers with %s is told in one line, once, and is no empty pool", async (...row) => {
    const [, answer, why] = row;
    const { connector, logged } = fakeWith(answer);
    expect(await connector.view()).toBeUndefined();
    expect(await connector.view()).toBeUndefined();
    expect(logged).toEqual([expect.stringContaining(why)]);
    expect(logged[0]).not.toContain("\n");
  });

  test("that tells of 200,000 pods is not believed, and nothing is changed", async () => {
    const { fake, connector, logged } = fakeWith(() => undefined);
    const components = fake.graph.spec["components"] as Record<string, unknown>[];
    components[2]!["replicas"] = 200_000;
    expect(await connector.view()).toBeUndefined();
    const why = "the graph is not as expected at spec.components.2.replicas: Too big";
    expect(logged[0]).toContain(why);
    expect(await connector.add(change, "decode", 1)).toMatchObject({ kind: "refused" });
    expect(fake.requests.filter((line) => line.startsWith("PATCH"))).toEqual([]);
  });

  test.each(["{", '{"epoch": -1, "changes": []}', '{"epoch": 9e15, "changes": []}', "[]"])(
    "with the broken note %s: it is told once and written anew",
    async (note) => {
      const { fake, connector, logged } = fakeWith(() => undefined);
      fake.graph.metadata.annotations = { "troupe.dev/planner": note, other: "stays" };
      await connector.view();
      expect((await connector.add(change, "decode", 1)).kind).toBe("added");
      expect(logged).toEqual([
        "planner: the annotation troupe.dev/planner of graph cannot be read and counts as none: " +
          "the next change writes it anew",
      ]);
      const kept = fake.graph.metadata.annotations;
      expect(kept["other"]).toBe("stays");
      expect(JSON.parse(kept["troupe.dev/planner"] ?? "")).toMatchObject({ epoch: 1, model: "m" });
    },
  );

  test("whose graph is planned for another model is not changed", async () => {
    const { fake, connector } = fakeWith(() => undefined);
    await connector.lead("m", 3);
    const theirs = { change: "b", epoch: 9, model: "another" };
    expect(connector.lead("another", 9)).rejects.toThrow(
      "this graph is planned for m, not for another",
    );
    expect(await connector.add(theirs, "decode", 1)).toMatchObject({ kind: "refused" });
    expect(fake.wanted("decode")).toBe(0);
  });

  test("that is gone for a while is told of once, and once when it is back", async () => {
    let down = true;
    const { connector, logged } = fakeWith(() => (down ? status(503, "no") : undefined));
    for (let i = 0; i < 3; i++) await connector.view();
    down = false;
    expect((await connector.view())?.workers).toEqual([]);
    expect(logged).toEqual([expect.stringContaining("503"), "the graph is read again"]);
  });
});
