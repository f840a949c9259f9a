/** The first SIGTERM drains; a second one ends at once, and clients are told even then. */
import { expect, test } from "bun:test";
import { alive, type Cluster, descendants, startCluster, until } from "../support/cluster.ts";

const mocker = ["--engine", "mocker", "--workers", "1", "--drain-timeout", "60"];
/** A repeat within 500 ms is the same wish: a terminal sends Ctrl-C twice. */
const repeat_ms = 500;

type Reader = { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };

async function openStream(cluster: Cluster): Promise<Reader> {
  const response = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: "troupe-tiny", prompt: "Go on", max_tokens: 4_000, ignore_eos: true },
      stream: true,
    }),
  });
  expect(response.status).toBe(200);
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Error("no body");
  await reader.read(); // The first token: it is live.
  return reader;
}

async function rest(reader: Reader): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    return `${text}\nbroken: ${String(error)}`;
  }
}

const isDraining = async (cluster: Cluster) =>
  (await fetch(`${cluster.url}/health`)).status === 503;

for (const frontends of [1, 2]) {
  test(`every live stream ends with the draining event, at ${frontends} frontend(s)`, async () => {
    await using cluster = await startCluster([...mocker, "--frontends", `${frontends}`]);
    const children = descendants(cluster.pid);
    const streams = await Promise.all(Array.from({ length: 6 }, () => openStream(cluster)));
    const texts = streams.map(rest);
    cluster.kill("SIGTERM");
    const first_ms = performance.now();
    await until("the drain", 5_000, () => isDraining(cluster));
    await until("a second wish to count", 5_000, () => performance.now() - first_ms > repeat_ms);
    const second_ms = performance.now();
    cluster.kill("SIGTERM");
    expect(await cluster.exited).toBe(1);
    expect(performance.now() - second_ms).toBeLessThan(20_000); // Far below the 60 s of the drain.
    for (const text of await Promise.all(texts)) {
      expect(text).toContain('"code":"draining"');
      expect(text).not.toContain("broken");
    }
    await until("the children to be gone", 5_000, () => !children.some(alive));
  }, 60_000);
}

test("a frozen frontend does not hold a second wish back", async () => {
  await using cluster = await startCluster(mocker);
  const stream = rest(await openStream(cluster));
  const children = descendants(cluster.pid);
  cluster.kill("SIGTERM");
  await until("the drain", 5_000, () => isDraining(cluster));
  for (const pid of children) process.kill(pid, "SIGSTOP");
  const from_ms = performance.now();
  await until("a second wish to count", 5_000, () => performance.now() - from_ms > repeat_ms);
  if (alive(cluster.pid)) cluster.kill("SIGTERM");
  expect(await cluster.exited).toBe(1);
  await until("the children to be gone", 5_000, () => !children.some(alive));
  await stream;
}, 60_000);
