/** Frontends that share a port are replaced one after the other, and no new request notices. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { alive, type Cluster, pidsOf, startCluster, tree, until } from "../support/cluster.ts";
import { underWay } from "../support/under-way.ts";

const mocker = ["--engine", "mocker", "--speedup-ratio", "1"];

/** Asks once, and says what became of it in one word. */
async function ask(cluster: Cluster, stream: boolean, fresh: boolean): Promise<string> {
  const body = {
    ...{ model: "troupe-tiny", prompt: "Answer me", max_tokens: 24, ignore_eos: true },
    stream,
  };
  const headers = { "content-type": "application/json", ...(fresh && { connection: "close" }) };
  try {
    const response = await fetch(`${cluster.url}/v1/completions`, {
      ...{ method: "POST", headers, body: JSON.stringify(body), keepalive: !fresh },
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    if (response.status !== 200) return `${response.status} ${text}`;
    const whole = stream ? text.endsWith("data: [DONE]\n\n") : text.includes("completion_tokens");
    return whole ? "whole" : `cut: ${text.slice(-200)}`;
  } catch (error) {
    return `broken: ${String(error)}`;
  }
}

async function replace(cluster: Cluster, pid: number, count: number): Promise<void> {
  process.kill(pid, "SIGTERM");
  await until("the frontend to be replaced", 20_000, async () => {
    const now = await pidsOf(cluster, "frontend");
    const port = Number(new URL(cluster.url).port);
    return !alive(pid) && now.length === count && now.every((each) => listens(each, port));
  });
}

/** Whether a process has this port of ours open for new connections, as the kernel tells it. */
function listens(pid: number, port: number): boolean {
  const listening = "0A";
  const address = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const inodes = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => state === listening && local?.endsWith(address))
    .map((fields) => `socket:[${fields[9]}]`);
  try {
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
    return open.some((target) => inodes.includes(target));
  } catch {
    return false;
  }
}

/** Empty: it was closed meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

test("2 frontends restarted in turn under clients that try once: no 503, nothing cut", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "2", "--frontends", "2"]);
  const words = new Map<string, number>();
  let over = false;
  const client = async (number: number) => {
    while (!over) {
      // A stream's connection that is used again at the moment of its end may be closing, as with
      // any server: whoever keeps connections hears of the end beforehand when it does not stream.
      const fresh = number % 3 !== 0;
      const word = await ask(cluster, fresh && number % 2 === 0, fresh);
      words.set(word, (words.get(word) ?? 0) + 1);
    }
  };
  const clients = Array.from({ length: 12 }, (_, number) => client(number));
  await until("some answers", 10_000, () => (words.get("whole") ?? 0) >= 20);
  for (const pid of await pidsOf(cluster, "frontend")) {
    await replace(cluster, pid, 2);
    // With no pause: a successor that does not listen yet is waited for by the other one.
  }
  over = true;
  await Promise.all(clients);
  const { whole = 0, ...others } = Object.fromEntries(words);
  // The kernel resets what waits in the queue of a socket that is closed: a few µs, twice.
  const broken = Object.entries(others).filter(([word]) => word.startsWith("broken"));
  expect(Object.keys(others).filter((word) => !word.startsWith("broken"))).toEqual([]);
  expect(broken.reduce((sum, [, count]) => sum + count, 0)).toBeLessThanOrEqual(2);
  expect(whole).toBeGreaterThan(50);
}, 60_000);

test("while one of two is drained its long streams go on, and every new connection meets the other", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "1", "--frontends", "2"]);
  const open = () =>
    fetch(`${cluster.url}/v1/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        ...{ model: "troupe-tiny", prompt: "Go on", max_tokens: 300, ignore_eos: true },
        stream: true,
      }),
    }).then((response) => response.text());
  const long = await underWay(cluster, 8, () => Promise.all(Array.from({ length: 8 }, open)));
  const [pid = 0] = await pidsOf(cluster, "frontend");
  process.kill(pid, "SIGTERM");
  const port = Number(new URL(cluster.url).port);
  await until("it to leave the port", 5_000, () => !listens(pid, port));
  const healths = new Map<number, number>();
  for (let i = 0; i < 40; i++) {
    const { status } = await fetch(`${cluster.url}/health`, { keepalive: false });
    healths.set(status, (healths.get(status) ?? 0) + 1);
  }
  expect([...healths]).toEqual([[200, 40]]);
  expect(alive(pid)).toBe(true);
  for (const text of await long.done) expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
}, 60_000);

test("the only frontend keeps its port while it drains, and says that it drains", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "1"]);
  const stream = await fetch(`${cluster.url}/v1/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ model: "troupe-tiny", prompt: "Go on", max_tokens: 200, ignore_eos: true, stream: true },
    }),
  });
  const [pid = 0] = await pidsOf(cluster, "frontend");
  process.kill(pid, "SIGTERM");
  await until("the drain", 2_000, async () => {
    return (await fetch(`${cluster.url}/health`)).status === 503;
  });
  expect((await fetch(`${cluster.url}/live`)).status).toBe(200);
  expect(await (await fetch(`${cluster.url}/health`)).json()).toMatchObject({ status: "draining" });
  expect((await stream.text()).endsWith("data: [DONE]\n\n")).toBe(true);
}, 60_000);

test("without a worker anywhere, frontends that share a port listen after a while and say so", async () => {
  await using cluster = await startCluster([...mocker, "--workers", "1", "--frontends", "2"]);
  const slot = (await tree(cluster)).find(({ path }) => path.endsWith("/workers/worker-0"));
  const id = encodeURIComponent(slot!.id);
  const stopped = await fetch(`${cluster.inspector}/api/actors/${id}/stop`, { method: "POST" });
  expect(stopped.status).toBe(200);
  const pids = await pidsOf(cluster, "frontend");
  for (const pid of pids) process.kill(pid, "SIGKILL");
  let status = 0;
  let code = "";
  await until("a frontend to listen again", 15_000, async () => {
    const response = await fetch(`${cluster.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ model: "troupe-tiny", messages: [{ role: "user", content: "?" }] }),
    }).catch(() => undefined);
    if (response === undefined) return false;
    status = response.status;
    code = ((await response.json()) as { error: { code: string } }).error.code;
    return true;
  });
  expect([status, code]).toEqual([503, "model_not_ready"]);
}, 60_000);
